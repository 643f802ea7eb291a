"""Coordinate descent over a lever grid from several starts: the default search.

With trees most of a cell's surface is flat steps, so gradients say nothing, but a whole line along one lever costs
one batch. Each start moves to the best point of a line, lever after lever, until no lever helps; then pairs of levers
are tried together, near and far, which also slides along joint limits that no single lever can follow.
"""

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from serving.search.problem import BROKEN, Floats, Landscape
from serving.search.specialise import Points

_TIE = 1e-9
_NEAR = np.array([-2, -1, 0, 1, 2])
_STEP = np.array([-1, 1])
"""Grid steps that are tried on a lever while another one moves too: a little, or anywhere."""
_MAX_SWEEPS = 50
_LOOKS = 8


@dataclass(frozen=True)
class Walk:
    """What a descent did: accepted points (a, k) in order with their keys (a,), and where it came to rest.

    rests (r, k) with rest_keys (r,): one per start, unless starts met.
    """

    points: Points
    keys: Floats
    rests: Points
    rest_keys: Floats

    @property
    def best(self) -> Points:
        """The best point (k,): where the best start came to rest, so as near to home as a plateau allows."""
        return np.asarray(self.rests[int(np.argmin(self.rest_keys))])

    @property
    def best_key(self) -> float:
        """Its key."""
        return float(self.rest_keys.min())

    @property
    def milestones(self) -> Points:
        """The points (q, k) that were better than all before them, then those where a start came to rest."""
        before = np.minimum.accumulate(np.concatenate([[np.inf], self.keys[:-1]]))
        better = self.points[self.keys < before]
        both = np.concatenate([better, self.rests])
        _, first = np.unique(both, axis=0, return_index=True)
        return np.asarray(both[np.sort(first)])


def starts(land: Landscape, count: int, rng: Generator) -> Points:
    """Return up to ``count`` start points (s, k): home, the best of a Latin hypercube, and some others of it.

    One batch looks at eight times as many points as are walked from; half of the starts are the lowest of them, the
    others are taken as they come, because the lowest may all lie in one valley. Points that are out (key inf) are
    left away.
    """
    draws = _LOOKS * (count - 1)
    if draws < 1:
        return land.home[None, :].copy()
    sizes = np.asarray(land.sizes)
    strata = np.stack([rng.permutation(draws) for _ in sizes], axis=1)
    drawn = ((strata + rng.random((draws, len(sizes)))) / draws * sizes).astype(np.int64)
    keys = land.keys(drawn)
    order = np.argsort(keys, kind="stable")[: count // 2]
    others = np.setdiff1d(np.arange(draws), order)[: count - 1 - len(order)]
    chosen = np.concatenate([order, others])
    return np.concatenate([land.home[None, :], drawn[chosen[np.isfinite(keys[chosen])]]])


def descend(land: Landscape, begin: Points, levers: tuple[int, ...] | None = None) -> Walk:
    """Walk down from every start ``begin`` (s, k), moving only ``levers`` (all by default)."""
    free = tuple(range(len(land.sizes))) if levers is None else levers
    here, keys = begin.copy(), land.keys(begin)
    trail = [(here.copy(), keys.copy())]
    for _ in range(_MAX_SWEEPS):
        moved = np.zeros(len(here), dtype=bool)
        for lever in free:
            moved |= _line_step(land, here, keys, lever, trail)
        here, keys, moved = _distinct(here, keys, moved)
        if moved.any():
            continue
        improved, limited = _near_pairs(land, here, keys, free, trail)
        if not improved and not (limited and _far_pairs(land, here, keys, free, trail)):
            break
    points, found = zip(*trail, strict=True)
    return Walk(np.concatenate(points), np.concatenate(found), here, keys)


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


def _near_pairs(
    land: Landscape, here: Points, keys: Floats, free: tuple[int, ...], trail: Trail
) -> tuple[bool, bool]:
    """Move every point of ``here`` (s, k) to the best of its near neighbours in two levers, in place.

    Returns whether one moved, and whether a limit binds around the best point.
    """
    first, second = np.meshgrid(_NEAR, _NEAR, indexing="ij")
    blocks = [np.zeros((0, here.shape[1]), dtype=np.int64)]
    for i, j in combinations(free, 2):
        block = np.zeros((first.size, here.shape[1]), dtype=np.int64)
        block[:, i], block[:, j] = first.ravel(), second.ravel()
        blocks.append(block)
    offsets = np.concatenate(blocks)
    moved, limited, lowest = False, False, int(np.argmin(keys))
    for at in range(len(here)):
        points = _on_grid(land, here[at] + offsets)
        found = land.keys(points)
        limited |= at == lowest and bool((found >= BROKEN).any())
        moved |= _to_best(here, keys, at, points, found, trail)
    return moved, limited


def _far_pairs(land: Landscape, here: Points, keys: Floats, free: tuple[int, ...], trail: Trail) -> bool:
    """Move the best point of ``here``: one lever a step, and another to anywhere on its line, in place.

    Where a predicted limit binds, one step of a lever may have to be paid for by many of another.
    """
    at = int(np.argmin(keys))
    blocks = [np.zeros((0, here.shape[1]), dtype=np.int64)]
    for i, j in permutations(free, 2):
        size = land.sizes[j]
        block = np.repeat(here[at][None, :], len(_STEP) * size, axis=0)
        block[:, i] += np.repeat(_STEP, size)
        block[:, j] = np.tile(np.arange(size), len(_STEP))
        blocks.append(block)
    points = _on_grid(land, np.concatenate(blocks))
    return _to_best(here, keys, at, points, land.keys(points), trail)


def _on_grid(land: Landscape, points: Points) -> Points:
    return np.asarray(points[((points >= 0) & (points < np.asarray(land.sizes))).all(axis=1)])


def _to_best(here: Points, keys: Floats, at: int, points: Points, found: Floats, trail: Trail) -> bool:
    """Move point ``at`` of ``here`` to the best of ``points`` (t, k) with keys ``found`` (t,), where that is lower."""
    if not len(points):
        return False
    best = int(np.argmin(found))
    if not found[best] < keys[at] - _TIE * (1.0 + abs(keys[at])):
        return False
    here[at], keys[at] = points[best], found[best]
    trail.append((points[best : best + 1].copy(), found[best : best + 1].copy()))
    return True


def _distinct(here: Points, keys: Floats, moved: Bools) -> tuple[Points, Floats, Bools]:
    """Drop points that met: they would walk on together."""
    kept, first = np.unique(here, axis=0, return_index=True)
    return kept, keys[first], moved[first]
