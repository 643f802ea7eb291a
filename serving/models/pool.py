"""The workers of one model version: shared work, a deadline for every request, and a replacement for what hangs."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from features.errors import BundleError
from serving.models.link import WORKER, Bundle, Job, Link, refusal_in
from serving.models.wire import ALONE, Frame, Kind
from serving.refusals import refused

_LOG = logging.getLogger("superheat.models")
_TICK: Final = 0.02
_STALL: Final = 0.1
_RESCUE: Final = 0.06
"""Seconds after which what waits behind a slow request goes to the siblings."""


@dataclass(frozen=True)
class PoolSettings:
    """How a pool works: workers, seconds for a request, requests that may wait, seconds to start a worker.

    ``depth``: most requests that a worker holds at once: one that it works on, the others to go on with. Many small
    ones travel together for the price of a few; where each is long work, more than one would only wait behind it.
    """

    workers: int = 1
    deadline_s: float = 5.0
    waiting: int = 256
    start_s: float = 60.0
    depth: int = 8
    command: Sequence[str] = WORKER


class Pool:
    """The worker processes of one bundle; start it before use, close it after."""

    def __init__(self, bundle: Bundle, settings: PoolSettings, on_replaced: Callable[[str], None]) -> None:
        """Prepare; ``on_replaced`` is told why ("deadline", "ended") a worker was replaced."""
        self.bundle = bundle
        self._settings = settings
        self._on_replaced = on_replaced
        self._links: list[Link] = []
        self._leaving: list[Link] = []
        self._queue: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Start all workers and wait until each has proved the bundle.

        Raises:
            BundleError: a worker refused it; none is left running.
        """
        self._loop = asyncio.get_running_loop()
        self._spawn(self._watch())
        starts = (self._start_link() for _ in range(self._settings.workers))
        done = await asyncio.gather(*starts, return_exceptions=True)
        if failed := [error for error in done if isinstance(error, BaseException)]:
            self.abort()
            raise failed[0]

    @property
    def ready(self) -> bool:
        """Whether a worker stands by."""
        return any(link.ready for link in self._links)

    @property
    def busy(self) -> int:
        """Requests inside: with a worker or waiting for one."""
        return len(self._queue) + sum(len(link.jobs) for link in self._links)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that stand by."""
        return tuple(link.pid for link in self._links if link.ready)

    async def ask(self, kind: Kind, body: bytes, header_length: int = -1, flags: int = 0) -> Frame:
        """Return the worker's answer.

        Raises:
            RefusedError: the worker's refusal; 503 where too many wait; 504 after the deadline.
        """
        job = self._job(kind, body, header_length, flags)
        self._place(job)
        frame = await job.answer
        if frame.kind == Kind.REFUSAL:
            raise refusal_in(frame, orjson.loads)
        return frame

    async def ask_each(self, kind: Kind) -> list[Frame]:
        """Return the answer of every worker that stands by and answers in time."""
        jobs = []
        for link in [link for link in self._links if link.ready]:
            jobs.append(self._job(kind, b"", -1, 0))
            link.send(jobs[-1])
        done = await asyncio.gather(*(job.answer for job in jobs), return_exceptions=True)
        return [frame for frame in done if isinstance(frame, Frame) and frame.kind == Kind.ANSWER]

    async def close(self, patience: float) -> None:
        """Wait up to ``patience`` seconds for what is inside, then end the workers."""
        self._closed = True
        until = self._loop.time() + patience
        while self.busy and self._loop.time() < until:
            await asyncio.sleep(_TICK)
        links = [*self._links, *self._leaving]
        for link in links:
            link.close()
        while not all(link.reap() for link in links) and self._loop.time() < until + 1.0:
            await asyncio.sleep(_TICK)
        self.abort()

    def abort(self) -> None:
        """End the workers at once; what is inside is refused."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        left = list(self._queue)
        self._queue.clear()
        for link in [*self._links, *self._leaving]:
            left += [job for job in link.jobs.values() if job is not None]
            link.jobs.clear()
            link.kill()
            link.wait()
        for job in left:
            job.refuse(refused(503, "unloaded", 1))

    def _job(self, kind: Kind, body: bytes, header_length: int, flags: int) -> Job:
        expires = self._loop.time() + self._settings.deadline_s
        return Job(kind, body, header_length, flags, expires, self._loop.create_future())

    def _place(self, job: Job) -> None:
        best: Link | None = None
        for link in self._links:
            if link.ready and (best is None or len(link.jobs) < len(best.jobs)):
                best = link
        if best is not None and best.has_room(self._settings.depth):
            best.send(job)
        elif len(self._queue) < self._settings.waiting:
            self._queue.append(job)
        else:
            raise refused(503, "overloaded.waiting", 1)

    def _refill(self, link: Link) -> None:
        while self._queue and link.ready and link.has_room(self._settings.depth):
            job = self._queue.popleft()
            if not job.answer.done():
                link.send(job)

    def _lost(self, link: Link) -> None:
        """Refuse what the lost worker worked on, hand on what waited, and start another.

        Of several that it worked on together any may have ended it: each goes on alone, and none comes back twice.
        """
        if link in self._links:
            self._links.remove(link)
            self._leaving.append(link)
        behind = {ticket: link.jobs.pop(ticket) for ticket in link.behind()}
        begun = [job for job in link.jobs.values() if job is not None]
        together = len(link.jobs) > 1
        link.jobs.clear()
        for job in begun:
            if together:
                job.flags |= ALONE
            else:
                job.refuse(refused(503, "worker_lost", 1))
        self._requeue([*begun, *behind.values()])
        if not self._closed:
            self._on_replaced("deadline" if link.killed else "ended")
            self._spawn(self._replace())
        for other in self._links:
            self._refill(other)

    def _requeue(self, jobs: Sequence[Job | None]) -> None:
        """Put ``jobs`` that have not ended first into the queue again, in their order."""
        self._queue.extendleft(job for job in reversed(jobs) if job is not None and not job.answer.done())

    async def _start_link(self) -> None:
        link = Link(self._refill, self._lost)
        await link.start(self._settings.command, self.bundle, self._settings.start_s)
        if self._closed:
            link.kill()
            link.wait()
            return
        self._links.append(link)
        self._refill(link)

    async def _replace(self) -> None:
        pause = 0.1
        while not self._closed:
            try:
                await self._start_link()
            except (BundleError, OSError) as error:
                _LOG.error("worker not replaced", extra={"fields": {"reason": str(error)}})
                await asyncio.sleep(pause)
                pause = min(2 * pause, 10.0)
            else:
                return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self) -> None:
        last = self._loop.time()
        while True:
            await asyncio.sleep(_TICK)
            now = self._loop.time()
            stalled, last = now - last > _STALL, now
            if stalled:
                continue  # this process was held up, not the workers: read what they have answered first
            self._expire(now)
            for link in list(self._links):
                self._look_after(link, now)
            self._leaving = [link for link in self._leaving if not link.reap()]

    def _expire(self, now: float) -> None:
        """Refuse what would miss its deadline before the next look."""
        soon = now + _TICK
        late = [job for job in self._queue if job.expires <= soon]
        for link in self._links:
            # Those behind would be computed for nobody; what is begun stays, whether or not somebody waits for it.
            behind = set(link.behind())
            overdue = [(t, job) for t, job in link.jobs.items() if job is not None and job.expires <= soon]
            late += [job for t, job in overdue if t not in behind or link.withdraw(t) is not None]
        for job in late:
            job.refuse(refused(504, "deadline.answer", seconds=self._settings.deadline_s))
        while self._queue and self._queue[0].answer.done():
            self._queue.popleft()

    def _look_after(self, link: Link, now: float) -> None:
        if not link.jobs:
            return
        working = now - link.head_since
        if working + _TICK >= self._settings.deadline_s:
            _LOG.error(
                "worker exceeded its deadline", extra={"fields": {"pid": link.pid, "seconds": working}}
            )
            head = link.jobs[link.head]
            if head is not None:
                head.refuse(refused(504, "deadline.answer", seconds=self._settings.deadline_s))
            link.kill()
        elif working > _RESCUE:
            self._rescue(link)

    def _rescue(self, link: Link) -> None:
        """Hand what waits behind a slow request to the siblings, and its worker nothing more until it answers."""
        others = [other for other in self._links if other is not link and other.ready]
        if not others:
            return
        link.stuck = True
        self._requeue([link.withdraw(ticket) for ticket in link.behind()])
        for other in others:
            self._refill(other)
