"""Net anode carbon by day, from weighed butts only: each anode's net carbon spread over its own life."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.history import Anodes, History
from features.record import WEIGHED_AFTER_DAYS

Floats = NDArray[np.float64]

COVERAGE: Final = (0.97, 1.03)
"""Share of the positions' time that weighed anodes must cover; above one, anodes overlap on paper."""


@dataclass(frozen=True)
class AnodeCarbon:
    """Carbon of the weighed anodes, day by day.

    Attributes:
        carbon_kg: (t, c) net carbon of the weighed anodes that day [kg].
        anode_days: (t, c) time that weighed anodes stood in the cell that day, summed over positions [d].
        weighed_on: (t, c) index of the last day on which one of them was weighed; -1 = none.
    """

    carbon_kg: Floats
    anode_days: Floats
    weighed_on: NDArray[np.intp]


def unavailable(history: History) -> str | None:
    """Return why the record cannot carry a net anode label, or None if it can."""
    anodes = history.anodes
    if not len(anodes):
        return "anode_changes is not collected; record setting, removal and masses of every anode"
    removed = np.isfinite(anodes.removed_at)
    weighed = removed & np.isfinite(anodes.butt_mass_kg)
    if not weighed.any():
        return f"none of the {int(removed.sum())} anodes removed has a butt_mass_kg; weigh the butts"
    return None


def daily_carbon(history: History) -> AnodeCarbon:
    """Return the carbon of the weighed anodes by day and cell."""
    shape = (len(history.dates), len(history.cell_ids))
    carbon, time = np.zeros(shape), np.zeros(shape)
    weighed_on = np.full(shape, -1, dtype=np.intp)
    anodes = _weighed(history.anodes)
    origin = float(history.dates[0].astype("datetime64[D]").astype(np.int64))
    start, stop = anodes.set_at - origin, anodes.removed_at - origin
    rate = (anodes.new_mass_kg - anodes.butt_mass_kg) / (stop - start)
    first = np.maximum(np.floor(start), 0).astype(np.intp)
    last = np.minimum(np.floor(stop), shape[0] - 1).astype(np.intp)
    known = np.floor(stop).astype(np.intp) + WEIGHED_AFTER_DAYS
    # A butt weighed after the record ends is not in the record.
    inside = (last >= first) & (known < shape[0])
    for after in range(int((last - first)[inside].max(initial=-1)) + 1):
        there = np.flatnonzero(inside & (first + after <= last))
        day = first[there] + after
        present = np.minimum(stop[there], day + 1.0) - np.maximum(start[there], day)
        at = (day, anodes.cell[there])
        np.add.at(carbon, at, present * rate[there])
        np.add.at(time, at, present)
        np.maximum.at(weighed_on, at, known[there])
    return AnodeCarbon(carbon, time, weighed_on)


def horizon_carbon(daily: AnodeCarbon, anodes_per_cell: int, horizon: int) -> tuple[Floats, NDArray[np.intp]]:
    """Return the net carbon of each horizon [kg] (t, c), NaN where a position is not covered, and its last weighing.

    Row D is the carbon of days D..D+horizon-1, scaled from the time covered to the whole.
    """
    whole = float(anodes_per_cell * horizon)
    carbon, time = ahead(daily.carbon_kg, horizon), ahead(daily.anode_days, horizon)
    covered = (time >= COVERAGE[0] * whole) & (time <= COVERAGE[1] * whole)
    weighed = latest_ahead(daily.weighed_on, horizon)
    return np.where(covered, carbon * whole / np.where(covered, time, 1.0), np.nan), weighed


def ahead(values: Floats, horizon: int) -> Floats:
    """Return sums over rows D..D+horizon-1 of ``values`` (t, c); NaN where the record ends before."""
    size = len(values)
    total = np.full(values.shape, np.nan)
    if size >= horizon:
        total[: size - horizon + 1] = sum(values[step : size - horizon + 1 + step] for step in range(horizon))
    return total


def latest_ahead(values: NDArray[np.intp], horizon: int) -> NDArray[np.intp]:
    """Return the largest of rows D..D+horizon-1 of ``values`` (t, c), as far as the record goes."""
    found = values.copy()
    for step in range(1, min(horizon, len(values))):
        found[:-step] = np.maximum(found[:-step], values[step:])
    return found


def _weighed(anodes: Anodes) -> Anodes:
    net = anodes.new_mass_kg - anodes.butt_mass_kg
    return anodes.take(np.isfinite(net) & (net > 0) & (anodes.removed_at > anodes.set_at))
