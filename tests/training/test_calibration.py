"""Intervals hold what they promise on new rows; the support score is a share and sees a reckless move."""

import numpy as np
import pytest

from training.calibration import Residuals, SupportRows, calibrate, fit_support
from training.confidence import Interval, SupportView
from training.estimators.task import Task
from training.rows import LeverPlace
from training.structures import Constant

AGE = 0


def _rows(seed: int, n: int = 3000, *, young: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    age = np.where(rng.random(n) < young, rng.uniform(10, 110, n), rng.uniform(150, 900, n))
    z = np.stack([age, rng.normal(size=n)], axis=1)
    spread = np.where(age < 120, 3.0, 1.0) * np.exp(0.8 * z[:, 1])  # wider in young cells and along column 1
    return z, spread, rng.normal(size=n) * spread


def _interval(seed: int, coverage: float = 0.9, *, young: float = 0.3) -> Interval:
    z, _, error = _rows(seed, young=young)
    date = np.repeat(np.datetime64("2025-01-01", "D") + np.arange(len(z) // 10), 10)
    task = Task("energy", z, error, date, np.ones((len(z), 1)), np.ones(2, dtype=bool), (), 0)
    residuals = Residuals(error, np.arange(len(z)) * 4 // len(z), z[:, AGE] >= 120, len(z))
    return calibrate(task, residuals, coverage, (AGE, 120.0))


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_new_rows_are_covered_as_promised_in_both_regimes(coverage: float) -> None:
    interval = _interval(1, coverage)
    z, _, error = _rows(2, n=20_000)
    inside = np.abs(error) <= interval.half_width(z)
    assert inside.mean() == pytest.approx(coverage, abs=0.025)
    for mask in (z[:, AGE] < 120, z[:, AGE] >= 120):
        assert inside[mask].mean() == pytest.approx(coverage, abs=0.035)


def test_the_interval_is_wider_where_errors_are_larger() -> None:
    interval = _interval(1)
    z, spread, _ = _rows(3)
    assert np.corrcoef(interval.half_width(z), spread)[0, 1] > 0.7


def test_where_errors_are_alike_everywhere_one_width_serves() -> None:
    rng = np.random.default_rng(6)
    z = np.stack([np.full(2000, 500.0), rng.normal(size=2000)], axis=1)
    error = rng.normal(size=2000)
    date = np.repeat(np.datetime64("2025-01-01", "D") + np.arange(200), 10)
    task = Task("energy", z, error, date, np.ones((2000, 1)), np.ones(2, dtype=bool), (), 0)
    residuals = Residuals(error, np.arange(2000) // 500, np.ones(2000, dtype=bool), 2000)
    interval = calibrate(task, residuals, 0.9, (AGE, 120.0))
    assert isinstance(interval.scale, Constant)
    assert interval.half_width(z)[0] == pytest.approx(1.645, abs=0.1)


def test_an_unknown_age_counts_as_young() -> None:
    interval = _interval(1)
    z = np.array([[np.nan, 0.0], [50.0, 0.0]])
    ratio = interval.half_width(z) / np.array([interval.q["young"]] * 2)
    assert ratio[0] > 0
    assert interval.q["young"] != interval.q["mature"]


def test_a_regime_that_was_never_seen_is_wider_than_any_that_was() -> None:
    interval = _interval(1, young=0.0)
    assert interval.q["young"] == 2 * interval.q["mature"]


def test_one_block_alone_is_calibrated_too() -> None:
    z, _, error = _rows(4)
    date = np.repeat(np.datetime64("2025-01-01", "D") + np.arange(300), 10)
    task = Task("energy", z, error, date, np.ones((len(z), 1)), np.ones(2, dtype=bool), (), 0)
    residuals = Residuals(error, np.zeros(len(z), dtype=np.int64), z[:, AGE] >= 120, 100)
    interval = calibrate(task, residuals, 0.9, (AGE, 120.0))
    fresh, _, errors = _rows(5, n=10_000)
    assert (np.abs(errors) <= interval.half_width(fresh)).mean() > 0.87


@pytest.mark.parametrize("change", [{"q": {"mature": 1.0}}, {"floor": 0.0}, {"coverage": 1.5}])
def test_a_broken_interval_is_refused(change: dict[str, object]) -> None:
    parts = {
        "scale": Constant(np.ones(1)), "floor": 0.1, "q": {"young": 2.0, "mature": 1.0},
        "age_column": 0, "mature_from_d": 120.0, "coverage": 0.9,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"regimes|floor|coverage"):
        Interval(**{**parts, **change})


LEVER = LeverPlace("set_voltage_v", 4, 5, 6)


def _state(seed: int, n: int = 2500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    last = 3.9 + rng.normal(0, 0.03, n)
    move = np.where(rng.random(n) < 0.15, rng.normal(0, 0.01, n), 0.0)
    state = rng.normal(size=(n, 4))
    state[rng.random(n) < 0.2, 3] = np.nan
    return np.concatenate([state, np.stack([last + move, last, move], axis=1)], axis=1)


def _support(seed: int = 0):
    rows = SupportRows(_state(seed), _state(seed + 1))
    return fit_support(rows, np.ones(7, dtype=bool), (LEVER,), 0.02, seed)


def test_each_view_is_the_share_of_rows_at_least_as_far() -> None:
    later = _state(9)
    for view in _support().views:
        score = view.score(later)
        for level in (0.1, 0.5, 0.9):
            assert (score <= level).mean() == pytest.approx(level, abs=0.05)
        assert score.min() >= 0
        assert score.max() <= 1


def test_few_sound_rows_are_called_unsupported() -> None:
    support = _support()
    assert (support.score(_state(5)) < support.threshold).mean() < 0.08


def test_a_reckless_move_is_unsupported_though_all_else_is_usual() -> None:
    support = _support()
    z = np.tile(np.array([[0.0, 0.0, 0.0, 0.0, 3.9, 3.9, 0.0]]), (2, 1))
    z[1, [4, 6]] += 0.12  # a dozen usual moves at once
    usual, reckless = support.score(z)
    assert usual > 0.3
    assert reckless < support.threshold


def test_a_state_never_seen_is_unsupported() -> None:
    support = _support()
    far = np.array([[8.0, -8.0, 8.0, 0.0, 3.9, 3.9, 0.0]])
    assert support.score(far)[0] == 0.0


def test_prototypes_repeat_with_the_seed() -> None:
    assert _support(3) == _support(3)
    assert _support(3) != _support(4)


def test_a_table_that_is_not_monotone_is_refused() -> None:
    one = np.ones(1)
    parts = (np.array([0]), one, one, one, np.ones((1, 1)))
    with pytest.raises(ValueError, match="increase"):
        SupportView(*parts, np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="distance"):
        SupportView(*parts, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
