"""Every model that is served: which version is current, which one is tried in the shadow, and how they change.

A version is started and proved before it is current, and ended only when the last request that it was given is
answered: requests hold the version, not the name. The pointer on disk moves last, so a crash leaves the one before.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.bundle import Manifest
from features.errors import UnknownNameError
from serving.models.drift import stability_index
from serving.models.link import Bundle
from serving.models.pool import Pool, PoolSettings
from serving.models.repository import Pointer, Repository
from serving.models.shadow import Comparison, unpack
from serving.models.wire import ONLY_RAW, WANT_RAW, Frame, Kind
from serving.protocol.call import Rows, Signature, version_of
from serving.refusals import RefusedError, refused

_LOG = logging.getLogger("superheat.models")
_LEAVE_S: Final = 30.0
_SHADOW_BUSY: Final = 4
"""Requests that may wait for the shadow: it must keep up or leave some out, never hold up an answer."""


@dataclass(frozen=True, eq=False)
class Version:
    """One version in operation: what it is, where it lies, and the pool that answers for it."""

    manifest: Manifest
    signature: Signature
    directory: Path
    pool: Pool


@dataclass(frozen=True)
class Served:
    """One model: the version that answers, the one before it (kept warm for a roll-back), the one in the shadow."""

    current: Version
    before: Version | None = None
    shadow: Version | None = None
    comparison: Comparison | None = None

    def versions(self) -> tuple[Version, ...]:
        """Return the versions in operation, each once."""
        found = (self.current, self.before, self.shadow)
        return tuple(dict.fromkeys(version for version in found if version is not None))


class Answer(NamedTuple):
    """A worker's answer and the version that gave it."""

    version: Version
    body: bytes
    header_length: int


@dataclass(frozen=True)
class Entry:
    """One version in the repository's index."""

    name: str
    version: str
    state: str
    reason: str


