"""Advice over REST on a running service: from rows to recommendations, decisions and cards, by role and by line."""

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from features.history import History
from features.layout import TABLES
from serving.context import contexts_today
from serving.ledger.advice import replay
from serving.predictor import Predictor
from serving.recommend import AdviceSettings, Advisor
from serving.record.folding import history_of
from serving.schemas import Recommendation
from tests.fakes.advising import SAVES, advising_bundle
from tests.fakes.advising_service import CELLS, DAY, DAYS, Advising, advising
from tests.fakes.posted import rows_of, samples

ROUND = {"line_id": "L1"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Advising]:
    with advising(tmp_path_factory.mktemp("advising")) as found:
        yield found


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.open(advising_bundle())


def record_of(service: Advising) -> History:
    with service.record as record:
        return history_of(record.values("L1", TABLES), record.line("L1").plant)


def test_a_round_is_what_the_advisor_says_and_stands_in_the_ledger(
    service: Advising, predictor: Predictor
) -> None:
    told = service.lines(ROUND)
    advice = [Recommendation.model_validate(line["recommendation"]) for line in told[:-1]]
    assert [line["done"] for line in told] == [*range(1, CELLS + 1), CELLS]
    assert {line["total"] for line in told} == {CELLS}
    advisor = Advisor(predictor, AdviceSettings())
    ours = {c.cell_id: advisor.advise(c) for c in contexts_today(record_of(service), predictor.recipe)}
    assert {a.cell_id: a for a in advice} == ours
    moved = [a for a in advice if a.status == "move"]
    summary = told[-1]["summary"]
    assert summary["moved"] == len(moved) > 0
    assert summary["moved"] + summary["held"] + summary["abstained"] == CELLS
    # The planted optimum: as far down as the window goes, 40 mV, every member agreed.
    assert all(round(a.levers[0].current - a.levers[0].recommended, 6) == 0.04 for a in moved)
    assert summary["energy_kwh_per_t"]["mean"] == pytest.approx(0.04 * SAVES, rel=1e-6)
    with service.ledger as ledger:
        assert ledger.verify().intact
        for a in advice:
            assert replay(ledger, a.recommendation_id, predictor).equal


def test_one_piece_keeps_the_order_asked_for(service: Advising) -> None:
    cells = ["L1-005", "L1-001", "L1-003"]
    status, told = service.ask("POST", "/v1/recommendations", {"line_id": "L1", "cells": cells})
    assert status == 200
    assert [a["cell_id"] for a in told["recommendations"]] == cells
    assert told["refused"] == []


def test_given_contexts_are_advised_as_those_of_the_record(service: Advising, predictor: Predictor) -> None:
    contexts = [c for c in contexts_today(record_of(service), predictor.recipe) if c.row is not None]
    given = []
    for context in contexts[:3]:
        assert context.row is not None
        values = [None if np.isnan(v) else float(v) for v in context.row]
        base = {
            "line_id": context.line_id,
            "cell_id": context.cell_id,
            "date": str(context.date),
            "last_reported": str(context.last_reported),
            "hours_since_anode_change": context.hours_since_anode_change,
            "stuck": [{"signal": s.signal, "value": s.value, "days": s.days} for s in context.stuck],
        }
        names = predictor.manifest.feature_names
        given.append({**base, "features": dict(zip(names, values, strict=True))})
        given[-1] = given[-1] if len(given) % 2 else {**base, "row": values}
    status, told = service.ask("POST", "/v1/recommendations", {"contexts": given})
    assert status == 200, told
    again = [service.one(context.cell_id) for context in contexts[:3]]
    assert told["recommendations"] == again


