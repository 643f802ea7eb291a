"""Advice while things go wrong: a search that hangs, an asker who leaves, a version promoted, a library that lacks."""

import asyncio
import http.client
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
import pytest

from features.bundle import read_manifest
from serving.advising import tasks
from serving.advising.books import Books
from serving.advising.counter import can_search
from serving.advising.rounds import Round, advise
from serving.advising.worker import open_worker
from serving.ledger import Ledger
from serving.models.pool import Pool
from serving.models.repository import Repository
from serving.models.wire import Frame, Kind, Unpacker
from serving.ports import Named
from serving.record.store import RecordStore
from tests.architecture.test_light_serving import loaded_by
from tests.fakes import advice
from tests.fakes.advised import recommendation
from tests.fakes.advising import SAVES, advising_bundle
from tests.fakes.service_process import ROOT, Running, serving
from tests.fakes.slow_adviser import SLOW_S

PROGRAM = ROOT / "tests" / "fakes" / "slow_advice_service.py"
DEADLINE_S = 2.0


def context(cell: str) -> dict[str, Any]:
    """A healthy context as a twin sends it."""
    row = [None if np.isnan(value) else float(value) for value in advice.row()]
    last = advice.context().last_reported
    return {
        "line_id": "L1",
        "cell_id": cell,
        "date": str(advice.DAY),
        "row": row,
        "last_reported": str(last),
    }


def body(*cells: str) -> bytes:
    return orjson.dumps({"contexts": [context(cell) for cell in cells]})


def streamed(running: Running, *cells: str) -> list[Any]:
    status, _, content = running.get(
        "/v1/recommendations", "POST", body(*cells), {"accept": "application/x-ndjson"}
    )
    assert status == 200, content
    return [orjson.loads(line) for line in content.splitlines()]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("slow")
    flags = ("--bundle", str(advising_bundle()), "--models-dir", str(folder / "models"), "--insecure-local")
    limits = ("--advice-workers", "2", "--advice-deadline-s", str(DEADLINE_S), "--drain-s", "0")
    url = f"sqlite:///{folder / 'ledger.db'}"
    with serving(*flags, *limits, "--ledger", url, program=str(PROGRAM)) as running:
        assert len(streamed(running, "warm")) == 2
        yield running, folder


def written(folder: Path) -> list[str]:
    with Ledger(f"sqlite:///{folder / 'ledger.db'}", create=False) as ledger:
        return [r.content.cell_id or "" for r in ledger.records("recommendation")]


class CountingPool:
    """Stands in for the advice workers: answers after a moment, and counts what it was asked at once."""

    def __init__(self) -> None:
        self.inside = self.most = self.asked = 0

    async def ask(self, kind: Kind, content: bytes, header_length: int) -> Frame:
        cell = orjson.loads(content[:header_length])["context"]["cell_id"]
        self.inside, self.asked = self.inside + 1, self.asked + 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(0.005)
        finally:
            self.inside -= 1
        found = {"recommendation": recommendation(cell).model_dump(mode="json"), "context": {}}
        return Frame(1, Kind.ANSWER, 0, -1, 0, orjson.dumps({**found, "settings": "cd" * 32}))


