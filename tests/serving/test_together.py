"""Requests answered by one run of the model: bit for bit as alone, each once, and a row that hangs takes no other down."""

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Event

import numpy as np
import onnxruntime
import orjson
import pytest

from features.bundle import read_bundle, read_manifest
from serving.models.link import Link
from serving.models.pool import Pool, PoolSettings
from serving.models.shadow import unpack
from serving.models.wire import ALONE, WANT_RAW, Frame, Kind, Unpacker, pack
from serving.predictor import Predictor
from serving.protocol.call import Signature
from serving.protocol.messages import message
from serving.refusals import RefusedError
from serving.together import MOST, Runs, groups
from serving.worker import Worker, open_worker
from tests.fakes import dying, hanging
from tests.fakes.plant_bundle import WIDTH, bundle, manifest, rows
from tests.fakes.pools import with_pool

SPLIT = 30.0
"""Above any voltage of an answered row, inside the feature's range."""


def calm(n: int, seed: int) -> np.ndarray:
    X = rows(n, seed)
    X[:, manifest().feature_names.index(hanging.FEATURE)] = 4.1
    return X


def bent(seed: int) -> np.ndarray:
    return hanging.in_the_circle(calm(1, seed), manifest().feature_names, SPLIT)


@cache
def runtime(directory: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(read_bundle(directory).model)


def alone(directory: Path, X: np.ndarray) -> dict[str, bytes]:
    """The runtime's own answer to ``X``, nothing of ours between."""
    names = list(Signature.of(manifest()).outputs)
    answers = runtime(directory).run(names, {"features": X})
    return {name: values.tobytes() for name, values in zip(names, answers, strict=True)}


def told(frame: Frame) -> dict[str, bytes]:
    return {name: v.tobytes() for name, v in unpack(frame.body, Signature.of(manifest())).items()}


def frame(ticket: int, kind: int, body: bytes, flags: int = 0) -> Frame:
    return Frame(ticket, kind, flags, -1, 0, body)


def rest(X: np.ndarray, **more: object) -> bytes:
    data = [None if np.isnan(v) else float(v) for v in X.ravel()]
    tensor = {"name": "features", "shape": list(X.shape), "datatype": "FP32", "data": data}
    return orjson.dumps({"inputs": [tensor], **more})


def grpc(X: np.ndarray) -> bytes:
    request = message("ModelInferRequest")(model_name="potline", id="g")
    request.inputs.add(name="features", datatype="FP32", shape=X.shape)
    request.raw_input_contents.append(X.tobytes())
    return bytes(request.SerializeToString())


@cache
def worker() -> Worker:
    return open_worker(bundle(), read_manifest(bundle()).digest, 20)


async def at_once(pool: Pool, asked: Sequence[np.ndarray]) -> list["asyncio.Task[Frame]"]:
    """Ask all of ``asked`` so that they lie in the workers' sockets before one of them is read."""
    pids = pool.pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    tasks = [asyncio.ensure_future(pool.ask(Kind.ROWS, X.tobytes())) for X in asked]
    await asyncio.sleep(0)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    return tasks


def test_many_concurrent_rows_are_each_answered_as_the_runtime_answers_them_alone() -> None:
    async def act(pool: Pool, replaced: list[str]) -> None:
        for round_ in range(3):
            asked = [rows(1, 100 * round_ + i) for i in range(60)]
            answers = await asyncio.gather(*await at_once(pool, asked))
            for X, answer in zip(asked, answers, strict=True):
                assert told(answer) == alone(bundle(), X)
        assert not replaced

    for workers in (1, 2):
        asyncio.run(with_pool(bundle(), PoolSettings(workers=workers), act))


def test_every_kind_is_answered_together_as_alone_and_a_bad_one_is_told_its_own_error() -> None:
    some = manifest().outcomes[0].name
    frames = [
        frame(1, Kind.REST, rest(rows(1, 1), id="one")),
        frame(2, Kind.GRPC, grpc(rows(2, 2))),
        frame(3, Kind.REST, rest(np.full((1, WIDTH), 1e30, np.float32))),
        frame(4, Kind.ROWS, rows(3, 3).tobytes()),
        frame(5, Kind.ROWS, b"123"),
        frame(6, Kind.REST, rest(rows(1, 4), outputs=[{"name": some}]), WANT_RAW),
        frame(7, Kind.REST, b"{"),
    ]
    answers = worker().answer_together(frames)
    assert answers == [worker().answer(each) for each in frames]
    kinds = [found.kind for answer in answers for found in Unpacker().feed(answer)]
    assert [kind == Kind.REFUSAL for kind in kinds] == [False, False, True, False, True, False, True]


def test_where_the_run_raises_each_is_answered_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_worker(bundle(), read_manifest(bundle()).digest, 20)
    predict = found._predictor.predict
    frames = [frame(i, Kind.ROWS, rows(1, i).tobytes()) for i in (1, 2, 3)]

    def one_row(X: np.ndarray) -> dict[str, np.ndarray]:
        if len(X) > 1:
            raise KeyError("the runtime's errors share no root")
        return predict(X)

    monkeypatch.setattr(found._predictor, "predict", one_row)
    assert found.answer_together(frames) == [worker().answer(each) for each in frames]


def test_a_bundle_that_company_changes_is_answered_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker().most == MOST
    predict = Predictor.predict

    def changed(self: Predictor, X: np.ndarray) -> dict[str, np.ndarray]:
        answers = predict(self, X)
        return {name: np.nextafter(v, np.inf) if len(X) == 8 else v for name, v in answers.items()}

    monkeypatch.setattr(Predictor, "predict", changed)
    found = open_worker(bundle(), read_manifest(bundle()).digest, 20)
    assert found.most == 0
    frames = [frame(i, Kind.ROWS, rows(1, i).tobytes()) for i in range(3)]
    assert list(groups(frames, found.most)) == [[each] for each in frames]


def test_small_questions_are_grouped_in_their_order_and_nothing_else() -> None:
    def grouped(*frames: Frame) -> list[list[int]]:
        return [[each.ticket for each in group] for group in groups(frames, MOST)]

    small, large = bytes(MOST // 4), bytes(MOST + 1)
    ask = [frame(i, Kind.ROWS, small) for i in range(9)]
    assert grouped(*ask) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert grouped(ask[0], frame(1, Kind.REST, large), ask[2], ask[3]) == [[0], [1], [2, 3]]
    assert grouped(ask[0], ask[1], frame(2, Kind.GRPC, small, ALONE), ask[3]) == [[0, 1], [2], [3]]
    assert grouped(ask[0], frame(1, Kind.DRIFT, b""), ask[2]) == [[0], [1], [2]]
    assert grouped() == []


def test_what_a_worker_has_begun_does_not_wait_behind_the_first() -> None:
    async def act() -> None:
        link = Link(lambda link: None, lambda link: None)
        link.jobs = dict.fromkeys(range(3, 9))
        waiting = []
        for begun in (0, 3, 5, 8):
            link._slate.begin(begun)
            waiting.append(link.behind())
        assert waiting == [[4, 5, 6, 7, 8], [4, 5, 6, 7, 8], [6, 7, 8], []]

    asyncio.run(act())


class Slow:
    """Answers each alone but ``hung``, and together only when ``ends`` is set."""

    most = MOST
    patience_s = 0.01

    def __init__(self, hung: int = 0) -> None:
        self.hung, self.ends, self.never = hung, Event(), Event()

    def answer(self, frame: Frame) -> bytes:
        if frame.ticket == self.hung:
            self.never.wait()
        return pack(frame.ticket, Kind.ANSWER, b"alone")

    def answer_together(self, frames: Sequence[Frame]) -> list[bytes]:
        self.ends.wait()
        return [pack(frame.ticket, Kind.ANSWER, b"together") for frame in frames]


def test_what_is_slow_together_is_answered_alone_and_each_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        slow = Slow(hung=2)
        runs = Runs(slow, theirs)
        frames = [frame(i, Kind.ROWS, b"") for i in (1, 2, 3)]

        async def act() -> list[Frame]:
            answering = asyncio.create_task(asyncio.to_thread(runs.answer, frames))
            unpacker, found = Unpacker(), list[Frame]()
            while len(found) < 2:
                found += unpacker.feed(await asyncio.to_thread(ours.recv, 4096))
            slow.ends.set()
            await answering
            theirs.shutdown(socket.SHUT_WR)
            while data := await asyncio.to_thread(ours.recv, 4096):
                found += unpacker.feed(data)
            return found

        found = asyncio.run(act())
        slow.never.set()
    assert sorted((each.ticket, each.body) for each in found) == [
        (1, b"alone"),
        (2, b"together"),
        (3, b"alone"),
    ]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("place", [0, 3, 7])
def test_mates_of_a_row_that_hangs_are_answered_right_and_it_alone_gets_504(
    tmp_path: Path, workers: int, place: int
) -> None:
    circle = hanging.hanging_bundle(bundle(), tmp_path / "circle", SPLIT)
    settings = PoolSettings(workers=workers, deadline_s=3.0, command=hanging.COMMAND)

    async def act(pool: Pool, replaced: list[str]) -> None:
        asked = [calm(1, i) for i in range(8)]
        asked[place] = bent(place)
        tasks = await at_once(pool, asked)
        hung = tasks.pop(place)
        answers = await asyncio.gather(*tasks)
        assert not hung.done()
        for X, answer in zip(asked[:place] + asked[place + 1 :], answers, strict=True):
            assert told(answer) == alone(circle, X)
        with pytest.raises(RefusedError) as found:
            await hung
        assert (found.value.status, found.value.code) == (504, "deadline")
        assert await pool.ask(Kind.ROWS, calm(1, 9).tobytes())
        while not replaced or len(pool.pids) < workers:
            await asyncio.sleep(0.02)
        assert replaced == ["deadline"]

    asyncio.run(with_pool(circle, settings, act))


def test_mates_of_a_row_that_ends_its_worker_are_answered_and_it_comes_back_once() -> None:
    settings = PoolSettings(workers=1, deadline_s=60.0, command=dying.COMMAND)

    async def act(pool: Pool, replaced: list[str]) -> None:
        asked = [calm(1, i) for i in range(6)]
        asked[2][:, manifest().feature_names.index(dying.FEATURE)] = dying.VALUE
        tasks = await at_once(pool, asked)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        error = answers.pop(2)
        assert isinstance(error, RefusedError)
        assert (error.status, error.code) == (503, "worker_lost")
        for X, answer in zip(asked[:2] + asked[3:], answers, strict=True):
            assert isinstance(answer, Frame)
            assert told(answer) == alone(bundle(), X)
        assert replaced == ["ended", "ended"]

    asyncio.run(with_pool(bundle(), settings, act))
