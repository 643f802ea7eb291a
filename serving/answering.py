"""A worker process around what it answers with: its start, its socket, its end."""

import argparse
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol, TypeVar

import orjson

from features.errors import SuperheatError
from serving.models.wire import Frame, Kind, Slate, Unpacker, pack
from serving.refusals import RefusedError, words

_DEATH_OF_PARENT: Final = 1  # PR_SET_PDEATHSIG
_CHUNK: Final = 1 << 18


class Answering(Protocol):
    """What answers the frames of a worker process."""

    def answer(self, frame: Frame) -> bytes:
        """Return the answering frame."""


_W = TypeVar("_W", bound=Answering)


def refusal(ticket: int, told: RefusedError) -> bytes:
    """Return the frame that says ``told``."""
    return pack(ticket, Kind.REFUSAL, orjson.dumps({"status": told.status, **words(told)}))


def run(opening: Callable[[Path, str, int], _W], serving: Callable[[socket.socket, _W, Slate], None]) -> None:
    """Let what ``opening`` (bundle, digest, most rows) returns be served by ``serving`` on the socket of the command line."""
    parser = argparse.ArgumentParser(description="one worker; started by superheat-serve")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--slate", type=int, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--digest", required=True)
    parser.add_argument("--max-rows", type=int, required=True)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    with socket.socket(fileno=given.fd) as link:
        try:
            worker = opening(given.bundle, given.digest, given.max_rows)
        except SuperheatError as error:
            link.sendall(pack(0, Kind.FAILED, str(error).encode()))
            sys.exit(1)
        link.sendall(pack(0, Kind.READY, str(os.getpid()).encode()))
        try:
            serving(link, worker, Slate(given.slate))
        except (BrokenPipeError, ConnectionResetError):
            return  # the service has ended, and so do we


def one_by_one(link: socket.socket, worker: Answering, slate: Slate) -> None:
    """Answer frames on ``link`` until the other end closes it; what is on the ``slate`` is passed over."""
    for frames in lying(link):
        for frame in frames:
            if not passed_over(link, frame, slate):
                link.sendall(worker.answer(frame))


def lying(link: socket.socket) -> Iterator[list[Frame]]:
    """Yield the whole frames that lie on ``link``, as soon as there is one, until the other end closes it."""
    unpacker = Unpacker()
    buffer = memoryview(bytearray(_CHUNK))
    while size := link.recv_into(buffer):
        yield list(unpacker.feed(buffer[:size]))


def passed_over(link: socket.socket, frame: Frame, slate: Slate) -> bool:
    """Return whether ``frame`` has been withdrawn, which is said on ``link``."""
    withdrawn = slate.holds(frame.ticket)
    if withdrawn:
        link.sendall(pack(frame.ticket, Kind.PASSED_OVER, b""))
    return withdrawn


def _die_with_parent() -> None:
    """A worker that hangs in a model never sees its socket close: the kernel ends it with the service."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DEATH_OF_PARENT, signal.SIGKILL, 0, 0, 0)
