"""The sample's tables as a twin posts them: canonical rows in JSON."""

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from features.tables.store import Tables, read_tables
from serving.record.plants import plant_values

SAMPLES = Path(__file__).parents[2] / "data_samples"


@cache
def samples() -> Tables:
    return read_tables(SAMPLES)


def rows_of(
    tables: Tables, cells: int | None = None, days: int | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``tables`` as plain JSON values, of the first ``cells`` and the first ``days`` where given."""
    kept = sorted(set(tables.cell_days["cell_id"]))[:cells]
    end = tables.cell_days["date"].min() + pd.Timedelta(days=days or 100_000)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, frame in tables.present():
        if "cell_id" in frame:
            frame = frame[frame["cell_id"].isin(kept)]
        for column in ("date", "time", "sampled_at", "set_at"):
            if column in frame:
                stamp = frame[column].dt.tz_localize(None)
                frame = frame[stamp < end]
        found[name] = [_plain(row) for row in frame.to_dict("records")]
    return found


def posted(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A whole post: ``rows`` and the sample's plant."""
    return {"plant": plant_values(samples().plant), **rows}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {str(name): _value(str(name), value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if name == "date" else value.isoformat().replace("+00:00", "Z")
    return value
