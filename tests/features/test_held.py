"""A record that repeats itself is not believed, by a stream and by a history alike; a real one passes untouched."""

from dataclasses import replace

import numpy as np
import pytest

from features.held import LEAST_DAYS, MOVES_DAILY, measured
from features.history import History
from features.recipe import Recipe
from tests.fakes import columns as record

LEVERS = ("set_voltage_v", "alf3_dose_kg_d")


def _with_run(history: History, cell: int, first: int, days: int, signals: tuple[str, ...]) -> History:
    """Return ``history`` with ``signals`` of ``cell`` standing still for ``days`` days after ``first``."""
    changed = {name: values.copy() for name, values in history.signals.items()}
    for name in signals:
        if name in changed:
            changed[name][first + 1 : first + 1 + days, cell] = changed[name][first, cell]
    return replace(history, signals=changed)


@pytest.fixture
def history() -> History:
    made = record.history(3, 40, seed=7)
    full = {
        name: np.where(np.isfinite(values), values, np.nanmean(values) + 0.01 * np.arange(40)[:, None])
        for name, values in made.signals.items()
    }
    return replace(made, signals=full)


def test_a_living_record_is_left_as_it_is(history: History) -> None:
    assert measured(history) is history


def test_held_days_count_as_not_reported_and_setpoints_stay(history: History) -> None:
    held = _with_run(history, 1, 10, 8, MOVES_DAILY)
    found = measured(held)
    first = 10 + LEAST_DAYS
    for name in ("cell_voltage_v", "bath_temperature_c", "tap_mass_kg", "metal_level_mm"):
        lost = np.isfinite(held.signals[name]) & np.isnan(found.signals[name])
        assert lost[first : 10 + 9, 1].any(), name
        lost[first : 10 + 9, 1] = False
        assert not lost.any(), name
    np.testing.assert_array_equal(found.signals["set_voltage_v"], held.signals["set_voltage_v"])


def test_one_frozen_instrument_is_not_a_held_record(history: History) -> None:
    assert measured(one := _with_run(history, 1, 10, 20, ("noise_mv",))) is one


def test_features_do_not_see_what_a_held_record_repeats(history: History) -> None:
    held = _with_run(history, 1, 10, 12, MOVES_DAILY)
    loud = replace(held, signals={name: values.copy() for name, values in held.signals.items()})
    loud.signals["metal_level_mm"][10 + LEAST_DAYS : 10 + 13, 1] += (
        100.0  # repeated or not: nobody measured it
    )
    recipe = Recipe.for_signals(history.available(), LEVERS)
    first, second = recipe.table(held), recipe.table(loud)
    np.testing.assert_array_equal(first.X, second.X)
