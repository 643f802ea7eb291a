"""The process that owns a model: reads frames, answers them, and may be ended at any moment.

Started by the service with one end of a socket pair. It verifies and proves its bundle before it says that it is
ready. Decoding, validating, predicting and encoding all happen here, in one thread: a request that hangs, or a body
that takes long to parse, costs this process its deadline and nobody else anything.
"""

import argparse
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import orjson

from features.bundle import Parity, read_bundle
from features.bundle.parity import own_rows
from features.errors import SuperheatError
from serving.models.drift import Recent, Reference
from serving.models.wire import ONLY_RAW, WANT_RAW, Frame, Kind, Slate, Unpacker, pack
from serving.predictor import Predictor
from serving.protocol import codec_grpc, codec_json
from serving.protocol.call import Answers, Call, Signature
from serving.protocol.intake import Intake
from serving.refusals import RefusedError, internal, refusal_of, refused, words

_DEATH_OF_PARENT: Final = 1  # PR_SET_PDEATHSIG
_CHUNK: Final = 1 << 18


class Answering(Protocol):
    """What answers the frames of a worker process."""

    def answer(self, frame: Frame) -> bytes:
        """Return the answering frame."""


class Worker:
    """One bundle's answers, frame by frame."""

    def __init__(self, predictor: Predictor, reference: Reference, max_rows: int) -> None:
        """Serve ``predictor``; compare what it is asked with ``reference``."""
        self._predictor = predictor
        self._signature = Signature.of(predictor.manifest)
        self._intake = Intake(predictor.manifest, max_rows)
        self._reference = reference
        self._recent = Recent(len(predictor.manifest.features))

    def answer(self, frame: Frame) -> bytes:
        """Return the answering frame: the answer, or a refusal."""
        try:
            return self._answer(frame)
        except SuperheatError as error:
            return refusal(frame.ticket, refusal_of(error))
        except (MemoryError, ValueError, ArithmeticError, RuntimeError):
            # Anything else ends this process: its place is taken, and the caller told.
            return refusal(frame.ticket, internal())

    def _answer(self, frame: Frame) -> bytes:
        if frame.kind == Kind.DRIFT:
            counts = np.stack([self._reference.counts, self._reference.count(self._recent.rows)])
            return pack(frame.ticket, Kind.ANSWER, counts.astype("<i8").tobytes())
        call = self._decode(frame)
        answers = self._predictor.predict(call.rows)
        outputs = _finite(answers)
        if frame.flags & ONLY_RAW or frame.kind == Kind.ROWS:
            return pack(frame.ticket, Kind.ANSWER, outputs)
        self._recent.add(call.rows)
        if frame.kind == Kind.REST:
            body, header_length = codec_json.encode(call, answers, self._signature)
        else:
            body, header_length = codec_grpc.encode(call, answers, self._signature), codec_json.JSON_ONLY
        raw = outputs if frame.flags & WANT_RAW else b""
        return pack(frame.ticket, Kind.ANSWER, body + raw, header_length, raw=len(raw))

    def _decode(self, frame: Frame) -> Call:
        if frame.kind == Kind.REST:
            return codec_json.decode(frame.body, frame.header_length, self._intake, self._signature)
        if frame.kind == Kind.GRPC:
            return codec_grpc.decode(frame.body, self._intake, self._signature)
        width = self._intake.width
        rows = np.frombuffer(frame.body, dtype="<f4").reshape(-1, width)
        self._intake.shape(list(rows.shape))
        return Call("", self._intake.check(rows), ())


def _finite(answers: Answers) -> bytes:
    """Return all outputs as raw float64, one after the other, once each value is known to be a number."""
    raw = b"".join([values.data for values in answers.values()])
    if not np.isfinite(np.frombuffer(raw, "<f8")).all():
        raise refused(500, "not_finite")
    return raw


def refusal(ticket: int, told: RefusedError) -> bytes:
    """Return the frame that says ``told``."""
    return pack(ticket, Kind.REFUSAL, orjson.dumps({"status": told.status, **words(told)}))


def serve(link: socket.socket, worker: Answering, slate: Slate) -> None:
    """Answer frames on ``link`` until the other end closes it; what is on the ``slate`` is passed over."""
    unpacker = Unpacker()
    buffer = memoryview(bytearray(_CHUNK))
    while size := link.recv_into(buffer):
        for frame in unpacker.feed(buffer[:size]):
            if slate.holds(frame.ticket):
                link.sendall(pack(frame.ticket, Kind.PASSED_OVER, b""))
            else:
                link.sendall(worker.answer(frame))


def open_worker(directory: Path, digest: str, max_rows: int) -> Worker:
    """Return the worker of the bundle in ``directory`` once it is verified and proved.

    Raises:
        BundleError: the bundle is refused.
    """
    predictor = Predictor.open(directory, digest)
    return Worker(predictor, proved_rows(predictor, directory), max_rows)


def proved_rows(predictor: Predictor, directory: Path) -> Reference:
    """Return the rows that the bundle in ``directory`` was proved on, as what is normal."""
    parity = Parity.from_bytes(read_bundle(directory).parity).features
    proved = parity[: own_rows(len(parity))]
    return Reference(proved[Intake(predictor.manifest, len(proved)).admits(proved)])


def main() -> None:
    """Run a model worker on the socket, bundle and limits of the command line."""
    run(open_worker)


def run(opening: Callable[[Path, str, int], Answering]) -> None:
    """Run what ``opening`` (bundle, digest, most rows) returns on the socket of the command line."""
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
            serve(link, worker, Slate(given.slate))
        except (BrokenPipeError, ConnectionResetError):
            return  # the service has ended, and so do we


def _die_with_parent() -> None:
    """A worker that hangs in a model never sees its socket close: the kernel ends it with the service."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DEATH_OF_PARENT, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
