"""The chain: every record holds the hash of the one before it, and its own covers its place and its content.

A record that was changed no longer fits its hash; one that was moved fits it at another place only; one that was
removed is missed by its successor, or by the head. Who can rewrite every record after a place, and the head too,
leaves a chain that is whole: that is seen only against an anchor that was noted down elsewhere.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from features.errors import InputError

PROTOCOL: Final = 1
GENESIS: Final = "0" * 64
"""What the first record holds in place of a predecessor's hash."""


@dataclass(frozen=True)
class Anchor:
    """A place in the chain: how many records, and the hash of the last of them."""

    sequence: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """Return the anchor of ``SEQUENCE:HASH``.

        Raises:
            InputError: it is none.
        """
        number, _, hash_ = text.partition(":")
        if not number.isdecimal() or len(hash_) != 64 or set(hash_) - set("0123456789abcdef"):
            raise InputError(f"anchor {text[:80]!r} is none; give SEQUENCE:HASH as 'ledger verify' prints it")
        return cls(int(number), hash_)

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


@dataclass(frozen=True)
class Content:
    """What a record says: when (ISO 8601, UTC), of which kind, by whom, about what, and the body's text."""

    recorded_at: str
    kind: str
    subject: str
    about: str | None
    line_id: str | None
    cell_id: str | None
    body: str


@dataclass(frozen=True)
class Record:
    """One record at its place."""

    sequence: int
    content: Content
    previous: str
    hash: str

    @classmethod
    def after(cls, head: Anchor, content: Content) -> "Record":
        """Return ``content`` as the record that follows ``head``."""
        sequence = head.sequence + 1
        return cls(sequence, content, head.hash, link(sequence, head.hash, content))

    @property
    def body(self) -> Any:
        """The body as plain values."""
        return json.loads(self.content.body)

    @property
    def anchor(self) -> Anchor:
        """The chain's head if it ended here."""
        return Anchor(self.sequence, self.hash)

    def fits(self, sequence: int) -> bool:
        """Whether its hash is right at ``sequence``."""
        return link(sequence, self.previous, self.content) == self.hash


def link(sequence: int, previous: str, content: Content) -> str:
    """Return the hash of ``content`` at ``sequence`` behind the record with the hash ``previous``."""
    fields = [
        content.recorded_at,
        content.kind,
        content.subject,
        content.about,
        content.line_id,
        content.cell_id,
        content.body,
    ]
    text = json.dumps([PROTOCOL, sequence, previous, *fields], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Fault:
    """The first record that is not as it was written."""

    kind: Literal["changed", "removed", "moved", "added"]
    sequence: int
    message: str


@dataclass(frozen=True)
class Verdict:
    """What a look at the whole chain found; ``fault`` None = intact."""

    records: int
    head: Anchor
    fault: Fault | None

    @property
    def intact(self) -> bool:
        """Whether every record stands as it was written."""
        return self.fault is None


Rows = Callable[[], Iterable[Record]]
"""Every record in the order of its sequence, as often as it is asked for."""


def verify_chain(rows: Rows, head: Anchor | None, noted: Anchor | None = None) -> Verdict:
    """Return what is wrong with the chain ``rows`` that is said to end at ``head``.

    ``noted``: an anchor kept elsewhere, that the chain must still hold.
    """
    last, before = Anchor(0, GENESIS), GENESIS
    noted_hash: str | None = None
    for record in rows():
        if (
            record.sequence != last.sequence + 1
            or record.previous != last.hash
            or not record.fits(record.sequence)
        ):
            return Verdict(last.sequence, last, _Look(rows, head).why(record, last, before))
        before, last = last.hash, record.anchor
        if noted is not None and noted.sequence == last.sequence:
            noted_hash = last.hash
    return Verdict(last.sequence, last, _end(last, head) or _against(noted, noted_hash, last))


def _end(last: Anchor, head: Anchor | None) -> Fault | None:
    if head is None:
        return Fault(
            "removed", last.sequence, "the ledger's head is gone; what stood at its end cannot be known"
        )
    if head.sequence > last.sequence:
        gone = head.sequence - last.sequence
        return _fault("removed", last.sequence + 1, f"the ledger ends {gone} too early")
    if head.sequence < last.sequence:
        return _fault("added", head.sequence + 1, "it stands behind the ledger's head")
    if head.hash != last.hash:
        return _fault("changed", last.sequence, "it is not the one that the ledger's head names")
    return None


def _against(noted: Anchor | None, found: str | None, last: Anchor) -> Fault | None:
    if noted is None or noted.sequence == 0 or found == noted.hash:
        return None
    if found is None:
        return _fault("removed", last.sequence + 1, f"the anchor says that there were {noted.sequence}")
    return Fault(
        "changed",
        noted.sequence,
        f"record {noted.sequence} is not the one of the anchor: it, or one before it, was changed and the rest"
        " written anew",
    )


@dataclass(frozen=True)
class _Look:
    """A search for what happened at the first place where the chain does not hold."""

    rows: Rows
    head: Anchor | None

    def why(self, record: Record, last: Anchor, before: str) -> Fault:
        """Return the fault that ``record`` shows, which stands behind ``last``; ``before``: the hash before that."""
        place = last.sequence + 1
        if record.sequence == place and record.fits(place):
            return self._rewritten(record, place)
        origin = self._origin(record)
        if record.sequence == place and origin is None:
            return _fault("changed", place, "its content does not fit its hash")
        if origin == last.sequence and record.previous == before:
            return _fault("added", last.sequence, "the one behind it was written in its place")
        stands = next((q.sequence for q in self.rows() if q.previous == last.hash and q.fits(place)), None)
        if stands is not None:
            return _fault("moved", place, f"it stands at {stands}")
        found = (
            f"record {origin or record.sequence} follows"
            if origin or record.sequence > place
            else "it is gone"
        )
        return _fault("removed", place, found)

    def _rewritten(self, record: Record, place: int) -> Fault:
        """Tell which of two neighbours was changed and hashed anew: the one that others vouch for was not."""
        after = next(islice(self.rows(), place, place + 1), None)
        vouched = after.previous if after else (self.head.hash if self.head else None)
        if place > 1 and vouched == record.hash:
            return _fault("changed", place - 1, "the record behind it names another hash")
        return _fault("changed", place, "it does not name the record before it")

    def _origin(self, record: Record) -> int | None:
        """Return the place that ``record`` was written for; None if it fits none."""
        most = max([q.sequence for q in self.rows()] + [self.head.sequence if self.head else 0])
        return next((place for place in range(1, most + 2) if record.fits(place)), None)


def _fault(kind: Literal["changed", "removed", "moved", "added"], sequence: int, why: str) -> Fault:
    return Fault(kind, sequence, f"record {sequence} was {kind}: {why}")
