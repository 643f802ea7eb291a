"""What travels between the service and a worker: length-prefixed frames of plain bytes, nothing that can be executed.

A frame is a fixed head and a body. Requests and answers have the same head; a ticket ties an answer to its request.
"""

import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

HEAD: Final = struct.Struct("<IQBBiI")
"""Body bytes, ticket, kind, flags, header length (of a binary JSON body, -1 for none), bytes of raw rows at the end."""


class Kind(IntEnum):
    """What a frame is."""

    REST = 1
    """An HTTP body to answer."""
    GRPC = 2
    """A serialised ModelInferRequest to answer."""
    ROWS = 3
    """Raw float32 rows from inside the service; answered with raw outputs."""
    DRIFT = 4
    """Count the recent rows against the parity rows."""
    TASK = 5
    """A task for an advice worker: ``header_length`` bytes of JSON, then what belongs to it."""
    ANSWER = 16
    """The body is the answer."""
    REFUSAL = 17
    """The body is the status and what is told of a refusal, in JSON."""
    READY = 18
    """The worker has proved its bundle."""
    FAILED = 19
    """The worker cannot serve; the body says why."""
    PASSED_OVER = 20
    """The request had been withdrawn; nothing was computed."""


WANT_RAW: Final = 1
"""Flag: append the outputs as raw float64 to the answer, for a comparison."""
ONLY_RAW: Final = 2
"""Flag: answer with raw float64 outputs and nothing else."""
ALONE: Final = 4
"""Flag: not to be answered together with others; the worker that did so before was lost."""


class Frame(NamedTuple):
    """One frame; ``raw`` bytes at the end of ``body`` are raw outputs."""

    ticket: int
    kind: int
    flags: int
    header_length: int
    raw: int
    body: bytes


def pack(ticket: int, kind: int, body: bytes, header_length: int = -1, flags: int = 0, raw: int = 0) -> bytes:
    """Return the bytes of one frame."""
    return HEAD.pack(len(body), ticket, kind, flags, header_length, raw) + body


class Unpacker:
    """Bytes in as they come, whole frames out."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Yield the frames that ``data`` completes."""
        if self._kept:
            self._kept += data
        # What comes whole, as nearly everything does, is cut out of where it lies.
        lying: bytes | bytearray | memoryview = self._kept or data
        at = 0
        while len(lying) - at >= HEAD.size:
            size, ticket, kind, flags, header_length, raw = HEAD.unpack_from(lying, at)
            end = at + HEAD.size + size
            if end > len(lying):
                break
            yield Frame(ticket, kind, flags, header_length, raw, bytes(lying[at + HEAD.size : end]))
            at = end
        if lying is self._kept:
            del self._kept[:at]
        else:
            self._kept += lying[at:]


class Slate:
    """A page shared with a worker: up to which ticket it has begun, and tickets that it holds and is to pass over.

    What waits in a worker's socket cannot be taken back, and a request that hangs must not be handed to a second
    worker while the first one may still come to it, or is at it.
    """

    _SLOTS: Final = 64
    _BEGUN: Final = 8 * _SLOTS
    _SIZE: Final = _BEGUN + 8

    def __init__(self, fd: int) -> None:
        """Use the page behind ``fd``."""
        self.fd = fd
        self._page = mmap.mmap(fd, self._SIZE)

    @classmethod
    def fresh(cls) -> "Slate":
        """Return an empty one."""
        with tempfile.TemporaryFile() as file:
            file.truncate(cls._SIZE)
            return cls(os.dup(file.fileno()))

    def begin(self, ticket: int) -> None:
        """Say that all up to ``ticket`` are begun; before looking which of them are withdrawn."""
        struct.pack_into("<Q", self._page, self._BEGUN, ticket)

    @property
    def begun(self) -> int:
        """The last ticket that is begun; 0 before the first."""
        found: int = struct.unpack_from("<Q", self._page, self._BEGUN)[0]
        return found

    def write(self, ticket: int) -> None:
        """Withdraw ``ticket``."""
        struct.pack_into("<Q", self._page, 8 * (ticket % self._SLOTS), ticket)

    def holds(self, ticket: int) -> bool:
        """Return whether ``ticket`` is withdrawn."""
        found: int = struct.unpack_from("<Q", self._page, 8 * (ticket % self._SLOTS))[0]
        return found == ticket

    def close(self) -> None:
        """Let go of the page."""
        if not self._page.closed:
            self._page.close()
            os.close(self.fd)
