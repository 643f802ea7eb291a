import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.windows import WINDOWS, Ring, Summary


def filled(days: NDArray[np.float64]) -> Ring:
    """Return a ring that has seen ``days`` (t, s, c) in order."""
    ring = Ring(days.shape[1], days.shape[2])
    for day in days:
        ring.push(day)
    return ring


def gappy(days: int, series: int, cells: int, seed: int, missing: float) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    values = 950.0 + 10.0 * rng.standard_normal((days, series, cells))
    return np.where(rng.random(values.shape) < missing, np.nan, values)


@given(
    days=st.integers(1, 45),
    cells=st.integers(1, 5),
    seed=st.integers(0, 10**6),
    missing=st.sampled_from([0, 0.3, 0.9]),
)
@settings(max_examples=40, deadline=None)
def test_statistics_are_those_of_a_plain_computation(
    days: int, cells: int, seed: int, missing: float
) -> None:
    values = gappy(days, 2, cells, seed, missing)
    summary = filled(values).summary()
    for series in range(2):
        for cell in range(cells):
            for window in WINDOWS:
                check(values[-window:, series, cell], summary, (series, cell), window)


def check(seen: NDArray[np.float64], summary: Summary, where: tuple[int, int], window: int) -> None:
    known = seen[np.isfinite(seen)]
    time = np.arange(len(seen), dtype=float)[np.isfinite(seen)]
    assert summary.count[window][where] == len(known)
    mean, std, slope = (table[window][where] for table in (summary.mean, summary.std, summary.slope))
    assert np.isfinite(mean) == (len(known) >= max(1, window // 4))
    assert np.isfinite(std) == (len(known) >= max(2, window // 4))
    assert np.isfinite(slope) == (len(known) >= max(3, window // 4))
    if np.isfinite(mean):
        assert mean == pytest.approx(known.mean(), rel=1e-12)
        assert summary.total[window][where] == pytest.approx(known.sum(), rel=1e-12)
    if np.isfinite(std):
        assert std == pytest.approx(known.std(ddof=1), rel=1e-6, abs=1e-9)
    if np.isfinite(slope):
        assert slope == pytest.approx(np.polyfit(time, known, 1)[0], rel=1e-6, abs=1e-9)


def test_last_and_age_are_the_newest_known_value() -> None:
    values = np.full((10, 1, 2), np.nan)
    values[3, 0, 0], values[9, 0, 1] = 7.0, 8.0
    summary = filled(values).summary()
    assert summary.last[0].tolist() == [7.0, 8.0]
    assert summary.age[0].tolist() == [6.0, 0.0]


def test_a_constant_has_no_spread_and_no_slope_at_all() -> None:
    summary = filled(np.full((28, 1, 1), 3.8512345)).summary()
    assert summary.std[28][0, 0] == 0.0
    assert summary.slope[28][0, 0] == 0.0
    assert summary.mean[28][0, 0] == 3.8512345


def test_what_is_older_than_the_memory_is_forgotten() -> None:
    values = np.full((29, 1, 1), np.nan)
    values[0] = 5.0
    assert np.isnan(filled(values).summary().last).all()
    assert filled(values[:28]).summary().last[0, 0] == 5.0


@given(
    cells=st.integers(1, 33),
    seed=st.integers(0, 10**6),
    missing=st.sampled_from([0.0, 0.4]),
    pick=st.integers(0, 32),
)
@settings(max_examples=40, deadline=None)
def test_one_cell_alone_gives_the_same_bits(cells: int, seed: int, missing: float, pick: int) -> None:
    values = gappy(35, 3, cells, seed, missing)
    cell = pick % cells
    together, alone = filled(values).summary(), filled(values[:, :, cell : cell + 1]).summary()
    for name in ("mean", "std", "slope", "total"):
        for window in WINDOWS:
            assert (
                getattr(together, name)[window][:, cell].tobytes()
                == getattr(alone, name)[window][:, 0].tobytes()
            )


def test_forgetting_a_cell_leaves_the_others() -> None:
    ring = filled(np.ones((5, 1, 2)))
    ring.forget(np.array([True, False]))
    assert np.isnan(ring.summary().last[0, 0])
    assert ring.summary().count[7][0].tolist() == [0.0, 5.0]
    assert np.isnan(ring.at(28)).all()
