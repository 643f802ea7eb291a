"""Ridge with physics in it: the linear part that every other family builds on.

A lever enters as its reference (the level) and its move, never as its value, so its effect is one coefficient: the
move's. That coefficient starts from what physics expects, with the weight that physics deserves, and may not take
the sign that physics forbids. All other columns are shrunk towards no effect.
"""

from dataclasses import dataclass

import numpy as np

from training.estimators.task import Task, input_ranges
from training.settings import LinearSettings
from training.structures import Bools, Floats, Inputs, Linear

_SPLITS = (0.5, 0.65, 0.8)
"""Where, along the decision days, the forward splits cut that choose the ridge strength."""
_STEP = 0.15


@dataclass(frozen=True)
class _Prior:
    """Per column, in standardised units: centre and precision (relative to the noise), bounds of the slope."""

    mean: Floats
    precision: Floats
    low: Floats
    high: Floats


def fit_linear(task: Task, settings: LinearSettings, *, physics: bool = True) -> Linear:
    """Fit m weighted ridge regressions; ``physics=False`` is plain ridge on every usable column, the baseline.

    The ridge strength is the one of ``settings.alphas`` with the smallest squared error on forward splits in time.
    """
    inputs = input_ranges(task)
    used = task.usable.copy()
    if physics:
        used[[lever.value for lever in task.levers]] = False
    columns = np.flatnonzero(used)
    x = inputs.read(task.z)[:, columns]
    mean, sd = x.mean(axis=0), x.std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    u = (x - mean) / sd
    alpha = _choose_alpha(task, u, settings)
    noise = _noise(u, task.y, alpha) * settings.overlap_d
    prior = _prior(task, columns, sd, noise) if physics else _flat_prior(len(columns))
    coef = np.zeros((task.m, task.z.shape[1]))
    intercept = np.empty(task.m)
    for j in range(task.m):
        slope, centre = _solve(u, task.y, task.weights[:, j], alpha, prior)
        coef[j, columns] = slope / sd
        intercept[j] = centre - float(coef[j, columns] @ mean)
    return Linear(inputs=inputs, coef=coef, intercept=intercept)


def _flat_prior(size: int) -> _Prior:
    return _Prior(np.zeros(size), np.zeros(size), np.full(size, -np.inf), np.full(size, np.inf))


def _prior(
    task: Task, columns: "np.ndarray[tuple[int], np.dtype[np.int64]]", sd: Floats, noise: float
) -> _Prior:
    prior = _flat_prior(len(columns))
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
    return prior


def _solve(u: Floats, y: Floats, weight: Floats, alpha: float, prior: _Prior) -> tuple[Floats, float]:
    """Return (slopes (p,), intercept at u = 0): weighted ridge with prior, slopes held inside their bounds."""
    total = weight.sum()
    centre, label = weight @ u / total, float(weight @ y / total)
    v = u - centre
    gram = (v * weight[:, None]).T @ v
    right = (v * weight[:, None]).T @ (y - label)
    strength = np.where(prior.precision > 0, prior.precision, alpha * total)
    gram[np.diag_indices_from(gram)] += strength
    right = right + strength * prior.mean
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
    return slope, label - float(slope @ centre)


def _choose_alpha(task: Task, u: Floats, settings: LinearSettings) -> float:
    day = task.date.astype("datetime64[D]").astype(np.int64)
    first, last = int(day.min()), int(day.max())
    error = np.zeros(len(settings.alphas))
    flat = _flat_prior(u.shape[1])
    for split in _SPLITS:
        cut, end = (first + share * (last - first) for share in (split, split + _STEP))
        train, test = day < cut - settings.overlap_d, (day >= cut) & (day < end)
        if train.sum() < 2 * u.shape[1] or not test.any():
            continue
        for i, alpha in enumerate(settings.alphas):
            slope, centre = _solve(u[train], task.y[train], np.ones(int(train.sum())), alpha, flat)
            error[i] += np.square(task.y[test] - u[test] @ slope - centre).sum()
    return settings.alphas[int(error.argmin())] if error.any() else settings.alphas[-1]


def _noise(u: Floats, y: Floats, alpha: float) -> float:
    slope, centre = _solve(u, y, np.ones(len(y)), alpha, _flat_prior(u.shape[1]))
    return float(np.mean(np.square(y - u @ slope - centre)))


def zero_linear(inputs: Inputs, m: int) -> Linear:
    """Return the line that is zero everywhere: (m, z) coefficients of nothing."""
    return Linear(inputs=inputs, coef=np.zeros((m, len(inputs.fill))), intercept=np.zeros(m))