def test_stale_frozen_unsupported_and_out_of_range_are_not_guessed(
    service: Advising, predictor: Predictor
) -> None:
    context = next(c for c in contexts_today(record_of(service), predictor.recipe) if c.row is not None)
    assert context.row is not None
    names = predictor.manifest.feature_names
    features = {n: None if np.isnan(v) else float(v) for n, v in zip(names, context.row, strict=True)}
    needed = next(f.name for f in predictor.manifest.features if not f.may_be_missing)
    base = {"line_id": "L1", "cell_id": "x1", "date": DAY, "last_reported": "2024-02-14"}
    cases: dict[str, dict[str, Any]] = {
        "stale": {"last_reported": "2024-02-01"},
        "frozen": {"stuck": [{"signal": "noise_mv", "value": 12.0, "days": 9}]},
        "out_of_range": {"features": {**features, "cell_age_d_last": 1e6}},
        "missing": {"features": {n: v for n, v in features.items() if n != needed}},
    }
    for code, changes in cases.items():
        body = {"contexts": [{**base, "features": features, **changes}]}
        status, told = service.ask("POST", "/v1/recommendations", body)
        assert status == 200, told
        advice = told["recommendations"][0]
        assert advice["status"] == "abstain", code
        assert code in {reason["code"] for reason in advice["reasons"]}
        assert advice["levers"] == []


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "line_id"),
        ({"line_id": "L1", "contexts": []}, 422, "contexts"),
        ({"line_id": "L1", "colour": "red"}, 422, "colour"),
        ({"line_id": "L9"}, 404, "no record"),
        ({"line_id": "L1", "cells": ["nobody"]}, 404, "nobody"),
        ({"line_id": "L1", "cells": ["L1-001", "L1-001"]}, 422, "twice"),
        ({"line_id": "L1", "date": "2024-03-20"}, 422, "lies ahead"),
        ({"line_id": "L1", "date": "2025-02-15"}, 422, "record of line L1 ends on 2024-02-14"),
        ({"line_id": "L1", "date": "2024-01-01"}, 422, "record goes from"),
        ({"line_id": "L1", "model": "other"}, 404, "other"),
        ({"line_id": "L1", "window": [{"name": "set_voltage_v", "low": 1.0}]}, 422, "only narrow"),
        ({"line_id": "L1", "window": [{"name": "colour"}]}, 404, "colour"),
        ({"line_id": "L1", "prices": {"electricity_per_kwh": -1}}, 422, "electricity_per_kwh"),
        ({"line_id": "L1", "prices": {"gold_per_kg": 1}}, 422, "gold_per_kg"),
        (b'{"line_id": "L1", "line_id": "L1"}', 422, "JSON"),
        (b'{"line_id": NaN}', 422, "JSON"),
        (b"[" * 50_000, 422, "JSON"),
        (b"\xff\xfe", 422, "JSON"),
    ],
)
def test_what_cannot_be_advised_is_refused_with_the_reason(
    service: Advising, body: object, status: int, words: str
) -> None:
    found, told = service.ask("POST", "/v1/recommendations", body)
    assert (found, set(told)) == (status, {"error", "error_zh", "code", "request_id"}), told
    assert words in told["error"]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in told["error_zh"])


def test_a_context_must_be_one(service: Advising) -> None:
    base = {"line_id": "L1", "cell_id": "x", "date": DAY, "last_reported": "2024-02-14"}
    for more, words in (
        ({"row": [1.0, 2.0]}, "row has 2 values"),
        ({"features": {"colour": 1.0}}, "no feature 'colour'"),
        ({"features": {"cell_age_d_last": 1e39}}, "beyond single precision"),
        ({}, "features by name, or row"),
        ({"features": {}, "last_reported": DAY}, "before date"),
    ):
        status, told = service.ask("POST", "/v1/recommendations", {"contexts": [{**base, **more}]})
        assert status == 422, told
        assert words in told["error"]


def test_a_request_may_narrow_and_price(service: Advising) -> None:
    window = [{"name": "set_voltage_v", "window": 0.02, "max_daily_step": 0.01}]
    advice = service.one("L1-002", window=window)
    assert [lever["name"] for lever in advice["levers"]] == ["set_voltage_v"]
    lever = advice["levers"][0]
    assert round(lever["current"] - lever["recommended"], 6) == 0.02
    assert lever["path"] == pytest.approx([lever["current"] - 0.01, lever["current"] - 0.02])
    dear = service.one("L1-002", prices={"electricity_per_kwh": 0.9})
    plain = service.one("L1-002")
    ratio = dear["saving"]["cost_per_t"]["mean"] / plain["saving"]["cost_per_t"]["mean"]
    assert ratio == pytest.approx(2.0, rel=1e-6)


