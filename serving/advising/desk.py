"""The advice workers of each version: started when they are first needed, kept warm while the version is in operation.

Whoever is served holds a seat: a version that is promoted meanwhile does not take it away, and the workers of a
version that has left operation end when the last seat is given back.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from serving.models.house import Version
from serving.models.link import Bundle
from serving.models.pool import Pool, PoolSettings

_LOG = logging.getLogger("superheat.advice")
WORKER: Final = (sys.executable, "-m", "serving.advising.worker")
"""How an advice worker is started; a test may start another one."""


@dataclass(eq=False)
class _Table:
    """The workers of one version: the pool, its start, and the seats that are taken."""

    pool: Pool
    started: "asyncio.Task[None]"
    seats: int = 0
    leaving: bool = field(default=False)


class Desk:
    """The advice workers of the versions in operation."""

    def __init__(
        self,
        settings: PoolSettings,
        on_replaced: Callable[[str], None],
        in_operation: Callable[[], Collection[str]],
    ) -> None:
        """Start workers by ``settings``; ``in_operation`` names the digests whose workers are kept."""
        self.workers = settings.workers
        self._settings = settings
        self._on_replaced = on_replaced
        self._in_operation = in_operation
        self._tables: dict[str, _Table] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def seat(self, version: Version) -> AsyncIterator[Pool]:
        """Hold the workers of ``version``, started if need be, until the block ends.

        Raises:
            BundleError: a worker refused the bundle.
        """
        digest = version.manifest.digest
        table = self._tables.get(digest)
        if table is None or table.leaving:
            bundle = Bundle(version.directory, digest, 1)
            pool = Pool(bundle, self._settings, self._on_replaced)
            table = _Table(pool, asyncio.get_running_loop().create_task(pool.start()))
            self._tables[digest] = table
        table.seats += 1
        try:
            # Shielded: whoever gives up waiting does not end the start that others wait for.
            await asyncio.shield(table.started)
            yield table.pool
        finally:
            table.seats -= 1
            if table.started.done() and (table.started.cancelled() or table.started.exception()):
                self._forget(digest, table)
            self.tidy()

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that stand by, over all versions."""
        return tuple(pid for table in self._tables.values() for pid in table.pool.pids)

    def tidy(self) -> None:
        """End the workers of versions that have left operation and that nobody holds."""
        kept = self._in_operation()
        for digest, table in list(self._tables.items()):
            if digest not in kept and not table.seats and table.started.done():
                self._forget(digest, table)
                self._spawn(table.pool.close(0.0))
                _LOG.info("advice workers ended", extra={"fields": {"version": digest[:12]}})

    async def close(self, patience: float) -> None:
        """End everything, what is inside first."""
        tables, self._tables = list(self._tables.values()), {}
        for table in tables:
            if not table.started.done():
                table.started.cancel()
                table.pool.abort()
        await asyncio.gather(*(t.pool.close(patience) for t in tables if t.started.done()))
        for task in list(self._tasks):
            await task

    def _forget(self, digest: str, table: _Table) -> None:
        table.leaving = True
        if self._tables.get(digest) is table:
            del self._tables[digest]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
