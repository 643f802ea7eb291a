"""Ridge with physics in it: the linear part that every other family builds on.

A lever enters as its reference (the level) and its move, never as its value, so its effect is one coefficient: the
move's. That coefficient starts from what physics expects, with the weight that physics deserves, and may not take
the sign that physics forbids.

All other columns are shrunk towards no effect, except anchors: where the recipe already estimates the outcome (its
running estimate), ridge shrinks towards a share of *that*. With little data the line is then persistence, with much
data it is free. Line-wide columns (lots, line current) are shrunk harder, because all cells under one lot are one
observation of it. Shares and strengths are chosen on forward splits in time.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from training.estimators.task import Task, input_ranges
from training.settings import LinearSettings
from training.structures import Bools, Floats, Ints, Linear

_SPLITS = (0.5, 0.65, 0.8)
"""Where, along the decision days, the forward splits cut."""
_STEP = 0.15
_SHARES = (0.0, 0.3, 0.5, 0.7, 1.0)
"""Shares of an anchor that are tried; those of several anchors add up to one at most."""
_LINE_WIDE = (1.0, 30.0, 1000.0)
"""How much harder line-wide columns are shrunk, as tried: not at all, by about the cells of a line, and for good."""


@dataclass(frozen=True)
class _Prior:
    """Per column, in standardised units: centre, ridge's factor, precision (0 = ridge's own), bounds of the slope."""

    factor: Floats
    mean: Floats
    precision: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class _Normal:
    """The normal equations of weighted, centred rows: gram (p, p), right (p,), and what was centred away."""

    gram: Floats
    right: Floats
    centre: Floats
    label: float
    total: float


@dataclass(frozen=True)
class _Shrinkage:
    """Ridge strength relative to a column's information, factor of line-wide columns, share of each anchor."""

    alpha: float
    line_wide: float
    shares: tuple[float, ...]


def fit_linear(task: Task, settings: LinearSettings, *, physics: bool = True) -> Linear:
    """Fit m weighted ridge regressions; ``physics=False`` is plain ridge on every usable column, the baseline."""
    inputs = input_ranges(task)
    used = task.usable.copy()
    if physics:
        used[[lever.value for lever in task.levers]] = False
    columns = np.flatnonzero(used)
    x = inputs.read(task.z)[:, columns]
    mean, sd = x.mean(axis=0), x.std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    u = (x - mean) / sd
    anchors = np.searchsorted(columns, [a for a in task.anchors if physics and used[a]])
    wide = np.zeros(len(columns), dtype=bool)
    if physics and task.line_wide is not None:
        wide = task.line_wide[columns]
    shrinkage = _choose(task, u, _Grid(anchors, sd, wide), settings)
    prior = _flat_prior(len(columns))
    prior.factor[wide] = shrinkage.line_wide
    prior.mean[anchors] = np.array(shrinkage.shares) * sd[anchors]
    if physics:
        noise = _noise(u, task.y, shrinkage.alpha) * settings.overlap_d
        _expect_effects(prior, task, columns, (sd, noise))
    coef = np.zeros((task.m, task.z.shape[1]))
    intercept = np.empty(task.m)
    for j in range(task.m):
        slope, centre = _solve(_normal(u, task.y, task.weights[:, j]), shrinkage.alpha, prior)
        coef[j, columns] = slope / sd
        intercept[j] = centre - float(coef[j, columns] @ mean)
    return Linear(inputs=inputs, coef=coef, intercept=intercept)


def _flat_prior(size: int) -> _Prior:
    return _Prior(
        np.ones(size), np.zeros(size), np.zeros(size), np.full(size, -np.inf), np.full(size, np.inf)
    )


def _expect_effects(prior: _Prior, task: Task, columns: Ints, scale: tuple[Floats, float]) -> None:
    """Write what physics expects of each lever's move into ``prior``; scale = (sd (p,), noise variance)."""
    sd, noise = scale
    position = {int(column): i for i, column in enumerate(columns)}
    for lever in task.levers:
        effect = task.effect(lever)
        if effect is None or lever.move not in position:
            continue
        i = position[lever.move]
        prior.mean[i] = effect.mean * sd[i]
        prior.precision[i] = noise / (effect.sd * sd[i]) ** 2
        prior.low[i] = 0.0 if effect.sign > 0 else -np.inf
        prior.high[i] = 0.0 if effect.sign < 0 else np.inf


