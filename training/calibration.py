"""Intervals that hold what they promise, and a score of how near the data are.

Both are calibrated on blocks of days that the models predicted without having seen them (rolling origin), several
of them, so that what drifts between blocks widens the interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from training.confidence import Interval, Support, SupportView
from training.estimators.boosting import fit_trees
from training.estimators.task import Task
from training.rows import LeverPlace
from training.settings import BoostingSettings
from training.structures import Bools, Constant, Floats, Ints, Structure, predict

_SCALE_TREES = BoostingSettings(trees=40, leaves=6, learning_rate=0.05, min_rows=150, l2=50.0)
_SHARPER = 0.02
"""Trees must improve the interval score by this share, or one width for all serves as well."""
_FLOOR_SHARE = 0.25
"""A scale below this share of the mean absolute residual is not believed."""
_LEAST_REGIME = 60
"""A regime with fewer calibration rows than this has no width of its own."""
_UNSEEN = 2.0
"""Such a regime is predicted worse than any that was seen, by how much nobody knows: this factor, and the support
score, say so."""
_LEAST_BLOCK = 200
_FADING = 0.7
"""Weight of a block relative to the next: lines drift and later origins train on more, so what was seen last is most
like what comes (conformal prediction beyond exchangeability: Barber, Candes, Ramdas, Tibshirani, 2023)."""
_PROTOTYPES = 64
_LLOYD_ROUNDS = 25
_PROTOTYPE_ROWS = 6000
_Fit: TypeAlias = Callable[[Task, Floats, Bools], Structure]
_SHARES = (0.0, 0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)


@dataclass(frozen=True)
class Residuals:
    """Out-of-block errors: ``error (n,)`` = label - prediction, ``block (n,)`` counted in time, ``mature (n,)``."""

    error: Floats
    block: Ints
    mature: Bools
    groups: int
    """Independent pieces among the rows (cell-fortnights): what the finite-sample correction counts."""


def calibrate(task: Task, residuals: Residuals, coverage: float, age: tuple[int, float]) -> Interval:
    """Return the conformal interval from out-of-block ``residuals`` on the rows of ``task``.

    The scale is the mean absolute error, or a few small trees on it where they make clearly sharper intervals: with few cells
    they often learn which weeks were bad, not which states. Widths and that choice come from errors divided by scales
    that were fitted without their own block, so no scale can flatter itself. ``age`` is (column of cell_age_d, days from
    which a cell is mature).
    """
    size = np.abs(residuals.error)
    floor = max(_FLOOR_SHARE * float(size.mean()), 1e-12)
    candidates = [_Scale(task, size, residuals, floor, fit) for fit in (_constant, _trees)]
    widths = [_widths(size / scale.honest, residuals, coverage) for scale in candidates]
    scores = [
        _interval_score(size, scale.honest * np.where(residuals.mature, q["mature"], q["young"]), coverage)
        for scale, q in zip(candidates, widths, strict=True)
    ]
    best = int(scores[1] < (1 - _SHARPER) * scores[0])
    return Interval(
        scale=candidates[best].fitted,
        floor=floor,
        q=widths[best],
        age_column=age[0],
        mature_from_d=age[1],
        coverage=coverage,
    )


class _Scale:
    """The typical absolute error: ``honest (n,)`` from fits without a row's own block, ``fitted`` on all of them."""

    def __init__(self, task: Task, size: Floats, residuals: Residuals, floor: float, fit: _Fit) -> None:
        self.honest = np.empty(len(size))
        block = _sizeable(residuals.block)
        for which in np.unique(block):
            out = block == which
            scale = fit(task, size, ~out) if not out.all() else _constant(task, size, out)
            self.honest[out] = np.maximum(predict(scale, task.z[out]), floor)
        self.fitted = fit(task, size, np.ones(len(size), dtype=bool))


def _widths(ratio: Floats, residuals: Residuals, coverage: float) -> dict[str, float]:
    """Return the conformal width of each regime, in scales, from ``ratio`` (n,) of error to honest scale."""
    recent = _FADING ** (residuals.block.max() - residuals.block).astype(np.float64)
    q = {
        name: _width(ratio[mask], recent[mask], coverage, residuals.groups * float(mask.mean()))
        for name, mask in (("mature", residuals.mature), ("young", ~residuals.mature))
        if mask.sum() >= _LEAST_REGIME
    }
    widest = _UNSEEN * max(q.values(), default=_width(ratio, recent, coverage, residuals.groups))
    return {name: q.get(name, widest) for name in ("young", "mature")}


def _interval_score(size: Floats, half: Floats, coverage: float) -> float:
    """Return the mean interval score (Gneiting, Raftery, 2007) of errors ``size`` (n,) within ``half`` (n,)."""
    return float(np.mean(2 * half + 2 / (1 - coverage) * np.maximum(size - half, 0.0)))


