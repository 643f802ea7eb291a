"""Ridge's strengths: anchors and harder shrinkage only where they are worth it."""

import numpy as np

from training.estimators.ridge import Grid, choose
from training.settings import LinearSettings


def _chosen(seed: int, persistent: float) -> tuple[float, ...]:
    rng = np.random.default_rng(seed)
    n = 400
    u = rng.normal(size=(n, 6))
    u[:, 1:] += 0.3 * u[:, :1]
    y = persistent * u[:, 0] + (1 - persistent) * u[:, 1:] @ np.full(5, 0.4) + 0.3 * rng.normal(size=n)
    date = np.datetime64("2025-01-01", "D") + np.arange(n) // 10
    grid = Grid(np.array([0]), np.ones(6), np.zeros(6, dtype=bool))
    return choose(u, y, date, grid, LinearSettings(alphas=(0.01, 1.0, 10.0), overlap_d=1.0)).shares


def test_an_anchor_that_buys_nothing_is_not_taken() -> None:
    assert all(_chosen(seed, 0.5) == (0.0,) for seed in range(5))


def test_an_anchor_that_says_all_is_taken_where_data_are_few() -> None:
    rng = np.random.default_rng(3)
    u = rng.normal(size=(60, 40))
    y = u[:, 0] + 0.5 * rng.normal(size=60)
    date = np.datetime64("2025-01-01", "D") + np.arange(60)
    grid = Grid(np.array([0]), np.ones(40), np.zeros(40, dtype=bool))
    assert choose(u, y, date, grid, LinearSettings(overlap_d=1.0)).shares[0] >= 0.7