class House:
    """The models in operation over a repository."""

    def __init__(
        self,
        repository: Repository,
        settings: PoolSettings,
        max_rows: int,
        on_replaced: Callable[[str], None],
    ) -> None:
        """Serve from ``repository``; ``on_replaced`` is told why a worker was replaced."""
        self._repository = repository
        self._settings = settings
        self._max_rows = max_rows
        self._on_replaced = on_replaced
        self._served: dict[str, Served] = {}
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, directory: Path) -> Version:
        """Admit the bundle in ``directory`` into the repository and make it current.

        Raises:
            BundleError: it is refused; nothing has changed.
        """
        manifest = await asyncio.to_thread(self._repository.admit, directory)
        return await self.promote(manifest.name, manifest.digest)

    async def reopen(self) -> None:
        """Start the current version of every model in the repository that is not in operation.

        Raises:
            BundleError: one is refused.
        """
        for name in self._repository.names():
            pointer = self._repository.pointer(name)
            if pointer is not None and name not in self._served:
                await self.promote(name, pointer.current)

    def names(self) -> tuple[str, ...]:
        """Return the models in operation."""
        return tuple(sorted(self._served))

    def served(self, name: str) -> Served:
        """Return the model called ``name``.

        Raises:
            UnknownNameError: it is not in operation.
        """
        try:
            return self._served[name]
        except KeyError:
            raise refused(404, "unknown_name.model", model=name[:64]) from None

    def version(self, name: str, version: str = "") -> Version:
        """Return the current version of ``name``, or the one in operation that ``version`` names.

        Raises:
            UnknownNameError: there is none.
        """
        served = self.served(name)
        if not version or version == served.current.signature.version:
            return served.current
        for found in served.versions():
            if len(version) >= len(found.signature.version) and found.manifest.digest.startswith(version):
                return found
        raise UnknownNameError(f"version {version[:64]!r} of model {name} is not in operation")

    def in_operation(self) -> frozenset[str]:
        """Return the digests of every version in operation."""
        return frozenset(
            version.manifest.digest for served in self._served.values() for version in served.versions()
        )

    def keeps(self, name: str, digest: str) -> bool:
        """Say whether the repository holds the version ``digest`` of ``name``."""
        return name in self._repository.names() and digest in self._repository.versions(name)

    @property
    def ready(self) -> bool:
        """Whether there is a model, and each one's current version has a worker that stands by."""
        return bool(self._served) and all(served.current.pool.ready for served in self._served.values())

    @property
    def busy(self) -> int:
        """Requests inside, over all versions."""
        return sum(version.pool.busy for served in self._served.values() for version in served.versions())

    async def infer(
        self, kind: Kind, target: tuple[str, str], body: bytes, header_length: int = -1
    ) -> Answer:
        """Return the answer of the version that ``target`` (name, version) is now.

        Raises:
            UnknownNameError: there is none.
            RefusedError: it refused, was too busy, or too slow.
        """
        version = self.version(*target)
        served = self._served[target[0]]
        shadow = served.shadow if served.current is version else None
        if shadow is None:
            frame = await version.pool.ask(kind, body, header_length)
            return Answer(version, frame.body, frame.header_length)
        frame = await version.pool.ask(kind, body, header_length, WANT_RAW)
        cut = len(frame.body) - frame.raw
        if served.comparison is not None and shadow.pool.busy < _SHADOW_BUSY:
            request = (kind, body, header_length)
            self._spawn(self._shadow(served.comparison, shadow, request, frame.body[cut:]))
        return Answer(version, frame.body[:cut], frame.header_length)

    async def predict(self, version: Version, rows: Rows) -> dict[str, NDArray[np.float64]]:
        """Return every output of ``version`` for validated or unvalidated ``rows`` (n, d) float32.

        Raises:
            RefusedError: a row is refused, or the version is too busy or too slow.
        """
        frame = await version.pool.ask(Kind.ROWS, rows.astype("<f4", copy=False).tobytes())
        return unpack(frame.body, version.signature)

    async def load(self, name: str, version: str = "") -> Version:
        """Make ``version`` of ``name`` (the latest made, if not given) current."""
        return await self.promote(name, version)

    async def promote(self, name: str, version: str) -> Version:
        """Make ``version`` (the latest made, if not given) current; no request is dropped.

        It is started and proved first, then taken in one step.

        Raises:
            UnknownNameError: it is not in the repository.
            BundleError: it is refused; the current one goes on.
        """
        async with self._changing:
            digest = await self._digest(name, version)
            pointer = self._repository.pointer(name)
            moved = pointer.moved(digest) if pointer else Pointer(digest)
            return await self._take(name, moved)

    async def roll_back(self, name: str) -> Version:
        """Make the version before the current one current again.

        Raises:
            UnknownNameError: there is none.
        """
        async with self._changing:
            pointer = self._repository.pointer(name)
            if pointer is None:
                raise UnknownNameError(f"model {name[:64]!r} never had a current version")
            return await self._take(name, pointer.rolled_back())

    async def cast_shadow(self, name: str, version: str) -> Version:
        """Let ``version`` score the requests of ``name`` too, unanswered, from now on."""
        async with self._changing:
            served = self.served(name)
            found = await self._running(name, await self._digest(name, version))
            comparison = Comparison(served.current.signature, found.signature)
            self._replace(name, replace(served, shadow=found, comparison=comparison))
            return found

    async def unload(self, name: str, version: str = "") -> None:
        """Take ``version`` (everything, if not given) of ``name`` out of operation; the repository keeps it.

        Raises:
            UnknownNameError: it is not in operation.
            RefusedError: it is the current one of several: promote another first.
        """
        async with self._changing:
            served = self.served(name)
            if not version:
                del self._served[name]
                for found in served.versions():
                    self._retire(found)
                return
            found = self.version(name, version)
            if found is served.current:
                raise RefusedError(
                    409, "is_current", f"version {version} answers for {name}; promote another first"
                )
            kept = replace(served, before=None if served.before is found else served.before)
            if served.shadow is found:
                kept = replace(kept, shadow=None, comparison=None)
            self._replace(name, kept)

    async def index(self) -> list[Entry]:
        """Return every version in the repository or in operation, and its state."""
        found: dict[tuple[str, str], Entry] = {}
        for name in self._repository.names():
            for digest in await asyncio.to_thread(self._repository.versions, name):
                version = version_of(digest)
                found[name, version] = Entry(name, version, "UNAVAILABLE", "not loaded")
        for name, served in self._served.items():
            for entry in served.versions():
                role = (
                    "current" if entry is served.current else "shadow" if entry is served.shadow else "before"
                )
                version = entry.signature.version
                state = "READY" if entry.pool.ready else "LOADING"
                found[name, version] = Entry(name, version, state, role)
        return [found[key] for key in sorted(found)]

    async def drift(self, name: str) -> dict[str, float]:
        """Return the stability index of each feature of ``name``'s recent rows; empty before a worker answered."""
        version = self.version(name)
        frames = await version.pool.ask_each(Kind.DRIFT)
        if not frames:
            return {}
        counts = [_counts(frame, version.signature.width) for frame in frames]
        index = stability_index(counts[0][0], np.sum([recent for _, recent in counts], axis=0))
        names = version.manifest.feature_names
        return {name: float(value) for name, value in zip(names, index, strict=True)}

    async def close(self, patience: float) -> None:
        """End everything, what is inside first."""
        versions = [version for served in self._served.values() for version in served.versions()]
        self._served = {}
        await asyncio.gather(*(version.pool.close(patience) for version in versions))
        for task in list(self._tasks):
            task.cancel()

    async def _digest(self, name: str, version: str) -> str:
        if version:
            return await asyncio.to_thread(self._repository.find, name, version)
        return await asyncio.to_thread(self._repository.latest, name)

    async def _take(self, name: str, pointer: Pointer) -> Version:
        found = await self._running(name, pointer.current)
        self._repository.point(name, pointer)
        served = self._served.get(name)
        if served is None:
            self._served[name] = Served(found)
        elif served.current is not found:
            kept = replace(served, current=found, before=served.current)
            if kept.shadow is not None:
                shadow = None if kept.shadow is found else kept.shadow
                comparison = Comparison(found.signature, shadow.signature) if shadow else None
                kept = replace(kept, shadow=shadow, comparison=comparison)
            self._replace(name, kept)
        fields = {"model": name, "version": found.signature.version}
        _LOG.info("model promoted", extra={"fields": fields})
        return found

    async def _running(self, name: str, digest: str) -> Version:
        for version in self._served[name].versions() if name in self._served else ():
            if version.manifest.digest == digest:
                return version
        directory = self._repository.path(name, digest)
        manifest = await asyncio.to_thread(self._repository.manifest, name, digest)
        pool = Pool(Bundle(directory, digest, self._max_rows), self._settings, self._on_replaced)
        await pool.start()
        return Version(manifest, Signature.of(manifest), directory, pool)

    def _replace(self, name: str, kept: Served) -> None:
        gone = set(self._served[name].versions()) - set(kept.versions())
        self._served[name] = kept
        for version in gone:
            self._retire(version)

    def _retire(self, version: Version) -> None:
        self._spawn(version.pool.close(_LEAVE_S))

    async def _shadow(
        self, comparison: Comparison, shadow: Version, request: tuple[Kind, bytes, int], answered: bytes
    ) -> None:
        try:
            frame = await shadow.pool.ask(*request, ONLY_RAW)
            comparison.add(answered, frame.body)
        except (RefusedError, ValueError):
            comparison.failed += 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _counts(frame: Frame, width: int) -> NDArray[np.int64]:
    """Return (2, d, bins): the reference's and the recent rows' counts."""
    return np.frombuffer(frame.body, dtype="<i8").reshape(2, width, -1).astype(np.int64)
