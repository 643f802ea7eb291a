"""Days on which nobody measured: a record that repeats itself is written again, not reported.

A living cell never shows voltage, noise, feed and beam travel twice the same; where several stand still for days, an
export has held or filled them in. Such a day counts as not reported. It is told from the days before it alone, so
that a stream and a history agree, and the first days of a run pass.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.history import History
from features.signals import SIGNALS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOVES_DAILY: Final = (
    "cell_voltage_v",
    "noise_mv",
    "alumina_fed_kg_d",
    "alumina_shots",
    "beam_travel_mm",
    "bath_temperature_c",
    "alf3_fed_kg_d",
)
"""Signals that change from day to day in every running cell."""
LEAST_SIGNALS: Final = 4
"""That many of them at least repeat the day before, or the day does not count as a repetition."""
LEAST_DAYS: Final = 3
"""From this many repetitions in a row on, a record is held."""


class Repetition:
    """How many days in a row each of some cells has repeated the day before."""

    def __init__(self, cells: int) -> None:
        """Start with nothing seen."""
        self._before = np.full((len(MOVES_DAILY), cells), np.nan)
        self._days = np.zeros(cells, dtype=np.int64)

    def advance(self, reported: Mapping[str, Floats]) -> Flags:
        """Take in a day's signals (name -> (c,)) and mark (c,) the cells whose record is held on it."""
        blank = np.full(self._before.shape[1], np.nan)
        now = np.stack([reported.get(name, blank) for name in MOVES_DAILY])
        same = (now == self._before).sum(axis=0) >= LEAST_SIGNALS
        self._before, self._days = now, np.where(same, self._days + 1, 0)
        return np.asarray(self._days >= LEAST_DAYS)


def without(reported: Mapping[str, Floats], held: Flags) -> dict[str, Floats]:
    """Return a day's signals (name -> (c,)) with what instruments and feeders said of ``held`` (c,) cells not known.

    Setpoints and what is known beforehand (age, line current) stay.
    """
    if not held.any():
        return dict(reported)
    return {name: np.where(held, np.nan, v) if _told_by_the_cell(name) else v for name, v in reported.items()}


def _told_by_the_cell(name: str) -> bool:
    return name in SIGNALS and SIGNALS[name].role in ("measured", "fed")


def measured(history: History) -> History:
    """Return ``history`` with its held days not known."""
    repetition = Repetition(len(history.cell_ids))
    days = [
        repetition.advance({name: values[day] for name, values in history.signals.items()})
        for day in range(len(history.dates))
    ]
    held = np.array(days).reshape(len(history.dates), len(history.cell_ids))
    return replace(history, signals=without(history.signals, held)) if held.any() else history
