"""API keys: random, shown once, kept as a hash in one private file; found by id, compared in constant time.

A key is ``sh_<id>_<secret>``: the id (48 bits) finds its record, the secret (256 bits) is never stored. The file is
replaced as a whole, so a reader sees the keys before a change or after it, and a running service sees a revocation
with the next request.
"""

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from features.bundle.encoding import build, canonical, plain
from features.errors import SettingsError, UnknownNameError
from serving.access.roles import Identity, Role, line_set

PROTOCOL: Final = 1
MARK: Final = "sh_"
"""How every key begins; logs hide what begins so."""
LONGEST_DAYS: Final = 3650
_KEY = re.compile(r"sh_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[\w.@ -]{1,64}")


@dataclass(frozen=True)
class KeyRecord:
    """What is kept of a key. Times are ISO 8601 in UTC; ``lines`` empty = every line; ``revoked`` None = not."""

    id: str
    name: str
    role: str
    lines: tuple[str, ...]
    salt: str
    hash: str
    created: str
    expires: str
    revoked: str | None

    def __post_init__(self) -> None:
        """Check names and times.

        Raises:
            SettingsError: a value that no record of ours has.
        """
        if not _NAME.fullmatch(self.name):
            raise SettingsError(
                f"key name {self.name[:64]!r} is refused; use 1 to 64 letters, digits, spaces and . _ @ -"
            )
        Role.named(self.role)
        line_set(self.lines)
        if datetime.fromisoformat(self.expires).tzinfo is None:
            raise SettingsError(f"key {self.id}: expiry {self.expires} has no time zone")

    @property
    def identity(self) -> Identity:
        """Who asks with this key."""
        return Identity(
            f"{self.name}/{self.id}", Role.named(self.role), line_set(self.lines), f"key:{self.id}"
        )

    def state(self, now: datetime) -> str:
        """Return ``valid``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if now >= datetime.fromisoformat(self.expires) else "valid"


@dataclass(frozen=True)
class Wanted:
    """A key to be made: whose, for what role, for which lines (none = every line), for how many days."""

    name: str
    role: Role
    lines: tuple[str, ...] = ()
    days: int = 365

    def __post_init__(self) -> None:
        """Check the days.

        Raises:
            SettingsError: out of range: every key expires.
        """
        if not 1 <= self.days <= LONGEST_DAYS:
            raise SettingsError(f"a key of {self.days} days is refused; give 1 to {LONGEST_DAYS}")


def _utc() -> datetime:
    return datetime.now(UTC)


def _digest(salt: str, secret: str) -> str:
    # A slow hash protects guessable passwords. 256 random bits cannot be guessed, and this runs on every request.
    return hmac.new(bytes.fromhex(salt), secret.encode(), hashlib.sha256).hexdigest()


_NOBODY: Final = _digest("00" * 16, "nobody")


class KeyStore:
    """The keys in one file."""

    def __init__(self, path: Path, now: Callable[[], datetime] = _utc) -> None:
        """Use ``path``, which need not exist yet; ``now`` tells the time in UTC."""
        self._path = path
        self._now = now
        self._seen: tuple[int, int, int] | None = None
        self._records: dict[str, KeyRecord] = {}

    @property
    def empty(self) -> bool:
        """Whether no key was ever made here."""
        return not self._current()

    def records(self) -> list[KeyRecord]:
        """Return every record, the oldest first."""
        return sorted(self._current().values(), key=lambda record: (record.created, record.id))

    def find(self, key: str) -> Identity | None:
        """Return who ``key`` belongs to; None for a key that is unknown, wrong, expired or revoked.

        Raises:
            SettingsError: the file is there and cannot be used.
        """
        parsed = _KEY.fullmatch(key)
        if parsed is None:
            return None
        record = self._current().get(parsed[1])
        # The same work for an id that nobody has: the time taken tells nothing.
        given = _digest(record.salt if record else "00" * 16, parsed[2])
        right = hmac.compare_digest(given, record.hash if record else _NOBODY)
        if record is None or not right or record.state(self._now()) != "valid":
            return None
        return record.identity

    def create(self, wanted: Wanted) -> tuple[str, KeyRecord]:
        """Return a new key, which is shown to nobody again, and its record.

        Raises:
            SettingsError: the name or a line is refused, or the file cannot be used.
        """
        secret, salt = secrets.token_urlsafe(32), secrets.token_hex(16)
        with self._changing() as records:
            id_ = secrets.token_hex(6)
            while id_ in records:
                id_ = secrets.token_hex(6)
            now = self._now()
            record = KeyRecord(
                id=id_,
                name=wanted.name,
                role=wanted.role.name.lower(),
                lines=tuple(sorted(set(wanted.lines))),
                salt=salt,
                hash=_digest(salt, secret),
                created=now.isoformat(timespec="seconds"),
                expires=(now + timedelta(days=wanted.days)).isoformat(timespec="seconds"),
                revoked=None,
            )
            records[id_] = record
        return f"{MARK}{id_}_{secret}", record

    def revoke(self, id_: str) -> KeyRecord:
        """Revoke the key with ``id_``; it stays in the list. Revoking twice keeps the first time.

        Raises:
            UnknownNameError: there is no such key.
        """
        with self._changing() as records:
            if id_ not in records:
                raise UnknownNameError(
                    f"no key has the id {id_[:64]!r}; superheat-serve keys list shows them"
                )
            if records[id_].revoked is None:
                records[id_] = replace(records[id_], revoked=self._now().isoformat(timespec="seconds"))
            return records[id_]

    def _current(self) -> dict[str, KeyRecord]:
        """Return the records as the file has them now, read again only if it changed."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            self._seen, self._records = None, {}
            return self._records
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._seen:
            if found.st_mode & 0o077:
                raise SettingsError(
                    f"{self._path.name} can be read by others; chmod 600 it, and renew the keys"
                )
            self._records, self._seen = _read(self._path), stamp
        return self._records

    @contextmanager
    def _changing(self) -> Iterator[dict[str, KeyRecord]]:
        """Yield the records to be changed, alone, and put them in the file's place as a whole."""
        folder = self._path.parent
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{self._path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = dict(self._current())
            yield records
            content = canonical(
                {"protocol": PROTOCOL, "keys": [plain(record) for record in records.values()]}
            )
            handle, draft = tempfile.mkstemp(dir=folder, prefix=f".{self._path.name}.")  # made with mode 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(draft, self._path)
            finally:
                Path(draft).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, KeyRecord]:
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict) or value.get("protocol") != PROTOCOL:
            raise SettingsError(f"{path.name} is no key file of version {PROTOCOL}")
        records = [build(KeyRecord, entry) for entry in value["keys"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path.name} cannot be read as a key file: {error}") from error
    return {record.id: record for record in records}
