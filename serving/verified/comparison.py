"""The comparison itself: difference in differences against matched cells that were not moved.

For each window, the change of every cell is taken less the mean change of the unmoved cells (the line's own drift),
less what its state before the move lets expect (a ridge regression learnt from unmoved cells alone: a cell that was
just now bad comes back by itself), and then compared with its nearest unmoved cells (matching with bias correction:
Abadie and Imbens, J. Bus. Econ. Stat. 29 (2011) 1). Unmoved cells are judged by a regression that has not seen them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.student import quantile
from serving.verified.panel import Panel
from serving.verified.settings import SavingsSettings

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.intp]

_RIDGE: Final = 3.0
"""Penalty in cells of standardised values: enough for few controls, nothing for many."""
_STEADIEST, _WILDEST = 0.5, 3.0
"""How far a cell's scatter may be told from the line's: a guess from few cells must not run away."""


@dataclass(frozen=True)
class Row:
    """A moved cell in one window: indices of both, and the counted days."""

    cell: int
    window: int
    days: int


@dataclass(frozen=True)
class Effect:
    """What a set of moved rows did: mean saving with its interval."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Scatter:
    """How much change without a move differs from what was expected, day for day and cell for cell.

    Attributes:
        size: (w, c) how large it is in a cell in its state before the move [the change's unit].
        draws: (w, d) what d unmoved cells did, in that size; gaps are filled by another cell of the window.
        values: (w, c, p) what the regression looks at; zero where a cell was no control.
        inverse: (p, p) of its normal matrix.
        learnt: (p, c, d) sums over windows of what cell c taught the regression, had it been like cell d.
    """

    size: Floats
    draws: Floats
    values: Floats
    inverse: Floats
    learnt: Floats


@dataclass(frozen=True)
class Comparison:
    """Moved rows against their controls.

    Attributes:
        rows: the moved rows that could be compared.
        saving: (r,) of each, positive saves.
        shares: (r, c) weights of the controls, adding up to one.
        away: (r, p) how far the row lies from its controls in what the regression looks at.
        scatter: what the intervals come from.
        left_out: rows of which too little is known. lonely: rows without enough controls near them.
        confidence: of every interval, two-sided.
    """

    rows: tuple[Row, ...]
    saving: Floats
    shares: Floats
    away: Floats
    scatter: Scatter
    left_out: tuple[Row, ...]
    lonely: tuple[Row, ...]
    confidence: float

    def effect(self, chosen: Sequence[int], weights: Floats) -> Effect:
        """Return the weighted mean saving of the rows ``chosen`` (indices), ``weights`` (n,) of any size.

        The interval is that of a sum over independent cells. A cell takes part as moved, as control, and as one that
        the regression was learnt from; in each part it could as well have shown, day for day, what any unmoved cell
        showed, in its own size. The spread over those is its variance: rows of one cell keep their common fate, and
        so do windows that overlap.
        """
        share = weights / weights.sum()
        picked = np.asarray(chosen, dtype=np.intp)
        windows = np.array([self.rows[i].window for i in picked])
        used, place = np.unique(windows, return_inverse=True)
        loads = np.zeros((len(used), self.shares.shape[1]))
        for i, at, part in zip(picked, place, share, strict=True):
            loads[at] -= part * self.shares[i]
            loads[at, self.rows[i].cell] += part
        scatter = self.scatter
        through = scatter.inverse @ (share @ self.away[picked])
        spread = (loads * scatter.size[used]).T @ scatter.draws[used]
        spread -= np.tensordot(through, scatter.learnt, axes=1)
        count = scatter.draws.shape[1]
        variance = float(((spread - spread.mean(axis=1, keepdims=True)) ** 2).sum() / (count - 1))
        reach = quantile(count - 1, 0.5 + self.confidence / 2) * float(np.sqrt(variance))
        mean = float(share @ self.saving[picked])
        return Effect(mean, mean - reach, mean + reach)


def compare(
    panel: Panel,
    rows: Sequence[Row],
    moved: Flags,
    settings: SavingsSettings,
    change: Floats | None = None,
) -> Comparison:
    """Return ``rows`` compared with the cells that ``moved`` (w, c) leaves as controls.

    Args:
        panel: every cell over the windows.
        rows: the moved cells.
        moved: (w, c) cells that were moved by advice anywhere from the window's baseline to its end.
        settings: see there.
        change: (w, c) after less before of what is compared; None = energy per tonne.
    """
    changed = panel.change if change is None else change
    known = panel.grown & np.isfinite(changed)
    donors = known & ~moved
    values = standardised(panel.matched_on, donors)
    centre = _mean_over(changed, donors)
    residual, inverse = _residuals(values, np.where(known, changed - centre[:, None], np.nan), donors)
    told, savings, shares, away = [], [], [], []
    left_out, lonely = [], []
    for row in rows:
        if not known[row.window, row.cell]:
            left_out.append(row)
            continue
        weights = _nearest(values[row.window], row.cell, donors[row.window], settings)
        if weights is None:
            lonely.append(row)
            continue
        others = np.where(weights > 0, residual[row.window], 0.0)
        told.append(row)
        shares.append(weights)
        away.append(values[row.window, row.cell] - weights @ values[row.window])
        savings.append(float(weights @ others) - residual[row.window, row.cell])
    width = values.shape[2]
    return Comparison(
        tuple(told),
        np.array(savings),
        np.array(shares).reshape(len(told), donors.shape[1]),
        np.array(away).reshape(len(told), width),
        _scatter(values, residual, donors, inverse),
        tuple(left_out),
        tuple(lonely),
        settings.confidence,
    )


