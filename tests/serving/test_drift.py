"""The watch over inputs: silent on a line that has not changed, heard where one signal has."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from features.history import History
from features.recipe import FeatureTable, Recipe
from features.tables.history import history
from serving.models.drift import DAYS, DRIFTED, LEAST_WINDOWS, Drift, line_drift
from tests.fakes.posted import samples

LEVERS = ("set_voltage_v", "alf3_dose_kg_d")


@cache
def table() -> FeatureTable:
    line: History = history(samples())
    kept = line.take(np.arange(0, len(line.cell_ids), 2))
    return Recipe.for_signals(kept.available(), LEVERS, kept.sensors).table(kept)


def days() -> NDArray[np.int64]:
    day = table().date.astype("datetime64[D]").astype(np.int64)
    return day - day.min()


def watched(rows: NDArray[np.float32], until: int, learnt: int) -> list[Drift]:
    """What the watch says on day ``until`` of a model that learnt from the first ``learnt`` days."""
    day = days()
    known = day <= until
    return line_drift(rows[known], day[known], day[known] < learnt, table().names)


def test_the_unchanged_sample_alarms_about_as_rarely_as_is_said() -> None:
    """By weeks that the reference never saw, and for the days that the model learnt from themselves."""
    learnt, last = 280, int(days().max())
    windows = len(range(learnt - 1, DAYS - 2, -7))
    looks = [watched(table().X, until, learnt) for until in range(learnt + DAYS, last + 1, 14)]
    judged = sum(one.psi is not None for look in looks for one in look)
    alarms = sum(one.drifted for look in looks for one in look)
    assert judged > 0.9 * len(looks) * len(table().names)
    assert alarms / judged <= 2.0 / (windows + 1), f"{alarms} of {judged}"
    assert not any(one.drifted for one in watched(table().X, last, last + 1))


@pytest.mark.parametrize(
    "name", ["bath_temperature_c_slope_7d", "metal_level_mm_slope_7d", "noise_mv_mean_3d"]
)
def test_a_signal_that_has_really_shifted_is_found_and_no_other(name: str) -> None:
    last = int(days().max())
    column = table().names.index(name)
    moved = table().X.copy()
    inside = days() > last - DAYS
    moved[inside, column] += 1.5 * np.nanstd(moved[:, column])
    found = {one.feature: one for one in watched(moved, last, last - DAYS + 1)}
    still = {one.feature: one for one in watched(table().X, last, last - DAYS + 1)}
    assert found[name].drifted
    assert not still[name].drifted
    assert {k: v for k, v in found.items() if k != name} == {k: v for k, v in still.items() if k != name}


def test_rows_that_share_their_day_are_no_drift_but_a_new_level_is() -> None:
    """Cells of a line move together from week to week: the usual reading of the index alone would cry."""
    rng = np.random.default_rng(3)
    cells, span = 20, 400
    day = np.repeat(np.arange(span), cells)
    weekly = np.repeat(rng.normal(0, 1, span // 14 + 1), 14)[:span]
    rows = (weekly[day] + 0.3 * rng.normal(size=len(day))).astype(np.float32)[:, None]
    learnt = day < span - DAYS
    (quiet,) = line_drift(rows, day, learnt, ("level",))
    assert quiet.psi is not None
    assert quiet.psi > DRIFTED
    assert not quiet.drifted
    rows[~learnt] += 4.0
    assert line_drift(rows, day, learnt, ("level",))[0].drifted


def test_too_short_a_past_says_nothing() -> None:
    rng = np.random.default_rng(4)
    for least, told in ((DAYS + 7 * (LEAST_WINDOWS - 1), True), (DAYS + 7 * (LEAST_WINDOWS - 1) - 1, False)):
        day = np.repeat(np.arange(least), 10)
        rows = rng.normal(size=(len(day), 1)).astype(np.float32)
        (found,) = line_drift(rows, day, np.ones(len(day), dtype=bool), ("level",))
        assert (found.psi is not None) == told
        assert not found.drifted
    (none,) = line_drift(rows, day, np.zeros(len(day), dtype=bool), ("level",))
    assert (none.psi, none.usual) == (None, None)
