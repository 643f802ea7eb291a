from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features import metal_balance
from features.errors import SettingsError
from features.metal_balance import PRACTICAL_ALUMINA_KG_PER_KG, BalanceDay, BalanceSettings

SETTINGS = BalanceSettings(kg_per_mm=143.0, production_guess_kg_d=3700.0)
Floats = NDArray[np.float64]


def days_of(
    level: Floats, tap: Floats, alumina: Floats | None = None, load: Floats | None = None
) -> BalanceDay:
    """Return a record (t, c) without restarts."""
    return BalanceDay(
        level,
        tap,
        np.full(level.shape, np.nan) if alumina is None else alumina,
        np.ones(level.shape) if load is None else load,
        np.zeros(level.shape, dtype=bool),
    )


def gappy(days: int, cells: int, seed: int) -> BalanceDay:
    rng = np.random.default_rng(seed)
    shape = (days, cells)

    def holes(values: Floats, share: float) -> Floats:
        return np.where(rng.random(shape) < share, np.nan, values)

    level = 210.0 + 8.0 * rng.standard_normal(shape)
    level[0] = 210.0
    record = days_of(
        np.vstack([level[:1], holes(level, 0.3)[1:]]),
        holes(3700.0 + 150.0 * rng.standard_normal(shape), 0.1),
        holes(7200.0 + 100.0 * rng.standard_normal(shape), 0.2),
        np.where(rng.random(shape) < 0.1, 0.5, 1.0 + 0.01 * rng.standard_normal(shape)),
    )
    return record


def posterior_mean_of_production(record: BalanceDay, last: int, cell: int) -> Floats:
    """Return each day's production given days 0..last, by conditioning one joint Gaussian: the oracle.

    States of all days are stacked; the prior, the steps and the readings are rows of one weighted least squares.
    """
    rows: list[tuple[dict[int, float], float, float]] = []
    s = SETTINGS
    level, tap, alumina, load = (
        getattr(record, name)[:, cell] for name in ("level_mm", "tap_kg", "alumina_kg", "load")
    )
    for unknown, value, spread in (
        (0, level[0] * s.kg_per_mm, s.level_noise_mm * s.kg_per_mm),
        (1, s.production_guess_kg_d, s.guess_noise_kg_d),
        (2, 0.0, s.feed_bias_noise_kg_d),
    ):
        rows.append(({unknown: 1.0}, value, spread))
    for day in range(last + 1):
        at = 3 * day
        if day:
            if np.isfinite(tap[day]):
                rows.append(({at: 1.0, at - 3: -1.0, at - 2: -load[day]}, -tap[day], s.mass_noise_kg))
            else:
                rows.append(({at: 1.0, at - 3: -1.0}, 0.0, s.unknown_tap_noise_kg))
            rows.append(({at + 1: 1.0, at - 2: -1.0}, 0.0, s.production_walk_kg))
            rows.append(({at + 2: 1.0, at - 1: -1.0}, 0.0, s.feed_walk_kg))
            if np.isfinite(level[day]):
                rows.append(({at: 1.0}, level[day] * s.kg_per_mm, s.level_noise_mm * s.kg_per_mm))
        if np.isfinite(alumina[day]) and load[day] > 0.7:
            metal = alumina[day] / load[day] / PRACTICAL_ALUMINA_KG_PER_KG
            rows.append(({at + 1: 1.0, at + 2: 1.0}, metal, s.feed_noise_kg_d))
    matrix, values = np.zeros((len(rows), 3 * (last + 1))), np.zeros(len(rows))
    for i, (coefficients, value, spread) in enumerate(rows):
        for place, coefficient in coefficients.items():
            matrix[i, place] = coefficient / spread
        values[i] = value / spread
    return np.linalg.lstsq(matrix, values, rcond=None)[0][1::3]


@given(days=st.integers(9, 22), seed=st.integers(0, 10**6), reach=st.integers(0, 8))
@settings(max_examples=10, deadline=None)
def test_filter_and_smoother_condition_on_just_what_they_may_see(days: int, seed: int, reach: int) -> None:
    record = gappy(days, 2, seed)
    filtered = metal_balance.run_filter(record, SETTINGS)
    metal, last = metal_balance.smoothed_production(filtered, 7, reach)
    for cell in range(2):
        causal = [posterior_mean_of_production(record, day, cell)[-1] for day in range(0, days, 3)]
        np.testing.assert_allclose(filtered.updated.mean[::3, 1, cell], causal, rtol=1e-6)
        for first in range(0, days - 6, 3):
            known = posterior_mean_of_production(record, int(last[first]), cell)
            expected = np.sum(record.load[first : first + 7, cell] * known[first : first + 7])
            assert metal[first, cell] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(metal[days - 6 :]).all()


