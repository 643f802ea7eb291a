"""What the preset leaves open and the reference cell decides: the anode drop and the losses that balance it."""

from dataclasses import dataclass

import numpy as np

from experiments.simulator.electrics import reference_anode_drop
from experiments.simulator.preset import Preset
from experiments.simulator.state import reference_liquidus
from features.electrolysis.faraday import METAL_KG_PER_KA_DAY
from features.errors import SettingsError


@dataclass(frozen=True)
class Calibration:
    """Derived constants of one preset."""

    anode_drop_v: float
    top_kw_per_k: float
    wall_inner_k_per_kw: float
    """Between the ledge and the wall's heat store."""
    wall_outer_k_per_kw: float
    """Between the wall's heat store and the air."""
    salt_supply_kg_d: tuple[float, float, float, float]
    """CaF2, LiF, KF, MgF2 that the alumina brings when it is average."""
    reference_metal_kg_d: float


def calibrate(preset: Preset) -> Calibration:
    """Balance the reference cell.

    Raises:
        SettingsError: the reference cell cannot lose its heat the way the preset says.
    """
    heat, line, e = preset.heat, preset.line, preset.electrics
    temperature, liquidus = heat.reference_temperature_c, reference_liquidus(preset)
    ce = preset.efficiency.reference
    inside_v = e.reference_voltage_v - e.external_drop_v - heat.haupin_v[0] - heat.haupin_v[1] * ce
    metal_m, bath_m = preset.operation.metal_level_mm / 1e3, preset.bath.level_target_mm / 1e3
    side = side_conductance(preset, bath_m, metal_m) * (temperature - liquidus)
    changes = line.anodes / float(np.mean(preset.carbon.life_days))
    rest = line.nominal_current_ka * inside_v - side - changes * heat.new_anode_mj / 86.4
    top = rest / (temperature - heat.ambient_c) - heat.bottom_kw_per_k
    outer = (liquidus - heat.ambient_c) / side - ledge_resistance(preset, heat.reference_ledge_mm)
    if top <= 0.0 or outer <= 0.0:
        raise SettingsError(
            f"preset {line.name}: the reference cell does not balance (top {top:.3f} kW/K, wall {outer:.3f} K/kW);"
            " change the ledge, the superheat or the bottom's loss"
        )
    mass, share = (
        preset.bath.reference_mass_kg,
        preset.bath.salt_loss_per_day + preset.bath.bath_growth_per_day,
    )
    supply = tuple(share * mass * content / 100.0 for content in preset.bath.reference_wt_pct[1:])
    return Calibration(
        anode_drop_v=reference_anode_drop(preset),
        top_kw_per_k=top,
        wall_inner_k_per_kw=(1.0 - heat.shell_share) * outer,
        wall_outer_k_per_kw=heat.shell_share * outer,
        salt_supply_kg_d=(supply[0], supply[1], supply[2], supply[3]),
        reference_metal_kg_d=METAL_KG_PER_KA_DAY * line.nominal_current_ka * ce,
    )


def side_conductance(preset: Preset, bath_m: float, metal_m: float) -> float:
    """Conductance from bath and metal to the ledge [kW/K] at the given levels [m]."""
    heat = preset.heat
    wetted = heat.bath_to_ledge_kw_m2k * bath_m + heat.metal_to_ledge_kw_m2k * metal_m
    return heat.perimeter_m * wetted


def ledge_resistance(preset: Preset, ledge_mm: float) -> float:
    """Resistance of a ledge [K/kW]."""
    return ledge_mm / (preset.heat.ledge_w_mk * preset.heat.ledge_area_m2)
