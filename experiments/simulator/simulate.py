"""Run the line for a while and write down what a plant would have: six tables, and the truth apart."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.simulator.anodes import Changes
from experiments.simulator.line import LotSeries
from experiments.simulator.potline import Potline
from experiments.simulator.preset import Preset
from experiments.simulator.record import DayRecord
from features.errors import InputError
from features.relations import Array
from features.tables.store import Tables

_WEIGHED_AFTER_DAYS = 1.0
"""A butt is weighed on the day after its removal."""


@dataclass(frozen=True)
class Simulated:
    """A simulated record.

    ``truth`` has one row a running cell and day: line_id, cell_id, date and what only the simulation knows.
    """

    tables: Tables
    truth: pd.DataFrame


def simulate(
    preset: Preset | str,
    cells: int,
    days: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Simulated:
    """Simulate ``cells`` cells for ``days`` days after a spin-up, operators acting.

    Args:
        preset: a preset or its name.
        cells: number of cells.
        days: number of recorded days.
        seed: everything random follows from it; a longer run begins with the shorter one.
        progress: called with (days done, days) after each day.

    Raises:
        InputError: no cells, no days or a negative seed.
        UnknownNameError: no such preset.
    """
    if days < 1:
        raise InputError(f"a record needs at least one day, not {days}")
    plant = Potline(preset, cells, seed)
    records = []
    for done in range(days):
        records.append(plant.step())
        if progress is not None:
            progress(done + 1, days)
    return collect(plant, records)


def collect(plant: Potline, records: Sequence[DayRecord]) -> Simulated:
    """Bring the records of consecutive days, the last one the plant's latest, into tables.

    Raises:
        InputError: no records.
    """
    if not records:
        raise InputError("no day was simulated; step the plant first")
    book = _Book(plant, records)
    tables = Tables(
        plant=plant.plant,
        cell_days=book.days(lambda r: r.cell_days),
        taps=book.taps(),
        bath_samples=book.samples(),
        anode_changes=book.anode_changes(),
        lots=book.lots(),
        meters=book.meters(),
    )
    return Simulated(tables, book.days(lambda r: r.truth))


class _Book:
    """The records of one run, written out table by table."""

    def __init__(self, plant: Potline, records: Sequence[DayRecord]) -> None:
        self.plant = plant
        self.records = records
        self.line_id = plant.preset.line.line_id
        self.cell_ids = np.array(plant.cell_ids)
        self.dates = np.array([r.date for r in records], dtype="datetime64[D]")

    def _flat(self, pick: Callable[[DayRecord], Any]) -> NDArray[Any]:
        return np.concatenate([np.asarray(pick(r)) for r in self.records])

    def _keys(self, where: Callable[[DayRecord], NDArray[np.bool_]]) -> dict[str, Any]:
        return {"line_id": self.line_id, "cell_id": self._flat(lambda r: self.cell_ids[where(r)])}

    def _columns(
        self,
        table: Callable[[DayRecord], Mapping[str, Array]],
        where: Callable[[DayRecord], NDArray[np.bool_]],
    ) -> dict[str, Any]:
        """Return each column of ``table`` over all days, the cells under ``where`` alone."""
        picked = [{name: values[where(r)] for name, values in table(r).items()} for r in self.records]
        return {name: np.concatenate([day[name] for day in picked]) for name in picked[0]}

    def days(self, table: Callable[[DayRecord], Mapping[str, Array]]) -> pd.DataFrame:
        """Return ``table`` of every day: one row a running cell and day."""
        columns = self._keys(lambda r: r.running)
        columns["date"] = np.repeat(self.dates, [int(r.running.sum()) for r in self.records])
        frame = pd.DataFrame({**columns, **self._columns(table, lambda r: r.running)})
        frame["date"] = frame["date"].astype("datetime64[us]")
        return frame

    def taps(self) -> pd.DataFrame:
        """Return the taps."""
        columns = self._keys(lambda r: r.tapped)
        columns["time"] = self._utc(self._flat(lambda r: r.day + r.tap_time[r.tapped]))
        return pd.DataFrame({**columns, **self._columns(lambda r: r.taps, lambda r: r.tapped)})

    def samples(self) -> pd.DataFrame | None:
        """Return the bath samples, None where none was taken."""
        if not any(r.sampled.any() for r in self.records):
            return None
        columns = self._keys(lambda r: r.sampled)
        columns["sampled_at"] = self._utc(self._flat(lambda r: r.day + r.sample_time[r.sampled]))
        reported = self._flat(lambda r: r.day + (r.sample_time + r.report_delay_d)[r.sampled])
        columns["reported_at"] = self._utc(reported)
        return pd.DataFrame({**columns, **self._columns(lambda r: r.samples, lambda r: r.sampled)})

    def anode_changes(self) -> pd.DataFrame:
        """Return the anodes removed, and those still in."""
        now = float(self.records[-1].day + 1)
        parts = [self._anode_rows(r.changes, now) for r in self.records if r.changes.cell.size]
        rows = pd.concat([*parts, self._anode_rows(self.plant.anodes_in(), now)], ignore_index=True)
        # A cell that starts again on the coming day still has its last anodes on its books: they were removed.
        return rows.drop_duplicates(["line_id", "cell_id", "position", "set_at"], ignore_index=True)

    def _anode_rows(self, changes: Changes, now: float) -> pd.DataFrame:
        weighed = changes.removed_day + _WEIGHED_AFTER_DAYS < now
        names = self.plant.lot_ids("anode")
        return pd.DataFrame(
            {
                "line_id": self.line_id,
                "cell_id": self.cell_ids[changes.cell],
                "position": [f"{p + 1:02d}" for p in changes.position],
                "anode_lot": np.array(names)[changes.lot],
                "set_at": self._utc(changes.set_day),
                "removed_at": self._utc(changes.removed_day),
                "new_mass_kg": changes.new_kg,
                "butt_mass_kg": np.where(weighed, changes.butt_kg, np.nan),
            }
        )

    def lots(self) -> pd.DataFrame:
        """Return the lots that were in use on some recorded day, or are in some anode of the record."""
        now = float(self.records[-1].day + 1)
        parts = [self._lot_rows(name, series, now) for name, series in self.plant.lot_series.items()]
        return pd.concat(parts, ignore_index=True)

    def _lot_rows(self, material: str, series: LotSeries, now: float) -> pd.DataFrame:
        known = series.used_from < now
        columns: dict[str, Any] = {
            "material": material,
            "lot_id": np.array(self.plant.lot_ids(material))[known],
            "used_from": self._utc(series.used_from[known]),
        }
        columns.update({name: values[known] for name, values in series.quality.items()})
        return pd.DataFrame(columns)

    def meters(self) -> pd.DataFrame:
        """Return the line's meters, one row a day."""
        columns: dict[str, Any] = {"line_id": self.line_id, "date": self.dates.astype("datetime64[us]")}
        for name in self.records[0].meters:
            columns[name] = [r.meters[name] for r in self.records]
        return pd.DataFrame(columns)

    def _utc(self, day: Array | Iterable[float]) -> Any:
        """Plant-local days (fractions are times of the day, NaN is not yet) as UTC instants, to the minute."""
        line = self.plant.preset.line
        minutes = np.round(np.asarray(day, dtype=np.float64) * 1440.0)
        known = np.isfinite(minutes)
        offset = np.where(known, minutes, 0.0).astype(np.int64).astype("timedelta64[m]")
        local = (np.datetime64(line.start_date, "m") + offset).astype("datetime64[us]")
        local = np.where(known, local, np.datetime64("NaT", "us"))
        return pd.DatetimeIndex(local).tz_localize(line.timezone).tz_convert("UTC")
