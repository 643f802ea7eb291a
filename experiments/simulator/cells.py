"""What distinguishes one cell from the next, and its course of life: sound, damaged, stopped, started again.

Both are drawn once from the seed and never depend on what anybody does to the line.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.draws import stream
from experiments.simulator.preset import Preset
from features.relations import Array

_CYCLES: Final = 4
_NEVER: Final = 1_000_000.0


@dataclass(frozen=True)
class CellEffects:
    """Fixed offsets of c cells from the preset, each (c,)."""

    top_loss: Array
    """Factor on the loss through the top."""
    cathode_v: Array
    conductivity: Array
    """Factor on the bath's conductivity as the cell shows it."""
    critical_mm: Array
    efficiency: Array
    noise_mv: Array
    soda_kg_d: Array
    alf3_feeder: Array
    """Kilograms fed for each recorded kilogram of AlF3."""
    thermocouple_c: Array
    metal_gauge_mm: Array
    bath_gauge_mm: Array
    shot_factor: Array
    """Recorded kilograms of alumina for each kilogram fed."""
    estimate_bias_wt_pct: Array
    preference_v: Array
    feed_preference: Array
    anode_life_days: Array
    anode_phase: Array
    iron_wt_pct: Array
    silicon_wt_pct: Array
    end_mm: Array
    """What the return conductor adds to the critical distance at the nominal current."""
    drift_c_per_d: Array
    """How the thermocouple drifts from ``fault_day`` on."""
    jump_mm: Array
    """By how much the metal gauge jumps on ``fault_day``."""
    fault_day: Array

    def rows(self, index: NDArray[np.int64]) -> "CellEffects":
        """Return the effects of the cells in ``index``, in that order."""
        return CellEffects(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def draw_effects(preset: Preset, seed: int, cells: int) -> CellEffects:
    """Draw the fixed effects of ``cells`` cells."""
    generator = stream(seed, "cell")
    z = np.clip(generator.standard_normal((cells, 20)), -2.2, 2.2).T
    u = stream(seed, "cell", 1).random((cells, 2)).T
    spread, feeding, faults = preset.cells, preset.feeding, preset.faults
    lie = stream(seed, "faults").random((cells, 4)).T
    low, high = preset.carbon.life_days
    return CellEffects(
        top_loss=1.0 + spread.top_loss * z[0],
        cathode_v=spread.cathode_v * z[1],
        conductivity=1.0 + spread.conductivity * z[2],
        critical_mm=spread.critical_mm * z[3],
        efficiency=spread.efficiency * z[4],
        noise_mv=spread.noise_mv * z[5],
        soda_kg_d=spread.soda_kg_d * z[6],
        alf3_feeder=1.0 + spread.alf3_feeder * z[7],
        thermocouple_c=spread.thermocouple_c * z[8],
        metal_gauge_mm=spread.level_mm * z[9],
        bath_gauge_mm=spread.level_mm * z[10],
        shot_factor=1.0 + feeding.shot_bias + feeding.shot_spread * z[11],
        estimate_bias_wt_pct=feeding.estimate_bias_wt_pct * z[12],
        preference_v=preset.operation.preference_v * z[13],
        feed_preference=1.0 + 0.006 * z[14],
        anode_life_days=low + (high - low) * u[0],
        anode_phase=u[1],
        iron_wt_pct=0.055 * np.exp(0.28 * z[15]),
        silicon_wt_pct=0.031 * np.exp(0.10 * z[16]),
        end_mm=_end_mm(preset, cells),
        drift_c_per_d=np.where(lie[0] < faults.drift_share, faults.drift_c_per_d, 0.0),
        jump_mm=np.where(lie[1] < faults.jump_share, faults.jump_mm * np.sign(lie[2] - 0.5), 0.0),
        fault_day=faults.from_day[0] + (faults.from_day[1] - faults.from_day[0]) * lie[3],
    )


def _end_mm(preset: Preset, cells: int) -> Array:
    """Return what the line's ends feel (c,) [mm]: all of it at the outermost cell, nothing beyond the share."""
    hidden, place = preset.hidden, np.arange(cells)
    outward = np.minimum(place, cells - 1 - place) / max(cells, 1)
    near = np.clip(1.0 - outward / max(hidden.end_cell_share, 1e-9), 0.0, 1.0)
    return hidden.end_cell_mm * near


@dataclass(frozen=True)
class Lives:
    """When each of c cells started, was damaged and stopped, over several cycles, each (c, cycles) [day]."""

    start: Array
    damage: Array
    stop: Array

    def rows(self, index: NDArray[np.int64]) -> "Lives":
        """Return the lives of the cells in ``index``, in that order."""
        return Lives(self.start[index], self.damage[index], self.stop[index])

    def on(self, day: int) -> "LifeDay":
        """Return where each cell stands on ``day``."""
        cycle = np.clip((self.start <= day).sum(axis=1) - 1, 0, self.start.shape[1] - 1)[:, None]
        start = np.take_along_axis(self.start, cycle, 1)[:, 0]
        damage = np.take_along_axis(self.damage, cycle, 1)[:, 0]
        stop = np.take_along_axis(self.stop, cycle, 1)[:, 0]
        since = np.clip((day - damage) / 14.0, 0.0, 1.0)
        return LifeDay(
            age_d=day - start,
            damage=np.where(damage <= start, 1.0, since),
            running=(day < stop) & (day >= start),
            starts=start == day,
            stops=stop == day,
        )


@dataclass(frozen=True)
class LifeDay:
    """Where c cells stand on one day, each (c,)."""

    age_d: Array
    damage: Array
    """Nought for a sound cell, one for a damaged, deep-metal one."""
    running: NDArray[np.bool_]
    starts: NDArray[np.bool_]
    stops: NDArray[np.bool_]


def draw_lives(preset: Preset, seed: int, cells: int) -> Lives:
    """Draw the lives of ``cells`` cells; days are whole and counted from the record's first day."""
    life = preset.life
    u = stream(seed, "life").random((cells, _CYCLES, 6))
    start, damage, stop = (np.empty((cells, _CYCLES)) for _ in range(3))
    low, high = life.age_days
    # Multiples of the golden section spread the kinds evenly, so that a small line has its share of each.
    kind = np.mod(stream(seed, "life", 1).random() + 0.6180339887498949 * np.arange(cells), 1.0)
    damaged, young = kind < life.damaged_share, kind > 1.0 - life.young_share
    age = np.where(young, 5.0 + 90.0 * u[:, 0, 1], low + (high - low) * u[:, 0, 1])
    began = -np.floor(age) - preset.line.spin_up_days
    for k in range(_CYCLES):
        wait = -np.log1p(-u[:, k, 2]) * 365.0
        first = np.maximum(began, 0.0 if k == 0 else -_NEVER)
        hurt = np.floor(first + (150.0 if k else 0.0) + wait / life.damage_per_year)
        hurt = np.where(damaged, began, hurt)
        left = -np.log1p(-u[:, k, 3]) * 365.0 / life.relining_per_year
        start[:, k], damage[:, k] = began, hurt
        stop[:, k] = np.floor(np.maximum(hurt + 60.0, first + 5.0) + left)
        rest = life.downtime_days[0] + (life.downtime_days[1] - life.downtime_days[0]) * u[:, k, 4]
        began = np.floor(stop[:, k] + rest)
        damaged = u[:, k, 5] < life.restart_share
    return Lives(start, damage, stop)
