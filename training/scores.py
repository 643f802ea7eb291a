"""How good a prediction is: errors and coverage, with intervals that respect how rows repeat each other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import blocks
from training.structures import Bools, Floats, Ints

_DRAWS = 400
_LEVEL = 0.95


@dataclass(frozen=True)
class Score:
    """MAE in the outcome's unit and R2, each with its 95 % interval over cell-fortnights, on ``rows`` rows."""

    mae: float
    mae_low: float
    mae_high: float
    r2: float
    r2_low: float
    r2_high: float
    rows: int

    def as_dict(self) -> dict[str, float]:
        """Return the figures for a summary or a manifest."""
        return {name: float(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Coverage:
    """Share of rows inside their interval, with its 95 % interval over cell-fortnights, and the mean half-width."""

    share: float
    low: float
    high: float
    half_width: float
    rows: int

    def as_dict(self) -> dict[str, float]:
        """Return the figures for a summary or a manifest."""
        return {name: float(value) for name, value in vars(self).items()}


def mae(y: Floats, predicted: Floats) -> float:
    """Return the mean absolute error of (n,) against (n,)."""
    return float(np.mean(np.abs(y - predicted)))


def r2(y: Floats, predicted: Floats) -> float:
    """Return 1 - SSE/SST; 0 is what the mean of these very rows would score, NaN where they do not vary."""
    total = float(np.square(y - y.mean()).sum())
    return 1 - float(np.square(y - predicted).sum()) / total if total > 0 else float("nan")


@dataclass(frozen=True)
class Draws:
    """Bootstrap draws of blocks: ``count (draws, b)`` says how often each block was drawn, ``block (n,)`` where."""

    block: Ints
    count: Floats

    def totals(self, values: Floats) -> Floats:
        """Return (draws,) the drawn sum of ``values`` (n,)."""
        return np.asarray(self.count @ np.bincount(self.block, weights=values, minlength=self.count.shape[1]))


def block_draws(
    cell: Ints, date: NDArray[np.datetime64], seed: int, *, days: int = 14, draws: int = _DRAWS
) -> Draws:
    """Return bootstrap draws of the blocks of one cell and ``days`` days that the rows (n,) fall in."""
    index, pairs = blocks(cell, date, days)
    size = len(pairs)
    picked = np.random.default_rng(seed).integers(0, size, size=(draws, size))
    count = np.stack([np.bincount(row, minlength=size) for row in picked]).astype(np.float64)
    return Draws(block=index, count=count)


def interval(values: Floats) -> tuple[float, float]:
    """Return the 95 % percentile interval of bootstrap ``values`` (draws,); NaN where any is NaN."""
    edge = (1 - _LEVEL) / 2
    low, high = np.quantile(values, [edge, 1 - edge])
    return float(low), float(high)


def score(y: Floats, predicted: Floats, draws: Draws) -> Score:
    """Return the errors of ``predicted`` (n,) against ``y`` (n,), intervals from ``draws`` of the same rows."""
    rows = draws.totals(np.ones(len(y)))
    absolute = draws.totals(np.abs(y - predicted)) / rows
    square = draws.totals(np.square(y - predicted))
    centred = y - y.mean()  # far from zero, sums of squares would cancel
    total = draws.totals(centred**2) - draws.totals(centred) ** 2 / rows
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 1 - square / total
    return Score(mae(y, predicted), *interval(absolute), r2(y, predicted), *interval(share), len(y))


def coverage(y: Floats, predicted: Floats, half_width: Floats, draws: Draws) -> Coverage:
    """Return the share of ``y`` (n,) within ``predicted`` -+ ``half_width``, interval from ``draws``."""
    inside = (np.abs(y - predicted) <= half_width).astype(np.float64)
    share = draws.totals(inside) / draws.totals(np.ones(len(y)))
    return Coverage(float(inside.mean()), *interval(share), float(half_width.mean()), len(y))


def by_group(
    groups: dict[str, Bools], figure: Callable[[Bools], Score | Coverage], least: int = 30
) -> dict[str, dict[str, float]]:
    """Return group -> figures for every group of ``least`` rows and more."""
    return {name: figure(mask).as_dict() for name, mask in groups.items() if mask.sum() >= least}
