"""What was set and what followed: written once, when the record can tell, and by the labels' own arithmetic."""

import datetime
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.history import History
from features.labels import REACH_DAYS, label_table
from serving.access import Identity, Role
from serving.follow_up import FollowedUp, applied_of, carried_out, follow_up
from serving.ledger import Decision, Ledger
from serving.ports import Named
from serving.schemas import Recommendation
from tests.fakes import quiet_line as fake
from tests.fakes.plant_bundle import manifest

START = 60
HORIZON = 7
WHO = Named("follow-up")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    morning = datetime.datetime.combine(fake.day(START), datetime.time(), datetime.UTC)
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", lambda: morning) as found:
        yield found


def line(days: int = 110, volts: dict[int, float] | None = None) -> History:
    """A line on which some cells' set voltage follows the advice of day START in steps of 20 mV a day."""
    history = fake.quiet_line(cells=8, days=days, seed=4)
    told = history.signals["set_voltage_v"].copy()
    for cell, whole in (volts or {}).items():
        for step in range(10):
            moved = min(0.02 * (step + 1), whole)
            told[START + step :, cell] = np.round(
                history.signals["set_voltage_v"][START - 1, cell] - moved, 6
            )
    return fake.with_signals(history, set_voltage_v=told)


def write(ledger: Ledger, advice: Recommendation, action: str | None, **more: Any) -> str:
    entry = {"recommendation": advice.model_dump(), "context": {}, "settings": "cd" * 32}
    ledger.append("recommendation", entry, Named("service"))
    if action is not None:
        body = {"recommendation_id": advice.recommendation_id, "action": action, **more}
        ledger.append("decision", body, Named("li.wei"))
    return advice.recommendation_id


def bodies(ledger: Ledger, kind: Any) -> dict[str, Any]:
    return {record.content.about or "": record.body for record in ledger.records(kind)}


def test_what_was_set_is_written_when_the_path_is_over(ledger: Ledger) -> None:
    history = line(volts={1: 0.04, 2: 0.0})
    one = write(ledger, fake.advice(history, 1, START, 0.04), "accept")
    two = write(ledger, fake.advice(history, 2, START, 0.04), "accept")
    write(ledger, fake.advice(history, 3, START, 0.04), "reject", reason="tapping")
    write(ledger, fake.advice(history, 4, START, 0.04), None)
    known = manifest()
    for days in (0, 1, 2):
        assert follow_up(ledger, history.until(history.dates[START - 1 + days]), known, WHO).applied == 0
    assert follow_up(ledger, history.until(history.dates[START + 2]), known, WHO).applied == 2
    found = bodies(ledger, "applied")
    current = fake.advice(history, 1, START, 0.04).levers[0].current
    assert found[one]["levers"] == {"set_voltage_v": pytest.approx(current - 0.04)}
    assert found[one]["date"] == fake.day(START).isoformat()
    still = fake.advice(history, 2, START, 0.04).levers[0].current
    assert found[two]["levers"] == {"set_voltage_v": still}


def test_measured_are_the_labels_and_wait_until_they_are_final(ledger: Ledger) -> None:
    history = line()
    ids = {cell: write(ledger, fake.advice(history, cell, START, 0.04), None) for cell in (0, 5)}
    held = fake.advice(history, 6, START, 0.0, status="hold")
    ids[6] = write(ledger, held, None)
    known = manifest()
    assert known.horizon_days == HORIZON
    last = START + HORIZON - 1 + REACH_DAYS
    early = history.until(history.dates[last - 1])
    assert follow_up(ledger, early, known, WHO) == FollowedUp(0, 0)
    assert follow_up(ledger, history.until(history.dates[last]), known, WHO) == FollowedUp(0, 3)
    labels = label_table(history, HORIZON)
    for cell, key in ids.items():
        body = bodies(ledger, "measured")[key]
        row = START * 8 + cell
        wanted = {
            name: float(values[row]) for name, values in labels.values.items() if np.isfinite(values[row])
        }
        assert body["outcomes"] == pytest.approx(wanted)
        assert {"energy_kwh_per_t", "mean_noise_mv", "current_efficiency"} <= set(wanted)
        assert (body["first"], body["last"]) == (fake.day(START).isoformat(), fake.day(START + 6).isoformat())


