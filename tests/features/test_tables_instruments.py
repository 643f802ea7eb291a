"""The detectors by themselves, against plain reckoning and against what must not disturb them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from features.tables.instruments import (
    against_line,
    drifts,
    frozen,
    held,
    most_common,
    noisier,
    pile_ups,
    ramps,
    resolution,
    scale_jumps,
    shifts,
    spikes,
    spread,
    widen,
    within_cell_spread,
)

KNOWN_OR_NOT = st.one_of(st.floats(-1e6, 1e6), st.just(np.nan))


def quiet(seed: int, days: int = 120, cells: int = 8) -> np.ndarray:
    """Return white scatter (t, c) of one unit around 100."""
    return 100.0 + np.random.default_rng(seed).normal(0.0, 1.0, (days, cells))


def none(values: np.ndarray) -> np.ndarray:
    return np.zeros(values.shape, dtype=bool)


@given(
    arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7), elements=KNOWN_OR_NOT)
)
def test_spread_is_the_scaled_median_deviation_of_what_is_known(values):
    for column, got in zip(values.T, spread(values, 0), strict=True):
        known = column[np.isfinite(column)]
        if known.size == 0:
            assert np.isnan(got)
        else:
            assert got == pytest.approx(1.4826 * np.median(np.abs(known - np.median(known))))


@pytest.mark.parametrize(("step", "seed"), [(0.001, 1), (0.005, 2), (0.1, 3), (1.0, 4), (2.5, 5), (10.0, 6)])
def test_the_resolution_is_the_step_that_values_were_rounded_to(step, seed):
    values = np.random.default_rng(seed).normal(0.0, 50.0 * step, 2000)
    assert resolution(np.round(values / step) * step) == pytest.approx(step)
    assert resolution(values) == 0.0
    assert np.isnan(resolution(values[:5]))


def test_a_pile_is_found_at_either_end_and_not_on_a_tail():
    values = quiet(1).ravel().round(2)
    assert pile_ups(values) == ()
    high = pile_ups(np.minimum(values, 101.5))
    assert [(p.end, p.value) for p in high] == [("high", 101.5)]
    assert high[0].rows == (values >= 101.5).sum()
    assert [p.end for p in pile_ups(np.clip(values, 98.5, 101.5))] == ["low", "high"]
    assert pile_ups(np.round(values / 50)) == ()


@pytest.mark.parametrize("days", [8, 20])
def test_a_frozen_sensor_is_found_with_its_days(days):
    values = quiet(2).round(1)
    values[40 : 40 + days, 3] = 100.3
    assert [(p.cell, p.day, p.size) for p in frozen(values)] == [(3, 40, float(days))]


def test_a_coarse_sensor_is_not_frozen():
    assert frozen(np.round(quiet(3) / 2) * 2) == ()


def test_a_held_record_needs_several_signals_to_stand_still():
    signals = [quiet(seed) for seed in range(5)]
    assert held(signals) == ()
    for values in signals[:3]:
        values[50:60, 2] = values[50, 2]
    assert held(signals) == ()
    signals[3][50:60, 2] = 5.0
    assert [(p.cell, p.day, p.size) for p in held(signals)] == [(2, 50, 10.0)]


def test_an_interpolated_run_is_found_and_a_chance_ramp_of_whole_numbers_is_not():
    values = quiet(4).round()
    values[10:16, 1] = [97, 98, 99, 100, 101, 102]
    assert ramps(values) == ()
    values[60:91, 5] = np.linspace(97.3, 103.4, 31)
    assert [(p.cell, p.size) for p in ramps(values)] == [(5, 31.0)]


@pytest.mark.parametrize("seed", range(5))
def test_scatter_alone_has_no_findings(seed):
    values = quiet(seed)
    assert spikes(values, none(values), np.zeros(values.shape)) == ()
    assert shifts(values, none(values), 0.5) == ()
    assert drifts(against_line(values), 0.5) == ()
    assert noisier(values) == ()
    assert scale_jumps(values) == ()


def test_a_spike_is_found_unless_an_event_or_the_least_size_explains_it():
    values = quiet(6)
    values[30, 4] += 25.0
    found = spikes(values, none(values), np.full(values.shape, 5.0))
    assert [(p.cell, p.day) for p in found] == [(4, 30)]
    assert found[0].size == pytest.approx(25.0, abs=4.0)
    eventful = none(values)
    eventful[30, 4] = True
    assert spikes(values, eventful, np.full(values.shape, 5.0)) == ()
    assert spikes(values, none(values), np.full(values.shape, 50.0)) == ()


def test_two_days_out_of_line_are_no_spike():
    values = quiet(7)
    values[30:32, 4] += 25.0
    assert spikes(values, none(values), np.full(values.shape, 5.0)) == ()


def test_a_shift_is_found_with_its_day_and_a_line_wide_one_is_the_lines_own():
    values = quiet(8)
    values[70:, 2] += 6.0
    found = shifts(against_line(values), none(values), 1.0)
    assert [p.cell for p in found] == [2]
    assert abs(found[0].day - 70) <= 2
    assert found[0].size == pytest.approx(6.0, abs=1.0)
    assert shifts(against_line(quiet(8) + 6.0 * (np.arange(120) >= 70)[:, None]), none(values), 1.0) == ()


def test_a_drift_is_found_and_a_step_is_none():
    values = quiet(9)
    values[:, 6] += np.linspace(0.0, 12.0, len(values))
    assert [(p.cell, round(p.size) >= 8) for p in drifts(against_line(values), 1.0)] == [(6, True)]
    stepped = quiet(9)
    stepped[60:, 6] += 12.0
    assert drifts(against_line(stepped), 1.0) == ()


def test_another_scale_from_some_day_on_is_found_with_its_ratio():
    values = quiet(10)
    values[50:, 1] /= 1000.0
    found = scale_jumps(values)
    assert [p.cell for p in found] == [1]
    assert found[0].size == pytest.approx(1e-3, rel=0.05)


def test_more_scatter_is_found_beside_its_line_only():
    values = quiet(11)
    values[70:, 0] += np.random.default_rng(1).normal(0.0, 6.0, 50)
    assert [p.cell for p in noisier(values)] == [0]
    everywhere = quiet(11)
    everywhere[70:] += np.random.default_rng(1).normal(0.0, 6.0, (50, 8))
    assert noisier(everywhere) == ()


def test_nothing_known_is_no_finding():
    values = np.full((60, 6), np.nan)
    assert pile_ups(values) == frozen(values) == ramps(values) == scale_jumps(values) == noisier(values) == ()
    assert spikes(values, none(values), np.ones(values.shape)) == shifts(values, none(values), 1.0) == ()
    assert drifts(values, 1.0) == ()
    assert most_common(values)[1] == 0.0
    assert np.isnan(within_cell_spread(values))


@pytest.mark.parametrize("days", [1, 2, 5])
def test_a_short_record_is_no_finding(days):
    values = quiet(12, days=days)
    assert frozen(values) == ramps(values) == scale_jumps(values) == noisier(values) == ()
    assert shifts(values, none(values), 1.0) == drifts(values, 1.0) == ()
    assert spikes(values, none(values), np.ones(values.shape)) == ()


def test_days_around_a_mark_are_marked_in_its_column_only():
    flags = np.zeros((9, 2), dtype=bool)
    flags[4, 0] = True
    assert np.flatnonzero(widen(flags, 1, 2)[:, 0]).tolist() == [3, 4, 5, 6]
    assert not widen(flags, 1, 2)[:, 1].any()
