import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import SettingsError
from features.labels import LabelTable, label_table
from tests.fakes import columns as record
from training.splits import MATURE, YOUNG, cell_folds, months, regimes, time_split


def table(seed: int, days: int = 90) -> LabelTable:
    return label_table(record.history(3, days, seed))


@given(seed=st.integers(0, 10**6), first=st.floats(0.2, 0.6), second=st.floats(0.1, 0.3))
@settings(max_examples=15, deadline=None)
def test_nothing_is_used_before_it_was_known(seed: int, first: float, second: float) -> None:
    labels = table(seed, 60)
    split = time_split(labels, (first, second, 1.0 - first - second))
    for name, values in labels.values.items():
        train, calibration, test = split.train[name], split.calibration[name], split.test[name]
        for rows in (train, calibration, test):
            assert np.isfinite(values[rows]).all()
        assert (labels.known_on[name][train] < split.calibration_from).all()
        assert (labels.date[calibration] >= split.calibration_from).all()
        assert (labels.known_on[name][calibration] < split.test_from).all()
        assert (labels.date[test] >= split.test_from).all()
        kept = len(train) + len(calibration) + len(test)
        assert kept + split.purged[name] == np.isfinite(values).sum()
        assert len(np.unique(np.concatenate([train, calibration, test]))) == kept


def test_every_row_that_was_known_is_used() -> None:
    labels = table(1)
    split = time_split(labels)
    known = np.isfinite(labels.outcome("energy_kwh_per_t"))
    early = known & (labels.known_on["energy_kwh_per_t"] < split.calibration_from)
    np.testing.assert_array_equal(split.train["energy_kwh_per_t"], np.flatnonzero(early))
    dates = np.unique(labels.date[known])
    assert abs(np.mean(dates < split.calibration_from) - 0.6) < 0.05
    # Energy is known twenty days after the decision, noise six: the purge differs by outcome.
    assert split.purged["energy_kwh_per_t"] > split.purged["mean_noise_mv"] > 0


def test_order_of_rows_does_not_matter() -> None:
    labels = table(2)
    order = np.random.default_rng(0).permutation(len(labels))
    split, mixed = time_split(labels), time_split(labels.take(order))
    assert mixed.calibration_from == split.calibration_from
    for name, rows in split.test.items():
        np.testing.assert_array_equal(np.sort(order[mixed.test[name]]), rows)


@pytest.mark.parametrize("fractions", [(0.6, 0.2, 0.1), (1.0, 0.0, 0.0), (0.5, -0.1, 0.6)])
def test_fractions_must_make_a_whole(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(SettingsError, match="sum to 1"):
        time_split(table(3), fractions)


def test_too_short_a_record_is_refused() -> None:
    with pytest.raises(SettingsError, match="three blocks"):
        time_split(label_table(record.history(2, 3, seed=1), horizon=2))


@given(seed=st.integers(0, 100), folds=st.integers(2, 6), cells=st.integers(6, 20))
@settings(max_examples=30, deadline=None)
def test_cells_stay_whole_and_folds_are_even(seed: int, folds: int, cells: int) -> None:
    cell = np.random.default_rng(seed).integers(0, cells, 600)
    fold = cell_folds(cell, folds, seed)
    np.testing.assert_array_equal(fold, cell_folds(cell, folds, seed))
    assert set(fold) == set(range(folds))
    counts = np.bincount(cell)
    for one in range(cells):
        assert len(set(fold[cell == one])) <= 1
    assert np.ptp(np.bincount(fold)) <= counts.max()


def test_folds_follow_the_seed_and_need_cells() -> None:
    cell = np.repeat(np.arange(12), 10)
    assert any((cell_folds(cell, 3, 0) != cell_folds(cell, 3, seed)).any() for seed in range(1, 5))
    with pytest.raises(SettingsError, match="12 cells"):
        cell_folds(cell, 13, 0)


def test_regimes_and_months() -> None:
    assert regimes(np.array([119.9, 120.0, np.nan])).tolist() == [YOUNG, MATURE, MATURE]
    assert months(np.array(["2025-03-31", "2025-04-01"], dtype="datetime64[D]")).astype(str).tolist() == [
        "2025-03",
        "2025-04",
    ]
