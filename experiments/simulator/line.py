"""What the whole line shares: its current, the potroom's air, and the lots of anodes and alumina."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from experiments.simulator.draws import stream
from experiments.simulator.preset import Pair, Preset
from features.relations import Array

_LOTS: Final = 256
_BEFORE_DAYS: Final = 160.0
"""Lots begin this long before day 0, so that every anode of the spin-up has one."""


@dataclass(frozen=True)
class LotSeries:
    """Lots of one material in order of use."""

    used_from: Array
    """(l,) first day of use, fractions are times of the day."""
    quality: dict[str, Array]
    """Signal name to (l,)."""

    def on(self, day: float) -> int:
        """Return which lot is in use at ``day``."""
        return int(np.searchsorted(self.used_from, day, side="right")) - 1


def _series(
    seed: int, number: int, days: Pair, quality: dict[str, Pair], drift_a: Mapping[str, float]
) -> LotSeries:
    generator = stream(seed, "lots", number)
    draws = generator.random((_LOTS, 1 + len(quality) * 4))
    lengths = days[0] + (days[1] - days[0]) * draws[:, 0]
    starts = np.round(-_BEFORE_DAYS + np.concatenate([[0.0], np.cumsum(lengths[:-1])]), 2)
    values = {}
    for k, (name, (mean, spread)) in enumerate(quality.items()):
        # The sum of four uniforms is near enough to a normal and has no far tail, as released lots have none.
        bell = (draws[:, 1 + 4 * k : 5 + 4 * k].sum(axis=1) - 2.0) * np.sqrt(3.0)
        values[name] = np.round(mean + spread * bell + drift_a.get(name, 0.0) * starts / 365.0, 3)
    return LotSeries(starts, values)


@dataclass(frozen=True)
class Line:
    """The line's shared supply, drawn once from the seed."""

    anode_lots: LotSeries
    alumina_lots: LotSeries
    alumina_salts: Array
    """(4, l) factors on CaF2, LiF, KF and MgF2 that the alumina lots bring; nobody measures them."""


def draw_line(preset: Preset, seed: int) -> Line:
    """Draw the lots."""
    c, lots = preset.carbon, preset.lots
    anode = {
        "crr_pct": c.crr_pct,
        "arr_pct": c.arr_pct,
        "air_permeability_npm": c.air_permeability_npm,
        "thermal_conductivity_w_mk": c.thermal_conductivity_w_mk,
    }
    alumina = {"soda_wt_pct": lots.soda_wt_pct, "fines_wt_pct": lots.fines_wt_pct}
    drift = {"crr_pct": lots.crr_drift_pct_a, "arr_pct": lots.arr_drift_pct_a}
    salts = stream(seed, "lots", 3).standard_normal((_LOTS, 4)).T
    return Line(
        anode_lots=_series(seed, 1, lots.anode_days, anode, drift),
        alumina_lots=_series(seed, 2, lots.alumina_days, alumina, {}),
        alumina_salts=np.maximum(1.0 + preset.bath.alumina_salt_spread * salts, 0.4),
    )


@dataclass(frozen=True)
class LineDay:
    """One day of the line."""

    current_ka: Array
    """(s,) current in each inner step."""
    ambient_c: float
    drift_ka: float
    """Slow part of the current, carried to the next day."""
    power_draws: Array
    """(4,) standard normals for the meters."""


def line_day(preset: Preset, seed: int, day: int, drift_ka: float) -> LineDay:
    """Return the line's current and air on ``day``; ``drift_ka`` is the drift of the day before."""
    generator = stream(seed, "line_day", day)
    z, u = generator.standard_normal(8), generator.random(6)
    c, heat = preset.current, preset.heat
    keep = np.exp(-1.0 / c.drift_days)
    drift = float(keep * drift_ka + np.sqrt(1.0 - keep**2) * c.drift_ka * z[0])
    steps = preset.line.steps_per_day
    raised = c.raise_ka * min(max((day - c.raise_from_day) / c.raise_days, 0.0), 1.0)
    current = np.full(steps, preset.line.nominal_current_ka + drift + c.daily_ka * z[1] + raised)
    if u[0] < c.outage_per_day:
        hours = c.outage_hours[0] + (c.outage_hours[1] - c.outage_hours[0]) * u[1] ** 2
        length = max(1, round(hours * steps / 24.0))
        first = int(u[2] * (steps - length))
        current[first : first + length] *= c.outage_load[0] + (c.outage_load[1] - c.outage_load[0]) * u[3]
    season = -np.cos(2.0 * np.pi * (day + 10.0) / 365.25)
    ambient = heat.ambient_c + heat.ambient_swing_k * season + heat.ambient_noise_k * z[2]
    return LineDay(current, float(ambient), drift, z[4:8])
