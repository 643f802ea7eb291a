"""A convex combination of families, weighted by what each predicted of blocks that it had not seen."""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import nnls

from training.structures import Blend, Floats, Structure

_LEAST_WEIGHT = 0.05
"""A family with less than this is left out: it costs more to serve than it adds."""
_EQUAL_PULL = 0.5
"""Pull towards equal weights, as a share of the equal blend's squared error: families much alike share the weight."""

_HEAVY = 1e4
_ROUNDS = 4
"""Rounds of reweighting from squared towards absolute error: a few start-up days do not decide for all others."""


def blend_weights(predictions: Mapping[str, Floats], y: Floats) -> dict[str, float]:
    """Return family -> weight >= 0, summing to one, that minimise the absolute error on out-of-block rows.

    predictions: family -> (n,); y (n,). Families below 5 % are dropped and the rest weighted anew.
    """
    names = list(predictions)
    weights = _robust(np.stack([predictions[name] for name in names], axis=1), y)
    kept = [name for name, weight in zip(names, weights, strict=True) if weight >= _LEAST_WEIGHT]
    weights = _robust(np.stack([predictions[name] for name in kept], axis=1), y)
    return {name: float(weight) for name, weight in zip(kept, weights, strict=True)}


def _robust(x: Floats, y: Floats) -> Floats:
    """Return (p,) weights on the simplex for x (n, p), y (n,) by reweighted non-negative least squares."""
    weights = np.full(x.shape[1], 1 / x.shape[1])
    least = 1e-6 * float(np.std(y)) + 1e-12
    for _ in range(_ROUNDS):
        error = np.abs(y - x @ weights)
        typical = max(float(np.median(error)), least)
        weights = _convex(x, y, typical / np.maximum(error, typical))
    return weights


def _convex(x: Floats, y: Floats, row: Floats) -> Floats:
    """Return (p,) weights on the simplex: non-negative least squares with the sum held by a heavy equation."""
    p = x.shape[1]
    size = float(np.sum(row * np.square(y - x.mean(axis=1))))
    scale = np.sqrt(row / max(size, 1e-12 * float(np.sum(np.square(y))) + 1e-300))
    deviation = (x - y[:, None]) * scale[:, None]  # where weights sum to one, |xw - y| is |(x - y) w|
    pull = np.sqrt(_EQUAL_PULL) * np.eye(p)
    left = np.concatenate([deviation, pull, np.full((1, p), _HEAVY)])
    right = np.concatenate([np.zeros(len(y)), np.full(p, np.sqrt(_EQUAL_PULL) / p), [_HEAVY]])
    weights, _ = nnls(left, right)
    return np.asarray(weights / weights.sum())


def blend(weights: Mapping[str, float], parts: Mapping[str, Structure]) -> Structure:
    """Return the blend of ``parts`` by ``weights``; a single family stays what it is."""
    if len(weights) == 1:
        return parts[next(iter(weights))]
    return Blend(weights=tuple(weights.values()), parts=tuple(parts[name] for name in weights))
