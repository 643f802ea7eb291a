"""A small, sound line's record and the files a plant would export of it: what faults are planted into.

No physics to speak of, only the shape of a real record: levels, scatter and memory from day to day as a 500 kA line
shows them, metal and energy that balance, anodes that are weighed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.plant import Plant
from features.tables.store import Tables

PLANT = Plant(
    name="fake line",
    timezone="Asia/Shanghai",
    line_current_ka=500.0,
    anodes_per_cell=48,
    metal_pad_area_m2=62.0,
    simulated=False,
)
START = "2025-03-01"
HEADERS = {
    "date": "日期",
    "cell_id": "槽号",
    "cell_age_d": "槽龄",
    "run_minutes": "运行时间(分)",
    "alumina_fed_kg_d": "加料量(kg)",
    "alumina_shots": "加料次数",
    "set_voltage_v": "电压设定",
    "applied_set_voltage_v": "实际设定",
    "cell_voltage_v": "工作平均",
    "swing_minutes": "电压摆时间(分)",
    "noise_mv": "噪声(mv)",
    "beam_travel_mm": "阳极行程(日mm)",
    "bath_temperature_c": "电解温度",
    "alf3_dose_kg_d": "ALF加料量(设定)",
    "alf3_fed_kg_d": "ALF加料量(实际)",
    "metal_level_mm": "铝水平",
    "bath_level_mm": "电解质水平",
    "tap_mass_kg": "实际出铝量",
    "tap_target_kg": "出铝指示量",
    "fe_wt_pct": "Fe含量(%)",
    "si_wt_pct": "Si含量(%)",
}


def remembered(rng: np.random.Generator, shape: tuple[int, int], scatter: float, memory: float) -> np.ndarray:
    """Return an AR(1) course (t, c) with standard deviation ``scatter`` and lag-1 autocorrelation ``memory``."""
    course = np.empty(shape)
    course[0] = rng.normal(0.0, scatter, shape[1])
    for day in range(1, shape[0]):
        course[day] = memory * course[day - 1] + rng.normal(0.0, scatter * np.sqrt(1.0 - memory**2), shape[1])
    return course


@dataclass(frozen=True)
class Record:
    """Signals (t, c) of a sound line."""

    dates: pd.DatetimeIndex
    cells: list[str]
    signals: dict[str, np.ndarray]

    def long(self) -> pd.DataFrame:
        """Return one row a cell and day, cell by cell, with the canonical names."""
        frame = pd.DataFrame(
            {
                "cell_id": np.repeat(self.cells, len(self.dates)),
                "date": np.tile(self.dates.to_numpy(), len(self.cells)),
            }
        )
        for name, values in self.signals.items():
            frame[name] = values.T.ravel()
        return frame


def sound_record(seed: int, cells: int = 6, days: int = 130) -> Record:
    """Return a record without any fault."""
    rng = np.random.default_rng(seed)
    shape = (days, cells)
    held = np.where(rng.random(shape) < 0.12, rng.choice([-0.008, 0.008], shape), 0.0)
    held[0] = 0.0
    setpoint = np.round(np.clip(3.86 + rng.normal(0, 0.02, cells) + np.cumsum(held, 0) * 0.3, 3.8, 3.95), 3)
    applied = setpoint + np.round(np.abs(remembered(rng, shape, 0.004, 0.4)), 3)
    dose = np.round(40 + np.cumsum(np.where(rng.random(shape) < 0.4, rng.choice([-5, 5], shape), 0), 0) * 0.4)
    dose = np.clip(np.round(dose / 5) * 5, 15, 80)
    target = np.where(rng.random(shape) < 0.25, 3810.0, 3750.0)
    target = np.where(np.arange(days)[:, None] // 4 % 2 == 0, 3750.0, target)
    signals = {
        "cell_age_d": np.arange(days)[:, None] + np.round(rng.uniform(300, 1500, cells)),
        "run_minutes": np.full(shape, 1440.0),
        "alumina_fed_kg_d": np.round(7450 + remembered(rng, shape, 190, 0.3)),
        "alumina_shots": np.round(1445 + remembered(rng, shape, 40, 0.3)),
        "set_voltage_v": setpoint,
        "applied_set_voltage_v": applied,
        "cell_voltage_v": np.round(applied + 0.012 + remembered(rng, shape, 0.008, 0.3), 3),
        "swing_minutes": np.round(np.abs(rng.normal(2, 1.5, shape))),
        "noise_mv": np.round(np.clip(19 + remembered(rng, shape, 5, 0.5), 6, 45)),
        "beam_travel_mm": np.round(19.2 + remembered(rng, shape, 1.2, 0.3), 1),
        "bath_temperature_c": np.round(951 + remembered(rng, shape, 5, 0.6)),
        "alf3_dose_kg_d": dose,
        "alf3_fed_kg_d": np.round(np.clip(dose + remembered(rng, shape, 7, 0.2), 1, None)),
        "metal_level_mm": np.round(215 + rng.normal(0, 6, cells) + remembered(rng, shape, 15, 0.8)),
        "bath_level_mm": np.round(180 + remembered(rng, shape, 9, 0.5)),
        "tap_mass_kg": np.round((3775 + remembered(rng, shape, 90, 0.0)) / 10) * 10,
        "tap_target_kg": target,
        "fe_wt_pct": np.round(0.07 + remembered(rng, shape, 0.006, 0.8), 3),
        "si_wt_pct": np.round(0.032 + remembered(rng, shape, 0.003, 0.8), 3),
    }
    return Record(pd.date_range(START, periods=days), [str(2001 + c) for c in range(cells)], signals)


def report(record: Record) -> pd.DataFrame:
    """Return the record as the daily report that the shipped mapping reads, days as ISO text."""
    frame = record.long()
    frame["date"] = frame["date"].dt.strftime("%Y-%m-%d")
    frame["beam_travel_mm"] = np.round(10.0 * frame["beam_travel_mm"])  # the report counts tenths
    return frame.rename(columns=HEADERS)[list(HEADERS.values())]


def as_csv(frame: pd.DataFrame, delimiter: str = ",", decimal: str = ".") -> str:
    """Return ``frame`` as delimited text."""
    return frame.to_csv(index=False, sep=delimiter, decimal=decimal, lineterminator="\n")


def tables(record: Record) -> Tables:
    """Return the record as canonical tables with bath samples, anodes and a meter that agree with it."""
    frame = record.long().assign(line_id="1")
    noon = frame["date"].dt.tz_localize("Asia/Shanghai") + pd.Timedelta(hours=12)
    frame["time"] = noon.dt.tz_convert("UTC")
    tap_signals = ["tap_mass_kg", "tap_target_kg", "fe_wt_pct", "si_wt_pct"]
    day_signals = [name for name in record.signals if name not in tap_signals]
    return Tables(
        plant=PLANT,
        cell_days=frame[["line_id", "cell_id", "date", *day_signals]],
        taps=frame[["line_id", "cell_id", "time", *tap_signals]],
        bath_samples=_samples(frame),
        anode_changes=_anodes(record),
        meters=_meters(record),
    )


def _samples(frame: pd.DataFrame) -> pd.DataFrame:
    every_third = frame[frame["date"].dt.day_of_year % 3 == 0]
    sampled = every_third["time"] - pd.Timedelta(hours=2)
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "line_id": "1",
            "cell_id": every_third["cell_id"],
            "sampled_at": sampled,
            "reported_at": sampled + pd.Timedelta(hours=22),
            "excess_alf3_wt_pct": np.round(11 + rng.normal(0, 0.6, len(every_third)), 2),
            "caf2_wt_pct": 5.0,
        }
    )


def _anodes(record: Record) -> pd.DataFrame:
    """Three of 48 anodes every second day, each 32 days in the cell; 1007 kg of each goes into 400 kg/t net."""
    days = len(record.dates)
    start = pd.Timestamp(START, tz="Asia/Shanghai") + pd.Timedelta(hours=9)
    rows = []
    for cell in record.cells:
        for position in range(48):
            for first in range(2 * (position // 3) - 32, days, 32):
                removed = start + pd.Timedelta(days=first + 32) if first + 32 < days else pd.NaT
                rows.append((cell, str(position), start + pd.Timedelta(days=first), removed))
    frame = pd.DataFrame(rows, columns=["cell_id", "position", "set_at", "removed_at"])
    for name in ("set_at", "removed_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    butt = np.where(frame["removed_at"].notna(), 243.0, np.nan)
    return frame.assign(line_id="1", new_mass_kg=1250.0, butt_mass_kg=butt)


def _meters(record: Record) -> pd.DataFrame:
    power = (record.signals["cell_voltage_v"] * 500.0).sum(axis=1)
    return pd.DataFrame(
        {"line_id": "1", "date": record.dates, "dc_energy_kwh": power * 24.0 * 1.02, "line_current_ka": 500.0}
    )
