"""A part of the sample, as a canonical directory: for tests of the whole chain that must not take minutes."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from features.tables.store import Tables, read_tables, write_tables

SAMPLE = Path(__file__).parents[2] / "data_samples"


def small_record(folder: Path, cells: int = 10, days: int = 240) -> Path:
    """Write the last ``days`` days of the first ``cells`` cells of the sample to ``folder``."""
    whole = read_tables(SAMPLE)
    kept = sorted(whole.cell_days["cell_id"].unique())[:cells]
    begin = whole.cell_days["date"].max() - pd.Timedelta(days=days - 1)
    frames = {}
    for name, frame in whole.present():
        part = frame[frame["cell_id"].isin(kept)] if "cell_id" in frame else frame
        for column in ("date", "time", "sampled_at"):
            if column in part:
                zone = getattr(part[column].dtype, "tz", None)
                part = part[part[column] >= (begin.tz_localize(zone) if zone else begin)]
        frames[name] = part
    return write_tables(_with(whole, frames), folder)


def _with(whole: Tables, frames: dict[str, pd.DataFrame]) -> Tables:
    return replace(whole, **frames)
