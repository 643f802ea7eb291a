"""The levers' moves as the record shows them, beside what the operators had before them.

An operator's rule turns what is seen into a move; what the rule does not explain (a hand's scatter, a habit, a test)
is the experiment that the record holds. ``seen`` is therefore everything that the recipe knows of the day before and
the same morning's readings, but no lever's own move of the day.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.rows import Rows
from training.structures import Bools, Floats, Ints

MORNING = ("bath_temperature_c", "metal_level_mm")
"""Read on the morning round before setpoints are set, and written into the same day's row."""
NOISE = "noise_mv"
"""Operators see the night's noise, the record holds the day's mean: it stands for what they saw, where a move of the
lever cannot have made it."""
SLOW: frozenset[str] = frozenset({"alf3_dose_kg_d", "tap_target_kg"})
"""Levers that act through a stock (the bath's AlF3, the metal pad): what is set on a day acts from then on.

A day's setting counts as often as there are days left for it to act, and on its own day it has not acted yet.
"""
STATES: Mapping[str, str] = {
    "set_voltage_v": "set_voltage_v_last",
    "alf3_dose_kg_d": "excess_alf3_wt_pct_recent",
    "tap_target_kg": "metal_level_mm_last",
}
"""Lever -> the state that physics says its effect depends on: how near the anodes, how acid the bath, how deep the pad."""
_KNOWN_SHARE = 0.7
FORTNIGHT_D = 14


@dataclass(frozen=True)
class Moves:
    """n decisions about k levers.

    Attributes:
        levers: their names (k,).
        move: (n, k) what was set less what was in force.
        held: (n, k) mean setpoint over the horizon less what was in force; NaN where too few days are known. Of a
            lever that acts through a stock, each day counts by the days that are left of the horizon.
        seen: (n, p) what the operators had before them; NaN = not known.
        names: (p,) its columns.
        after: (n, q) readings of the whole day: seen too where the lever acts too slowly to have made them.
        states: lever -> (n,) the state that its effect may depend on, where the record has it.
        cell, date: (n,) keys.
    """

    levers: tuple[str, ...]
    move: Floats
    held: Floats
    seen: Floats
    names: tuple[str, ...]
    after: Floats
    states: Mapping[str, Floats]
    cell: Ints
    date: NDArray[np.datetime64]

    def seen_of(self, lever: str) -> Floats:
        """Return (n, p) or (n, p + q): what stands for all that the operators of ``lever`` had before them."""
        return np.concatenate([self.seen, self.after], axis=1) if lever in SLOW else self.seen

    @property
    def fortnight(self) -> Ints:
        """(n,) the calendar's fortnight."""
        return np.asarray(self.date.astype("datetime64[D]").astype(np.int64) // FORTNIGHT_D)

    def __len__(self) -> int:
        return len(self.move)


def moves_of(rows: Rows, horizon_d: int) -> Moves:
    """Return the moves of every lever of ``rows``, an outcome being a mean over ``horizon_d`` days."""
    grid = _Grid.of(rows)
    own = {column for place in rows.levers for column in (place.value, place.move)}
    kept = [column for column in range(rows.z.shape[1]) if column not in own]
    seen, names = [rows.z[:, kept]], [rows.names[column] for column in kept]
    for signal in MORNING:
        if f"{signal}_last" in rows.names:
            seen.append(grid.change(rows, f"{signal}_last"))
            names.append(f"{signal}_same_day")
    after = grid.change(rows, f"{NOISE}_last") if f"{NOISE}_last" in rows.names else np.zeros((len(rows), 0))
    held = [
        grid.mean_ahead(rows.z[:, place.value], _weights(place.name, horizon_d)) - rows.z[:, place.reference]
        for place in rows.levers
    ]
    return Moves(
        levers=tuple(place.name for place in rows.levers),
        move=rows.z[:, [place.move for place in rows.levers]],
        held=np.stack(held, axis=1),
        seen=np.concatenate(seen, axis=1),
        names=tuple(names),
        after=after,
        states={
            place.name: rows.z[:, rows.column(STATES[place.name])]
            for place in rows.levers
            if STATES.get(place.name) in rows.names
        },
        cell=rows.cell,
        date=rows.date,
    )


@dataclass(frozen=True)
class _Grid:
    """Where the row of each day and cell stands: index (t, c), -1 = none; day, cell: each row's own place."""

    index: Ints
    day: Ints
    cell: Ints

    @classmethod
    def of(cls, rows: Rows) -> "_Grid":
        day = rows.date.astype("datetime64[D]").astype(np.int64)
        day -= day.min(initial=0) if len(day) else 0
        index = np.full((int(day.max(initial=0)) + 1, int(rows.cell.max(initial=0)) + 1), -1, dtype=np.int64)
        index[day, rows.cell] = np.arange(len(rows))
        return cls(index, day, np.asarray(rows.cell, dtype=np.int64))

    def at(self, values: Floats, days: int) -> Floats:
        """Return ``values`` (n,) of the same cell ``days`` later, NaN where there is no such row."""
        later = self.day + days
        inside = later < len(self.index)
        found = np.where(inside, self.index[np.where(inside, later, 0), self.cell], -1)
        return np.where(found >= 0, values[found], np.nan)

    def change(self, rows: Rows, column: str) -> Floats:
        """Return (n, 1): the day's own value of a ``column`` of last values, less the one before it."""
        last = rows.z[:, rows.column(column)]
        return (self.at(last, 1) - last)[:, None]

    def mean_ahead(self, values: Floats, weight: Floats) -> Floats:
        """Return the mean (n,) of ``values`` over a row's own day and the days after it, weighted by ``weight`` (h,)."""
        ahead = np.stack([self.at(values, day) for day in range(len(weight))])
        known = np.isfinite(ahead)
        share = weight @ known
        total = weight @ np.where(known, ahead, 0.0)
        enough = known.sum(axis=0) >= _KNOWN_SHARE * len(weight)
        return np.where(enough, total / np.maximum(share, 1e-12), np.nan)


def _weights(lever: str, horizon_d: int) -> Floats:
    """Return how much the setting of each day (h,) of the horizon counts."""
    days = np.arange(horizon_d, dtype=np.float64)
    return horizon_d - days if lever in SLOW else np.ones(horizon_d)


def line_days(date: NDArray[np.datetime64]) -> Ints:
    """Return (n,) which day each row is of, numbered from zero."""
    _, day = np.unique(date, return_inverse=True)
    return np.asarray(day.reshape(-1), dtype=np.int64)


def less_line_day(values: Floats, day: Ints, where: Bools) -> Floats:
    """Return ``values`` (n,) less their mean over all cells of the same day, taken ``where`` (n,) holds.

    What befalls a whole line on a day (a lot, the current, a campaign) is one observation and no experiment.
    """
    weight = where.astype(np.float64)
    total = np.bincount(day, weights=np.where(where, values, 0.0))
    count = np.bincount(day, weights=weight)
    return np.asarray(values - (total / np.maximum(count, 1.0))[day])
