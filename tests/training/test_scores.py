"""Errors, their intervals, and the draws behind them."""

import numpy as np
import pytest

from training.bootstrap import blocks, member_weights
from training.scores import block_draws, coverage, interval, mae, r2, score

START = np.datetime64("2025-01-01", "D")


def _keys(cells: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    return np.tile(np.arange(cells), days), np.repeat(START + np.arange(days), cells)


def test_errors_are_what_a_book_says() -> None:
    y, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0])
    assert mae(y, predicted) == pytest.approx(1.0)
    assert r2(y, predicted) == pytest.approx(1 - 5 / (14 / 3))
    assert np.isnan(r2(np.ones(3), predicted))


def test_the_interval_holds_the_truth_as_often_as_it_says_where_rows_repeat_each_other() -> None:
    cells, days = 12, 84
    cell, date = _keys(cells, days)
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shared = rng.exponential(1.0, size=(days // 14, cells))  # one error a cell and fortnight
        error = np.repeat(shared, 14, axis=0).ravel()
        # blocks are aligned to the calendar, the errors to the start: close enough for a share
        found = score(error, np.zeros(len(error)), block_draws(cell, date, seed))
        held += found.mae_low <= 1.0 <= found.mae_high
    assert 48 <= held <= 60


def test_a_score_far_from_zero_keeps_its_digits() -> None:
    cell, date = _keys(6, 70)
    rng = np.random.default_rng(0)
    y = rng.normal(size=len(cell))
    predicted = y + rng.normal(0, 0.5, len(y))
    near, far = (score(y + shift, predicted + shift, block_draws(cell, date, 1)) for shift in (0.0, 1e6))
    assert far.r2_low == pytest.approx(near.r2_low, rel=1e-4)
    assert far.r2_high == pytest.approx(near.r2_high, rel=1e-4)


def test_coverage_counts_the_rows_inside() -> None:
    cell, date = _keys(4, 28)
    y = np.where(np.arange(len(cell)) % 4 == 0, 3.0, 0.5)
    found = coverage(y, np.zeros(len(y)), np.ones(len(y)), block_draws(cell, date, 0))
    assert found.share == pytest.approx(0.75)
    assert found.low <= 0.75 <= found.high
    assert found.half_width == 1.0


def test_draws_add_up_to_whole_samples() -> None:
    cell, date = _keys(5, 40)
    draws = block_draws(cell, date, 3)
    assert draws.count.sum(axis=1).tolist() == [draws.count.shape[1]] * len(draws.count)
    low, high = interval(draws.totals(np.ones(len(cell))))
    assert low <= len(cell) <= high


def test_a_block_is_one_cell_and_period() -> None:
    cell, date = _keys(3, 60)
    index, pairs = blocks(cell, date, 14)
    for row in range(0, len(cell), 17):
        assert pairs[index[row]].tolist() == [cell[row], date[row].astype(int) // 14]


def test_members_draw_whole_blocks_and_differ() -> None:
    cell, date = _keys(10, 140)
    weights = member_weights(cell, date, 14, 5, seed=7)
    index, _ = blocks(cell, date, 14)
    for block in np.unique(index)[::9]:
        assert len(np.unique(weights[index == block], axis=0)) == 1
    assert np.abs(weights[:, 0] - weights[:, 1]).mean() > 0.5
    assert weights.mean() == pytest.approx(1.0, abs=0.15)


def test_a_block_keeps_its_draw_when_days_and_cells_are_added() -> None:
    cell, date = _keys(10, 140)
    whole = member_weights(cell, date, 14, 5, seed=7)
    part = (date < START + 50) & (cell < 4)
    assert np.array_equal(member_weights(cell[part], date[part], 14, 5, seed=7), whole[part])


def test_another_seed_draws_otherwise() -> None:
    cell, date = _keys(10, 140)
    assert not np.array_equal(member_weights(cell, date, 14, 5, 7), member_weights(cell, date, 14, 5, 8))
