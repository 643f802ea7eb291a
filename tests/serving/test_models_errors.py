"""Errors that come days later: chance is not taken for failure, failure is seen, and widening makes intervals true again."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.prepare import read_record
from features.bundle import LOWER, UPPER
from features.errors import SettingsError
from features.labels import REACH_DAYS, label_table
from features.tables.history import history as fold
from serving.metrics import Metrics
from serving.models.errors import Delayed, LineErrors, WatchSettings, delayed, states, tell, watch
from serving.trust import recent
from tests.fakes.plant_bundle import manifest, predictor
from tests.fakes.quiet_line import FIRST, course

Floats = NDArray[np.float64]
OUTCOME = "energy_kwh_per_t"
HALF = 1.6448536
CELLS, DAYS = 20, 56


def past(error: Floats) -> Delayed:
    """Decisions of a line whose labels lie ``error`` (days, cells) away from what is predicted."""
    days, cells = error.shape
    names = np.array([f"c{i:02d}" for i in range(cells)])
    measured = {outcome.name: error.ravel() for outcome in manifest().outcomes}
    X = np.zeros((days * cells, 1), dtype=np.float32)
    return Delayed(X, np.tile(names, days), np.repeat(FIRST + np.arange(days), cells), measured)


def answers(rows: int, low: float = -HALF, high: float = HALF) -> Mapping[str, Floats]:
    found: dict[str, Floats] = {}
    for outcome in manifest().outcomes:
        found[outcome.name] = np.zeros(rows)
        found[outcome.name + LOWER], found[outcome.name + UPPER] = np.full(rows, low), np.full(rows, high)
    return found


def errors(rng: np.random.Generator, scale: float = 1.0, cell_share: float = 0.3) -> Floats:
    """Standard normal errors with a week's memory, part of them lasting with the cell."""
    lasting = rng.normal(0, np.sqrt(cell_share), CELLS)
    return scale * (course(rng, (DAYS, CELLS), np.sqrt(1 - cell_share), 0.85) + lasting)


def judged(error: Floats, settings: WatchSettings | None = None) -> LineErrors:
    found = past(error)
    return watch(manifest(), "L1", found, answers(len(found.date)), settings)


def test_chance_is_not_taken_for_failure() -> None:
    assert manifest().outcome(OUTCOME).interval.coverage == pytest.approx(0.9)
    alarms, cell_alarms = 0, 0
    for seed in range(120):
        found = judged(errors(np.random.default_rng(seed)))
        alarms += found.outcomes[OUTCOME].state != "sound"
        cell_alarms += sum(error[OUTCOME].state != "sound" for error in found.cells.values())
    assert alarms <= 4
    assert cell_alarms / (120 * CELLS) < 0.04


@pytest.mark.parametrize("scale", [1.6, 2.0])
def test_larger_errors_widen_the_intervals_until_they_hold_again(scale: float) -> None:
    held, factors = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = judged(errors(rng, scale, 0.0)).outcomes[OUTCOME]
        assert found.state == "widened"
        factors.append(found.factor)
        held.append(np.mean(np.abs(errors(rng, scale, 0.0)) <= found.factor * HALF))
    assert np.mean(factors) == pytest.approx(scale, rel=0.15)
    assert np.mean(held) > 0.87


def test_what_is_far_from_proved_is_withheld() -> None:
    rng = np.random.default_rng(3)
    found = judged(errors(rng, 4.0))
    assert found.outcomes[OUTCOME].state == "withheld"
    asked = recent(found, "c03")
    assert asked is not None
    assert OUTCOME in {entry.outcome for entry in asked.withheld}
    proved = manifest().outcome(OUTCOME)
    mae = proved.metrics[proved.family]["mae"]
    assert found.outcomes[OUTCOME].training_mae == mae
    assert found.outcomes[OUTCOME].ratio == pytest.approx(found.outcomes[OUTCOME].recent_mae / mae)


def test_one_bad_cell_is_told_apart() -> None:
    error = errors(np.random.default_rng(5), 1.0, 0.0)
    error[:, 7] *= 3.0
    found = judged(error)
    assert found.outcomes[OUTCOME].state == "sound"
    assert found.cells["c07"][OUTCOME].state != "sound"
    assert recent(found, "c07") is not None
    assert recent(found, "c08") is None
    drifted = error.copy()
    drifted[:, 7] += 9.0
    asked = recent(judged(drifted), "c07")
    assert asked is not None
    assert asked.withheld[0].outcome == OUTCOME


