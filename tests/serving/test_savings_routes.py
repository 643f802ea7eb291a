"""From accepted advice to verified savings on a running service: followed up in the ledger, told by line, week and cell."""

import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serving.advising.counter import Counter
from serving.ledger.advice import replay
from serving.predictor import Predictor
from serving.refusals import RefusedError
from serving.verified.schemas import Savings
from tests.fakes.advising import SAVES, advising_bundle
from tests.fakes.advising_service import Advising, advising
from tests.fakes.posted import posted, rows_of, samples

CELLS, DAYS, AFTER = 24, 60, 32
MOVED = 5
VOLTS = 0.04


@dataclass
class Story:
    """A service on which advice was accepted, carried out, and followed by a month of record."""

    service: Advising
    accepted: list[dict[str, Any]]
    idle: str
    """A cell whose accepted advice nobody carried out."""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with advising(tmp_path_factory.mktemp("savings"), fill=False) as service:
        rows = rows_of(samples(), cells=CELLS, days=DAYS + AFTER)
        first = min(row["date"] for row in rows["cell_days"])
        day = datetime.date.fromisoformat(first) + datetime.timedelta(days=DAYS)
        before, after = _split(rows, day.isoformat())
        assert service.ask("POST", "/v1/history", posted(before))[0] == 200
        told = service.lines({"line_id": "L1"})
        moved = [line["recommendation"] for line in told[:-1] if line["recommendation"]["status"] == "move"]
        grown = {r["cell_id"] for r in before["cell_days"] if r["date"] == first and r["cell_age_d"] > 120}
        chosen = [advice for advice in moved if advice["cell_id"] in grown][: MOVED + 1]
        assert len(chosen) == MOVED + 1
        for advice in chosen:
            where = f"/v1/recommendations/{advice['recommendation_id']}/decision"
            assert service.ask("POST", where, {"action": "accept"})[0] == 200
        _carry_out(after["cell_days"], chosen[:-1], day)
        assert service.ask("POST", "/v1/history", after)[0] == 200
        yield Story(service, chosen[:-1], chosen[-1]["cell_id"])


def _split(rows: dict[str, list[dict[str, Any]]], day: str) -> tuple[dict[str, Any], dict[str, Any]]:
    def at(row: dict[str, Any]) -> str:
        return next(row[name] for name in ("date", "time", "sampled_at", "set_at") if name in row)

    early: dict[str, Any] = {
        name: [row for row in found if at(row) < day] for name, found in rows.items() if name != "lots"
    }
    late = {name: [row for row in found if at(row) >= day] for name, found in rows.items() if name != "lots"}
    return {**early, "lots": rows.get("lots", [])}, late


def _carry_out(rows: list[dict[str, Any]], advised: list[dict[str, Any]], day: datetime.date) -> None:
    """Let the accepted cells follow their paths, and their voltage with them."""
    levers = {advice["cell_id"]: advice["levers"][0] for advice in advised}
    for row in rows:
        lever = levers.get(row["cell_id"])
        if lever is None:
            continue
        step = min((datetime.date.fromisoformat(row["date"]) - day).days, len(lever["path"]) - 1)
        row["set_voltage_v"] = lever["path"][step]
        if row["cell_voltage_v"] is not None:
            row["cell_voltage_v"] -= lever["current"] - lever["path"][step]


def test_what_was_set_and_what_followed_stand_in_the_ledger(story: Story) -> None:
    with story.service.ledger as ledger:
        assert ledger.verify().intact
        applied = {record.content.about: record.body for record in ledger.records("applied")}
        measured = ledger.records("measured")
        advised = ledger.records("recommendation")
    ids = {advice["recommendation_id"] for advice in story.accepted}
    assert ids < set(applied)
    assert len(applied) == MOVED + 1
    for advice in story.accepted:
        body = applied[advice["recommendation_id"]]
        assert body["levers"]["set_voltage_v"] == pytest.approx(advice["levers"][0]["recommended"])
        assert body["date"] == advice["date"]
    assert len({record.content.about for record in measured}) > 0.8 * len(advised)
    assert {record.content.subject.partition("/")[0] for record in measured} == {"operator"}


def test_savings_are_told_for_line_weeks_and_cells(story: Story) -> None:
    status, told = story.service.ask("GET", "/v1/savings?line_id=L1", who="viewer")
    assert status == 200, told
    found = Savings.model_validate(told)
    assert found.simulated
    assert found.method.waiting == 0
    assert found.line.cell_days == 7 * MOVED
    assert found.line.realised is not None
    energy = found.line.realised.energy_kwh_per_t
    true = 2979.98 * VOLTS / 0.93
    assert energy.lower < true < energy.upper
    assert found.line.promised is not None
    assert found.line.promised.energy_kwh_per_t.mean == pytest.approx(VOLTS * SAVES, rel=1e-6)
    assert sum(week.cell_days for week in found.weeks) == found.line.cell_days
    cells = {cell.cell_id: cell for cell in found.cells}
    assert len(cells) == CELLS
    assert {cell for cell, one in cells.items() if one.cell_days} == {a["cell_id"] for a in story.accepted}
    assert cells[story.idle].accepted == 1
    assert cells[story.idle].note is not None
    assert cells[story.idle].note.code == "none_accepted"