@given(cells=st.integers(1, 19), seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_filter_gives_one_cell_the_same_bits(cells: int, seed: int) -> None:
    record = gappy(15, cells, seed)
    together = metal_balance.run_filter(record, SETTINGS)
    for cell in {0, cells - 1}:
        one = BalanceDay(*(getattr(record, name)[:, [cell]] for name in BalanceDay.__dataclass_fields__))
        alone = metal_balance.run_filter(one, SETTINGS)
        assert alone.updated.mean.tobytes() == together.updated.mean[:, :, [cell]].tobytes()


def line_with_truth(extra_tap: float, seed: int) -> tuple[BalanceDay, Floats]:
    """Return ninety days of ten cells that make 3,700 kg/d, over-tapped by ``extra_tap`` from day 40 to 54."""
    rng = np.random.default_rng(seed)
    shape = (90, 10)
    made = 3700.0 + 15.0 * rng.standard_normal(shape)
    tap = 3700.0 + 30.0 * rng.standard_normal(shape)
    tap[40:54] += extra_tap
    mass = 30000.0 + np.cumsum(made - tap, axis=0)
    level = mass / SETTINGS.kg_per_mm + 6.0 * rng.standard_normal(shape)
    alumina = 1.96 * made + 80.0 * rng.standard_normal(shape)
    return days_of(level, tap, alumina), made


def test_tapping_more_is_no_production() -> None:
    """The label that this replaces, tapped mass, would rise by the whole extra tap."""
    for with_alumina in (True, False):
        record, made = line_with_truth(extra_tap=150.0, seed=1)
        plain, _ = line_with_truth(extra_tap=0.0, seed=1)
        if not with_alumina:
            record, plain = (replace(each, alumina_kg=np.full((90, 10), np.nan)) for each in (record, plain))
        found, without = (
            metal_balance.smoothed_production(metal_balance.run_filter(each, SETTINGS), 7, 14)[0] / 7
            for each in (record, plain)
        )
        assert np.abs(found[43] - without[43]).max() < 1.0
        assert found[43].mean() == pytest.approx(made[43:50].mean(), rel=0.02)


def test_a_gain_in_production_is_found_within_the_horizon() -> None:
    record, _ = line_with_truth(0.0, seed=2)
    gained = record.alumina_kg.copy()
    gained[45:] *= 1.02
    level = record.level_mm.copy()
    level[45:] += (np.arange(45)[:, None] + 1.0) * 0.02 * 3700.0 / SETTINGS.kg_per_mm
    better = replace(record, alumina_kg=gained, level_mm=level)
    found, before = (
        metal_balance.smoothed_production(metal_balance.run_filter(each, SETTINGS), 7, 14)[0] / 7
        for each in (better, record)
    )
    gain = (found / before - 1.0).mean(axis=1)
    assert gain[45] == pytest.approx(0.02, abs=0.008)
    assert abs(gain[20]) < 0.001


def test_a_restart_starts_over_and_cuts_the_smoother() -> None:
    record = gappy(30, 1, seed=3)
    anew = record.restarted.copy()
    anew[15] = True
    level = record.level_mm.copy()
    level[15:] = level[15:] + 100.0
    level[15] = 310.0
    filtered = metal_balance.run_filter(replace(record, restarted=anew, level_mm=level), SETTINGS)
    assert filtered.begun[[0, 15]].all()
    assert filtered.begun.sum() == 2
    assert filtered.updated.mean[15, 0, 0] == pytest.approx(310.0 * SETTINGS.kg_per_mm)
    plain = metal_balance.run_filter(
        BalanceDay(*(getattr(record, name)[:15] for name in BalanceDay.__dataclass_fields__)), SETTINGS
    )
    cut, _ = metal_balance.smoothed_production(filtered, 7, 14)
    whole, _ = metal_balance.smoothed_production(plain, 7, 14)
    np.testing.assert_allclose(cut[:9], whole[:9], rtol=1e-9)


def test_loads_and_restarts() -> None:
    from tests.fakes.columns import plant

    current, minutes = np.array([500.0, 250.0, np.nan]), np.array([720.0, np.nan, 1440.0])
    assert metal_balance.load(current, minutes, plant()).tolist() == [0.5, 0.5, 1.0]
    age = np.array([10.0, 494.0, 0.0, np.nan])
    before = np.array([9.0, 500.0, 500.0, 500.0])
    assert metal_balance.restarted(age, before).tolist() == [False, False, True, False]


@pytest.mark.parametrize("name", ["kg_per_mm", "level_noise_mm", "feed_walk_kg"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_settings_must_be_above_zero(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        replace(SETTINGS, **{name: value})


def test_the_fixed_interval_smoother_sums_to_the_horizons() -> None:
    filtered = metal_balance.run_filter(gappy(40, 3, 5), SETTINGS)
    daily = filtered.load * metal_balance.smoothed_days(filtered)
    metal, _ = metal_balance.smoothed_production(filtered, 40, 0)
    np.testing.assert_allclose(daily.sum(axis=0), metal[0], rtol=1e-10)


def test_a_jump_that_was_announced_is_not_spread_over_its_neighbours() -> None:
    rng = np.random.default_rng(3)
    made = np.where(np.arange(70) < 40, 3700.0, 3850.0)[:, None] * np.ones((1, 400))
    tap = np.full(made.shape, 3750.0)
    level = 210.0 + np.cumsum(made - tap, axis=0) / SETTINGS.kg_per_mm + 3.0 * rng.standard_normal(made.shape)
    fed = made * PRACTICAL_ALUMINA_KG_PER_KG + 80.0 * rng.standard_normal(made.shape)
    record = days_of(level, tap, fed)
    told = metal_balance.smoothed_days(metal_balance.run_filter(record, SETTINGS, {40: 400.0})).mean(axis=1)
    untold = metal_balance.smoothed_days(metal_balance.run_filter(record, SETTINGS)).mean(axis=1)
    assert told[40] - told[39] == pytest.approx(150.0, abs=8.0)
    assert untold[40] - untold[39] < 60.0