def test_a_bias_counts_as_much_as_a_scatter() -> None:
    found = judged(errors(np.random.default_rng(6), 1.0, 0.0) + 1.5).outcomes[OUTCOME]
    assert found.state == "widened"
    assert found.factor > 1.4


def test_a_week_that_befell_the_whole_line_is_one_event_and_not_twenty() -> None:
    error = errors(np.random.default_rng(7), 0.6, 0.0)
    calm = judged(error).outcomes[OUTCOME]
    error[14:21] += 4.0
    found = judged(error).outcomes[OUTCOME]
    assert found.missed is not None
    assert found.missed > 0.12
    assert found.worth < 30 < calm.worth
    assert found.state == "sound"


def test_uneven_intervals_are_taken_side_by_side() -> None:
    error = np.abs(errors(np.random.default_rng(8), 1.0, 0.0))
    found = past(error)
    tight = watch(manifest(), "L1", found, answers(len(found.date), -0.1, 2 * HALF))
    assert tight.outcomes[OUTCOME].state == "sound"
    wrong = watch(manifest(), "L1", found, answers(len(found.date), -2 * HALF, 0.5))
    assert wrong.outcomes[OUTCOME].state != "sound"


def test_without_labels_nothing_is_held_against_the_model() -> None:
    found = judged(np.full((5, 4), np.nan))
    error = found.outcomes[OUTCOME]
    assert (error.state, error.recent_mae, error.ratio, error.rows, error.factor) == (
        "sound",
        None,
        None,
        0,
        1.0,
    )
    few = judged(np.full((3, 4), 99.0)).outcomes[OUTCOME]
    assert few.state == "sound"
    assert few.recent_mae == pytest.approx(99.0)
    assert LineErrors.read(judged(np.full((3, 4), 1.0)).values()) == judged(np.full((3, 4), 1.0))
    with pytest.raises(SettingsError, match="doubt is 0"):
        WatchSettings(doubt=0.0)


def test_gauges_and_states_say_the_same() -> None:
    found = judged(errors(np.random.default_rng(9), 2.0, 0.0))
    metrics = Metrics()
    tell(metrics, found)
    text = metrics.text().decode()
    error = found.outcomes[OUTCOME]
    labels = f'{{line="L1",model="potline",outcome="{OUTCOME}"}}'
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if labels in line)
    assert float(told[f"superheat_model_error{labels}"]) == pytest.approx(error.ratio)
    assert float(told[f"superheat_interval_widening{labels}"]) == pytest.approx(error.factor)
    state = next(row for row in states(found) if row["outcome"] == OUTCOME)
    assert state["state"] == "widened"
    assert set(state) == {"outcome", "recent_mae", "training_mae", "ratio", "days", "state"}
    tell(metrics, judged(errors(np.random.default_rng(9), 9.0)))
    assert f"superheat_interval_widening{labels} 0.0" in metrics.text().decode()


def test_only_decisions_whose_labels_are_final_are_looked_at() -> None:
    line = fold(read_record(Path("data_samples"), None).tables)
    line = line.take(np.arange(6)).until(line.dates[150])
    known, name = manifest(), str(line.line_ids[0])
    found = delayed(known, line, name, WatchSettings(days=28))
    last = line.dates[-1] - np.timedelta64(known.horizon_days - 1 + REACH_DAYS, "D")
    assert found.date.max() == last
    assert found.date.min() > last - np.timedelta64(28, "D")
    labels = label_table(line, known.horizon_days)
    at = {
        (str(line.cell_ids[c]), d): i for i, (c, d) in enumerate(zip(labels.cell, labels.date, strict=True))
    }
    for i in range(0, len(found.date), 17):
        row = at[str(found.cell_id[i]), found.date[i]]
        np.testing.assert_equal(found.measured[OUTCOME][i], labels.values[OUTCOME][row])
    judged_line = watch(known, name, found, predictor().predict(found.X))
    assert judged_line.outcomes[OUTCOME].rows == np.isfinite(found.measured[OUTCOME]).sum()
    assert len(delayed(known, line, "L9").date) == 0