def standardised(matched_on: Floats, donors: Flags) -> Floats:
    """Return ``matched_on`` (w, c, p) less the controls' mean of each window, in their standard deviations; unknown = 0."""
    known = donors[:, :, None] & np.isfinite(matched_on)
    some = np.maximum(known.sum(axis=1), 1)
    centre = np.where(known, matched_on, 0.0).sum(axis=1) / some
    away = np.where(np.isfinite(matched_on), matched_on - centre[:, None, :], 0.0)
    among = np.where(donors[:, :, None], away, 0.0)
    spread = np.sqrt((among**2).sum(axis=(0, 1)) / max(int(donors.sum()), 1))
    return np.where(spread > 0, away / np.where(spread > 0, spread, 1.0), 0.0)


def _mean_over(values: Floats, chosen: Flags) -> Floats:
    count = chosen.sum(axis=1)
    return np.asarray(np.where(chosen, values, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan))


def _residuals(values: Floats, change: Floats, donors: Flags) -> tuple[Floats, Floats]:
    """Return (w, c) the change beyond what the state before lets expect, and the inverse (p, p) behind it.

    One regression over all windows, learnt from controls; a control's own residual is of the regression without it.
    """
    used = np.where(donors[:, :, None], values, 0.0)
    target = np.where(donors, change, 0.0)
    squares = np.einsum("wcp,wcq->cpq", used, used)
    products = np.einsum("wcp,wc->cp", used, target)
    penalty = _penalty(donors) * np.eye(values.shape[2])
    inverse = np.linalg.inv(squares.sum(axis=0) + penalty)
    whole = inverse @ products.sum(axis=0)
    less = squares.sum(axis=0) - squares + penalty
    without = np.linalg.solve(less, (products.sum(axis=0) - products)[:, :, None])[:, :, 0]
    seen: Flags = np.asarray(donors.any(axis=0))
    taken = np.where(seen[:, None], without, whole)
    return np.asarray(change - np.einsum("wcp,cp->wc", values, taken)), inverse


def _penalty(donors: Flags) -> float:
    """Windows of one cell overlap and say the same again: a penalty in cells counts each cell's windows as one."""
    per_cell = donors.sum(axis=0)
    return _RIDGE * float(per_cell[per_cell > 0].mean()) if per_cell.any() else _RIDGE


def _scatter(values: Floats, residual: Floats, donors: Flags, inverse: Floats) -> Scatter:
    size = _size(values, residual, donors)
    draws = _filled(residual / size, donors)[:, np.flatnonzero(donors.any(axis=0))]
    used = np.where(donors[:, :, None], values, 0.0)
    learnt = np.einsum("wcp,wd->pcd", used * size[:, :, None], draws, optimize=True)
    return Scatter(size, draws, used, inverse, learnt)


def _size(values: Floats, residual: Floats, donors: Flags) -> Floats:
    """Return (w, c) how large residuals are in a cell's state: a cell that is restless before is so after.

    The logarithm of the controls' squared residuals, on the same values and on how far out a cell lies.
    """
    out = np.sqrt((values**2).mean(axis=2, keepdims=True))
    looked = np.concatenate([values, out - 1.0], axis=2)
    used = looked[donors]
    square = residual[donors] ** 2
    if not len(square) or not square.mean() > 0:
        return np.ones(residual.shape)
    told = np.log(square + 0.01 * square.mean())
    penalty = _penalty(donors) * np.eye(looked.shape[2])
    slopes = np.linalg.solve(used.T @ used + penalty, used.T @ (told - told.mean()))
    relative = np.exp(np.clip(0.5 * looked @ slopes, np.log(_STEADIEST), np.log(_WILDEST)))
    # In those sizes the controls' own residuals must have their own spread.
    return np.asarray(relative * np.sqrt((square / relative[donors] ** 2).mean()))


def _nearest(values: Floats, cell: int, donors: Flags, settings: SavingsSettings) -> Floats | None:
    """Return the weights (c,) of the nearest controls of ``cell`` by ``values`` (c, p), or None where there are too few."""
    apart = np.sqrt(((values - values[cell]) ** 2).mean(axis=1))
    near: Flags = np.asarray(np.logical_and(donors, apart <= settings.caliper))
    near[cell] = False
    if near.sum() < settings.least_controls:
        return None
    order = np.flatnonzero(near)[np.argsort(apart[near], kind="stable")][: settings.matched]
    weights = np.zeros(len(values))
    weights[order] = 1.0 / len(order)
    return weights


def _filled(draws: Floats, donors: Flags) -> Floats:
    """Return ``draws`` (w, c) with those of cells that are no control replaced by a control's of that window."""
    filled = np.where(donors, draws, np.nan)
    for row in filled:
        known = np.flatnonzero(np.isfinite(row))
        missing = np.flatnonzero(~np.isfinite(row))
        row[missing] = row[known[missing % len(known)]] if len(known) else 0.0
    return filled
