"""One worker process, seen from the service: started, spoken to, ended."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from features.errors import BundleCorruptError
from serving.models.wire import Frame, Kind, Slate, Unpacker, pack
from serving.refusals import RefusedError

WORKER: Final = (sys.executable, "-m", "serving.worker")
"""How a worker is started; a test may start another one."""

_AHEAD: Final = 2
"""Requests that a worker holds however large they are: what it works on, and what spares it the wait for the next."""
_SMALL: Final = 1 << 15
"""Bytes of requests up to which it may hold more."""
_HOUSE: Final = Path(__file__).resolve().parents[2]
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""What a worker inherits of the environment: no secret of the service is among it."""


@dataclass(frozen=True)
class Bundle:
    """What a worker is to serve: the directory, the digest that it must have, and the most rows of a request."""

    directory: Path
    digest: str
    max_rows: int


@dataclass(slots=True, eq=False)
class Job:
    """One request on its way through a worker; ``expires`` on the loop's clock."""

    kind: int
    body: bytes
    header_length: int
    flags: int
    expires: float
    answer: "asyncio.Future[Frame]"

    def refuse(self, error: RefusedError) -> None:
        """End it with a refusal, unless it has ended."""
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(eq=False)
class Link(asyncio.Protocol):
    """The service's end of a worker; requests are answered in the order in which they were sent, as a rule.

    Where what a worker answers together is slow, each is answered when it is done, and the first may be the last.
    """

    on_answer: Callable[["Link"], None]
    on_lost: Callable[["Link"], None]
    jobs: dict[int, Job | None] = field(default_factory=dict)
    """Ticket -> sent and not yet answered, the oldest first; None where the caller has been served elsewhere."""
    load: int = 0
    """Bytes of the requests among ``jobs``."""
    head_since: float = 0.0
    stuck: bool = False
    """Whether the head takes so long that its worker is to be given nothing more."""
    ready: bool = False
    killed: bool = False

    def __post_init__(self) -> None:
        """Start unconnected."""
        self._loop = asyncio.get_running_loop()
        self._unpacker = Unpacker()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ticket = 0
        self._proved = False
        self._slate = Slate.fresh()

    async def start(self, command: Sequence[str], bundle: Bundle, patience: float) -> None:
        """Start the process and wait until it has proved its bundle.

        Raises:
            BundleCorruptError: it refused the bundle, ended, or took longer than ``patience`` seconds.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = ("--fd", str(theirs.fileno()), "--bundle", str(bundle.directory))
            limits = ("--digest", bundle.digest, "--max-rows", str(bundle.max_rows))
            slate = ("--slate", str(self._slate.fd))
            self._process = subprocess.Popen(
                [*command, *arguments, *limits, *slate],
                pass_fds=[theirs.fileno(), self._slate.fd],
                stdin=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        await self._loop.create_unix_connection(lambda: self, sock=ours)
        try:
            await asyncio.wait_for(asyncio.shield(self._started), patience)
        except TimeoutError as error:
            raise BundleCorruptError(f"a worker did not prove its bundle within {patience:g} s") from error
        finally:
            if not self.ready:
                self.kill()
                self.wait()

    @property
    def pid(self) -> int:
        """The process; 0 before it was started."""
        return self._process.pid if self._process else 0

    def has_room(self, depth: int) -> bool:
        """Whether another request may be sent now: two at any time, up to ``depth`` while they are small."""
        held = len(self.jobs)
        return not self.stuck and (held < min(_AHEAD, depth) or (held < depth and self.load < _SMALL))

    def send(self, job: Job) -> None:
        """Send ``job``; its answer comes after those sent before."""
        if not self.jobs:
            self.head_since = self._loop.time()
        self._ticket += 1
        self.jobs[self._ticket] = job
        self.load += len(job.body)
        frame = pack(self._ticket, job.kind, job.body, job.header_length, job.flags)
        cast(asyncio.Transport, self._transport).write(frame)

    @property
    def head(self) -> int:
        """The oldest ticket among ``jobs``, which may not be empty."""
        return next(iter(self.jobs))

    def behind(self) -> list[int]:
        """Return the tickets that wait here: behind the oldest, and not begun together with it."""
        return [ticket for ticket in list(self.jobs)[1:] if ticket > self._slate.begun]

    def withdraw(self, ticket: int) -> Job | None:
        """Take back a job that is not the head: the worker passes over what it has not begun. None if it has ended."""
        job = self.jobs[ticket]
        if job is None or job.answer.done():
            return None
        self._slate.write(ticket)
        self.jobs[ticket] = None
        self.load -= len(job.body)
        return job

    def kill(self) -> None:
        """End the process at once; ``on_lost`` follows."""
        self.ready, self.killed = False, True
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        if self._transport:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection: the worker ends by itself when it has nothing left to do."""
        self.ready = False
        if self._transport:
            self._transport.close()

    def wait(self) -> None:
        """Collect the exit of a process that was killed: a moment."""
        if self._process:
            self._process.wait()
        self._slate.close()

    def reap(self) -> bool:
        """Return whether the process has ended, its exit collected."""
        ended = self._process is None or self._process.poll() is not None
        if ended:
            self._slate.close()
        return ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=1 << 26)

    def data_received(self, data: bytes) -> None:
        """Hand each answer to the request at the head."""
        for frame in self._unpacker.feed(data):
            if not self._proved:
                self._greet(frame)
                continue
            if frame.ticket == self.head:
                self.head_since, self.stuck = self._loop.time(), False
            job = self.jobs.pop(frame.ticket)
            if job is None:
                continue
            self.load -= len(job.body)
            if not job.answer.done():
                job.answer.set_result(frame)
        if self.ready:
            self.on_answer(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so: whoever waits must be served elsewhere."""
        if self._proved:
            self.ready = False
            self.on_lost(self)
        elif not self._started.done():
            self._started.set_exception(BundleCorruptError("a worker ended before it had proved its bundle"))
            self._started.exception()  # seen, whether or not somebody still waits for it

    def _greet(self, frame: Frame) -> None:
        if frame.kind == Kind.READY:
            self.ready = self._proved = True
            self._started.set_result(None)
        elif not self._started.done():
            self._started.set_exception(BundleCorruptError(frame.body.decode(errors="replace")))


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(_HOUSE)}


def refusal_in(frame: Frame, parse: Callable[[bytes], Any]) -> RefusedError:
    """Return the refusal that a worker answered with."""
    told = parse(frame.body)
    return RefusedError(told["status"], told["code"], told["error"], message_zh=told["error_zh"])