def _sizeable(block: Ints) -> Ints:
    """Return blocks (n,) with those of fewer than 200 rows joined to the one before (the first: after)."""
    names, count = np.unique(block, return_counts=True)
    joined: dict[int, int] = {}
    home = int(names[np.argmax(count >= _LEAST_BLOCK)])
    for name, rows in zip(names.tolist(), count.tolist(), strict=True):
        home = name if rows >= _LEAST_BLOCK else home
        joined[name] = home
    return np.array([joined[name] for name in block.tolist()], dtype=np.int64)


def _constant(task: Task, size: Floats, chosen: Bools) -> Structure:
    return Constant(np.array([size[chosen].mean()]))


def _trees(task: Task, size: Floats, chosen: Bools) -> Structure:
    part = replace(
        task,
        outcome=f"{task.outcome} error",
        z=task.z[chosen],
        y=size[chosen],
        date=task.date[chosen],
        weights=np.ones((int(chosen.sum()), 1)),
        levers=(),
    )
    return fit_trees(part, np.zeros((len(part.y), 1)), _SCALE_TREES)


def _width(ratio: Floats, weight: Floats, coverage: float, groups: float) -> float:
    """Return the conformal quantile of weighted ratios (n,), the smallest that covers the level.

    The finite-sample correction counts independent groups, not rows that repeat each other.
    """
    order = np.argsort(ratio, kind="stable")
    share = np.cumsum(weight[order])
    level = min(1.0, coverage * (1 + 1 / max(groups, 1.0)))
    place = int(np.searchsorted(share, level * share[-1] * (1 - 1e-12)))
    return float(ratio[order[min(place, len(order) - 1)]])


@dataclass(frozen=True)
class SupportRows:
    """z (n, z) rows that prototypes come from, z_later (l, z) rows after them that the score is calibrated on."""

    z: Floats
    z_later: Floats


def fit_support(
    rows: SupportRows, usable: Bools, levers: Sequence[LeverPlace], threshold: float, seed: int
) -> Support:
    """Return the support: one view over the whole state, one over the levers and their moves alone.

    Among a hundred columns a reckless move is one number; the second view looks at nothing else.
    """
    values = [lever.value for lever in levers]
    state = usable.copy()
    state[values] = False  # reference and move say it already
    views = [_view(rows, np.flatnonzero(state), (), seed)]
    if levers:
        columns = [column for lever in levers for column in (lever.reference, lever.move)]
        moves = [lever.move for lever in levers]
        views.append(_view(rows, np.array(columns, dtype=np.int64), moves, seed + 1))
    return Support(views=tuple(views), threshold=threshold)


def _view(rows: SupportRows, columns: Ints, moves: Sequence[int], seed: int) -> SupportView:
    x = rows.z[:, columns]
    fill, sd = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    for i, column in enumerate(columns):
        if (
            column in moves
        ):  # most days nothing moves: the typical size of a move is that of the days with one
            made = x[:, i][np.nan_to_num(x[:, i]) != 0]
            fill[i], sd[i] = 0.0, np.sqrt(np.mean(made**2)) if made.size else sd[i]
    scale = np.where(sd > 0, sd, 1.0)
    u = (np.where(np.isnan(x), fill, x) - fill) / scale
    blank = SupportView(columns, fill, fill, scale, u[:1], np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    view = replace(blank, prototypes=_prototypes(u, seed))
    knots, scores = _table(view.distance(rows.z_later))
    return replace(view, knots=knots, scores=scores)


def _prototypes(u: Floats, seed: int) -> Floats:
    """Return (K, v) cluster centres of ``u`` (n, v): k-means++ starts, then Lloyd's rounds."""
    rng = np.random.default_rng(seed)
    if len(u) > _PROTOTYPE_ROWS:
        u = u[np.sort(rng.choice(len(u), _PROTOTYPE_ROWS, replace=False))]
    centres = u[rng.integers(len(u))][None]
    nearest = np.square(u - centres[0]).sum(axis=1)
    for _ in range(min(_PROTOTYPES, len(u)) - 1):
        if nearest.sum() == 0:
            break
        pick = u[np.searchsorted(np.cumsum(nearest), rng.random() * nearest.sum(), side="right")]
        centres = np.concatenate([centres, pick[None]])
        nearest = np.minimum(nearest, np.square(u - pick).sum(axis=1))
    for _ in range(_LLOYD_ROUNDS):
        square = np.square(u).sum(axis=1)[:, None] - 2 * u @ centres.T + np.square(centres).sum(axis=1)
        owner = square.argmin(axis=1)
        count = np.bincount(owner, minlength=len(centres))
        sums = np.zeros_like(centres)
        np.add.at(sums, owner, u)
        moved = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return np.asarray(centres)


def _table(distance: Floats) -> tuple[Floats, Floats]:
    """Return (knots, scores): the share of ``distance`` (n,) at least as far, and zero well beyond the farthest."""
    knots = np.quantile(distance, _SHARES)
    knots = np.append(knots, knots[-1] * 1.25 + 1e-9)
    scores = np.append(1 - np.array(_SHARES[:-1]), [1 / (len(distance) + 1), 0.0])
    keep = np.append(True, np.diff(knots) > 0)
    return np.asarray(knots[keep]), np.asarray(np.minimum.accumulate(scores[keep]))
