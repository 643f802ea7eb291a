import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import InputError, SearchError, SettingsError, UnknownNameError
from features.levers import default_levers, default_limits
from features.setpoints import JointLimit, Lever, OperatingWindow
from tests.fakes.columns import plant

Floats = NDArray[np.float64]


def small_window(limits: tuple[JointLimit, ...] | None = None) -> OperatingWindow:
    """Return three levers with few grid points each, so that every setting can be listed."""
    levers = (
        Lever("set_voltage_v", "V", 3.80, 4.00, 0.01, 0.02, 0.04, "voltage"),
        Lever("alf3_dose_kg_d", "kg/d", 0.0, 100.0, 5.0, 10.0, 20.0, "chemistry"),
        Lever("tap_target_kg", "kg", 3400.0, 4000.0, 30.0, 60.0, 120.0, "metal"),
    )
    return OperatingWindow(levers, default_limits(levers) if limits is None else limits)


WINDOW = small_window()
FULL = OperatingWindow(default_levers(plant()), default_limits(default_levers(plant())))

currents = st.tuples(st.floats(3.7, 4.1), st.floats(0.0, 110.0), st.floats(3350.0, 4050.0)).map(
    lambda values: np.array(values)
)
targets = st.lists(
    st.tuples(st.floats(3.0, 5.0), st.floats(-50.0, 200.0), st.floats(2000.0, 5000.0)), min_size=1, max_size=6
).map(lambda rows: np.array(rows))


def every_setting(window: OperatingWindow, current: Floats) -> Floats:
    points = np.array(list(itertools.product(*window.grid(current))))
    return points[window.feasible(current, points)]


@given(current=currents, target=targets)
@settings(max_examples=60, deadline=None)
def test_projection_is_feasible_idempotent_and_nearest(current: Floats, target: Floats) -> None:
    projected = WINDOW.project(current, target)
    assert WINDOW.feasible(current, projected).all()
    np.testing.assert_array_equal(WINDOW.project(current, projected), projected)
    step = np.array([lever.max_daily_step for lever in WINDOW.levers])
    settings_of = every_setting(WINDOW, current)
    for found, wanted in zip(projected, target, strict=True):
        best = np.min(np.sum(((settings_of - wanted) / step) ** 2, axis=1))
        assert np.sum(((found - wanted) / step) ** 2) <= best * (1 + 1e-9) + 1e-6


@given(current=currents)
@settings(max_examples=60, deadline=None)
def test_holding_is_always_feasible_and_no_move_at_all(current: Floats) -> None:
    assert WINDOW.feasible(current, current)[0]
    np.testing.assert_array_equal(WINDOW.project(current, current)[0], current)
    assert WINDOW.path(current, current) == ()
    assert WINDOW.binding(current, current) == ()
    for value, values in zip(current, WINDOW.grid(current), strict=True):
        assert value in values
        assert (np.diff(values) > 0).all()


@given(current=currents)
@settings(max_examples=60, deadline=None)
def test_grid_keeps_window_and_bounds_and_never_makes_a_broken_bound_worse(current: Floats) -> None:
    for value, lever, values in zip(current, WINDOW.levers, WINDOW.grid(current), strict=True):
        assert np.abs(values - value).max() <= lever.window + 1e-6 * lever.resolution
        assert values.min() >= min(lever.low, value) - 1e-6 * lever.resolution
        assert values.max() <= max(lever.high, value) + 1e-6 * lever.resolution
        moves = (values - value) / lever.resolution
        assert np.abs(moves - np.round(moves)).max() < 1e-3


