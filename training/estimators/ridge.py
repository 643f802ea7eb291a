"""Ridge around a prior: the arithmetic, and the choice of its strengths on forward splits in time."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.settings import LinearSettings
from training.structures import Bools, Floats, Ints

_SPLITS = (0.5, 0.65, 0.8)
"""Where, along the decision days, the forward splits cut."""
_STEP = 0.15
_SHARES = (0.0, 0.3, 0.5, 0.7, 1.0)
"""Shares of an anchor that are tried; those of several anchors add up to one at most."""
_LINE_WIDE = (1.0, 30.0)
"""How much harder line-wide columns are shrunk, as tried: not at all, and by about the cells of a line."""
_WORTH = 0.02
"""Anchors and harder shrinkage must be better than plain ridge by this share: splits of a short record choose by luck."""
_LEAST_ROWS = 20


@dataclass(frozen=True)
class Prior:
    """Per column: centre, ridge's factor, precision (0 = ridge's own)."""

    mean: Floats
    factor: Floats
    precision: Floats

    @classmethod
    def flat(cls, size: int) -> "Prior":
        """Return plain ridge's prior: towards zero, the same for every column."""
        return cls(np.zeros(size), np.ones(size), np.zeros(size))


@dataclass(frozen=True)
class Normal:
    """The normal equations of weighted, centred rows: gram (p, p), right (p,), and what was centred away."""

    gram: Floats
    right: Floats
    centre: Floats
    label: float
    total: float

    @classmethod
    def of(cls, u: Floats, y: Floats, weight: Floats) -> "Normal":
        """Return the equations of u (n, p), y (n,) under weights (n,)."""
        total = float(weight.sum())
        centre, label = weight @ u / total, float(weight @ y / total)
        v = u - centre
        weighted = v * weight[:, None]
        return cls(weighted.T @ v, weighted.T @ (y - label), centre, label, total)

    def solve(
        self, alpha: float, prior: Prior, known: Mapping[int, float] | None = None
    ) -> tuple[Floats, float]:
        """Return (slopes (p,), intercept at u = 0): ridge of strength ``alpha`` around ``prior``; ``known`` are given."""
        strength = np.where(prior.precision > 0, prior.precision, alpha * prior.factor * self.total)
        gram = self.gram + np.diag(strength)
        right = self.right + strength * prior.mean
        held: Bools = np.zeros(len(right), dtype=bool)
        slope = np.zeros(len(right))
        for place, value in (known or {}).items():
            held[place], slope[place] = True, value
        free = ~held
        rest = right[free] - gram[np.ix_(free, held)] @ slope[held]
        slope[free] = np.linalg.solve(gram[np.ix_(free, free)], rest)
        return slope, self.label - float(slope @ self.centre)


@dataclass(frozen=True)
class Shrinkage:
    """Ridge strength relative to a column's information, factor of line-wide columns, share of each anchor."""

    alpha: float
    line_wide: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """What is tried: anchors (a,) among the columns with their sd (p,), and which columns are line-wide (p,)."""

    anchors: Ints
    sd: Floats
    wide: Bools


def choose(
    u: Floats, y: Floats, date: NDArray[np.datetime64], grid: Grid, settings: LinearSettings
) -> Shrinkage:
    """Return the shrinkage with the smallest absolute error on forward splits of u (n, p), y (n,), date (n,)."""
    mixes = list(_mixes(len(grid.anchors)))
    factors = _LINE_WIDE if grid.wide.any() else (1.0,)
    centres = np.zeros((u.shape[1], len(mixes)))
    centres[grid.anchors] = np.array(mixes).T * grid.sd[grid.anchors][:, None]
    tried = list(itertools.product(settings.alphas, factors))
    error = np.zeros((len(tried), len(mixes)))
    for train, test in _forward(date, settings.overlap_d):
        normal = Normal.of(u[train], y[train], np.ones(int(train.sum())))
        for i, (alpha, factor) in enumerate(tried):
            strength = alpha * normal.total * np.where(grid.wide, factor, 1.0)
            right = normal.right[:, None] + strength[:, None] * centres
            slopes = np.linalg.solve(normal.gram + np.diag(strength), right)
            predicted = normal.label + (u[test] - normal.centre) @ slopes
            error[i] += np.abs(y[test][:, None] - predicted).sum(axis=0)
    if not error.any():
        return Shrinkage(settings.alphas[-1], factors[-1], mixes[-1])
    plain = np.array([factor == 1.0 for _, factor in tried])[:, None] & (np.array(mixes).sum(axis=1) == 0.0)
    simple = np.where(plain, error, np.inf)
    chosen = simple if simple.min() <= (1 + _WORTH) * error.min() else error
    best, mix = divmod(int(chosen.argmin()), len(mixes))
    return Shrinkage(*tried[best], mixes[mix])


def _mixes(anchors: int) -> Iterator[tuple[float, ...]]:
    """Yield every combination of anchor shares, none at all first."""
    return (mix for mix in itertools.product(_SHARES, repeat=anchors) if sum(mix) <= 1 + 1e-9)


def _forward(date: NDArray[np.datetime64], gap_d: float) -> Iterator[tuple[Bools, Bools]]:
    """Yield (train, test) masks (n,): days before a cut less a gap, and the days after it."""
    day = date.astype("datetime64[D]").astype(np.int64)
    first, last = int(day.min()), int(day.max())
    for split in _SPLITS:
        cut, end = (first + share * (last - first) for share in (split, split + _STEP))
        train, test = day < cut - gap_d, (day >= cut) & (day < end)
        if train.sum() >= _LEAST_ROWS and test.any():
            yield train, test
