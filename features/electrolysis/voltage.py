"""The components of the cell voltage after Haupin, one relation each.

Haupin, "Interpreting the components of cell voltage", Light Metals 1998, 531-537
(10.1007/978-3-319-48156-2_21), as coded in the public CellModel (ElectroChemistry.py). Temperatures enter in degC
and are used in K; current densities are A/cm2 on the *effective* anode area, the geometric area times the fanning
factor. ``features.electrolysis.cell`` adds the components up.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from features.electrolysis.conductivity import KELVIN
from features.electrolysis.faraday import FARADAY_C_PER_MOL
from features.relations import Array, array, relation

GAS_CONSTANT_J_PER_MOL_K: Final = 8.314462618
"""Molar gas constant [J/(mol K)]."""
_DEPLETION_CAP: Final = 1.0 - 1e-6
_COVERAGE_CAP: Final = 0.98
_HAUPIN = "Haupin, Light Metals 1998, 531-537; public code CellModel, ElectroChemistry.py"


@relation(unit="A/cm2", equation="i = 1000 I / (f A)", source=_HAUPIN, tag="V")
def current_density(line_current: ArrayLike, area: ArrayLike, fanning: ArrayLike = 1.0) -> Array:
    """Current density on an electrode [A/cm2].

    Args:
        line_current: line current [kA].
        area: geometric area [cm2].
        fanning: factor by which the current spreads beyond the area [-].

    >>> round(float(current_density(126.0, 209_304.0, 1.1382)), 4)
    0.5289
    """
    return 1000.0 * array(line_current) / (array(fanning) * array(area))


@relation(
    unit="-",
    equation="a = -0.03791r + 2.364r^2 - 2.194r^3 + 0.8686r^4, r = Al2O3/sat",
    source=_HAUPIN,
    tag="V",
    valid={"relative_saturation": (0.02, 1)},
)
def alumina_activity(relative_saturation: ArrayLike) -> Array:
    """Activity of dissolved alumina [-]; below r = 0.0163 the fit turns negative and answers nonsense.

    Args:
        relative_saturation: alumina over its saturation [-].

    >>> round(float(alumina_activity(1.0)), 4)
    1.0007
    """
    r = array(relative_saturation)
    return -0.03791 * r + 2.364 * r**2 - 2.194 * r**3 + 0.8686 * r**4


@relation(
    unit="V",
    equation="E_rev = 1.896 - 0.000572T + RT/(12F) ln(1/a^2)",
    source=_HAUPIN,
    tag="V",
    valid={"bath_temperature": (900, 1050)},
)
def reversible_potential(bath_temperature: ArrayLike, activity: ArrayLike) -> Array:
    """Reversible potential of Al2O3 with a carbon anode giving CO2 [V].

    Args:
        bath_temperature: bath temperature [degC].
        activity: activity of dissolved alumina [-].

    >>> round(float(reversible_potential(955.0, 1.0)), 4)
    1.1935
    """
    kelvin = array(bath_temperature) + KELVIN
    nernst = GAS_CONSTANT_J_PER_MOL_K * kelvin / (12.0 * FARADAY_C_PER_MOL)
    return 1.896 - 0.000572 * kelvin - nernst * 2.0 * np.log(array(activity))


@relation(unit="V", equation="eta_sa = T/12533 ln(i/(0.0029 Al2O3^0.56))", source=_HAUPIN, tag="V")
def anode_surface_overvoltage(bath_temperature: ArrayLike, density: ArrayLike, al2o3: ArrayLike) -> Array:
    """Overvoltage of the charge transfer at the anode [V].

    Args:
        bath_temperature: bath temperature [degC].
        density: anode current density [A/cm2].
        al2o3: dissolved alumina [wt%].

    >>> round(float(anode_surface_overvoltage(963.0, 0.5289, 4.2)), 4)
    0.4342
    """
    kelvin = array(bath_temperature) + KELVIN
    return kelvin / 12533.0 * np.log(array(density) / (0.0029 * array(al2o3) ** 0.56))


@relation(
    unit="A/cm2",
    equation="i_crit = 1e-4 [550000 + 1800 (T - 1323)] [(Al2O3/100)^0.5 - 0.04] A_one^-0.1",
    source="Grjotheim and Welch, Aluminium Smelter Technology (1988), eq. 5.13; public code CellModel",
    tag="V",
)
def critical_current_density(
    bath_temperature: ArrayLike, al2o3: ArrayLike, single_anode_area: ArrayLike
) -> Array:
    """Anode current density at which the anode effect starts [A/cm2].

    Args:
        bath_temperature: bath temperature [degC].
        al2o3: dissolved alumina [wt%].
        single_anode_area: working face of one anode [cm2].

    >>> round(float(critical_current_density(955.0, 2.0, 13_000.0)), 3)
    1.492
    """
    kelvin = array(bath_temperature) + KELVIN
    wetting = 550000.0 + 1800.0 * (kelvin - 1323.0)
    return 1e-4 * wetting * (np.sqrt(array(al2o3) / 100.0) - 0.04) * array(single_anode_area) ** -0.1


@relation(
    unit="A/cm2",
    equation="i_r = exp(0.56 ln(A + L/4) + 0.276 (CR - 1.5) - 5.849)",
    source="exchange current of the anode reaction in lithium-bearing baths; public code",
    tag="V",
)
def anode_reaction_current_density(al2o3: ArrayLike, lif: ArrayLike, molar_ratio: ArrayLike) -> Array:
    """Reaction limit that may stand for ``0.0029 Al2O3^0.56`` in the surface overvoltage [A/cm2].

    Args:
        al2o3: dissolved alumina [wt%].
        lif: lithium fluoride [wt%].
        molar_ratio: molar ratio NaF to AlF3 [-].

    >>> round(float(anode_reaction_current_density(2.5, 0.0, 1.5)), 5)
    0.00482
    """
    oxygen = array(al2o3) + array(lif) / 4.0
    return np.exp(0.56 * np.log(oxygen) + 0.276 * (array(molar_ratio) - 1.5) - 5.849)


@relation(unit="V", equation="eta_ca = T/23209 ln(i_c/(i_c - i))", source=_HAUPIN, tag="V")
def anode_concentration_overvoltage(
    bath_temperature: ArrayLike, density: ArrayLike, critical_density: ArrayLike
) -> Array:
    """Overvoltage of the alumina depleted at the anode [V].

    The formula diverges at the anode effect; depletion is held at 1 - 1e-6 from there on, some 0.73 V, so that
    the voltage stays finite and keeps its order.

    Args:
        bath_temperature: bath temperature [degC].
        density: anode current density [A/cm2].
        critical_density: anode current density of the anode effect [A/cm2].

    >>> round(float(anode_concentration_overvoltage(955.0, 0.75, 1.5)), 4)
    0.0367
    """
    kelvin = array(bath_temperature) + KELVIN
    limit = array(critical_density)
    # A limit of zero or below means that the anode effect is long there.
    depletion = np.where(limit <= 0.0, np.inf, array(density) / limit)
    return -kelvin / 23209.0 * np.log1p(-np.minimum(depletion, _DEPLETION_CAP))


@relation(
    unit="V",
    equation="eta_cc = 5.744815e-5 T (1.375 - 0.25BR) ln(3.89105 i_cathode)",
    source=_HAUPIN,
    tag="V",
)
def cathode_concentration_overvoltage(
    bath_temperature: ArrayLike, ratio: ArrayLike, cathode_density: ArrayLike
) -> Array:
    """Overvoltage of the sodium gradient at the cathode [V].

    Args:
        bath_temperature: bath temperature [degC].
        ratio: weight ratio NaF to AlF3 [-].
        cathode_density: cathode current density [A/cm2].

    >>> round(float(cathode_concentration_overvoltage(955.0, 1.1363, 0.78)), 4)
    0.0855
    """
    kelvin = array(bath_temperature) + KELVIN
    gradient = 1.375 - 0.25 * array(ratio)
    return 5.744815e-5 * kelvin * gradient * np.log(3.89105 * array(cathode_density))


@relation(unit="cm", equation="d_b = (0.5517 + i)/(1 + 2.167i)", source=_HAUPIN, tag="V")
def bubble_layer_thickness(density: ArrayLike) -> Array:
    """Thickness of the gas-bearing layer under the anode [cm].

    Args:
        density: anode current density [A/cm2].

    >>> round(float(bubble_layer_thickness(0.5289)), 4)
    0.5035
    """
    i = array(density)
    return (0.5517 + i) / (1.0 + 2.167 * i)


@relation(
    unit="-",
    equation="phi = 0.9 [0.509 + 0.1823i - 0.1723i^2 + 0.05504i^3 + (0.4322 - 0.3781BR)/(1 + 1.637BR)"
    " + (0.431 - 0.1437 dA)/(1 + 7.353 dA)], dA = Al2O3 - Al2O3_AE",
    source=f"{_HAUPIN} (the factor 0.9 is the code's)",
    tag="V",
)
def bubble_coverage(
    density: ArrayLike, ratio: ArrayLike, al2o3: ArrayLike, al2o3_at_effect: ArrayLike
) -> Array:
    """Share of the anode's face that gas covers [-].

    The fit has a pole just below the anode-effect content; there the content counts as the anode-effect content.

    Args:
        density: anode current density [A/cm2].
        ratio: weight ratio NaF to AlF3 [-].
        al2o3: dissolved alumina [wt%].
        al2o3_at_effect: dissolved alumina at which the anode effect starts [wt%].

    >>> round(float(bubble_coverage(0.7443, 1.12, 2.5, 1.2)), 3)
    0.538
    """
    i, weight_ratio = array(density), array(ratio)
    margin = np.maximum(array(al2o3) - array(al2o3_at_effect), 0.0)
    stirring = 0.1823 * i - 0.1723 * i**2 + 0.05504 * i**3
    acidity = (0.4322 - 0.3781 * weight_ratio) / (1.0 + 1.637 * weight_ratio)
    wetting = (0.431 - 0.1437 * margin) / (1.0 + 7.353 * margin)
    return np.clip(0.9 * (0.509 + stirring + acidity + wetting), 0.0, _COVERAGE_CAP)


@relation(unit="V", equation="V_bath = i (ACD - d_b)/k", source=_HAUPIN, tag="V")
def bath_voltage(
    density: ArrayLike, anode_cathode_distance: ArrayLike, layer: ArrayLike, conductivity: ArrayLike
) -> Array:
    """Ohmic drop of the bath below the bubble layer [V].

    Args:
        density: anode current density on the effective area [A/cm2].
        anode_cathode_distance: distance from anode to metal [cm].
        layer: thickness of the bubble layer [cm].
        conductivity: conductivity of the bath [S/cm].

    >>> round(float(bath_voltage(0.5289, 2.9, 0.5035, 2.1451)), 4)
    0.5909
    """
    return array(density) * (array(anode_cathode_distance) - array(layer)) / array(conductivity)


@relation(unit="V", equation="V_bub = i d_b phi/(k (1 - phi))", source=_HAUPIN, tag="V")
def bubble_voltage(
    density: ArrayLike, layer: ArrayLike, coverage: ArrayLike, conductivity: ArrayLike
) -> Array:
    """Extra drop of the bubble layer [V].

    Args:
        density: anode current density on the effective area [A/cm2].
        layer: thickness of the bubble layer [cm].
        coverage: share of the anode's face under gas [-].
        conductivity: conductivity of the bath [S/cm].

    >>> round(float(bubble_voltage(0.5289, 0.5035, 0.5147, 2.1451)), 4)
    0.1317
    """
    covered = array(coverage)
    return array(density) * array(layer) * covered / (array(conductivity) * (1.0 - covered))


@relation(unit="V", equation="V = I R (kA x microohm = mV)", source="Ohm's law", tag="C")
def ohmic_drop(line_current: ArrayLike, resistance: ArrayLike) -> Array:
    """Drop over a fixed conductor: anode, cathode or busbar [V].

    Args:
        line_current: line current [kA].
        resistance: resistance [microohm].

    >>> round(float(ohmic_drop(126.0, 3.02)), 4)
    0.3805
    """
    return array(line_current) * array(resistance) / 1000.0