def test_a_round_keeps_every_worker_busy_and_no_more(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    settings = {"digest": "cd" * 32, "settings": {}}
    contexts = [{"line_id": "L1", "cell_id": f"c{i}"} for i in range(30)]

    async def go(books: Books, most: int) -> tuple[CountingPool, list[int]]:
        pool, places = CountingPool(), []
        asked = Round(contexts, settings, Named("twin"), {})
        async with aclosing(advise(cast(Pool, pool), 3, asked, books)) as outcomes:
            async for outcome in outcomes:
                places.append(outcome.place)
                if len(places) == most:
                    break
        await asyncio.sleep(0.05)
        return pool, places

    with Ledger(url) as ledger, RecordStore(url) as record:
        books = Books(ledger, record, url, url)
        pool, places = asyncio.run(go(books, 100))
        assert sorted(places) == list(range(30))
        assert (pool.most, pool.asked, pool.inside) == (6, 30, 0)
        assert {r.content.cell_id for r in ledger.records("recommendation")} == {f"c{i}" for i in range(30)}
        pool, places = asyncio.run(go(books, 4))
        assert (len(places), pool.inside) == (4, 0)
        assert pool.asked <= 4 + 2 * 6, "whoever leaves is not worked for"


def test_a_search_that_hangs_holds_up_nobody_else(service: tuple[Running, Path]) -> None:
    running, folder = service
    began = time.monotonic()
    told = streamed(running, "hang-1", "fine-1", "fine-2", "fine-3")
    assert time.monotonic() - began < DEADLINE_S + 8.0
    refused = [line["refused"] for line in told if line.get("refused")]
    assert [(r["cell_id"], r["code"]) for r in refused] == [("hang-1", "deadline")]
    advised = {line["recommendation"]["cell_id"] for line in told if line.get("recommendation")}
    assert advised == {"fine-1", "fine-2", "fine-3"}
    assert told[-1]["summary"]["refused"] == 1
    until = time.monotonic() + 10
    while not running.events("worker replaced") and time.monotonic() < until:
        time.sleep(0.02)  # the log is read by another thread
    assert running.events("worker replaced")[-1]["reason"] == "deadline"
    status, _, content = running.get("/v1/recommendations", "POST", body("hang-2"))
    assert (status, orjson.loads(content)["code"]) == (504, "deadline")
    until = time.monotonic() + 20
    while "recommendation" not in streamed(running, "fine-4")[0]:
        assert time.monotonic() < until, "both workers were replaced long ago"
    assert "hang-1" not in written(folder)


def test_whoever_leaves_is_not_worked_for(service: tuple[Running, Path]) -> None:
    running, folder = service
    cells = [f"slow-b{i}" for i in range(60)]
    for accept in ("application/x-ndjson", "application/json"):
        link = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        link.request("POST", "/v1/recommendations", body(*cells), {"accept": accept})
        if accept == "application/x-ndjson":
            answer = link.getresponse()
            assert orjson.loads(answer.readline())["done"] == 1
        else:
            time.sleep(2 * SLOW_S)
        link.close()
        if accept == "application/x-ndjson":
            answer.close()
        time.sleep(4 * SLOW_S)
        begun = len([cell for cell in written(folder) if cell.startswith("slow-b")])
        time.sleep(4 * SLOW_S)
        assert len([cell for cell in written(folder) if cell.startswith("slow-b")]) == begun
        assert begun < 40
    began = time.monotonic()
    streamed(running, "fine-5")
    assert time.monotonic() - began < 60 * SLOW_S / 2, "the sixty before it would take longer"


def test_a_request_keeps_the_version_that_it_was_given(service: tuple[Running, Path]) -> None:
    running, folder = service
    other = advising_bundle(SAVES / 2)
    Repository(folder / "models").admit(other)
    ours, theirs = (read_manifest(path).digest for path in (advising_bundle(), other))
    link = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    cells = [f"slow-c{i}" for i in range(10)]
    link.request("POST", "/v1/recommendations", body(*cells), {"accept": "application/x-ndjson"})
    answer = link.getresponse()
    told = [orjson.loads(answer.readline())]
    change = orjson.dumps({"parameters": {"version": theirs[:12]}})
    assert running.get("/v2/repository/models/potline/promote", "POST", change)[0] == 200
    assert streamed(running, "fine-6")[0]["recommendation"]["bundle_digest"] == theirs
    told += [orjson.loads(line) for line in answer.read().splitlines()]
    link.close()
    assert {line["recommendation"]["bundle_digest"] for line in told[:-1]} == {ours}
    assert len(told) == len(cells) + 1
    # The version before is kept warm for a roll-back; once it is unloaded its workers go.
    old = next(line["recommendation"] for line in told if line.get("recommendation"))
    leave = orjson.dumps({"parameters": {"version": ours[:12]}})
    assert running.get("/v2/repository/models/potline/unload", "POST", leave)[0] == 200
    streamed(running, "fine-7")
    until = time.monotonic() + 5
    while not running.events("advice workers ended") and time.monotonic() < until:
        time.sleep(0.02)
    assert running.events("advice workers ended")[0]["version"] == ours[:12]
    lever = old["levers"][0]
    asked = {"action": "modify", "levers": {lever["name"]: lever["current"] - 0.02}}
    path = f"/v1/recommendations/{old['recommendation_id']}/decision"
    status, _, content = running.get(path, "POST", orjson.dumps(asked))
    # A line without a record lives by the wall's clock, where advice for a day of the past has expired.
    assert (status, orjson.loads(content)["code"]) == (410, "expired")


def test_sigterm_lets_a_round_end(tmp_path: Path) -> None:
    flags = ("--bundle", str(advising_bundle()), "--models-dir", str(tmp_path / "models"), "--insecure-local")
    limits = ("--advice-workers", "1", "--drain-s", "0.2", "--leave-s", "30")
    with serving(*flags, *limits, program=str(PROGRAM)) as running:
        link = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        cells = [f"slow-d{i}" for i in range(8)]
        link.request("POST", "/v1/recommendations", body(*cells), {"accept": "application/x-ndjson"})
        answer = link.getresponse()
        told = [orjson.loads(answer.readline())]
        running.terminate()
        told += [orjson.loads(line) for line in answer.read().splitlines()]
        link.close()
        assert [line["done"] for line in told] == [*range(1, 9), 8]
        assert told[-1]["summary"]["moved"] == 8
        assert running.process.wait(timeout=60) == 0


# Without the search extra.


def answer_of(verb: tasks.Verb, told: dict[str, Any]) -> Frame:
    worker = open_worker(advising_bundle(), read_manifest(advising_bundle()).digest, 1)
    head = orjson.dumps({"verb": verb, **told})
    return next(Unpacker().feed(worker.answer(Frame(1, Kind.TASK, 0, len(head), 0, head))))


def test_without_the_search_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_search()
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in [name for name in sys.modules if name.startswith(("serving.search", "serving.recommend"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("serving.advising.search", "serving.advising.explain", "serving.ledger.advice"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert not can_search()
    frame = answer_of("settle", {"window": None, "prices": None})
    told = orjson.loads(frame.body)
    assert (frame.kind, told["status"], told["code"]) == (Kind.REFUSAL, 501, "not_installed")
    assert "superheat[search]" in told["error"]
    assert "search 组件" in told["error_zh"]


def test_the_service_starts_without_the_search_libraries() -> None:
    loaded = loaded_by(["serving.command", "serving.service", "serving.process", "serving.routes.advice"])
    assert not loaded & {"optuna", "cmaes", "highspy", "scipy"}
