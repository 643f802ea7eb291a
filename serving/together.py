"""Requests that lie in a worker's socket together are answered by one run of the model, and each exactly once.

A run that comes to no end names no culprit. So a second thread watches: requests whose run together is slow are begun
anew, each alone in a thread of its own (the runtime computes outside Python's lock). All but the one that hangs are
then answered from here, and it is left to its deadline, after which the service ends this process.
"""

import math
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock, Thread, get_native_id
from typing import Final, Protocol

from serving.answering import Answering, lying, passed_over
from serving.models.wire import ALONE, Frame, Kind, Slate

MOST: Final = 1 << 15
"""Bytes of requests that are answered together: some tens of rows, a few milliseconds."""
PATIENCE_S: Final = 0.03
"""Seconds after which a run together is slow, however small the model."""
_LOOK: Final = 0.01
_NICE: Final = 10
"""What is begun anew may hang too: it takes little from the other processes of the machine."""
_KINDS: Final = frozenset({Kind.REST, Kind.GRPC, Kind.ROWS})


class Together(Answering, Protocol):
    """What can answer several requests by one run of the model."""

    @property
    def most(self) -> int:
        """Bytes of requests that may be answered together; 0 where a row's answer is not the same in company."""

    @property
    def patience_s(self) -> float:
        """Seconds within which :data:`MOST` bytes of requests are answered by far."""

    def answer_together(self, frames: Sequence[Frame]) -> list[bytes]:
        """Return the answering frame of each, the same to the last bit as of :meth:`answer`."""


def groups(frames: Iterable[Frame], most: int) -> Iterator[list[Frame]]:
    """Yield ``frames`` in their order, those together that may be answered together, up to ``most`` bytes of them."""
    group: list[Frame] = []
    size = 0
    for frame in frames:
        joins = frame.kind in _KINDS and not frame.flags & ALONE
        if group and not (joins and size + len(frame.body) <= most):
            yield group
            group, size = [], 0
        group.append(frame)
        size += len(frame.body) if joins else most + 1
    if group:
        yield group


def serve(link: socket.socket, worker: Together, slate: Slate) -> None:
    """Answer what lies on ``link`` until the other end closes it; what is on the ``slate`` is passed over."""
    runs = Runs(worker, link)
    for frames in lying(link):
        for group in groups(frames, worker.most):
            slate.begin(group[-1].ticket)
            wanted = [frame for frame in group if not passed_over(link, frame, slate)]
            if len(wanted) == 1:
                link.sendall(worker.answer(wanted[0]))
            elif wanted:
                runs.answer(wanted)


class Runs:
    """One worker's runs together, watched."""

    def __init__(self, worker: Together, link: socket.socket) -> None:
        """Answer on ``link`` by ``worker``."""
        self._worker = worker
        self._link = link
        self._lock = Lock()
        self._open: dict[int, Frame] = {}
        """Ticket -> request of the present run that is not answered yet; whoever takes it out answers it."""
        self._slow_at = math.inf
        Thread(target=self._watch, daemon=True).start()

    def answer(self, frames: Sequence[Frame]) -> None:
        """Answer ``frames``, at the end of their run or, where it is slow, as each one alone is done."""
        with self._lock:
            self._open = {frame.ticket: frame for frame in frames}
            self._slow_at = time.monotonic() + self._worker.patience_s
        answers = self._worker.answer_together(frames)
        with self._lock:
            self._slow_at = math.inf
            still = zip(frames, answers, strict=True)
            self._link.sendall(
                b"".join(answer for frame, answer in still if self._open.pop(frame.ticket, None))
            )

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK)
            with self._lock:
                if time.monotonic() < self._slow_at:
                    continue
                self._slow_at = math.inf
                frames = list(self._open.values())
            for frame in frames:
                Thread(target=self._anew, args=(frame,), daemon=True).start()

    def _anew(self, frame: Frame) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICE)
        answer = self._worker.answer(frame)
        with self._lock:
            if self._open.pop(frame.ticket, None):
                self._link.sendall(answer)
