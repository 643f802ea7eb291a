"""What an instrument does wrong, seen in its numbers alone: frozen, clipped, spiked, coarse, drifting, shifted.

Every detector works on days by cells ``(t, c)``, NaN = not known, and compares a cell with itself or with its line,
so that the line's own habits (levels in whole centimetres, a laboratory that repeats yesterday's iron) set the
measure. ``eventful`` (t, c) marks days on which the process itself explains a jump; detectors leave those alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.held import LEAST_DAYS, LEAST_SIGNALS

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SPIKE, _QUIET = 10.0, 4.0
_WINDOW = 21
_STEP = 6.0
_SHARP = 0.7
_SCALE_JUMP = 5.0
_DRIFT, _TREND = 5.0, 0.85
_MORE_NOISE = 3.0
_PILE, _PILE_COUNT, _PILE_SHARE, _NEIGHBOURS, _DISTINCT = 3.0, 10, 0.005, 5, 15
_CHANCE = 1e-6
_SHORTEST_RUN = 7
_RAMP_DAYS = 4
_GRIDS = tuple(base * 10.0**power for power in range(-4, 4) for base in (1.0, 2.0, 2.5, 5.0))
_LINE = 5
"""From this many cells on, a line's median is worth comparing with."""


@dataclass(frozen=True)
class Place:
    """Where something was seen: cell index, day index, and the figure that says how much."""

    cell: int
    day: int
    size: float


@dataclass(frozen=True)
class PileUp:
    """An end of the range at which values pile up: "low" or "high", the value, the rows and their share."""

    end: str
    value: float
    rows: int
    share: float


def spread(values: Floats, axis: int | None = None) -> Floats:
    """Return the robust standard deviation of ``values`` along ``axis``: 1.4826 times the median deviation."""
    middle = _median(values, axis)
    centred = values - (middle if axis is None else np.expand_dims(middle, axis))
    return 1.4826 * _median(np.abs(centred), axis)


def _median(values: Floats, axis: int | None = None) -> Floats:
    """Return the median of the known ``values``, NaN where none is; NumPy's own warns there and is slower."""
    along = 0 if axis is None else axis
    ordered = np.sort(values.ravel() if axis is None else values, axis=along)  # NaN sorts last
    if ordered.shape[along] == 0:
        return np.full(np.delete(np.array(ordered.shape), along), np.nan)
    count = np.isfinite(ordered).sum(axis=along, keepdims=True)
    below = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=along)
    above = np.take_along_axis(ordered, np.minimum(count // 2, ordered.shape[along] - 1), axis=along)
    middle = np.where(count > 0, 0.5 * (below + above), np.nan)
    return np.asarray(np.squeeze(middle, axis=along), dtype=np.float64)


def _mean(values: Floats, axis: int | None = None) -> Floats:
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(count), np.nan), where=count > 0))


def pile_ups(values: Floats) -> tuple[PileUp, ...]:
    """Return the ends of the range of ``values`` (any shape) at which far more values lie than just inside."""
    known = values[np.isfinite(values)]
    distinct, counts = np.unique(known, return_counts=True)
    if distinct.size < _DISTINCT:
        return ()
    found = []
    for end, ordered, tally in (("low", distinct, counts), ("high", distinct[::-1], counts[::-1])):
        enough = max(_PILE_COUNT, _PILE_SHARE * known.size)
        if tally[0] >= enough and tally[0] >= _PILE * tally[1 : 1 + _NEIGHBOURS].max():
            found.append(PileUp(end, float(ordered[0]), int(tally[0]), float(tally[0] / known.size)))
    return tuple(found)


