"""How likely an uncertain consumption falls into each band of a rule."""

import math

import numpy as np
from numpy.typing import ArrayLike

from features.relations import Array, array, relation


@relation(unit="-", equation="P(edge_{j-1} < X <= edge_j), X normal", source="normal distribution", tag="C")
def band_probabilities(mean: ArrayLike, standard_deviation: ArrayLike, edges: ArrayLike) -> Array:
    """Probability of each band for a normally distributed value, shape ``(..., bands)``.

    Args:
        mean: expected value, shape ``(...)``.
        standard_deviation: its standard deviation, shape ``(...)``; zero puts everything into one band.
        edges: upper edges of all bands but the last, ascending, each belonging to the band below it.

    >>> band_probabilities(13_000.0, 100.0, [12_950.0, 13_000.0, 13_350.0]).round(4).tolist()
    [0.3085, 0.1915, 0.4998, 0.0002]
    """
    centre = array(mean)[..., np.newaxis]
    spread = array(standard_deviation)[..., np.newaxis]
    limits = array(edges)
    distance = limits - centre
    score = np.where(spread > 0.0, distance / spread, np.where(distance >= 0.0, np.inf, -np.inf))
    score = np.where(np.isnan(distance + spread), np.nan, score)
    below = 0.5 * (1.0 + np.vectorize(math.erf, otypes=[np.float64])(score / math.sqrt(2.0)))
    ones = np.ones((*below.shape[:-1], 1))
    return np.diff(np.concatenate([0.0 * ones, below, ones], axis=-1), axis=-1)
