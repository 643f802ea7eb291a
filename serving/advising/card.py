"""What a cell's card shows beside the recommendation: set against measured, and days of the line that were alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.history import History
from features.recipe import FeatureTable, Recipe
from features.signals import SIGNALS

Floats = NDArray[np.float64]

PAIRS: Final[Mapping[str, str | None]] = {
    "cell_voltage_v": "set_voltage_v",
    "alf3_fed_kg_d": "alf3_dose_kg_d",
    "tap_mass_kg": "tap_target_kg",
    "alumina_fed_kg_d": "alumina_feed_kg_d",
    "bath_temperature_c": None,
    "noise_mv": None,
    "metal_level_mm": None,
    "anode_effects": None,
}
"""Measured signal -> its setpoint, None where it has none."""
_ENERGY: Final = "energy_kwh_per_t_now"
_EXCESS: Final = "excess_alf3_wt_pct"
FOLLOWED: Final[Mapping[str, str]] = {
    "energy_kwh_per_t": _ENERGY,
    "bath_temperature_c": "bath_temperature_c_mean_7d",
    "noise_mv": "noise_mv_mean_7d",
    "cell_voltage_v": "cell_voltage_v_mean_7d",
}
"""Outcome of a precedent -> the feature that tells it before the move and a horizon after it."""
_NEAREST: Final = 5
_APART_D: Final = 14
_LEAST_SHARED: Final = 0.5


@dataclass(frozen=True)
class Moved:
    """What a recommendation moves: lever -> from and to."""

    levers: Mapping[str, tuple[float, float]]


def trends(history: History, recipe: Recipe, cell: int, days: int) -> dict[str, Any]:
    """Return the last ``days`` of one cell: each signal as measured, beside its setpoint."""
    shown = min(days, len(history.dates))
    signals: dict[str, Any] = {}
    for name, setpoint in PAIRS.items():
        if name in history.signals:
            told = None if setpoint is None else history.signals.get(setpoint)
            told = None if told is None else told[-shown:, cell]
            signals[name] = _series(SIGNALS[name].unit, history.signals[name][-shown:, cell], told)
    signals[_EXCESS] = _series(SIGNALS[_EXCESS].unit, _sampled(history, cell)[-shown:], None)
    if _ENERGY in recipe.names:
        signals["energy_kwh_per_t"] = _series("kWh/t", _estimated(history, recipe, cell)[-shown:], None)
    return {"dates": [str(day) for day in history.dates[-shown:]], "signals": signals}


def _series(unit: str, measured: Floats, told: Floats | None) -> dict[str, Any]:
    return {"unit": unit, "set": None if told is None else _plain(told), "measured": _plain(measured)}


def _plain(values: Floats) -> list[float | None]:
    return [float(f"{value:.9g}") if np.isfinite(value) else None for value in values.tolist()]


def _sampled(history: History, cell: int) -> Floats:
    """Return the excess AlF3 (t,) of one cell by the day on which the bath was sampled."""
    found = np.full(len(history.dates), np.nan)
    mine = history.samples.cell == cell
    if _EXCESS in history.samples.values:
        at = (history.samples.sampled_day[mine] - history.dates[0]).astype(np.int64)
        inside = (at >= 0) & (at < len(found))
        found[at[inside]] = history.samples.values[_EXCESS][mine][inside]
    return found


def _estimated(history: History, recipe: Recipe, cell: int) -> Floats:
    """Return the running estimate of the energy (t,) as it was known at the end of each day."""
    mine = history.take([cell])
    found = np.full(len(history.dates), np.nan)
    for table in (recipe.table(mine), recipe.today(mine)):
        found[(table.date - history.dates[0]).astype(np.int64) - 1] = table.column(_ENERGY)
    return found


def precedents(
    table: FeatureTable, levers: Sequence[str], context: NDArray[np.float32], moved: Moved, horizon: int
) -> list[dict[str, Any]]:
    """Return the days of a line that were most like ``context`` (d,) and on which the same levers went the same way.

    Args:
        table: every decision of the line's record.
        levers: the recipe's levers.
        context: the row of the cell and day that is advised on.
        moved: what the recommendation moves.
        horizon: days after which what followed is read.
    """
    alike = _same_way(table, moved)
    after = _rows_after(table, horizon)
    usable = np.flatnonzero(alike & (after >= 0))
    if not len(usable):
        return []
    away = _distance(table, levers, context, usable)
    found: list[dict[str, Any]] = []
    taken: list[tuple[int, np.datetime64]] = []
    for at in np.argsort(away, kind="stable"):
        row = int(usable[at])
        cell, date = int(table.cell[row]), table.date[row]
        near = any(c == cell and abs(int((date - d).astype(np.int64))) < _APART_D for c, d in taken)
        if near or not np.isfinite(away[at]):
            continue
        taken.append((cell, date))
        found.append(_told(table, row, int(after[row]), float(away[at]), moved))
        if len(found) == _NEAREST:
            break
    return found


def _same_way(table: FeatureTable, moved: Moved) -> NDArray[np.bool_]:
    """Mark (n,) the decisions that moved every lever of ``moved``, each to the same side."""
    same = np.full(len(table), bool(moved.levers))
    for name, (before, then) in moved.levers.items():
        step = table.column(name).astype(np.float64) - table.column(f"{name}_last")
        same &= np.abs(step) > 1e-6 * np.maximum(1.0, np.abs(table.column(name)))
        same &= np.sign(step) == np.sign(then - before)
    return same


def _rows_after(table: FeatureTable, horizon: int) -> NDArray[np.int64]:
    """Return for each row (n,) the row of the same cell ``horizon`` days later, -1 where there is none."""
    place = {key: i for i, key in enumerate(zip(table.cell.tolist(), table.date.tolist(), strict=True))}
    later = (table.date + np.timedelta64(horizon, "D")).tolist()
    return np.array(
        [place.get(key, -1) for key in zip(table.cell.tolist(), later, strict=True)], dtype=np.int64
    )


def _distance(
    table: FeatureTable, levers: Sequence[str], context: NDArray[np.float32], rows: NDArray[np.intp]
) -> Floats:
    """Return how far each of ``rows`` lies from ``context``, in standard deviations of the line's own record."""
    own = [name for lever in levers for name in (lever, f"{lever}_last_move", f"{lever}_days_since_move")]
    kept = np.array([name not in own for name in table.names])
    X = table.X[:, kept].astype(np.float64)
    known = np.isfinite(X)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, X, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (X - mean) ** 2, 0.0).sum(axis=0) / count)
    here = context[kept].astype(np.float64)
    with np.errstate(invalid="ignore"):
        away = ((X[rows] - here) / np.where(spread > 0, spread, 1.0)) ** 2
    shared = np.isfinite(away) & (spread > 0)
    share = shared.mean(axis=1)
    total = np.where(shared, away, 0.0).sum(axis=1) / np.maximum(shared.sum(axis=1), 1)
    return np.where(share >= _LEAST_SHARED, np.sqrt(total), np.inf)


def _told(table: FeatureTable, row: int, after: int, away: float, moved: Moved) -> dict[str, Any]:
    def at(place: int, name: str) -> float | None:
        value = float(table.column(name)[place])
        return float(f"{value:.6g}") if np.isfinite(value) else None

    outcome = {
        name: {"before": at(row, feature), "after": at(after, feature)}
        for name, feature in FOLLOWED.items()
        if feature in table.names
    }
    return {
        "cell_id": str(table.cell_ids[table.cell[row]]),
        "date": str(table.date[row]),
        "distance": float(f"{away:.4g}"),
        "levers": {
            name: {"before": at(row, f"{name}_last"), "after": at(row, name)} for name in moved.levers
        },
        "outcome": outcome,
    }
