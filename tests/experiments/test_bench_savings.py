"""The savings bench in a small setting: what it plants is what it says, and what is found is near it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.bench.savings import SCENARIOS, Scenario, at_random, bad_for_weeks, draw, just_now_bad, plant
from experiments.prepare import read_record
from features.history import History
from features.tables.history import history as fold
from serving.verified.moves import Move


@pytest.fixture(scope="module")
def line() -> History:
    found = fold(read_record(Path("data_samples"), None).tables)
    return replace(found, anodes=found.anodes.take(np.array([], dtype=np.intp)))


def test_what_is_planted_is_planted(line: History) -> None:
    scenario = Scenario("both", at_random, volts=0.04, efficiency=0.01)
    move = Move(str(line.cell_ids[3]), line.dates[100].item(), 1, None)
    changed = plant(line, (move,), scenario)
    for name, expected in (("cell_voltage_v", -0.04), ("alumina_fed_kg_d", None), ("tap_mass_kg", None)):
        before, after = line.signals[name], changed.signals[name]
        np.testing.assert_array_equal(np.delete(after, 3, axis=1), np.delete(before, 3, axis=1))
        np.testing.assert_array_equal(after[:100, 3], before[:100, 3])
        if expected is None:
            np.testing.assert_allclose(after[100:, 3], 1.01 * before[100:, 3])
        else:
            np.testing.assert_allclose(after[100:, 3] - before[100:, 3], expected)


def test_bad_cells_are_bad(line: History) -> None:
    volts = line.signals["cell_voltage_v"]
    assert len(bad_for_weeks(line, np.random.default_rng(1))) == 14
    picked = just_now_bad(line, np.random.default_rng(1))
    away = [np.nanmean(volts[day - 3 : day, c]) - np.nanmean(volts[day - 28 : day, c]) for c, day in picked]
    assert len(picked) == 14
    assert np.mean(away) > 0.008


def test_matching_takes_out_most_of_what_before_and_after_makes_up(line: History) -> None:
    scenario = next(one for one in SCENARIOS if one.pick is just_now_bad and not one.volts)
    found = [draw(line, scenario, np.random.default_rng([7, i])) for i in range(6)]
    told = [one.told for one in found]
    assert all(one is not None for one in told)
    ours = np.mean([one.mean for one in told if one is not None])
    alone = np.mean([one.before_after for one in found])
    assert abs(alone) > 60
    assert abs(ours) < abs(alone) / 3


def test_a_planted_saving_is_found(line: History) -> None:
    for scenario in (one for one in SCENARIOS[:3] if one.volts or one.efficiency):
        found = [draw(line, scenario, np.random.default_rng([9, i])) for i in range(4)]
        off = [one.told.mean - one.planted for one in found if one.told is not None]
        assert len(off) == 4
        assert np.mean([one.planted for one in found]) > 100
        assert abs(np.mean(off)) < 35
