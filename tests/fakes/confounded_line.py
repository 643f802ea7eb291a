"""A small line whose truth is known and whose operators confound it: they raise the voltage of sick cells.

Energy and mass close exactly; carbon is weighed anode by anode. Only the shape matters here, no physics beyond it.
"""

from dataclasses import dataclass

import numpy as np

from features.history import History
from features.labels import label_table
from features.levers import operating_window
from features.plant import Plant
from features.recipe import Recipe
from training.inputs import TrainingInputs

KG_PER_KA_D = 8.05375
PLANT = Plant("confounded line", "Asia/Shanghai", 500.0, 4, 62.0, simulated=True)
NOISE_PER_V = -80.0
"""True effect of the set voltage on the noise [mV/V]; the history correlates them positively."""
EFFICIENCY_PER_KG_D = 0.0003
"""True effect of the AlF3 dose on the current efficiency [1/(kg/d)]."""
_START = np.datetime64("2025-01-01", "D")
_ANODE_DAYS, _NEW_KG = 28, 30_000.0
_DENSITY = 2300.0


@dataclass
class _Days:
    voltage: np.ndarray
    dose: np.ndarray
    noise: np.ndarray
    efficiency: np.ndarray
    temperature: np.ndarray


def history(seed: int, cells: int = 8, days: int = 150, *, weighed: bool = True) -> History:
    """Return ``cells`` x ``days`` of the line; ``weighed=False`` leaves the anodes out."""
    rng = np.random.default_rng(seed)
    line = _run(rng, cells, days)
    made = KG_PER_KA_D * 500.0 * line.efficiency
    target = np.round((np.roll(made, 1, axis=0) + rng.normal(0, 60, made.shape)) / 10) * 10
    tapped = target + rng.normal(0, 25, made.shape)
    level = 200 + np.cumsum(made - tapped, axis=0) / (62.0 * _DENSITY) * 1000
    ids = np.array([f"c{c:02d}" for c in range(cells)])
    cell, date = np.tile(ids, days), np.repeat(_START + np.arange(days), cells)
    keys = {"line_id": np.full(days * cells, "L1"), "cell_id": cell}
    cell_days = keys | {
        "date": date,
        "line_current_ka": np.full(days * cells, 500.0),
        "cell_voltage_v": (line.voltage + rng.normal(0, 0.004, made.shape)).ravel(),
        "set_voltage_v": line.voltage.ravel(),
        "noise_mv": line.noise.ravel(),
        "bath_temperature_c": line.temperature.ravel(),
        "metal_level_mm": (level + rng.normal(0, 3, made.shape)).ravel(),
        "alf3_dose_kg_d": line.dose.ravel(),
        "alf3_fed_kg_d": line.dose.ravel(),
        "cell_age_d": (np.arange(days)[:, None] + 40.0 + 150.0 * np.arange(cells)).ravel(),
        "run_minutes": np.full(days * cells, 1440.0),
    }
    taps = keys | {
        "time": date.astype("datetime64[s]") + np.timedelta64(3600 * 4, "s"),
        "tap_mass_kg": tapped.ravel(),
        "tap_target_kg": target.ravel(),
    }
    tables = {"cell_days": cell_days, "taps": taps}
    if weighed:
        tables["anode_changes"] = _anodes(ids, made * (333.87 / line.efficiency + 60) / 1000)
    return History.from_columns(tables, PLANT)


def inputs(seed: int, cells: int = 8, days: int = 150, *, weighed: bool = True) -> TrainingInputs:
    """Return features and labels of :func:`history`."""
    line = history(seed, cells, days, weighed=weighed)
    window = operating_window(line, ("set_voltage_v", "alf3_dose_kg_d"))
    recipe = Recipe.for_signals(line.available(), window.names)
    return TrainingInputs(recipe.table(line), label_table(line, 7), recipe, window, PLANT, f"{seed:064d}")


def _run(rng: np.random.Generator, cells: int, days: int) -> _Days:
    shape = (days, cells)
    out = _Days(*(np.zeros(shape) for _ in range(5)))
    own = rng.normal(0, 0.008, cells)
    sick, hot = np.zeros(cells), np.zeros(cells)
    voltage, dose = np.full(cells, 3.9), np.full(cells, 50.0)
    for day in range(days):
        sick = 0.95 * sick + rng.normal(0, 0.35, cells)
        hot = 0.8 * hot + rng.normal(0, 2.0, cells)
        if day:
            seen = out.noise[day - 1]
            pull = 0.06 * (seen - 19) - 8.0 * (voltage - 3.9)
            moves = rng.random(cells) < 0.35
            step = np.round((0.016 * pull + rng.normal(0, 0.008, cells)) / 0.002) * 0.002
            voltage = np.clip(voltage + np.where(moves, step, 0.0), 3.8, 4.0)
            shift = np.round(rng.normal(0, 5, cells) - 0.1 * (dose - 50))
            dose = np.clip(dose + np.where(rng.random(cells) < 0.4, shift, 0), 20, 80)
        out.voltage[day], out.dose[day] = voltage, dose
        out.noise[day] = np.clip(
            19 + 6 * sick + NOISE_PER_V * (voltage - 3.9) + rng.normal(0, 1.5, cells), 3, 80
        )
        out.efficiency[day] = 0.94 + own - 0.004 * sick + EFFICIENCY_PER_KG_D * (dose - 50)
        out.temperature[day] = 952 + hot + 60 * (voltage - 3.9) - 0.1 * (dose - 50) + rng.normal(0, 1, cells)
    return out


def _anodes(ids: np.ndarray, carbon: np.ndarray) -> dict[str, np.ndarray]:
    """Return anode changes: four positions, a life of 28 days, one changed every 7 days; carbon (t, c) a day."""
    rows: dict[str, list[object]] = {
        name: []
        for name in ("line_id", "cell_id", "position", "set_at", "removed_at", "new_mass_kg", "butt_mass_kg")
    }
    days = len(carbon)
    for c, name in enumerate(ids):
        for position in range(4):
            for begin in range(7 * position - _ANODE_DAYS, days, _ANODE_DAYS):
                end = begin + _ANODE_DAYS
                used = carbon[max(begin, 0) : end, c].sum() / 4
                used += carbon[0, c] / 4 * max(0, -begin)
                gone = end < days
                values = (
                    "L1",
                    name,
                    position,
                    _START + begin,
                    _START + end if gone else np.datetime64("NaT"),
                )
                masses = (_NEW_KG, _NEW_KG - used if gone else np.nan)
                for key, value in zip(rows, (*values, *masses), strict=True):
                    rows[key].append(value)
    return {
        key: np.array(value, dtype="datetime64[s]" if key.endswith("_at") else None)
        for key, value in rows.items()
    } | {"anode_lot": np.full(len(rows["cell_id"]), "")}
