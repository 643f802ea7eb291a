"""Nuisance models on other cells at other times: no row is explained by a model that saw it, its cell or its days."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from training.structures import Bools, Floats, Ints

Learner = Callable[[Floats, Floats, Floats], Floats]
"""(x (n, p), y (n,), asked (k, p)) -> predictions (k,)."""

_RIDGE = 0.003
"""Strength relative to the rows; small, because what shrinkage leaves of a rule looks like an own move."""
_LEAST_ROWS = 60


@dataclass(frozen=True)
class Folds:
    """How rows are parted: ``cell_parts`` groups of cells times ``time_parts`` blocks of time.

    ``gap_d``: days around a block that its models do not see, as long as a label reaches.
    """

    cell_parts: int = 3
    time_parts: int = 3
    gap_d: int = 14
    seed: int = 7

    def parted(self, cell: Ints, date: NDArray[np.datetime64]) -> list[tuple[Bools, Bools]]:
        """Return (train, test) masks (n,) of every block; the tests part the rows."""
        day = date.astype("datetime64[D]").astype(np.int64)
        cells = np.unique(cell)
        groups = np.random.default_rng(self.seed).permutation(len(cells)) % min(self.cell_parts, len(cells))
        group = groups[np.searchsorted(cells, cell)]
        days = np.unique(day)
        ends = [part[[0, -1]] for part in np.array_split(days, min(self.time_parts, len(days)))]
        out = []
        for g in range(int(groups.max()) + 1):
            for first, last in ends:
                test = (group == g) & (day >= first) & (day <= last)
                far = (day < first - self.gap_d) | (day > last + self.gap_d)
                # One cell has no other cells: then its own at other times.
                train = far & ((group != g) if groups.max() > 0 else True)
                out.append((np.asarray(train), np.asarray(test)))
        return out


def out_of_fold(x: Floats, y: Floats, folds: Sequence[tuple[Bools, Bools]], learner: Learner) -> Floats:
    """Return predictions (n,) of ``y`` (n,) from ``x`` (n, p), NaN where a block has too few rows to learn from.

    Rows whose ``y`` is NaN are predicted and not learnt from.
    """
    known = np.isfinite(y)
    out = np.full(len(y), np.nan)
    for train, test in folds:
        rows = train & known
        if test.any() and rows.sum() >= _LEAST_ROWS:
            out[test] = learner(x[rows], y[rows], x[test])
    return out


def ridge(x: Floats, y: Floats, asked: Floats) -> Floats:
    """Ridge on standardised columns; NaN counts as the column's mean."""
    u, v = _standardised(x, asked)
    centre, level = u.mean(axis=0), float(y.mean())
    u = u - centre
    gram = u.T @ u + _RIDGE * len(y) * np.eye(u.shape[1])
    slope = np.linalg.solve(gram, u.T @ (y - level))
    return np.asarray(level + (v - centre) @ slope)


def ridge_and_trees(x: Floats, y: Floats, asked: Floats) -> Floats:
    """Ridge, and a hundred small trees on what it leaves: a rule has thresholds."""
    u = np.concatenate([x, asked])
    line = ridge(x, y, u)
    booster = lightgbm.train(
        _TREES, lightgbm.Dataset(x, y - line[: len(y)], params=_TREES), num_boost_round=100
    )
    return np.asarray(line[len(y) :] + booster.predict(asked, num_threads=1))


_TREES = {
    "objective": "regression",
    "learning_rate": 0.06,
    "num_leaves": 8,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 63,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


def _standardised(x: Floats, asked: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(x)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, x, 0.0).sum(axis=0) / count
    filled = np.where(known, x, mean)
    sd = filled.std(axis=0)
    sd = np.where(sd > 1e-9 * (np.abs(mean) + 1e-9), sd, np.inf)  # a constant column says nothing
    return (filled - mean) / sd, (np.where(np.isfinite(asked), asked, mean) - mean) / sd
