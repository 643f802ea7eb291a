"""Heat: what the reaction needs, what is left to lose, and the ledge that the loss keeps frozen.

The voltage cannot fall freely: below some heat loss the ledge grows over and the superheat is gone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from features.electrolysis.faraday import ALUMINIUM_G_PER_MOL, METAL_KG_PER_KA_HOUR
from features.parameters.ledges import LedgeDesign
from features.relations import Array, array, relation

CELL_KELVIN: Final = 1223.15
"""Temperature at which metal and gas leave the cell, 950 degC [K]."""
ALUMINA_FORMATION_KJ_PER_MOL: Final = -1675.7
CO2_FORMATION_KJ_PER_MOL: Final = -393.5
CO_FORMATION_KJ_PER_MOL: Final = -110.5
LIQUID_METAL_KJ_PER_MOL: Final = 36.2
"""Enthalpy of liquid aluminium at 950 degC over the solid at 25 degC [kJ/mol]."""


@dataclass(frozen=True)
class _Shomate:
    """Enthalpy over 25 degC [kJ/mol] = at + bt^2/2 + ct^3/3 + dt^4/4 - e/t + f - h, t = T/1000 K."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float
    h: float

    def enthalpy(self, kelvin: float) -> float:
        t = kelvin / 1000.0
        power = self.a * t + self.b * t**2 / 2 + self.c * t**3 / 3 + self.d * t**4 / 4
        return power - self.e / t + self.f - self.h


_CO2_HOT = _Shomate(58.16639, 2.720074, -0.492289, 0.038844, -6.447293, -425.9186, -393.5224)  # above 1200 K
_CO = _Shomate(25.56759, 6.096130, 4.054656, -2.671301, 0.131021, -118.0089, -110.5271)  # below 1300 K
_CO2_KJ_PER_MOL: Final = CO2_FORMATION_KJ_PER_MOL + _CO2_HOT.enthalpy(CELL_KELVIN)
_CO_KJ_PER_MOL: Final = CO_FORMATION_KJ_PER_MOL + _CO.enthalpy(CELL_KELVIN)

_ENTHALPY = "formation enthalpies Al2O3 -1675.7, CO2 -393.5, CO -110.5 kJ/mol; Al(l) 36.2 kJ/mol; NIST Shomate CO2, CO"


@relation(
    unit="kWh/kg",
    equation="Al2O3 + 1.5/CE C -> 2Al + (3 - 1.5/CE) CO2 + (3/CE - 3) CO; feed at 25 degC, Al and gas at 950 degC",
    source=_ENTHALPY,
    tag="C",
    valid={"current_efficiency": (0.5, 1.0)},
)
def enthalpy_requirement(current_efficiency: ArrayLike) -> Array:
    """Heat and work that a kilogram of metal takes up, without any loss [kWh/kg].

    Args:
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(enthalpy_requirement(1.0)), 2)
    6.31
    """
    spent = 1.5 / array(current_efficiency)
    gas = (3.0 - spent) * _CO2_KJ_PER_MOL + (2.0 * spent - 3.0) * _CO_KJ_PER_MOL
    kilojoule = gas + 2.0 * LIQUID_METAL_KJ_PER_MOL - ALUMINA_FORMATION_KJ_PER_MOL
    return kilojoule / (2.0 * ALUMINIUM_G_PER_MOL) * 1000.0 / 3600.0


@relation(unit="V", equation="V_Al = 0.335573 CE h(CE)", source=_ENTHALPY, tag="C")
def enthalpy_voltage(current_efficiency: ArrayLike) -> Array:
    """Share of the cell voltage that the reaction takes up [V].

    Args:
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(enthalpy_voltage(0.95)), 3)
    2.037
    """
    return METAL_KG_PER_KA_HOUR * array(current_efficiency) * enthalpy_requirement(current_efficiency)


@relation(unit="V", equation="V_Al = 0.48 + 1.65 CE", source="Haupin's linear form, recalled", tag="B")
def enthalpy_voltage_haupin(current_efficiency: ArrayLike) -> Array:
    """Haupin's linear form of :func:`enthalpy_voltage` [V]; within 0.012 V of it from 0.90 to 1.

    Args:
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(enthalpy_voltage_haupin(0.94)), 3)
    2.031
    """
    return 0.48 + 1.65 * array(current_efficiency)


@relation(unit="kW", equation="Q = (V - V_out - V_Al) I", source="energy balance of the cell", tag="C")
def heat_loss(
    line_current: ArrayLike, cell_voltage: ArrayLike, voltage_outside: ArrayLike, reaction: ArrayLike
) -> Array:
    """Heat that the cell must lose [kW].

    Args:
        line_current: line current [kA].
        cell_voltage: mean cell voltage [V].
        voltage_outside: drop in conductors whose heat never enters the cell [V].
        reaction: voltage that the reaction takes up [V], :func:`enthalpy_voltage`.

    >>> round(float(heat_loss(500.0, 3.91, 0.17, enthalpy_voltage(0.94))))
    860
    """
    return (array(cell_voltage) - array(voltage_outside) - array(reaction)) * array(line_current)


