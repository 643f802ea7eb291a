"""A line's rows as arrays of days by cells, and what is known of its cells on a decision date."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from features.history import History
from features.layout import TABLES, Layout
from features.plant import Plant
from features.recipe import Recipe
from features.signals import Signal
from serving.context import Context, contexts_today

Values = Mapping[str, Sequence[Mapping[str, Any]]]
_ONE_DAY = np.timedelta64(1, "D")


def history_of(
    values: Values, plant: Plant, sensors: Iterable[Signal] = (), through: datetime.date | None = None
) -> History:
    """Fold the rows of one line, in the order of their keys, into its history, at least ``through`` that day.

    Raises:
        ContractError: there is no cell day among them.
    """
    tables = {name: _columns(rows, TABLES[name]) for name, rows in values.items() if rows}
    end = None if through is None else np.datetime64(through, "D")
    return History.from_columns(tables, plant, tuple(sensors), end)


def contexts_on(history: History, recipe: Recipe, date: datetime.date) -> list[Context]:
    """Return the context of every cell for a decision on ``date``, from what was known at the end of the day before.

    Raises:
        InputError: ``history`` does not reach the day before, or begins on ``date`` or later.
    """
    before = np.datetime64(date, "D") - _ONE_DAY
    if not history.dates[0] <= before <= history.dates[-1]:
        raise InputError(
            f"date {date}: the record goes from {history.dates[0]} to {history.dates[-1]}; decide on a day after its"
            " first one"
        )
    known = history if before == history.dates[-1] else history.until(before)
    return list(contexts_today(known, recipe))


def _columns(rows: Sequence[Mapping[str, Any]], layout: Layout) -> dict[str, NDArray[Any]]:
    present = dict.fromkeys(name for row in rows for name in row)
    always = (*layout.text, *layout.days, *layout.times, *layout.required)
    wanted = [
        name for name in dict.fromkeys((*layout.columns, *present)) if name in present or name in always
    ]
    return {name: _array([row.get(name) for row in rows], layout.kind(name)) for name in wanted}


def _array(values: list[Any], kind: str) -> NDArray[Any]:
    if kind == "text":
        return np.array(["" if value is None else value for value in values], dtype=np.str_)
    if kind == "day":
        return np.array(values, dtype="datetime64[D]")
    if kind == "time":
        text = ["NaT" if value is None else value for value in values]
        return np.array(text, dtype="datetime64[us]").astype("datetime64[s]")
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
