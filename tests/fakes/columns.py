"""A made-up plant's record as plain column arrays: random, gappy, with late laboratory results."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.history import History
from features.plant import Plant

Columns = dict[str, NDArray[Any]]
FIRST = np.datetime64("2025-03-01")
MINUTE = np.timedelta64(1, "m")
UTC_TO_LOCAL_MINUTES = 8 * 60

RANGES = {
    "line_current_ka": (498, 502),
    "cell_voltage_v": (3.85, 4.0),
    "set_voltage_v": (3.85, 3.95),
    "applied_set_voltage_v": (3.86, 3.97),
    "noise_mv": (8, 30),
    "swing_minutes": (0, 5),
    "bath_temperature_c": (940, 965),
    "metal_level_mm": (200, 230),
    "bath_level_mm": (170, 200),
    "alf3_dose_kg_d": (30, 60),
    "alf3_fed_kg_d": (30, 60),
    "alumina_feed_kg_d": (7200, 7500),
    "alumina_fed_kg_d": (7100, 7500),
    "anode_effects": (0, 1.2),
    "anode_effect_minutes": (0, 3),
    "run_minutes": (1420, 1440),
    "beam_travel_mm": (180, 210),
    "side_temperature_c": (200, 260),
}
LAB = {
    "excess_alf3_wt_pct": (9, 13),
    "caf2_wt_pct": (4, 6),
    "lif_wt_pct": (1, 2),
    "kf_wt_pct": (1, 2),
    "mgf2_wt_pct": (0.2, 0.6),
    "al2o3_wt_pct": (2, 3),
}
QUALITY = {
    "crr_pct": (85, 92),
    "arr_pct": (70, 85),
    "air_permeability_npm": (0.5, 1.5),
    "thermal_conductivity_w_mk": (3, 4),
    "soda_wt_pct": (0.3, 0.5),
    "fines_wt_pct": (5, 12),
}


def plant(anodes: int = 4) -> Plant:
    """Return a plant in a zone eight hours ahead of UTC."""
    return Plant("made-up", "Asia/Shanghai", 500.0, anodes, 62.72, simulated=True)


def instant(day: NDArray[Any], minute: NDArray[Any]) -> NDArray[Any]:
    """Return the UTC instants of local ``minute`` on local ``day`` (days after FIRST)."""
    local = FIRST.astype("datetime64[m]") + day * (24 * 60) * MINUTE
    return local + (minute - UTC_TO_LOCAL_MINUTES) * MINUTE


def tables(cells: int, days: int, seed: int, missing: float = 0.1) -> dict[str, Columns]:
    """Return the six tables of ``cells`` cells over ``days`` days; ``missing`` of the values are not known."""
    rng = np.random.default_rng(seed)
    record = {
        "cell_days": _cell_days(rng, cells, days, missing),
        "taps": _taps(rng, cells, days, missing),
        "bath_samples": _samples(rng, cells, days, missing),
        "anode_changes": _anodes(rng, cells, days, missing),
        "lots": _lots(rng, days),
        "meters": _meters(rng, days),
    }
    return record


def history(cells: int, days: int, seed: int, missing: float = 0.1, anodes: int = 4) -> History:
    """Return the folded record of ``tables``."""
    return History.from_columns(tables(cells, days, seed, missing), plant(anodes))


def cell_keys(cell: NDArray[Any]) -> Columns:
    """Return the key columns of cell numbers ``cell``."""
    return {"line_id": np.full(len(cell), "L1"), "cell_id": np.array([f"{100 + int(c)}" for c in cell])}


def _uniform(rng: np.random.Generator, span: tuple[float, float], size: int, missing: float) -> NDArray[Any]:
    values = span[0] + (span[1] - span[0]) * rng.random(size)
    return np.where(rng.random(size) < missing, np.nan, values)


def _cell_days(rng: np.random.Generator, cells: int, days: int, missing: float) -> Columns:
    day, cell = (grid.ravel() for grid in np.meshgrid(np.arange(days), np.arange(cells), indexing="ij"))
    columns = {**cell_keys(cell), "date": FIRST + day.astype("timedelta64[D]")}
    for name, span in RANGES.items():
        columns[name] = _uniform(rng, span, len(day), missing)
    for lever, places in (("set_voltage_v", 2), ("alf3_dose_kg_d", -1), ("alumina_feed_kg_d", -2)):
        # A lever is known on the first day, so that every record has its setpoints.
        known = np.where((day == 0) & np.isnan(columns[lever]), RANGES[lever][0], columns[lever])
        columns[lever] = np.round(known, places)
    columns["anode_effects"] = np.floor(columns["anode_effects"])
    columns["cell_age_d"] = 300.0 + 100.0 * cell + day
    # A cell is at rest now and then, and one starts anew half-way.
    keep = rng.random(len(day)) > missing / 3
    keep |= (day == 0) | (day == days - 1)
    anew = (cell == cells - 1) & (day >= days // 2) & (days > 10)
    columns["cell_age_d"] = np.where(anew, day - days // 2 + 1.0, columns["cell_age_d"])
    return {name: values[keep] for name, values in columns.items()}


def _taps(rng: np.random.Generator, cells: int, days: int, missing: float) -> Columns:
    day, cell = (grid.ravel() for grid in np.meshgrid(np.arange(days), np.arange(cells), indexing="ij"))
    kept = (rng.random(len(day)) > missing) | (day == 0)
    day, cell = day[kept], cell[kept]
    return {
        **cell_keys(cell),
        "time": instant(day, rng.integers(0, 1440, len(day))),
        "tap_mass_kg": _uniform(rng, (3500, 4000), len(day), missing / 4),
        "tap_target_kg": np.round(_uniform(rng, (3600, 3900), len(day), 0.0), -2),
        "fe_wt_pct": _uniform(rng, (0.05, 0.1), len(day), missing),
        "si_wt_pct": _uniform(rng, (0.02, 0.05), len(day), missing),
    }


def _samples(rng: np.random.Generator, cells: int, days: int, missing: float) -> Columns:
    size = cells * days // 2 + 1
    sampled = instant(rng.integers(0, days, size), rng.integers(0, 1440, size))
    columns = {
        **cell_keys(rng.integers(0, cells, size)),
        "sampled_at": sampled,
        "reported_at": sampled + rng.integers(0, 4 * 1440, size) * MINUTE,
    }
    return columns | {name: _uniform(rng, span, size, missing) for name, span in LAB.items()}


def _anodes(rng: np.random.Generator, cells: int, days: int, missing: float, positions: int = 4) -> Columns:
    rows: list[tuple[int, int, float, float]] = []
    for cell in range(cells):
        for position in range(positions):
            at = -28.0 * rng.random()
            while at < days:
                out = at + 24.0 + 8.0 * rng.random()
                rows.append((cell, position, at, out))
                at = out
    cell, position, set_at, out = (np.array(column) for column in zip(*rows, strict=True))
    removed = _at(out)
    removed[out >= days] = np.datetime64("NaT")
    return {
        **cell_keys(cell),
        "position": np.array([f"{int(p)}" for p in position]),
        "set_at": _at(set_at),
        "removed_at": removed,
        "new_mass_kg": 1200.0 + 50.0 * rng.random(len(rows)),
        "butt_mass_kg": np.where((out >= days) | (rng.random(len(rows)) < missing / 5), np.nan, 250.0),
        "anode_lot": np.array([f"A{int(max(s, 0) // 14)}" for s in set_at]),
    }


def _at(day: NDArray[Any]) -> NDArray[Any]:
    return instant(np.zeros(len(day), dtype=np.int64), np.round(day * 1440).astype(np.int64))


def _lots(rng: np.random.Generator, days: int) -> Columns:
    lots = days // 14 + 2
    start = np.arange(lots) * 14 - 14
    return {
        "lot_id": np.array([f"A{i}" for i in range(lots)] + [f"B{i}" for i in range(lots)]),
        "material": np.array(["anode"] * lots + ["alumina"] * lots),
        "used_from": instant(np.concatenate([start, start]), np.zeros(2 * lots, dtype=np.int64)),
    } | {
        name: np.where(
            np.arange(2 * lots) < lots
            if name not in ("soda_wt_pct", "fines_wt_pct")
            else np.arange(2 * lots) >= lots,
            _uniform(rng, span, 2 * lots, 0.0),
            np.nan,
        )
        for name, span in QUALITY.items()
    }


def _meters(rng: np.random.Generator, days: int) -> Columns:
    return {
        "line_id": np.full(days, "L1"),
        "date": FIRST + np.arange(days).astype("timedelta64[D]"),
        "line_current_ka": _uniform(rng, (498, 502), days, 0.0),
        "tariff_per_kwh": _uniform(rng, (0.3, 0.5), days, 0.0),
    }
