"""Faraday's law: metal, energy and raw materials from charge.

Everything here is exact arithmetic on the atomic masses and on Faraday's constant; the rounded "2980" and "8.05"
of the trade are these numbers.
"""

from typing import Final

from numpy.typing import ArrayLike

from features.relations import Array, array, relation

FARADAY_C_PER_MOL: Final = 96485.332
"""Faraday's constant [C/mol]."""
ALUMINIUM_G_PER_MOL: Final = 26.9815385
"""Molar mass of aluminium [g/mol]."""
ALUMINA_G_PER_MOL: Final = 101.961276
"""Molar mass of alumina, 2 x 26.9815385 + 3 x 15.9994 [g/mol]."""
CARBON_G_PER_MOL: Final = 12.011
"""Molar mass of carbon [g/mol]."""

METAL_KG_PER_KA_DAY: Final = ALUMINIUM_G_PER_MOL * 86400.0 / (3.0 * FARADAY_C_PER_MOL)
"""Metal per charge at a current efficiency of one: 8.05375 [kg/(kA d)]."""
METAL_KG_PER_KA_HOUR: Final = METAL_KG_PER_KA_DAY / 24.0
"""The same by the hour: 0.335573 [kg/(kA h)]."""
ENERGY_KWH_PER_T_PER_V: Final = 24000.0 / METAL_KG_PER_KA_DAY
"""Direct-current energy per tonne and volt at a current efficiency of one: 2979.98 [kWh/(t V)]."""
ALUMINA_KG_PER_KG: Final = ALUMINA_G_PER_MOL / (2.0 * ALUMINIUM_G_PER_MOL)
"""Stoichiometric alumina: 1.8895 [kg/kg Al]."""
CARBON_KG_PER_T: Final = 1000.0 * 0.75 * CARBON_G_PER_MOL / ALUMINIUM_G_PER_MOL
"""Stoichiometric carbon, 3/4 mol for each mol of metal: 333.87 [kg/t Al]."""

_SOURCE = "Faraday's law; M(Al) 26.9815385 g/mol, F 96485.332 C/mol (CODATA)"


@relation(unit="kg/d", equation="m = 86400 M I CE / (3 F) = 8.05375 I CE", source=_SOURCE, tag="C")
def metal_rate(line_current: ArrayLike, current_efficiency: ArrayLike) -> Array:
    """Metal made by one cell in a day [kg/d].

    Args:
        line_current: line current [kA].
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(metal_rate(500.0, 0.94)), 1)
    3785.3
    """
    return METAL_KG_PER_KA_DAY * array(line_current) * array(current_efficiency)


@relation(unit="-", equation="CE = m / (8.05375 I)", source=_SOURCE, tag="C")
def current_efficiency_from_metal(metal: ArrayLike, line_current: ArrayLike) -> Array:
    """Current efficiency from the metal made in a day [-]; the inverse of :func:`metal_rate`.

    Args:
        metal: metal made [kg/d]. Tapped mass is not metal made: correct it for the pad first.
        line_current: line current [kA].

    >>> round(float(current_efficiency_from_metal(3778.0, 500.0)), 4)
    0.9382
    """
    return array(metal) / (METAL_KG_PER_KA_DAY * array(line_current))


@relation(unit="kWh/t", equation="E = 1000 * 24 I V / m = 2979.98 V / CE", source=_SOURCE, tag="C")
def dc_energy(cell_voltage: ArrayLike, current_efficiency: ArrayLike) -> Array:
    """Direct-current energy per tonne of metal made [kWh/t].

    Args:
        cell_voltage: mean cell voltage [V].
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(dc_energy(3.92, 0.94)))
    12427
    """
    return ENERGY_KWH_PER_T_PER_V * array(cell_voltage) / array(current_efficiency)


@relation(unit="V", equation="V = E CE / 2979.98", source=_SOURCE, tag="C")
def voltage_for_energy(energy: ArrayLike, current_efficiency: ArrayLike) -> Array:
    """Cell voltage that a given energy allows [V]; the inverse of :func:`dc_energy` in the voltage.

    Args:
        energy: direct-current energy [kWh/t].
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(voltage_for_energy(12740.0, 0.93)), 3)
    3.976
    """
    return array(energy) * array(current_efficiency) / ENERGY_KWH_PER_T_PER_V


@relation(unit="-", equation="CE = 2979.98 V / E", source=_SOURCE, tag="C")
def current_efficiency_for_energy(energy: ArrayLike, cell_voltage: ArrayLike) -> Array:
    """Current efficiency that a given energy needs [-]; the inverse of :func:`dc_energy` in the efficiency.

    Args:
        energy: direct-current energy [kWh/t].
        cell_voltage: mean cell voltage [V].

    >>> round(float(current_efficiency_for_energy(12522.3, 3.95)), 4)
    0.94
    """
    return ENERGY_KWH_PER_T_PER_V * array(cell_voltage) / array(energy)


@relation(unit="kWh/(t V)", equation="dE/dV = 2979.98 / CE", source=_SOURCE, tag="C")
def energy_per_volt(current_efficiency: ArrayLike) -> Array:
    """Slope of the energy with the voltage [kWh/(t V)]: about 3 kWh/t for a millivolt.

    Args:
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(energy_per_volt(0.93)) / 1000.0, 3)
    3.204
    """
    return ENERGY_KWH_PER_T_PER_V / array(current_efficiency)


@relation(unit="kg/d", equation="m_Al2O3 = 1.8895 * 8.05375 I CE", source=_SOURCE, tag="C")
def alumina_demand(line_current: ArrayLike, current_efficiency: ArrayLike) -> Array:
    """Alumina that the metal takes out of the bath in a day [kg/d]; practice feeds 1.92-1.95 kg/kg [B].

    Args:
        line_current: line current [kA].
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(alumina_demand(500.0, 0.94)))
    7152
    """
    return ALUMINA_KG_PER_KG * metal_rate(line_current, current_efficiency)
