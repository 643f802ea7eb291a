"""A simulated line that runs quietly, as a History: metal, alumina, voltage and carbon that balance, and moves on request."""

import datetime
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.electrolysis.faraday import METAL_KG_PER_KA_DAY
from features.history import History
from features.plant import Plant
from features.record import Anodes, Samples
from serving.schemas import Estimate, LeverAdvice, Reason, Recommendation, Saving

Floats = NDArray[np.float64]

PLANT = Plant("Quiet line", "Asia/Shanghai", 500.0, 8, 64.0, simulated=True)
FIRST = np.datetime64("2025-01-01", "D")
KG_PER_MM = PLANT.metal_pad_area_m2 * 2.28
LIFE_D = 28
BURN_KG_D = 400.0 * 3.745 / 8
"""Net carbon that an anode loses in a day: 400 kg/t at 3.745 t/d over eight anodes."""


def course(rng: np.random.Generator, shape: tuple[int, int], scatter: float, memory: float = 0.8) -> Floats:
    found = np.empty(shape)
    found[0] = rng.normal(0.0, scatter, shape[1])
    for day in range(1, shape[0]):
        found[day] = memory * found[day - 1] + rng.normal(0.0, scatter * np.sqrt(1 - memory**2), shape[1])
    return found


def quiet_line(cells: int = 24, days: int = 130, seed: int = 0, line_id: str = "L1") -> History:
    """A line of grown cells; every cell has its own level of voltage and efficiency, and a memory of a week."""
    rng = np.random.default_rng(seed)
    shape = (days, cells)
    efficiency = 0.93 + rng.normal(0, 0.004, cells) + course(rng, shape, 0.004)
    made = METAL_KG_PER_KA_DAY * PLANT.line_current_ka * efficiency
    tapped = np.round(made.mean() + rng.normal(0, 60, shape), -1)
    level = 220.0 + np.cumsum(made - tapped, axis=0) / KG_PER_MM
    base = np.round(3.95 + rng.normal(0, 0.02, cells), 3)
    signals: dict[str, Floats] = {
        "line_current_ka": np.full(shape, PLANT.line_current_ka),
        "cell_voltage_v": base + 0.02 + course(rng, shape, 0.012),
        "set_voltage_v": np.tile(base, (days, 1)),
        "noise_mv": 14.0 + course(rng, shape, 2.0),
        "bath_temperature_c": 950.0 + course(rng, shape, 3.0),
        "metal_level_mm": level + rng.normal(0, 3.0, shape),
        "tap_mass_kg": tapped,
        "alumina_fed_kg_d": made * 1.935 * (1 + rng.normal(0, 0.01, cells)) + rng.normal(0, 60, shape),
        "alf3_dose_kg_d": np.full(shape, 30.0),
        "cell_age_d": 800.0 + np.arange(days)[:, None] + 10.0 * np.arange(cells)[None, :],
    }
    nothing = np.array([], dtype="datetime64[D]")
    none = np.array([])
    return History(
        np.array([f"c{i:02d}" for i in range(cells)]),
        np.array([line_id] * cells),
        FIRST + np.arange(days),
        signals,
        Samples(nothing, nothing, none.astype(np.intp), {}),
        Anodes(none.astype(np.intp), none.astype(str), none, none, none, none, none.astype(str)),
        PLANT,
    )


def with_signals(history: History, **signals: Floats) -> History:
    return replace(history, signals={**history.signals, **signals})


def lower_voltage(history: History, cells: list[int], start: int, volts: float) -> History:
    """The line whose ``cells`` run at ``volts`` less from day ``start`` on, set and measured."""
    measured, told = (history.signals[name].copy() for name in ("cell_voltage_v", "set_voltage_v"))
    for cell in cells:
        measured[start:, cell] -= volts
        told[start:, cell] = np.round(told[start:, cell] - volts, 6)
    return with_signals(history, cell_voltage_v=measured, set_voltage_v=told)


def with_anodes(history: History, less: dict[int, tuple[int, float]], seed: int = 5) -> History:
    """The line with its anodes; ``less``: cell -> (from which day, what share of the carbon is saved)."""
    rng = np.random.default_rng(seed)
    origin, days = float(FIRST.astype(np.int64)), len(history.dates)
    rows: list[tuple[int, str, float, float, float, float]] = []
    for cell in range(len(history.cell_ids)):
        start, share = less.get(cell, (days, 0.0))
        own = BURN_KG_D * (1 + rng.normal(0, 0.01))
        for position in range(PLANT.anodes_per_cell):
            begun = -LIFE_D + LIFE_D * position / PLANT.anodes_per_cell
            while begun < days:
                ended = begun + LIFE_D
                under = max(0.0, ended - max(begun, start))
                burnt = own * (LIFE_D - share * under) + rng.normal(0, 8.0)
                rows.append((cell, f"{position}", origin + begun, origin + ended, 1300.0, 1300.0 - burnt))
                begun = ended
    cell, position, begun_at, ended_at, new, butt = zip(*rows, strict=True)
    removed = np.array(ended_at)
    inside = removed < origin + days
    return replace(
        history,
        anodes=Anodes(
            np.array(cell, dtype=np.intp),
            np.array(position),
            np.array(begun_at),
            np.where(inside, removed, np.nan),
            np.array(new),
            np.where(inside, np.array(butt), np.nan),
            np.full(len(rows), ""),
        ),
    )


def day(index: int) -> datetime.date:
    found: datetime.date = (FIRST + index).item()
    return found


def saves(energy: float, cost: float = 0.0) -> Saving:
    """A promise of ``energy`` kWh/t, give or take a tenth."""
    return Saving(
        energy_kwh_per_t=Estimate(mean=energy, lower=0.9 * energy, upper=1.1 * energy),
        net_anode_kg_per_t=None,
        cost_per_t=Estimate(mean=cost, lower=0.9 * cost, upper=1.1 * cost),
        currency="CNY",
    )


def advice(
    history: History, cell: int, start: int, volts: float, promised: float = 30.0, **changes: Any
) -> Recommendation:
    """A recommendation for day ``start``: ``volts`` less, in steps of 20 mV a day."""
    current = float(history.signals["set_voltage_v"][start - 1, cell])
    target = round(current - volts, 6)
    steps = max(1, round(volts / 0.02))
    path = tuple(round(current - volts * (i + 1) / steps, 6) for i in range(steps))
    date = day(start)
    lever = LeverAdvice(
        name="set_voltage_v",
        unit="V",
        current=current,
        recommended=target,
        lower=target - 0.1,
        upper=current + 0.1,
        step=0.02,
        path=path,
    )
    expires = datetime.datetime.combine(date + datetime.timedelta(days=1), datetime.time(), datetime.UTC)
    fields: dict[str, Any] = {
        "line_id": str(history.line_ids[cell]),
        "cell_id": str(history.cell_ids[cell]),
        "date": date,
        "expires_at": expires,
        "model_name": "potline",
        "model_version": "1",
        "bundle_digest": "ab" * 32,
        "status": "move",
        "levers": (lever,),
        "expected": {},
        "saving": saves(promised).model_dump(),
        "support": None,
        "binding": (),
        "reasons": (Reason(code="saving", text="saves", text_zh="节省").model_dump(),),
    }
    return Recommendation.sealed(**{**fields, **changes})
