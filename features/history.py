"""A potline's record as arrays: days by cells, with what was reported when.

``History.from_columns`` folds the six canonical tables into ``(t, c)`` arrays, one per signal, NaN = not known.
A day is the plant's calendar day: times come in UTC and are assigned to days in the plant's zone. Bath samples and
anodes keep their own grain, because a laboratory result counts from the day it is *reported*, and an anode's carbon
is known only when its butt has been weighed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import ContractError
from features.folding import Columns, fold
from features.plant import Plant
from features.record import SAMPLE_SIGNALS, WEIGHED_AFTER_DAYS, Anodes, Days, Floats, Ints, Samples
from features.signals import Signal

__all__ = ["SAMPLE_SIGNALS", "Anodes", "Columns", "Day", "History", "Samples"]


@dataclass(frozen=True)
class Day:
    """What became known on one day: each signal's (c,) values and the samples reported on it."""

    date: np.datetime64
    signals: Mapping[str, Floats]
    samples: Samples


@dataclass(frozen=True)
class History:
    """A line's record: ``signals[name]`` is (t, c), NaN = not known.

    Attributes:
        cell_ids, line_ids: (c,) text.
        dates: (t,) consecutive days.
        signals: name -> (t, c).
        samples: bath samples.
        anodes: anodes one by one; empty where the plant does not record them.
        plant: the plant's constants.
        sensors: the plant's own signals, beyond the dictionary, with their units and ranges.
    """

    cell_ids: NDArray[np.str_]
    line_ids: NDArray[np.str_]
    dates: Days
    signals: Mapping[str, Floats]
    samples: Samples
    anodes: Anodes
    plant: Plant
    sensors: tuple[Signal, ...] = ()

    def __post_init__(self) -> None:
        """Refuse arrays that do not agree in shape, and days that are not consecutive.

        Raises:
            ContractError: a shape or the calendar is wrong.
        """
        shape = (len(self.dates), len(self.cell_ids))
        wrong = {name: values.shape for name, values in self.signals.items() if values.shape != shape}
        if wrong or len(self.line_ids) != len(self.cell_ids):
            raise ContractError(f"history: every signal must have shape {shape}; these have not: {wrong}")
        if len(self.dates) and np.any(np.diff(self.dates) != np.timedelta64(1, "D")):
            raise ContractError(
                "history: the days are not consecutive; give every calendar day, NaN where unknown"
            )

    @classmethod
    def from_columns(
        cls,
        tables: Mapping[str, Columns],
        plant: Plant,
        sensors: Sequence[Signal] = (),
        through: np.datetime64 | None = None,
    ) -> "History":
        """Fold the canonical tables, each a mapping of column name to array, into a History.

        Text columns hold str, ``date`` columns datetime64 days, time columns naive datetime64 in UTC (NaT = not
        yet), signal columns float64. Only ``cell_days`` is needed for the arrays, ``taps`` for production. ``through``
        extends the calendar beyond the last report.

        Raises:
            ContractError: ``cell_days`` or one of its key columns is missing, or a key occurs twice.
        """
        folded = fold(tables, plant, through)
        return cls(
            folded.cell_ids,
            folded.line_ids,
            folded.dates,
            folded.signals,
            folded.samples,
            folded.anodes,
            plant,
            tuple(sensors),
        )

    def day(self, index: int) -> Day:
        """Return what became known on day ``index`` (negative counts from the end)."""
        date = self.dates[index]
        first, last = np.searchsorted(self.samples.reported_day, [date, date + np.timedelta64(1, "D")])
        return Day(
            date,
            {name: values[index] for name, values in self.signals.items()},
            self.samples.take(np.arange(first, last)),
        )

    def available(self) -> frozenset[str]:
        """Return the names of the signals and sample values that hold at least one finite value."""
        seen = [name for name, values in self.signals.items() if np.isfinite(values).any()]
        lab = [name for name, values in self.samples.values.items() if np.isfinite(values).any()]
        return frozenset((*seen, *lab))

    def take(self, cells: Sequence[int] | Ints) -> "History":
        """Return the history of ``cells`` (indices) in that order; line medians stay those of the whole line."""
        chosen = np.asarray(cells, dtype=np.intp)
        where = np.full(len(self.cell_ids), -1, dtype=np.intp)
        where[chosen] = np.arange(len(chosen))
        samples = self.samples.take(where[self.samples.cell] >= 0)
        samples = replace(samples, cell=where[samples.cell])
        samples = samples.take(np.lexsort((samples.sampled_day, samples.cell, samples.reported_day)))
        anodes = self.anodes.take(where[self.anodes.cell] >= 0)
        anodes = replace(anodes, cell=where[anodes.cell])
        return replace(
            self,
            cell_ids=self.cell_ids[chosen],
            line_ids=self.line_ids[chosen],
            signals={name: np.ascontiguousarray(values[:, chosen]) for name, values in self.signals.items()},
            samples=samples,
            anodes=anodes.take(np.argsort(anodes.cell, kind="stable")),
        )

    def until(self, date: np.datetime64) -> "History":
        """Return what was known at the end of ``date``: no later day, no sample reported later, no later butt."""
        days = int(np.searchsorted(self.dates, date, side="right"))
        end = (date + np.timedelta64(1, "D")).astype("datetime64[D]").astype(np.int64)
        anodes = self.anodes.take(self.anodes.set_at < end)
        still_in = ~(anodes.removed_at < end)
        unweighed = ~(np.floor(anodes.removed_at) + WEIGHED_AFTER_DAYS < end)
        return replace(
            self,
            dates=self.dates[:days],
            signals={name: values[:days] for name, values in self.signals.items()},
            samples=self.samples.take(self.samples.reported_day <= date),
            anodes=replace(
                anodes,
                removed_at=np.where(still_in, np.nan, anodes.removed_at),
                butt_mass_kg=np.where(unweighed, np.nan, anodes.butt_mass_kg),
            ),
        )
