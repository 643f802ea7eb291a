"""The measured record as a service holds it, day by day: the recipe streams, so a day costs the same on any day.

The rows are those that ``contexts_today`` makes of the whole record: a test compares them bit for bit.
"""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from experiments.simulator.record import DayRecord
from experiments.simulator.simulate import collect
from features.history import Columns, History
from features.recipe import FeatureTable, Recipe
from features.tables.history import column_arrays
from serving.context import Context, contexts_of
from serving.models.errors import LineErrors, delayed, watch
from serving.predictor import Predictor

OVERLAP_DAYS: Final = 15
"""Days of the record folded again with every new part: a late sample, a butt weighed a day later and an instrument
that repeats itself are all younger than this."""
_REMEMBERED_DAYS: Final = 60
_KEPT_DAYS: Final = 180
"""Days of the record that are kept whole: the features, labels and weeks that errors are told from look back less."""


class Watch:
    """What is known of a virtual line from its measured record alone."""

    def __init__(self, plant: Potline, recipe: Recipe) -> None:
        """Start with nothing known of ``plant``, whose days are given to :meth:`see` one by one."""
        self._line, self._recipe = plant, recipe
        self._state = recipe.start(plant.cells, plant.plant)
        self._kept: deque[DayRecord] = deque(maxlen=_KEPT_DAYS)
        self._new = self.days_seen = 0
        self._part: History | None = None
        self._settings: deque[NDArray[np.float64]] = deque(maxlen=_REMEMBERED_DAYS)

    def see(self, record: DayRecord) -> None:
        """Take in the day that the plant has just lived through."""
        self._kept.append(record)
        self._new += 1
        self.days_seen += 1
        self._part = None
        taps, days = record.taps, record.cell_days
        self._settings.append(np.stack([taps[n] if n in taps else days[n] for n in LEVERS], axis=1))

    def mean_settings(self, days: int) -> NDArray[np.float64]:
        """Return the mean setpoints (c, k) over the last ``days``, in the order of ``LEVERS``."""
        return np.asarray(np.mean(list(self._settings)[-days:], axis=0))

    @property
    def levers_in_force(self) -> NDArray[np.float64]:
        """The setpoints (c, k) as last reported, in the recipe's order; NaN where never reported."""
        self._fold()
        return self._state.levers_in_force

    @property
    def table(self) -> FeatureTable:
        """The rows of a decision on the coming day, every lever held."""
        part = self._fold()
        usable = np.flatnonzero(self._state.usable)
        return FeatureTable(
            self._state.row()[usable],
            usable,
            np.full(len(usable), self._state.date),
            self._recipe.names,
            part.cell_ids,
            part.line_ids,
        )

    def errors(self, predictor: Predictor) -> LineErrors:
        """Return how wrong ``predictor`` has been on this line lately, as a service tells it every day."""
        manifest, line_id = predictor.manifest, self._line.preset.line.line_id
        past = delayed(manifest, _folded(self._line, list(self._kept)), line_id)
        return watch(manifest, line_id, past, predictor.predict(past.X))

    def contexts(self) -> list[Context]:
        """Return the context of every cell, in the plant's order, for a decision on the coming day."""
        return list(contexts_of(self.table, self._fold()))

    def _fold(self) -> History:
        """Advance the recipe over the days seen since the last time, and return the record's last weeks."""
        if self._part is None:
            new = list(self._kept)[-(OVERLAP_DAYS + self._new) :]
            self._part = _folded(self._line, new)
            for index in range(len(new) - self._new, len(new)):
                self._state.advance(self._part.day(index))
            self._new = 0
        return self._part


def _folded(line: Potline, records: list[DayRecord]) -> History:
    """Fold ``records`` (consecutive days, the last one the line's latest) into a history of every cell of the line."""
    columns = dict(column_arrays(collect(line, records).tables))
    columns["cell_days"] = _with_all_cells(columns["cell_days"], line)
    return History.from_columns(columns, line.plant)


def _with_all_cells(days: Columns, line: Potline) -> Columns:
    """Give a cell that stood still all the time an empty row on the first day: a history knows its cells by rows."""
    absent = sorted(set(line.cell_ids) - set(days["cell_id"].tolist()))
    if not absent:
        return days
    empty = {
        "line_id": np.full(len(absent), line.preset.line.line_id),
        "cell_id": np.array(absent),
        "date": np.full(len(absent), days["date"].min()),
    }
    return {
        name: np.concatenate([values, empty.get(name, np.full(len(absent), np.nan))])
        for name, values in days.items()
    }