@given(current=currents, target=targets, hold=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_a_path_takes_one_group_a_day_in_small_steps_and_arrives(
    current: Floats, target: Floats, hold: int
) -> None:
    there = WINDOW.project(current, target)[0]
    path = WINDOW.path(current, there, hold_days=hold)
    before = current
    last_group, held = None, 0
    for number, stage in enumerate(path):
        now = np.array(stage.levers)
        assert stage.day == number
        moved = {lever.group for lever, a, b in zip(WINDOW.levers, before, now, strict=True) if a != b}
        if stage.group is None:
            assert not moved
            held += 1
        else:
            assert moved == {stage.group}
            assert last_group in (None, stage.group) or held == hold
            last_group, held = stage.group, 0
        for lever, a, b in zip(WINDOW.levers, before, now, strict=True):
            assert abs(b - a) <= lever.max_daily_step + 1e-6 * lever.resolution
        assert WINDOW.within_limits(current, now[None])[0]
        before = now
    np.testing.assert_array_equal(before, there)


@given(target=st.lists(st.floats(-2.0, 2.0), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_default_window_projects_and_stages_four_levers(target: list[float]) -> None:
    current = np.array([3.900, 50.0, 3800.0, 7200.0])
    reach = np.array([lever.window for lever in FULL.levers])
    there = FULL.project(current, current + np.array(target)[None] * reach)
    assert FULL.feasible(current, there)[0]
    path = FULL.path(current, there[0])
    assert len(path) <= 2 * 4
    if path:
        np.testing.assert_array_equal(np.array(path[-1].levers), there[0])


def test_full_steps_reach_a_full_window_in_two_days() -> None:
    current = np.array([3.90, 50.0, 3800.0])
    path = WINDOW.path(current, np.array([3.86, 50.0, 3920.0]), hold_days=1)
    assert [(stage.group, stage.levers[0], stage.levers[2]) for stage in path] == [
        ("voltage", 3.88, 3800.0),
        ("voltage", 3.86, 3800.0),
        (None, 3.86, 3800.0),
        ("metal", 3.86, 3860.0),
        ("metal", 3.86, 3920.0),
    ]


def test_cooling_twice_is_limited_and_named() -> None:
    current = np.array([3.90, 50.0, 3800.0])
    both = np.array([3.86, 70.0, 3800.0])
    assert not WINDOW.feasible(current, both)[0]
    found = WINDOW.project(current, both[None])[0]
    # The budget of one window is shared; the grid's nearest point keeps most of the voltage or of the dose.
    assert (3.90 - found[0]) / 0.04 + (found[1] - 50.0) / 20.0 <= 1.0 + 1e-9
    assert "heat_balance_cooling" in WINDOW.binding(current, found)
    assert WINDOW.feasible(current, np.array([3.86, 50.0, 3800.0]))[0]
    # Less voltage with less AlF3 balances.
    assert WINDOW.feasible(current, np.array([3.86, 30.0, 3800.0]))[0]
    assert WINDOW.binding(current, np.array([3.86, 30.0, 3800.0])) == (
        "set_voltage_v.low",
        "alf3_dose_kg_d.low",
    )


def test_a_limit_on_values_that_is_broken_already_may_only_get_better() -> None:
    limit = JointLimit("dose_by_voltage", 60.0, values={"alf3_dose_kg_d": 1.0})
    window = small_window((limit,))
    current = np.array([3.9, 80.0, 3800.0])
    doses = every_setting(window, current)[:, 1]
    assert doses.max() == 80.0
    assert doses.min() == 60.0
    A, b = window.matrix(current)
    np.testing.assert_array_equal(A, [[0.0, 1.0, 0.0]])
    assert b.tolist() == [80.0]


def test_a_path_goes_round_a_limit_or_says_that_there_is_none() -> None:
    # Dose may rise only while the voltage is up, and the voltage may not pass the dose: they climb in turns.
    ladder = (
        JointLimit("dose_after_voltage", 0.5, moves={"alf3_dose_kg_d": 0.05, "set_voltage_v": -25.0}),
        JointLimit("voltage_after_dose", 0.5, moves={"alf3_dose_kg_d": -0.05, "set_voltage_v": 25.0}),
    )
    window = small_window(ladder)
    current = np.array([3.90, 50.0, 3800.0])
    path = window.path(current, np.array([3.94, 70.0, 3800.0]))
    assert [stage.group for stage in path] == ["voltage", "chemistry", "chemistry", "voltage"]
    tight = small_window(tuple(replace(limit, bound=0.1) for limit in ladder))
    with pytest.raises(SearchError, match="no order of the groups"):
        tight.path(current, np.array([3.94, 70.0, 3800.0]))
    with pytest.raises(InputError, match="project it first"):
        window.path(current, np.array([3.905, 50.0, 3800.0]))


def test_a_float32_current_is_on_its_own_grid() -> None:
    current = np.array([3.85, 47.0, 3790.0], dtype=np.float32).astype(float)
    moved = WINDOW.project(current, np.array([[3.87, 52.0, 3820.0]]))
    assert WINDOW.feasible(current, moved)[0]
    assert moved[0, 0] == pytest.approx(3.87, abs=1e-6)


def test_default_levers_fit_the_plant() -> None:
    small = replace(plant(), line_current_ka=250.0)
    tap = {lever.name: lever for lever in default_levers(small)}["tap_target_kg"]
    assert (tap.low, tap.high) == (1500.0, 2300.0)
    volts, _, tap, feed = default_levers(plant())
    assert (volts.low, volts.high, volts.resolution, volts.max_daily_step, volts.window) == (
        3.75,
        4.25,
        0.002,
        0.02,
        0.04,
    )
    assert (tap.low, tap.high) == (3000.0, 4600.0)
    assert 0.9 * 7152 - 25 < feed.low < 0.9 * 7152 + 25
    assert all("[" in lever.source for lever in default_levers(plant()))
    assert all("[B]" in limit.source for limit in default_limits(default_levers(plant())))
    assert default_limits((volts, tap)) == ()


@pytest.mark.parametrize(
    "change",
    [{"low": 5.0}, {"resolution": 0.0}, {"max_daily_step": 0.001}, {"window": 0.01}, {"high": float("nan")}],
)
def test_contradictory_levers_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="set_voltage_v"):
        replace(WINDOW.levers[0], **change)


def test_unknown_names_and_shapes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="set_voltage"):
        WINDOW.lever("set_voltage")
    with pytest.raises(UnknownNameError, match="not offered"):
        OperatingWindow(WINDOW.levers[:1], (JointLimit("x", 1.0, moves={"alf3_dose_kg_d": 1.0}),))
    with pytest.raises(SettingsError, match="once"):
        OperatingWindow((WINDOW.levers[0], WINDOW.levers[0]))
    with pytest.raises(SettingsError, match="levers"):
        JointLimit("empty", 1.0)
    with pytest.raises(InputError, match="3 finite numbers"):
        WINDOW.grid(np.array([3.9, np.nan, 3800.0]))
    with pytest.raises(InputError, match="project"):
        WINDOW.project(np.array([3.9, 50.0, 3800.0]), np.array([[3.9, np.inf, 3800.0]]))
