"""What an advice worker does with a line's record: rows in, contexts out. It needs no search."""

import datetime
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from features.bundle.manifest import DataInfo
from features.history import History
from features.layout import TABLES
from features.recipe import FeatureTable, Recipe
from serving.advising.card import Moved, precedents, trends
from serving.advising.quality import quality
from serving.ledger.contexts import context_values, read_context
from serving.models.drift import line_drift
from serving.record.folding import contexts_on, history_of
from serving.record.intake import take
from serving.record.store import RecordStore
from serving.refusals import refused

_KEPT: Final = 4
_ONE_DAY = datetime.timedelta(days=1)


class RecordDesk:
    """The records that a worker works on; opened once, folded anew when they have changed."""

    def __init__(self, recipe: Recipe, data: DataInfo) -> None:
        """Make features by ``recipe``; ``data``: what the model learnt from and was proved on."""
        self._recipe = recipe
        days = [np.datetime64(day, "D") for day in (*data.span, *data.test_span)]
        self._learnt = (min(days), max(days))
        self._stores: dict[str, RecordStore] = {}
        self._folded: OrderedDict[tuple[str, str, int, datetime.date | None], History] = OrderedDict()
        self._tables: dict[int, tuple[History, FeatureTable]] = {}

    def post(self, told: Mapping[str, Any], payload: bytes) -> dict[str, Any]:
        """Put the rows of ``payload`` into the record."""
        now = datetime.datetime.fromisoformat(told["now"])
        return take(payload, self._store(told), told["lines"], self._recipe.sensors, now)

    def contexts(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return the context of each cell of a line on a date, and the row that is typical of the line."""
        date = datetime.date.fromisoformat(told["date"])
        found = contexts_on(self.history(told, date), self._recipe, date)
        rows = [context.row for context in found if context.row is not None]
        typical = None
        if rows:
            stacked = np.stack(rows).astype(np.float64)
            middle = [
                float(np.median(c[np.isfinite(c)])) if np.isfinite(c).any() else None for c in stacked.T
            ]
            typical = middle
        return {"contexts": [context_values(context) for context in found], "typical": typical}

    def card(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return a cell's trends, and days of its line that were like ``advice``'s, where it is given."""
        history = self.history(told)
        names = history.cell_ids.tolist()
        if told["cell_id"] not in names:
            raise refused(
                404, "unknown_name.cell_record", cell=told["cell_id"][:64], line=told["line_id"][:64]
            )
        shown = trends(history, self._recipe, names.index(told["cell_id"]), told["days"])
        return {"trends": shown, **self.precedents(told)}

    def quality(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a line's record is worth for a decision on a date, and how its rows differ from the model's."""
        date = datetime.date.fromisoformat(told["date"])
        history = self.history(told, date)
        return {**quality(history, date), "drift": self._drift(told)}

    def _drift(self, told: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return how far each feature of the line's last days is from the days that the model learnt from."""
        table = self._table(told)
        if not len(table):
            return []
        first, last = self._learnt
        learnt = (table.date >= first) & (table.date <= last)
        day = table.date.astype("datetime64[D]").astype(np.int64)
        return [
            {"feature": one.feature, "psi": one.psi, "usual": one.usual, "drifted": one.drifted}
            for one in line_drift(table.X, day, learnt, self._recipe.names)
        ]

    def precedents(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return the days of a line that were most like the one advised on; none where nothing is moved."""
        moved = Moved({name: (before, then) for name, before, then in told.get("moved") or ()})
        if not moved.levers or not told.get("context"):
            return {"precedents": []}
        row = read_context(told["context"]).row
        if row is None or len(row) != len(self._recipe.names):
            return {"precedents": []}
        found = precedents(self._table(told), self._recipe.levers, row, moved, told["horizon"])
        return {"precedents": found}

    def _table(self, told: Mapping[str, Any]) -> FeatureTable:
        history = self.history(told)
        if id(history) not in self._tables:
            self._tables = {id(history): (history, self._recipe.table(history))}
        return self._tables[id(history)][1]

    def history(self, told: Mapping[str, Any], date: datetime.date | None = None) -> History:
        """Return the history of ``told``'s line as it stands now, to the day before ``date`` at least."""
        store = self._store(told)
        line = store.line(told["line_id"])
        before = None if date is None else date - _ONE_DAY
        through = before if before and line.last and before > line.last else None
        key = (told["store"], line.line_id, line.revision, through)
        if key not in self._folded:
            values = store.values(line.line_id, TABLES)
            self._folded[key] = history_of(values, line.plant, self._recipe.sensors, through)
            while len(self._folded) > _KEPT:
                self._folded.popitem(last=False)
        self._folded.move_to_end(key)
        return self._folded[key]

    def _store(self, told: Mapping[str, Any]) -> RecordStore:
        url = told["store"]
        if url not in self._stores:
            self._stores[url] = RecordStore(url)
        return self._stores[url]