def most_common(values: Floats) -> tuple[float, float]:
    """Return the value that occurs most and its share of the known ones; NaN and 0 where nothing is known."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return math.nan, 0.0
    distinct, counts = np.unique(known, return_counts=True)
    place = int(counts.argmax())
    return float(distinct[place]), float(counts[place] / known.size)


def resolution(values: Floats) -> float:
    """Return the coarsest decimal grid on which 98 % of ``values`` lie; NaN where fewer than 20 are known."""
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if counts.sum() < 20:
        return math.nan
    for grid in sorted(_GRIDS, reverse=True):
        ratio = distinct / grid
        on = np.abs(ratio - np.round(ratio)) < 1e-6 * np.maximum(1.0, np.abs(ratio))
        if counts[on].sum() >= 0.98 * counts.sum():
            return grid
    return 0.0


def within_cell_spread(values: Floats) -> float:
    """Return the median over cells of the scatter of ``values`` (t, c) from day to day, as a standard deviation."""
    steps = np.diff(values, axis=0)
    deviations = [
        float(np.nanstd(column)) / math.sqrt(2.0) for column in steps.T if np.isfinite(column).sum() > 5
    ]
    return float(np.median(deviations)) if deviations else math.nan


def frozen(values: Floats) -> tuple[Place, ...]:
    """Return runs of one repeated value in ``values`` (t, c) that are too long for chance, the longest a cell.

    ``size`` is the run's length in days, ``day`` its first. How often a value repeats from one day to the next is
    taken from the line's own upper quartile, so a coarse instrument needs a longer run to be called frozen.
    """
    same = np.diff(values, axis=0) == 0.0
    both = np.isfinite(values[1:]) & np.isfinite(values[:-1])
    shares = [
        float(same[:, c].sum() / both[:, c].sum()) for c in range(values.shape[1]) if both[:, c].sum() > 10
    ]
    if not shares:
        return ()
    repeat = min(0.9, max(0.02, float(np.quantile(shares, 0.75)) if len(shares) > 1 else 0.3))
    limit = max(_SHORTEST_RUN, math.ceil(math.log(_CHANCE) / math.log(repeat)))
    found = []
    for cell in range(values.shape[1]):
        start, length = _longest_run(same[:, cell])
        if length + 1 >= limit:
            found.append(Place(cell, start, float(length + 1)))
    return tuple(found)


def held(records: Sequence[Floats]) -> tuple[Place, ...]:
    """Return cells whose record stands still: four or more of ``records``, each (t, c), repeat the day before.

    It must last three days or longer; ``size`` is the run in days, the first included.
    """
    if len(records) < LEAST_SIGNALS:
        return ()
    still = (np.diff(np.stack(list(records)), axis=1) == 0.0).sum(axis=0) >= LEAST_SIGNALS
    found = []
    for cell in range(still.shape[1]):
        start, length = _longest_run(still[:, cell])
        if length >= LEAST_DAYS:
            found.append(Place(cell, start, float(length + 1)))
    return tuple(found)


def ramps(values: Floats) -> tuple[Place, ...]:
    """Return runs of ``values`` (t, c) that lie on a straight slope to the last digit: filled in, not measured.

    A whole-number ramp may be chance, so most of a run's values must lie beside the grid on which the signal is
    recorded. ``size`` is the run in days, the longest a cell.
    """
    grid = resolution(values)
    slope = np.diff(values, axis=0)
    scale = 1e-7 * float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    straight = (np.abs(np.diff(slope, axis=0)) <= scale) & (np.abs(slope[1:]) > 10.0 * scale)
    found = []
    for cell in range(values.shape[1]):
        start, length = _longest_run(straight[:, cell])
        run = values[start : start + length + 2, cell]
        beside = (
            np.abs(run / grid - np.round(run / grid)) > 1e-6
            if grid > 0.0
            else np.ones(len(run), dtype=np.bool_)
        )
        if length >= _RAMP_DAYS and beside.mean() >= 0.5:
            found.append(Place(cell, start, float(length + 2)))
    return tuple(found)


def _longest_run(flags: Mask) -> tuple[int, int]:
    padded = np.concatenate([[False], flags, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded))
    if edges.size == 0:
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    longest = int(lengths.argmax())
    return int(edges[2 * longest]), int(lengths[longest])


def spikes(values: Floats, eventful: Mask, least: Floats) -> tuple[Place, ...]:
    """Return single days of ``values`` (t, c) far from the days around them, both of which agree with each other.

    ``least`` (t, c) is the smallest deviation worth a word, in the signal's unit; ``size`` is the deviation.
    """
    padded = np.pad(values, ((2, 2), (0, 0)), constant_values=np.nan)
    around = np.stack([padded[:-4], padded[1:-3], padded[3:-1], padded[4:]])
    middle = _median(around, 0)
    off = values - middle
    scale = spread(off, 0)
    floor = np.nanmedian(scale) if np.isfinite(scale).any() else math.nan
    scale = np.fmax(scale, floor)[None, :]
    quiet = np.nanmax(np.abs(np.nan_to_num(around[1:3] - middle, nan=np.inf)), axis=0) <= _QUIET * scale
    hit = (np.abs(off) > np.fmax(_SPIKE * scale, least)) & quiet & ~eventful
    days, cells = np.nonzero(hit)
    return tuple(Place(int(c), int(t), float(off[t, c])) for t, c in zip(days, cells, strict=True))


def against_line(values: Floats) -> Floats:
    """Return ``values`` (t, c) less the line's median of the day, or as they are on a line of a few cells."""
    if values.shape[1] < _LINE:
        return values
    return values - _median(values, 1)[:, None]


