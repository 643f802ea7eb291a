"""The step from frames to plain arrays: what ``features.history.History.from_columns`` folds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.history import History
from features.layout import TABLES, Kind
from features.tables.store import Tables


def column_arrays(tables: Tables) -> Mapping[str, Mapping[str, NDArray[Any]]]:
    """Return ``{table: {column: (n,) array}}`` of the tables that the plant collects.

    Text is numpy str ("" where not known), days are datetime64[D], times naive datetime64[s] in UTC (NaT = not
    yet), signals float64 (NaN = not known). Rows are sorted by the table's key.
    """
    return {
        name: {column: _array(frame[column], TABLES[name].kind(column)) for column in frame.columns}
        for name, frame in tables.present()
    }


def history(tables: Tables) -> History:
    """Return the line's record as arrays of days by cells, the declared sensors with it."""
    return History.from_columns(column_arrays(tables), tables.plant, tables.sensors)


def _array(values: "pd.Series[Any]", kind: Kind) -> NDArray[Any]:
    if kind == "text":
        return np.asarray(values.fillna("").to_numpy(dtype=object), dtype=np.str_)
    if kind == "day":
        return np.asarray(values, dtype="datetime64[D]")
    if kind == "time":
        return np.asarray(values.dt.tz_localize(None), dtype="datetime64[s]")
    return np.asarray(values, dtype=np.float64)