def test_the_same_question_is_answered_from_memory(story: Story) -> None:
    story.service.ask("GET", "/v1/savings?line_id=L1")
    began = time.monotonic()
    answers = [story.service.ask("GET", "/v1/savings?line_id=L1") for _ in range(10)]
    assert time.monotonic() - began < 2.0
    assert all(answer == answers[0] for answer in answers)


def test_a_span_narrows_what_is_told(story: Story) -> None:
    whole = story.service.ask("GET", "/v1/savings?line_id=L1")[1]
    middle = whole["weeks"][0]["week"]
    last = datetime.date.fromisocalendar(int(middle[:4]), int(middle[-2:]), 7)
    status, told = story.service.ask("GET", f"/v1/savings?line_id=L1&last={last}")
    assert status == 200
    assert told["line"]["cell_days"] == whole["weeks"][0]["cell_days"]
    status, told = story.service.ask("GET", "/v1/savings?line_id=L1&first=2030-01-01")
    assert (status, told["line"]["realised"], told["line"]["note"]["code"]) == (200, None, "none_accepted")


def test_savings_are_of_every_model_or_of_the_one_that_is_named(story: Story) -> None:
    whole = story.service.ask("GET", "/v1/savings?line_id=L1")[1]
    assert story.service.ask("GET", "/v1/savings?line_id=L1&model=potline") == (200, whole)
    status, told = story.service.ask("GET", "/v1/savings?line_id=L1&model=other")
    assert (status, told["line"]["cell_days"], told["cells"]) == (200, 0, [])


def test_with_two_models_the_record_is_looked_at_and_only_advice_asks_which() -> None:
    class Two:
        def names(self) -> tuple[str, ...]:
            return ("other", "potline")

        def version(self, name: str) -> str:
            return name

    counter = Counter(Two(), None, None)  # type: ignore[arg-type]
    assert counter.any_version() == "other"  # type: ignore[comparison-overlap]
    with pytest.raises(RefusedError) as refused:
        counter.version()
    assert refused.value.code == "which_model"


@pytest.mark.parametrize(
    ("query", "who", "status"),
    [
        ("line_id=L1", "stranger", 404),
        ("line_id=L9", "viewer", 404),
        ("", "viewer", 422),
        ("line_id=L1&first=soon", "viewer", 422),
        ("line_id=L1&model=A/b", "viewer", 422),
        ("line_id=L1&first=2024-03-02&last=2024-03-01", "viewer", 422),
        ("line_id=L1&x=1", "own", 200),
    ],
)
def test_who_may_ask_what(story: Story, query: str, who: str, status: int) -> None:
    found, told = story.service.ask("GET", f"/v1/savings?{query}", who=who)
    assert found == status, told
    if status != 200:
        assert set(told) == {"error", "error_zh", "code", "request_id"}


def test_a_model_that_has_been_wrong_says_nothing_and_that_is_replayed(tmp_path: Path) -> None:
    narrow = advising_bundle(half_width=1e-9)
    predictor = Predictor.open(narrow)
    with advising(tmp_path, "--drift-period-s", "1", bundle=narrow) as service:
        told = service.lines({"line_id": "L1"})
        advice = [line["recommendation"] for line in told[:-1]]
        assert {one["status"] for one in advice} == {"abstain"}
        codes = [reason["code"] for one in advice for reason in one["reasons"]]
        assert codes.count("model_error") >= len(advice) - 2
        status, quality = service.ask("POST", "/v1/quality", {"line_id": "L1"}, who="viewer")
        assert status == 200
        states = {row["outcome"]: row for row in quality["model_error"]}
        assert states["energy_kwh_per_t"]["state"] == "withheld"
        assert states["energy_kwh_per_t"]["ratio"] > 3
        with service.ledger as ledger:
            for one in advice:
                again = replay(ledger, one["recommendation_id"], predictor)
                assert again.equal, again.differences
        until = time.monotonic() + 20
        while "superheat_interval_widening{" not in (text := _metrics(service)):
            assert time.monotonic() < until
            time.sleep(0.2)
        assert 'superheat_interval_widening{line="L1",model="potline",outcome="energy_kwh_per_t"} 0.0' in text


def _metrics(service: Advising) -> str:
    headers = {"authorization": f"Bearer {service.keys['viewer']}"}
    return service.running.get("/metrics", "GET", None, headers)[2].decode()