def shifts(values: Floats, eventful: Mask, least: float) -> tuple[Place, ...]:
    """Return the largest sudden and lasting change of level a cell, where there is one.

    ``values`` (t, c) should be against the line. ``day`` is the first of the new level, ``size`` the change. Around
    an eventful day no shift is looked for.
    """
    before_after = _level_changes(values, _WINDOW)
    scale = float(spread(before_after))
    if not np.isfinite(scale):
        return ()
    sharp = np.abs(_level_changes(values, 3))
    sudden = (sharp > _SHARP * np.abs(before_after)) & ~widen(eventful, before=3, after=3)
    sizes = np.where(sudden, before_after, np.nan)
    found = []
    for cell in range(values.shape[1]):
        column = sizes[:, cell]
        if np.isfinite(column).any():
            day = int(np.nanargmax(np.abs(column)))
            if abs(column[day]) > max(_STEP * scale, least):
                found.append(Place(cell, day, float(column[day])))
    return tuple(found)


def _level_changes(values: Floats, window: int) -> Floats:
    """Return at each day (t, c) the median of the ``window`` days from it less that of the days before it."""
    days, cells = values.shape
    changes = np.full((days, cells), np.nan)
    if days < 2 * window:
        return changes
    blocks = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    known = np.isfinite(blocks).sum(axis=2) >= max(2, window // 2)
    levels = np.where(known, _median(np.asarray(blocks), 2), np.nan)
    changes[window : days - window + 1] = levels[window:] - levels[:-window]
    return changes


def widen(flags: Mask, before: int, after: int) -> Mask:
    """Return ``flags`` (t, c) with the days ``before`` and ``after`` each marked day marked too."""
    wide = flags.copy()
    for lag in range(1, after + 1):
        wide[lag:] |= flags[:-lag]
    for lag in range(1, before + 1):
        wide[:-lag] |= flags[lag:]
    return wide


def scale_jumps(values: Floats) -> tuple[Place, ...]:
    """Return cells whose level (t, c) is from some day on several times what it was: another unit or scale.

    ``size`` is the ratio of the new level to the old.
    """
    positive = np.where(values > 0.0, values, np.nan)
    logs = np.log(positive)
    lasting, sharp = _level_changes(logs, 7), _level_changes(logs, 3)
    certain = np.fmin(np.abs(lasting), np.where(np.isfinite(sharp), np.abs(sharp), 0.0))
    found = []
    for cell in range(values.shape[1]):
        if not np.isfinite(certain[:, cell]).any():
            continue
        day = int(np.nanargmax(certain[:, cell]))
        if certain[day, cell] > math.log(_SCALE_JUMP):
            found.append(Place(cell, day, float(np.exp(lasting[day, cell]))))
    return tuple(found)


def drifts(values: Floats, least: float) -> tuple[Place, ...]:
    """Return cells that move away from their line over the record, steadily and by more than cells do.

    ``values`` (t, c) should be against the line; ``size`` is the change from the first to the last fifth.
    """
    days, cells = values.shape
    fifth = days // 5
    if fifth < 5 or cells < _LINE:
        return ()
    change = _median(values[-fifth:], 0) - _median(values[:fifth], 0)
    scale = float(spread(change))
    found = []
    for cell in range(cells):
        known = np.flatnonzero(np.isfinite(values[:, cell]))
        if known.size < days // 2 or not np.isfinite(change[cell]):
            continue
        if abs(change[cell]) <= max(_DRIFT * scale, least):
            continue
        smooth = np.array([np.median(values[part, cell]) for part in np.array_split(known, 10)])
        trend = float(np.corrcoef(np.arange(10.0), smooth)[0, 1]) if np.ptp(smooth) > 0 else 0.0
        steps = np.abs(np.diff(smooth))
        if abs(trend) > _TREND and steps.max() < 0.5 * abs(change[cell]):
            found.append(Place(cell, 0, float(change[cell])))
    return tuple(found)


def noisier(values: Floats) -> tuple[Place, ...]:
    """Return cells whose day-to-day scatter (t, c) grew several times from the first to the last third.

    ``size`` is the ratio, over and above what the whole line did.
    """
    days = values.shape[0]
    third = days // 3
    if third < 10:
        return ()
    steps = np.abs(np.diff(values, axis=0))
    # The mean, not the median: on a coarse instrument most steps are zero.
    first, last, usual = _mean(steps[:third], 0), _mean(steps[-third:], 0), float(_mean(steps))
    first = np.fmax(first, 0.5 * usual)
    ratio = np.divide(last, first, out=np.full(len(first), np.nan), where=first > 0)
    if np.isfinite(ratio).sum() >= _LINE:
        ratio = ratio / max(1.0, float(np.nanmedian(ratio)))
    return tuple(Place(int(c), days - third, float(ratio[c])) for c in np.flatnonzero(ratio > _MORE_NOISE))