def test_decide_once_while_it_stands(service: Advising) -> None:
    first = service.one("L1-001", prices={"electricity_per_kwh": 0.5})
    second = service.one("L1-001")
    path = "/v1/recommendations/{}/decision"
    gone = path.format(first["recommendation_id"])
    status, told = service.ask("POST", gone, {"action": "accept"})
    assert (status, told["code"]) == (409, "superseded")
    status, followed = service.ask("GET", f"/v1/recommendations/{first['recommendation_id']}")
    assert (followed["superseded"], followed["expired"], followed["replayable"]) == (True, False, True)
    here = path.format(second["recommendation_id"])
    assert service.ask("POST", here, {"action": "reject"})[0] == 422
    assert service.ask("POST", here, {"action": "accept", "levers": {"set_voltage_v": 4.0}})[0] == 422
    assert service.ask("POST", here, {"action": "accept"}, who="viewer")[0] == 403
    assert service.ask("POST", here, {"action": "accept"}, who="stranger")[0] == 404
    status, told = service.ask("POST", here, {"action": "accept", "reason": "looks right"})
    assert status == 200, told
    assert told["subject"].startswith("operator/")
    status, again = service.ask("POST", here, {"action": "reject", "reason": "no"})
    assert (status, again["code"]) == (409, "already_decided")
    status, followed = service.ask("GET", f"/v1/recommendations/{second['recommendation_id']}", who="viewer")
    assert followed["decision"] == told
    assert followed["recommendation"] == second
    # Asked again, the very same advice stands, and is decided already.
    assert service.one("L1-001")["recommendation_id"] == second["recommendation_id"]


def test_advice_asked_for_again_stands_again(service: Advising) -> None:
    first = service.one("L1-006")
    other = service.one("L1-006", prices={"electricity_per_kwh": 0.7})
    assert other["recommendation_id"] != first["recommendation_id"]
    again = service.one("L1-006")
    assert again == first
    where = f"/v1/recommendations/{first['recommendation_id']}/decision"
    status, told = service.ask("POST", where, {"action": "reject", "reason": "to be relined"})
    assert status == 200, told


def test_a_modified_setting_is_judged_by_the_guard(service: Advising) -> None:
    advice = service.one("L1-003")
    lever = advice["levers"][0]
    where = f"/v1/recommendations/{advice['recommendation_id']}/decision"
    for value, words, words_zh in (
        (lever["current"] - 0.0105, "none of its settings", "设定电压"),
        (lever["current"] - 0.2, "none of its settings", "不是可取的设定"),
        (lever["current"], "is today's", "与当前相同"),
    ):
        body = {"action": "modify", "levers": {"set_voltage_v": value}}
        status, told = service.ask("POST", where, body)
        assert status == 422, told
        assert words in told["error"]
        assert words_zh in told["error_zh"]
    status, told = service.ask("POST", where, {"action": "modify", "levers": {"colour": 1.0}})
    assert status == 422, told
    half = round(lever["current"] - 0.02, 6)
    status, told = service.ask("POST", where, {"action": "modify", "levers": {"set_voltage_v": half}})
    assert status == 200, told
    assert told["levers"] == {"set_voltage_v": half, "alf3_dose_kg_d": advice["levers"][1]["recommended"]}