def _normal(u: Floats, y: Floats, weight: Floats) -> _Normal:
    total = float(weight.sum())
    centre, label = weight @ u / total, float(weight @ y / total)
    v = u - centre
    weighted = v * weight[:, None]
    return _Normal(weighted.T @ v, weighted.T @ (y - label), centre, label, total)


def _solve(normal: _Normal, alpha: float, prior: _Prior) -> tuple[Floats, float]:
    """Return (slopes (p,), intercept at u = 0): ridge around the prior, slopes held inside their bounds."""
    strength = np.where(prior.precision > 0, prior.precision, alpha * prior.factor * normal.total)
    gram = normal.gram + np.diag(strength)
    right = normal.right + strength * prior.mean
    held: Bools = np.zeros(len(right), dtype=bool)
    slope = np.zeros(len(right))
    for _ in range(len(right) + 1):
        free = ~held
        rest = right[free] - gram[np.ix_(free, held)] @ slope[held]
        slope[free] = np.linalg.solve(gram[np.ix_(free, free)], rest)
        wrong = free & ((slope < prior.low) | (slope > prior.high))
        if not wrong.any():
            break
        slope[wrong] = np.clip(slope[wrong], prior.low[wrong], prior.high[wrong])
        held |= wrong
    return slope, normal.label - float(slope @ normal.centre)


@dataclass(frozen=True)
class _Grid:
    """What is tried: anchors (a,) among the columns with their sd (p,), and which columns are line-wide (p,)."""

    anchors: Ints
    sd: Floats
    wide: Bools


def _choose(task: Task, u: Floats, grid: _Grid, settings: LinearSettings) -> _Shrinkage:
    """Return the shrinkage with the smallest absolute error on forward splits."""
    mixes = list(_mixes(len(grid.anchors)))
    factors = _LINE_WIDE if grid.wide.any() else (1.0,)
    centres = np.zeros((u.shape[1], len(mixes)))
    centres[grid.anchors] = np.array(mixes).T * grid.sd[grid.anchors][:, None]
    tried = list(itertools.product(settings.alphas, factors))
    error = np.zeros((len(tried), len(mixes)))
    for train, test in _forward(task, settings.overlap_d):
        normal = _normal(u[train], task.y[train], np.ones(int(train.sum())))
        for i, (alpha, factor) in enumerate(tried):
            strength = alpha * normal.total * np.where(grid.wide, factor, 1.0)
            right = normal.right[:, None] + strength[:, None] * centres
            slopes = np.linalg.solve(normal.gram + np.diag(strength), right)
            predicted = normal.label + (u[test] - normal.centre) @ slopes
            error[i] += np.abs(task.y[test][:, None] - predicted).sum(axis=0)
    if not error.any():
        return _Shrinkage(settings.alphas[-1], factors[-1], mixes[-1])
    best, mix = divmod(int(error.argmin()), len(mixes))
    return _Shrinkage(*tried[best], mixes[mix])


def _mixes(anchors: int) -> Iterator[tuple[float, ...]]:
    """Yield every combination of anchor shares, none at all first."""
    return (mix for mix in itertools.product(_SHARES, repeat=anchors) if sum(mix) <= 1 + 1e-9)


def _forward(task: Task, gap_d: float) -> Iterator[tuple[Bools, Bools]]:
    """Yield (train, test) masks (n,): days before a cut less a gap, and the days after it."""
    day = task.date.astype("datetime64[D]").astype(np.int64)
    first, last = int(day.min()), int(day.max())
    for split in _SPLITS:
        cut, end = (first + share * (last - first) for share in (split, split + _STEP))
        train, test = day < cut - gap_d, (day >= cut) & (day < end)
        if train.sum() >= 20 and test.any():
            yield train, test


def _noise(u: Floats, y: Floats, alpha: float) -> float:
    slope, centre = _solve(_normal(u, y, np.ones(len(y))), alpha, _flat_prior(u.shape[1]))
    return float(np.mean(np.square(y - u @ slope - centre)))
