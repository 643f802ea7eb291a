"""The cell's circuit in truth: Haupin's components with the Wang/Tabereaux conductivity.

The features assume another conductivity, and none of them knows that carbon dust in the bath raises its resistance.
"""

from dataclasses import dataclass

import numpy as np

from experiments.simulator.cells import CellEffects
from experiments.simulator.preset import Preset
from experiments.simulator.state import CellState, reference_state
from features.electrolysis import voltage
from features.electrolysis.bath import Bath, alumina_saturation, bath_ratio
from features.electrolysis.conductivity import conductivity_wang
from features.relations import Array

_LEAST_DENSITY = 0.02


@dataclass(frozen=True)
class Circuit:
    """The circuit of c cells at one moment: V = rest + slope (ACD - layer)."""

    rest_v: Array
    slope_v_per_cm: Array
    layer_cm: Array
    saturation_wt_pct: Array

    def voltage(self, acd_cm: Array) -> Array:
        """Voltage (c,) at the distance ``acd_cm`` [V]."""
        return self.rest_v + self.slope_v_per_cm * (acd_cm - self.layer_cm)

    def distance(self, cell_voltage: Array) -> Array:
        """Distance (c,) that gives ``cell_voltage`` [cm]."""
        return self.layer_cm + (cell_voltage - self.rest_v) / self.slope_v_per_cm


def ohmic_resistance(preset: Preset, anode_drop_v: float, cathode_v: Array) -> Array:
    """Resistance of anodes, cathode and busbars (c,) [V/kA]; the drops are those at the nominal current."""
    e = preset.electrics
    drop = anode_drop_v + e.cathode_drop_v + e.external_drop_v + cathode_v
    return drop / preset.line.nominal_current_ka


def circuit(
    preset: Preset, state: CellState, bath: Bath, current_ka: float, ohmic: Array, conductivity: Array
) -> Circuit:
    """Return the circuit of c cells under ``current_ka``; ``conductivity`` (c,) is the cells' own factor."""
    e = preset.electrics
    t = state.bath_temperature_c
    density = np.maximum(voltage.current_density(current_ka, e.anode_area_cm2, e.fanning), _LEAST_DENSITY)
    cathode = np.maximum(voltage.current_density(current_ka, e.cathode_area_cm2), _LEAST_DENSITY)
    ratio = bath_ratio(bath)
    al2o3 = np.maximum(bath.al2o3, 0.8)
    saturation = alumina_saturation(bath, t)
    activity = voltage.alumina_activity(np.minimum(al2o3 / saturation, 1.0))
    limit = voltage.critical_current_density(t, al2o3, e.single_anode_area_cm2)
    kappa = conductivity_wang(bath, t) * conductivity
    kappa = kappa / (1.0 + preset.carbon.dust_resistivity_per_kg * state.dust_kg)
    kappa = kappa * np.exp(e.suspension_per_pct * (preset.bath.reference_al2o3_wt_pct - al2o3))
    layer = voltage.bubble_layer_thickness(density)
    coverage = voltage.bubble_coverage(density, ratio, al2o3, e.effect_al2o3_wt_pct)
    rest = (
        voltage.reversible_potential(t, activity)
        + voltage.anode_surface_overvoltage(t, density, al2o3)
        + voltage.anode_concentration_overvoltage(t, density, limit)
        + voltage.cathode_concentration_overvoltage(t, ratio, cathode)
        + voltage.bubble_voltage(density, layer, coverage, kappa)
        + current_ka * ohmic
    )
    return Circuit(rest, density / kappa, layer, saturation)


def reference_anode_drop(preset: Preset) -> float:
    """The anode drop [V] with which the reference cell shows its reference voltage at its reference distance."""
    state = reference_state(preset, 1)
    none = ohmic_resistance(preset, 0.0, np.zeros(1))
    shape = circuit(preset, state, state.bath(), preset.line.nominal_current_ka, none, np.ones(1))
    return float(preset.electrics.reference_voltage_v - shape.voltage(state.acd_cm)[0])


def cathode_extra_v(preset: Preset, effects: CellEffects, age_d: Array, damage: Array) -> Array:
    """Cathode drop (c,) beyond the preset's [V]: the cell's own, its age, its damage."""
    e = preset.electrics
    ageing = e.cathode_ageing_v_per_kd * (np.minimum(age_d, 3000.0) - 1000.0) / 1000.0
    return effects.cathode_v + ageing + e.damaged_cathode_v * damage