def test_modes_off_and_approved(service: Advising) -> None:
    where = "/v1/cells/L1-004/mode"
    off = {"line_id": "L1", "mode": "off", "reason": "relining"}
    assert service.ask("PUT", where, off)[0] == 403
    assert service.ask("PUT", where, off, who="stranger")[0] == 404
    before = service.one("L1-004")
    status, told = service.ask("PUT", where, off, who="engineer")
    assert (status, told["mode"], told["subject"].partition("/")[0]) == (200, "off", "engineer")
    status, told = service.ask("POST", "/v1/recommendations", {"line_id": "L1", "cells": ["L1-004"]})
    assert (status, told["code"]) == (409, "cell_off")
    path = f"/v1/recommendations/{before['recommendation_id']}/decision"
    status, told = service.ask("POST", path, {"action": "accept"})
    assert (status, told["code"]) == (409, "cell_off")
    told = service.lines(ROUND)
    assert told[-1]["summary"]["off"] == 1
    assert "L1-004" not in {line["recommendation"]["cell_id"] for line in told[:-1]}
    approve = {
        "line_id": "L1",
        "mode": "approved",
        "levers": ["set_voltage_v"],
        "reason": "a trial of a week",
    }
    assert service.ask("PUT", where, {**approve, "levers": ["colour"]}, who="engineer")[0] == 404
    assert service.ask("PUT", where, {**approve, "levers": []}, who="engineer")[0] == 422
    assert service.ask("PUT", where, approve, who="engineer")[0] == 200
    # Two days' steps are more than the mode takes by itself; one is not.
    wide = service.one("L1-004")
    small = service.one("L1-004", window=[{"name": "set_voltage_v", "window": 0.02}])
    with service.ledger as ledger:
        assert ledger.decisions(wide["recommendation_id"]) == []
        taken = ledger.decisions(small["recommendation_id"])
        assert [d.decision.action for d in taken] == ["accept"]
        assert taken[0].record.content.subject.startswith("approved mode, set by engineer/")
        audited = [
            r.body["target"]["mode"] for r in ledger.records("audit") if r.body["action"] == "set mode"
        ]
        assert audited == ["off", "approved"]
    status, told = service.ask("GET", "/v1/cells?line_id=L1", who="viewer")
    assert told["state"] == "approved"
    cell = next(c for c in told["cells"] if c["cell_id"] == "L1-004")
    assert (cell["mode"], cell["mode_levers"]) == ("approved", ["set_voltage_v"])
    assert cell["decision"]["action"] == "accept"
    assert service.ask("PUT", where, {**off, "mode": "advise"}, who="engineer")[0] == 200


def test_the_map_and_a_card(service: Advising) -> None:
    advice = service.one("L1-002")
    status, told = service.ask("GET", "/v1/cells", who="viewer")
    assert status == 200
    assert (told["simulated"], told["currency"], told["date"]) == (True, "CNY", DAY)
    assert told["model"]["ready"] is True
    now = datetime.datetime.fromisoformat(told["lines"][0].pop("now"))
    assert now.astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat() == DAY
    assert told["lines"] == [{"line_id": "L1", "date": DAY, "simulated": True, "currency": "CNY"}]
    cells = {cell["cell_id"]: cell for cell in told["cells"]}
    assert cells["L1-002"]["advice"] == advice
    assert cells["L1-002"]["expired"] is False
    rows = rows_of(samples(), cells=CELLS, days=DAYS)
    last = next(r for r in rows["cell_days"] if r["cell_id"] == "L1-002" and r["date"] == "2024-02-14")
    assert cells["L1-002"]["measured"]["cell_voltage_v"] == {
        "value": last["cell_voltage_v"],
        "unit": "V",
        "date": "2024-02-14",
    }
    assert cells["L1-002"]["age_d"] == last["cell_age_d"]
    status, card = service.ask("GET", "/v1/cells/L1-002?days=7", who="viewer")
    assert status == 200, card
    assert card["trends"]["dates"][-1] == "2024-02-14"
    voltage = card["trends"]["signals"]["cell_voltage_v"]
    assert (voltage["set"][-1], voltage["measured"][-1]) == (last["set_voltage_v"], last["cell_voltage_v"])
    assert all(len(s["measured"]) == 7 for s in card["trends"]["signals"].values())
    assert advice["recommendation_id"] in {given["recommendation_id"] for given in card["recommendations"]}
    for precedent in card["precedents"]:
        move = precedent["levers"]["set_voltage_v"]
        assert move["after"] < move["before"]
    assert service.ask("GET", "/v1/cells/L1-002?days=0", who="viewer")[0] == 422
    assert service.ask("GET", "/v1/cells/nobody", who="viewer")[0] == 404


