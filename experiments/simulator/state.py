"""The hidden state of the cells, and what the preset implies for it at the reference."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.preset import Preset
from features.electrolysis.bath import Bath, liquidus_lithium_potassium_2014
from features.relations import Array

ALF3: Final = 0
CAF2: Final = 1
LIF: Final = 2
KF: Final = 3
MGF2: Final = 4
"""Rows of ``CellState.salts_kg``."""
METAL_DENSITY_KG_M3: Final = 2300.0


@dataclass(eq=False)
class CellState:
    """What the next step depends on, for c cells; every array is (c,) unless it says otherwise."""

    bath_temperature_c: Array
    wall_temperature_c: Array
    ledge_mm: Array
    bath_kg: Array
    salts_kg: Array
    """(5, c) excess AlF3, CaF2, LiF, KF, MgF2."""
    alumina_kg: Array
    """Dissolved."""
    sludge_kg: Array
    """Undissolved alumina."""
    metal_kg: Array
    acd_cm: Array
    dust_kg: Array
    """Carbon dust in the bath."""
    chill_mj: Array
    """Heat that anodes set lately still take up."""
    bad_anode_mv: Array
    feed_phase: NDArray[np.int64]
    """0 underfeeding, 1 overfeeding, 2 the base window."""
    feed_left: NDArray[np.int64]
    cover: Array
    """Slow disturbance of the top's loss, standard normal."""
    sick: Array
    """Slow disturbance of the cell as a whole, standard normal."""
    weather: Array
    """Quick disturbance of the noise, standard normal."""
    iron: Array
    """Slow disturbance of the metal's iron, standard normal."""
    habit: Array
    """Slow disturbance of the taps, standard normal."""

    def copy(self) -> "CellState":
        """Return an independent copy."""
        return CellState(**{f.name: getattr(self, f.name).copy() for f in fields(self)})

    def rows(self, index: NDArray[np.int64]) -> "CellState":
        """Return a copy that holds the cells in ``index``, in that order."""
        return CellState(
            **{f.name: np.ascontiguousarray(getattr(self, f.name)[..., index]) for f in fields(self)}
        )

    def put(self, mask: NDArray[np.bool_], other: "CellState") -> None:
        """Overwrite the cells under ``mask`` (c,) with those of ``other``."""
        for f in fields(self):
            getattr(self, f.name)[..., mask] = getattr(other, f.name)[..., mask]

    def bath(self) -> Bath:
        """Return the composition [wt%]."""
        share = 100.0 / self.bath_kg
        salts = self.salts_kg * share
        return Bath(
            salts[ALF3],
            al2o3=self.alumina_kg * share,
            caf2=salts[CAF2],
            lif=salts[LIF],
            mgf2=salts[MGF2],
            kf=salts[KF],
        )


def metal_level_mm(preset: Preset, state: CellState) -> Array:
    """True metal level (c,) [mm]: a thick ledge narrows the pad."""
    heat = preset.heat
    narrower = heat.perimeter_m * (state.ledge_mm - heat.reference_ledge_mm) / 1000.0
    return state.metal_kg / (METAL_DENSITY_KG_M3 * (preset.line.metal_pad_area_m2 - narrower)) * 1000.0


def bath_level_mm(preset: Preset, state: CellState) -> Array:
    """True bath level above the metal (c,) [mm]: what the anodes leave no room for rises beside them."""
    bath = preset.bath
    below = bath.cavity_area_m2 * state.acd_cm / 100.0
    beside = (state.bath_kg / bath.density_kg_m3 - below) / bath.free_area_m2
    return beside * 1000.0 + state.acd_cm * 10.0


def reference_state(preset: Preset, cells: int) -> CellState:
    """The sound cell at its reference, ``cells`` times."""
    heat, bath = preset.heat, preset.bath

    def full(value: float) -> Array:
        return np.full(cells, value)

    salts = np.array(bath.reference_wt_pct)[:, None] / 100.0 * bath.reference_mass_kg
    liquidus = reference_liquidus(preset)
    level = preset.operation.metal_level_mm
    return CellState(
        bath_temperature_c=full(heat.reference_temperature_c),
        wall_temperature_c=full(heat.ambient_c + heat.shell_share * (liquidus - heat.ambient_c)),
        ledge_mm=full(heat.reference_ledge_mm),
        bath_kg=full(bath.reference_mass_kg),
        salts_kg=np.repeat(salts, cells, axis=1),
        alumina_kg=full(bath.reference_al2o3_wt_pct / 100.0 * bath.reference_mass_kg),
        sludge_kg=full(90.0),
        metal_kg=full(level / 1000.0 * preset.line.metal_pad_area_m2 * METAL_DENSITY_KG_M3),
        acd_cm=full(preset.electrics.reference_acd_cm),
        dust_kg=full(30.0),
        chill_mj=full(700.0),
        bad_anode_mv=full(0.0),
        feed_phase=np.full(cells, 2, dtype=np.int64),
        feed_left=np.full(cells, 3, dtype=np.int64),
        cover=full(0.0),
        sick=full(0.0),
        weather=full(0.0),
        iron=full(0.0),
        habit=full(0.0),
    )


def start_state(preset: Preset, now: CellState, damaged: Array) -> CellState:
    """A cell on the day it starts: hot, thin ledge, much bath, little AlF3 and, with an old lining, deep metal.

    Args:
        preset: the line's constants.
        now: the present state, whose slow disturbances go on.
        damaged: (c,) nought for a new lining, one for an old one.
    """
    cells = now.sick.shape[0]
    fresh, op, area = reference_state(preset, cells), preset.operation, preset.line.metal_pad_area_m2
    level = op.young_metal_mm - 20.0 + damaged * (op.damaged_metal_mm - op.young_metal_mm)
    fresh.bath_temperature_c[:] = 972.0 + (preset.heat.reference_temperature_c - 951.0)
    fresh.ledge_mm[:] = 25.0
    fresh.bath_kg[:] = 11300.0 * (preset.bath.reference_mass_kg / 9900.0)
    fresh.salts_kg *= fresh.bath_kg / preset.bath.reference_mass_kg
    alf3 = preset.bath.young_alf3_wt_pct + damaged * (8.0 - preset.bath.young_alf3_wt_pct)
    fresh.salts_kg[[LIF, KF]] *= preset.bath.young_salt_share + damaged * (1.0 - preset.bath.young_salt_share)
    fresh.salts_kg[ALF3] = alf3 / 100.0 * fresh.bath_kg
    fresh.alumina_kg[:] = 0.027 * fresh.bath_kg
    fresh.metal_kg[:] = level / 1000.0 * area * METAL_DENSITY_KG_M3
    for name in ("cover", "sick", "weather", "iron", "habit"):
        getattr(fresh, name)[:] = getattr(now, name)
    return fresh


def reference_liquidus(preset: Preset) -> float:
    """The true liquidus of the reference composition [degC]."""
    a, c, lif, kf, m = preset.bath.reference_wt_pct
    bath = Bath(a, al2o3=preset.bath.reference_al2o3_wt_pct, caf2=c, lif=lif, mgf2=m, kf=kf)
    return float(liquidus_lithium_potassium_2014(bath))
