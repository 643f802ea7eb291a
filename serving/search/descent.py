"""Coordinate descent over a lever grid from several starts: the default search.

With trees most of a cell's surface is flat steps, so gradients say nothing, but a whole line along one lever costs
one batch. Each start moves to the best point of a line, lever after lever, until no lever helps; the best of them is
then polished over pairs of levers, which also slides along joint limits that no single lever can follow.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from serving.search.problem import Floats, Landscape
from serving.search.specialise import Points

_TIE = 1e-9
_REACH = 2
_MAX_SWEEPS = 50


@dataclass(frozen=True)
class Walk:
    """What a descent did: accepted points (a, k) in order with their keys (a,), and where it came to rest (r, k)."""

    points: Points
    keys: Floats
    rests: Points

    @property
    def best(self) -> Points:
        """The best point (k,)."""
        return np.asarray(self.points[int(np.argmin(self.keys))])

    @property
    def best_key(self) -> float:
        """Its key."""
        return float(self.keys.min())

    @property
    def milestones(self) -> Points:
        """The points (q, k) that were better than all before them, then those where a start came to rest."""
        before = np.minimum.accumulate(np.concatenate([[np.inf], self.keys[:-1]]))
        better = self.points[self.keys < before]
        both = np.concatenate([better, self.rests])
        _, first = np.unique(both, axis=0, return_index=True)
        return np.asarray(both[np.sort(first)])


def starts(land: Landscape, count: int, rng: Generator) -> Points:
    """Return up to ``count`` start points (s, k): home, then Latin hypercube draws that are not out (key inf)."""
    sizes = np.asarray(land.sizes)
    draws = max(count - 1, 0)
    strata = np.stack([rng.permutation(draws) for _ in sizes], axis=1) if draws else np.empty((0, len(sizes)))
    drawn = ((strata + rng.random((draws, len(sizes)))) / max(draws, 1) * sizes).astype(np.int64)
    points = np.concatenate([land.home[None, :], drawn])
    keys = land.keys(points)
    return np.asarray(points[np.isfinite(keys) | (np.arange(len(points)) == 0)])


def descend(land: Landscape, begin: Points, levers: tuple[int, ...] | None = None) -> Walk:
    """Walk down from every start ``begin`` (s, k), moving only ``levers`` (all by default)."""
    free = tuple(range(len(land.sizes))) if levers is None else levers
    here, keys = begin.copy(), land.keys(begin)
    trail = [(here.copy(), keys.copy())]
    for _ in range(_MAX_SWEEPS):
        moved = np.zeros(len(here), dtype=bool)
        for lever in free:
            moved |= _line_step(land, here, keys, lever, trail)
        if not moved.any():
            best = int(np.argmin(keys))
            if not _pair_step(land, here, keys, best, free, trail):
                break
        here, keys = _distinct(here, keys)
    points, found = zip(*trail, strict=True)
    return Walk(np.concatenate(points), np.concatenate(found), here)


Bools = NDArray[np.bool_]
Trail = list[tuple[Points, Floats]]


def _line_step(land: Landscape, here: Points, keys: Floats, lever: int, trail: Trail) -> Bools:
    """Move every point of ``here`` (s, k) to the best of its line along ``lever``, in place; say which moved."""
    size = land.sizes[lever]
    lines = np.repeat(here[:, None, :], size, axis=1)
    lines[:, :, lever] = np.arange(size)
    found = land.keys(lines.reshape(-1, here.shape[1])).reshape(len(here), size)
    away = np.abs(np.arange(size) - land.home[lever])
    lowest = found.min(axis=1, keepdims=True)
    # Of equally good settings the one nearest to today's: a plateau is no reason to move.
    tied = found <= lowest + _TIE * (1.0 + np.abs(lowest))
    choice = np.argmin(np.where(tied, away, size + 1), axis=1)
    rows = np.arange(len(here))
    better = found[rows, choice] < keys - _TIE * (1.0 + np.abs(keys))
    nearer = (found[rows, choice] <= keys) & (away[choice] < away[here[:, lever]])
    step = better | nearer
    here[step, lever] = choice[step]
    keys[step] = found[rows, choice][step]
    if step.any():
        trail.append((here[step].copy(), keys[step].copy()))
    return np.asarray(step)


def _pair_step(
    land: Landscape, here: Points, keys: Floats, at: int, free: tuple[int, ...], trail: Trail
) -> bool:
    """Move point ``at`` to the best of its neighbours that differ in two levers, in place; say whether it moved."""
    offsets = np.arange(-_REACH, _REACH + 1)
    around = []
    for i, j in combinations(free, 2):
        block = np.repeat(here[at][None, :], len(offsets) ** 2, axis=0)
        block[:, i] += np.repeat(offsets, len(offsets))
        block[:, j] += np.tile(offsets, len(offsets))
        around.append(block)
    if not around:
        return False
    points = np.concatenate(around)
    points = points[((points >= 0) & (points < np.asarray(land.sizes))).all(axis=1)]
    found = land.keys(points)
    best = int(np.argmin(found))
    if found[best] >= keys[at] - _TIE * (1.0 + abs(keys[at])):
        return False
    here[at], keys[at] = points[best], found[best]
    trail.append((points[best : best + 1].copy(), found[best : best + 1].copy()))
    return True


def _distinct(here: Points, keys: Floats) -> tuple[Points, Floats]:
    """Drop points that met: they would walk on together."""
    kept, first = np.unique(here, axis=0, return_index=True)
    return kept, keys[first]