@relation(
    unit="-", equation="u = h(CE) 1000/E", source="definition of the electrical energy utilisation", tag="C"
)
def energy_utilisation(energy: ArrayLike, current_efficiency: ArrayLike) -> Array:
    """Share of the direct-current energy that the reaction takes up [-].

    Args:
        energy: direct-current energy [kWh/t].
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(energy_utilisation(12_400.0, 0.94)), 3)
    0.517
    """
    return enthalpy_requirement(current_efficiency) * 1000.0 / array(energy)


_LEDGE = "one-dimensional ledge; public models of 500 kA and 180 kA cells (Wong and others, MMTB 2023)"


@relation(unit="W/m2", equation="q = h (T - T_liq)", source=_LEDGE, tag="V")
def heat_flux_to_ledge(superheat: ArrayLike, ledge: LedgeDesign) -> Array:
    """Heat that the bath gives to the ledge [W/m2].

    Args:
        superheat: bath temperature above the liquidus [degC].
        ledge: the side wall's parameters.

    >>> from features.parameters.ledges import load_ledge_design
    >>> round(float(heat_flux_to_ledge(9.0, load_ledge_design("ledge_180ka"))))
    5400
    """
    return ledge.bath_transfer_w_m2k * array(superheat)


@relation(unit="W/m2", equation="q = (T_liq - T_amb)/(l/k + R_wall + 1/h_shell)", source=_LEDGE, tag="V")
def heat_flux_through_ledge(
    liquidus: ArrayLike, ambient: ArrayLike, thickness: ArrayLike, ledge: LedgeDesign
) -> Array:
    """Heat that leaves through ledge, wall and shell [W/m2].

    Args:
        liquidus: liquidus temperature [degC], at which the ledge's face stands.
        ambient: air beside the shell [degC].
        thickness: thickness of the ledge [m].
        ledge: the side wall's parameters.

    >>> from features.parameters.ledges import load_ledge_design
    >>> round(float(heat_flux_through_ledge(945.0, 35.0, 0.1, load_ledge_design("ledge_180ka"))))
    6874
    """
    resistance = array(thickness) / ledge.conductivity_w_mk + ledge.outer_resistance_m2k_w
    return (array(liquidus) - array(ambient)) / resistance


@relation(unit="m/s", equation="dl/dt = (q_out - q_in)/(rho L_f)", source=_LEDGE, tag="V")
def ledge_growth_rate(flux_out: ArrayLike, flux_in: ArrayLike, ledge: LedgeDesign) -> Array:
    """Speed at which the ledge grows [m/s]; negative where it melts.

    Args:
        flux_out: heat that leaves through the ledge [W/m2].
        flux_in: heat that the bath gives to it [W/m2].
        ledge: the side wall's parameters.

    >>> from features.parameters.ledges import load_ledge_design
    >>> ledge = load_ledge_design("ledge_180ka")
    >>> round(float(ledge_growth_rate(6900.0, 5400.0, ledge)) * 3.6e6, 2)  # mm/h
    4.0
    """
    return (array(flux_out) - array(flux_in)) / (ledge.density_kg_m3 * ledge.latent_heat_j_kg)


@relation(
    unit="m",
    equation="l = k [(T_liq - T_amb)/(h SH) - R_wall - 1/h_shell], at least 0",
    source="steady state of the ledge",
    tag="C",
)
def ledge_equilibrium_thickness(
    liquidus: ArrayLike, ambient: ArrayLike, superheat: ArrayLike, ledge: LedgeDesign
) -> Array:
    """Thickness at which the ledge neither grows nor melts [m]; infinite at no superheat, zero where none holds.

    Args:
        liquidus: liquidus temperature [degC].
        ambient: air beside the shell [degC].
        superheat: bath temperature above the liquidus [degC].
        ledge: the side wall's parameters.

    >>> from features.parameters.ledges import load_ledge_design
    >>> round(float(ledge_equilibrium_thickness(945.0, 35.0, 12.0, load_ledge_design("ledge_180ka"))), 3)
    0.092
    """
    flux = np.maximum(heat_flux_to_ledge(superheat, ledge), 0.0)
    resistance: Array = (array(liquidus) - array(ambient)) / flux - ledge.outer_resistance_m2k_w
    thickness: Array = np.maximum(ledge.conductivity_w_mk * resistance, 0.0)
    return thickness
