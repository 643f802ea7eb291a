"""The process that owns a model: reads frames, answers them, and may be ended at any moment.

Started by the service with one end of a socket pair. It verifies and proves its bundle before it says that it is
ready. Decoding, validating, predicting and encoding all happen here: a request that hangs, or a body that takes long
to parse, costs this process its deadline and nobody else anything.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from features.bundle import Parity, read_bundle
from features.bundle.parity import own_rows
from features.errors import SuperheatError
from serving import together
from serving.answering import refusal, run
from serving.models.drift import Recent, Reference
from serving.models.wire import ONLY_RAW, WANT_RAW, Frame, Kind, pack
from serving.predictor import Predictor
from serving.protocol import codec_grpc, codec_json
from serving.protocol.call import Answers, Call, Rows, Signature
from serving.protocol.intake import Intake
from serving.refusals import internal, refusal_of, refused

_INTERNAL: Final = (MemoryError, ValueError, ArithmeticError, RuntimeError)
_COMPANIES: Final = (2, 8, 32)
"""Rows together on which a bundle shows whether company changes an answer; not every graph leaves it alone."""
_SLOW: Final = 4.0
"""Times what it took at the start is slow."""


class Worker:
    """One bundle's answers, frame by frame or several by one run."""

    def __init__(
        self,
        predictor: Predictor,
        reference: Reference,
        max_rows: int,
        patience_s: float = together.PATIENCE_S,
        most: int = together.MOST,
    ) -> None:
        """Serve ``predictor``; compare what it is asked with ``reference``.

        Up to ``most`` bytes of requests are answered by one run, which is slow after ``patience_s``.
        """
        self.most = most
        self.patience_s = patience_s
        self._predictor = predictor
        self._signature = Signature.of(predictor.manifest)
        self._intake = Intake(predictor.manifest, max_rows)
        self._reference = reference
        self._recent = Recent(len(predictor.manifest.features))
        self._recalling = Lock()

    def answer(self, frame: Frame) -> bytes:
        """Return the answering frame: the answer, or a refusal."""
        try:
            return self._answer(frame)
        except SuperheatError as error:
            return refusal(frame.ticket, refusal_of(error))
        except _INTERNAL:
            # Anything else ends this process: its place is taken, and the caller told.
            return refusal(frame.ticket, internal())

    def answer_together(self, frames: Sequence[Frame]) -> list[bytes]:
        """Return the answering frame of each of ``frames``, all of them questions to the model.

        What is refused, and all of it where the run raises, is answered alone, so that each is told its own error.
        """
        calls: dict[int, Call] = {}
        for frame in frames:
            with suppress(SuperheatError, *_INTERNAL):
                calls[frame.ticket] = self._decode(frame)
        try:
            answers = self._predictor.predict(np.concatenate([call.rows for call in calls.values()]))
        except Exception:
            return [self.answer(frame) for frame in frames]
        told, start = [], 0
        for frame in frames:
            call, answer = calls.get(frame.ticket), None
            if call is not None:
                end = start + len(call.rows)
                with suppress(SuperheatError, *_INTERNAL):
                    answer = self._encode(
                        frame, call, {name: values[start:end] for name, values in answers.items()}
                    )
                start = end
            told.append(answer or self.answer(frame))
        return told

    def _answer(self, frame: Frame) -> bytes:
        if frame.kind == Kind.DRIFT:
            counts = np.stack([self._reference.counts, self._reference.count(self._recent.rows)])
            return pack(frame.ticket, Kind.ANSWER, counts.astype("<i8").tobytes())
        call = self._decode(frame)
        return self._encode(frame, call, self._predictor.predict(call.rows))

    def _encode(self, frame: Frame, call: Call, answers: Answers) -> bytes:
        outputs = _finite(answers)
        if frame.flags & ONLY_RAW or frame.kind == Kind.ROWS:
            return pack(frame.ticket, Kind.ANSWER, outputs)
        with self._recalling:
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


def open_worker(directory: Path, digest: str, max_rows: int) -> Worker:
    """Return the worker of the bundle in ``directory`` once it is verified and proved.

    Raises:
        BundleError: the bundle is refused.
    """
    predictor = Predictor.open(directory, digest)
    parity = Parity.from_bytes(read_bundle(directory).parity).features
    proved = parity[: own_rows(len(parity))]
    normal = Reference(proved[Intake(predictor.manifest, len(proved)).admits(proved)])
    patience_s = max(together.PATIENCE_S, _SLOW * _seconds(predictor, proved))
    return Worker(predictor, normal, max_rows, patience_s, together.MOST if _alike(predictor, proved) else 0)


def _alike(predictor: Predictor, rows: Rows) -> bool:
    """Return whether ``rows`` are answered the same, to the last bit, alone and in company, on this machine."""
    for size in _COMPANIES:
        some = np.resize(rows, (size, rows.shape[1]))
        every = predictor.predict(some)
        for i in range(size):
            one = predictor.predict(some[i : i + 1])
            if any(one[name].tobytes() != values[i : i + 1].tobytes() for name, values in every.items()):
                return False
    return True


def _seconds(predictor: Predictor, rows: Rows) -> float:
    """Return what as many of ``rows`` as are ever answered together take."""
    most = np.resize(rows, (max(1, together.MOST // rows[0].nbytes), rows.shape[1]))
    began = time.monotonic()
    predictor.predict(most)
    return time.monotonic() - began


def main() -> None:
    """Run a model worker on the socket, bundle and limits of the command line."""
    run(open_worker, together.serve)


if __name__ == "__main__":
    main()