def test_nothing_is_measured_while_the_taps_are_still_on_their_way(ledger: Ledger) -> None:
    history = line()
    about = write(ledger, fake.advice(history, 1, START, 0.04), "accept")
    tapped = history.signals["tap_mass_kg"].copy()
    tapped[START + 3 :] = np.nan
    half = fake.with_signals(history, tap_mass_kg=tapped)
    assert follow_up(ledger, half, manifest(), WHO).measured == 0
    assert follow_up(ledger, history, manifest(), WHO).measured == 1
    labels = label_table(history, HORIZON)
    row = START * len(history.cell_ids) + 1
    told = bodies(ledger, "measured")[about]["outcomes"]
    assert told["energy_kwh_per_t"] == labels.values["energy_kwh_per_t"][row]


def test_the_same_record_again_writes_nothing(ledger: Ledger) -> None:
    history = line(volts={1: 0.04})
    write(ledger, fake.advice(history, 1, START, 0.04), "accept")
    assert follow_up(ledger, history, manifest(), WHO) == FollowedUp(1, 1)
    head = ledger.head()
    assert follow_up(ledger, history, manifest(), WHO) == FollowedUp(0, 0)
    longer = line(days=115, volts={1: 0.04})
    assert follow_up(ledger, longer, manifest(), WHO) == FollowedUp(0, 0)
    assert ledger.head() == head
    assert ledger.verify().intact


def test_net_anode_is_added_when_its_butts_are_weighed(ledger: Ledger) -> None:
    key = write(ledger, fake.advice(line(), 1, START, 0.04), None)
    short = fake.with_anodes(line(days=START + HORIZON + REACH_DAYS), {})
    assert follow_up(ledger, short, manifest(), WHO) == FollowedUp(0, 1)
    first = bodies(ledger, "measured")[key]["outcomes"]
    assert "net_anode_kg_per_t" not in first
    whole = fake.with_anodes(line(), {})
    assert follow_up(ledger, whole, manifest(), WHO) == FollowedUp(0, 1)
    second = bodies(ledger, "measured")[key]["outcomes"]
    assert second.pop("net_anode_kg_per_t") == pytest.approx(400.0, rel=0.1)
    assert second == first
    assert follow_up(ledger, whole, manifest(), WHO) == FollowedUp(0, 0)


def test_lines_of_others_are_left_alone(ledger: Ledger) -> None:
    history = line(volts={1: 0.04})
    write(ledger, fake.advice(history, 1, START, 0.04), "accept")
    other = Identity("twin", Role.OPERATOR, frozenset({"L2"}), "b")
    assert follow_up(ledger, history, manifest(), other) == FollowedUp(0, 0)
    renamed = replace(history, line_ids=np.full(8, "L9"))
    assert follow_up(ledger, renamed, manifest(), WHO) == FollowedUp(0, 0)


def test_a_setting_of_the_day_after_still_counts_and_a_gap_is_no_setting() -> None:
    history = line(volts={1: 0.04})
    advice = fake.advice(history, 1, START, 0.04)
    accept = Decision(recommendation_id=advice.recommendation_id, action="accept")
    late = history.signals["set_voltage_v"].copy()
    late[START, 1] = advice.levers[0].current
    late[START + 1, 1] = np.nan
    found = applied_of(fake.with_signals(history, set_voltage_v=late), advice, accept)
    assert found is not None
    assert found.date == fake.day(START + 2)
    assert found.levers["set_voltage_v"] == pytest.approx(advice.levers[0].recommended)
    late[START : START + 3, 1] = np.nan
    assert applied_of(fake.with_signals(history, set_voltage_v=late), advice, accept) is None


@pytest.mark.parametrize(
    ("share", "carried"), [(1.0, True), (0.5, True), (0.4, False), (-1.0, False), (0.0, False)]
)
def test_half_the_way_is_a_move(share: float, carried: bool) -> None:
    advice = fake.advice(line(), 1, START, 0.04)
    accept = Decision(recommendation_id=advice.recommendation_id, action="accept")
    levers = {"set_voltage_v": advice.levers[0].current - share * 0.04, "alf3_dose_kg_d": 99.0}
    assert carried_out(advice, accept, levers) is carried