def test_others_lines_are_not_told_apart_from_none(service: Advising) -> None:
    advice = service.one("L1-005")
    rows = rows_of(samples(), cells=1, days=2)
    for method, path, body in (
        ("GET", "/v1/cells?line_id=L1", None),
        ("GET", "/v1/cells/L1-005", None),
        ("GET", f"/v1/recommendations/{advice['recommendation_id']}", None),
        ("POST", "/v1/recommendations", ROUND),
        ("POST", "/v1/history", {"cell_days": rows["cell_days"]}),
        ("POST", "/v1/explain", {"recommendation_id": advice["recommendation_id"]}),
        ("POST", "/v1/quality", ROUND),
        ("POST", "/v1/allocations", ROUND),
    ):
        status, told = service.ask(method, path, body, who="stranger")
        assert (status, told["code"]) == (404, "unknown_name"), (path, told)
    status, told = service.ask("GET", "/v1/cells", who="stranger")
    assert (status, told["cells"], told["lines"]) == (200, [], [])
    assert service.ask("GET", "/v1/cells?line_id=L1", who="own")[0] == 200


def test_a_shift_is_told_which_open_moves_come_first(service: Advising) -> None:
    service.lines(ROUND)
    cells = service.ask("GET", "/v1/cells?line_id=L1")[1]["cells"]
    moved = {c["cell_id"] for c in cells if c["advice"]["status"] == "move" and c["decision"] is None}
    assert len(moved) > 2
    status, told = service.ask("POST", "/v1/allocations", {**ROUND, "moves_a_day": 2})
    assert status == 200, told
    assert len(told["chosen"]) == 2
    assert {move["cell_id"] for part in ("chosen", "left_out") for move in told[part]} == moved
    assert [budget["binding"] for budget in told["budgets"]] == [True]
    # What was decided, and what an engineer has turned off, is not open any more.
    first, second = told["chosen"]
    where = f"/v1/recommendations/{first['recommendation_id']}/decision"
    assert service.ask("POST", where, {"action": "reject", "reason": "x"})[0] == 200
    mode = {"line_id": "L1", "mode": "off", "reason": "x"}
    assert service.ask("PUT", f"/v1/cells/{second['cell_id']}/mode", mode, who="engineer")[0] == 200
    status, again = service.ask("POST", "/v1/allocations", ROUND)
    assert status == 200, again
    found = {move["cell_id"] for part in ("chosen", "left_out") for move in again[part]}
    assert found == moved - {first["cell_id"], second["cell_id"]}
    assert (
        service.ask("PUT", f"/v1/cells/{second['cell_id']}/mode", {**mode, "mode": "advise"}, who="engineer")[
            0
        ]
        == 200
    )
    assert service.ask("POST", "/v1/allocations", ROUND, who="viewer")[0] == 403
    for wrong in (
        {"moves_a_day": -1},
        {"moves_a_day": 2.5},
        {"alf3_kg_d": -1.0},
        {"caution": 11},
        {"moves": 3},
    ):
        assert service.ask("POST", "/v1/allocations", {**ROUND, **wrong})[0] in (400, 422), wrong


def test_explanations_add_up(service: Advising) -> None:
    advice = service.one("L1-002")
    status, told = service.ask(
        "POST", "/v1/explain", {"recommendation_id": advice["recommendation_id"]}, who="viewer"
    )
    assert status == 200, told
    for name, why in told["outcomes"].items():
        expected = advice["expected"][name]
        total = sum(lever["effect"]["mean"] for lever in why["levers"])
        assert total == pytest.approx(expected["current"] - expected["recommended"], abs=1e-5)
    shares = told["outcomes"]["energy_kwh_per_t"]["levers"]
    assert [share["name"] for share in shares] == ["set_voltage_v"]
    assert shares[0]["effect"]["mean"] == pytest.approx(160.0, rel=1e-6)
    curve = told["curves"]["set_voltage_v"]
    assert len(curve["values"]) == len(curve["energy_kwh_per_t"]["mean"]) == 41
    assert np.all(np.diff(curve["energy_kwh_per_t"]["mean"]) > 0)


def test_quality_names_what_is_wrong(service: Advising) -> None:
    status, told = service.ask("POST", "/v1/quality", ROUND, who="viewer")
    assert status == 200, told
    assert {cell["cell_id"] for cell in told["cells"]} == {f"L1-00{i}" for i in range(1, 7)}
    signals = {signal["name"]: signal for signal in told["signals"]}
    assert signals["cell_voltage_v"]["cells_reporting"] == CELLS
    assert signals["cell_voltage_v"]["missing_share"] < 0.05
    assert {entry["state"] for entry in told["model_error"]} == {"sound"}


def test_bodies_are_bounded(service: Advising) -> None:
    body = b'{"line_id": "' + b"x" * (5 << 20) + b'"}'
    status, told = service.ask("POST", "/v1/recommendations", body)
    assert (status, told["code"]) == (413, "too_large")


def test_the_next_day_expires_what_is_not_decided(tmp_path: Path) -> None:
    """A simulated line's clock goes on with its record: rows of the next day end the advice of the day before."""
    with advising(tmp_path) as service:
        old = service.one("L1-001")
        where = f"/v1/recommendations/{old['recommendation_id']}/decision"
        rows = rows_of(samples(), cells=CELLS, days=DAYS + 1)
        fresh = {name: [r for r in rows[name] if r.get("date") == DAY] for name in ("cell_days", "meters")}
        assert service.ask("POST", "/v1/history", fresh)[0] == 200
        status, told = service.ask("GET", f"/v1/recommendations/{old['recommendation_id']}")
        assert (told["expired"], told["superseded"]) == (True, False)
        status, told = service.ask("POST", where, {"action": "accept"})
        assert (status, told["code"]) == (410, "expired")
        cells = service.ask("GET", "/v1/cells")[1]
        assert cells["date"] == "2024-02-16"
        assert next(c for c in cells["cells"] if c["cell_id"] == "L1-001")["expired"] is True
        new = service.one("L1-001")
        assert new["date"] == "2024-02-16"
        # A cell that has stopped reporting is not guessed at.
        silent = [{**r, "date": f"2024-02-{d}"} for d in (16, 17, 18) for r in fresh["cell_days"][1:]]
        assert service.ask("POST", "/v1/history", {"cell_days": silent})[0] == 200
        stale = service.one("L1-001")
        assert (stale["status"], stale["reasons"][0]["code"]) == ("abstain", "stale")
        # One that repeats itself is not either.
        later = rows_of(samples(), cells=CELLS, days=DAYS + 6)["cell_days"]
        frozen = [{**r, "noise_mv": 14.0} for r in later if r["date"] > DAY]
        assert service.ask("POST", "/v1/history", {"cell_days": frozen})[0] == 200
        stuck = service.one("L1-002")
        assert stuck["status"] == "abstain"
        assert "frozen" in {reason["code"] for reason in stuck["reasons"]}
        found = service.ask("POST", "/v1/quality", ROUND)[1]["cells"]
        codes = {c["cell_id"]: {f["code"] for f in c["findings"]} for c in found}
        assert "stuck" in codes["L1-002"]


def test_advice_is_counted(service: Advising) -> None:
    service.one("L1-002")
    told = {"authorization": f"Bearer {service.keys['viewer']}"}
    text = service.running.get("/metrics", headers=told)[2].decode()
    counted = [line for line in text.splitlines() if line.startswith("superheat_advice_total{")]
    assert any('result="move"' in line and float(line.rpartition(" ")[2]) >= 1 for line in counted)


def test_a_second_call_is_quick(service: Advising) -> None:
    took = []
    for _ in range(6):
        began = time.monotonic()
        service.one("L1-002")
        took.append(time.monotonic() - began)
    assert min(took[1:]) < 0.5
