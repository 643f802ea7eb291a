"""Carbon into the air: CO2 from the anodes, perfluorocarbons from anode effects, and what those cost in volts.

Neither PFC method sees the emissions at low voltage, so every figure here is a lower bound of the PFC.
"""

from numpy.typing import ArrayLike

from features.relations import Array, array, relation

_CFR = "US 40 CFR 98.63; IPCC 2006 Tier 2"


@relation(unit="min/d", equation="AEM = frequency x duration", source=_CFR, tag="V")
def anode_effect_minutes(frequency: ArrayLike, duration: ArrayLike) -> Array:
    """Minutes in anode effect a cell and day [min/d].

    Args:
        frequency: anode effects a cell and day [1/d].
        duration: mean duration [min].

    >>> float(anode_effect_minutes(0.05, 2.0))
    0.1
    """
    return array(frequency) * array(duration)


@relation(unit="V", equation="dV = V_AE AEM/1440", source="time average", tag="C")
def anode_effect_mean_voltage(minutes: ArrayLike, extra_voltage: ArrayLike = 25.0) -> Array:
    """What anode effects add to the day's mean voltage [V].

    Args:
        minutes: minutes in anode effect [min/d].
        extra_voltage: voltage of an anode effect above normal [V]; 10-80 V are seen.

    >>> round(float(anode_effect_mean_voltage(2.0)), 3)
    0.035
    """
    return array(extra_voltage) * array(minutes) / 1440.0


@relation(unit="kg/t", equation="CF4 = S AEM", source=f"{_CFR} (slope 0.143 CWPB [B])", tag="V")
def cf4_by_slope(minutes: ArrayLike, slope: ArrayLike = 0.143) -> Array:
    """Carbon tetrafluoride by the slope method [kg/t].

    Args:
        minutes: minutes in anode effect a cell and day [min/d].
        slope: slope coefficient [(kg/t)/(min/d)].

    >>> round(float(cf4_by_slope(0.1)), 4)
    0.0143
    """
    return array(slope) * array(minutes)


@relation(
    unit="kg/t", equation="CF4 = OVC AEO/CE", source="EU 601/2012 Annex IV 8B (OVC 1.16 CWPB [B])", tag="V"
)
def cf4_by_overvoltage(
    overvoltage: ArrayLike, current_efficiency_percent: ArrayLike, coefficient: ArrayLike = 1.16
) -> Array:
    """Carbon tetrafluoride by the overvoltage method [kg/t].

    Args:
        overvoltage: anode-effect overvoltage, averaged over time [mV].
        current_efficiency_percent: current efficiency [%]; the regulation writes per cent, not a fraction.
        coefficient: overvoltage coefficient [kg %/(t mV)].

    >>> round(float(cf4_by_overvoltage(2.0, 94.0)), 4)
    0.0247
    """
    return array(coefficient) * array(overvoltage) / array(current_efficiency_percent)


@relation(unit="kg/t", equation="C2F6 = F CF4", source=f"{_CFR} (F 0.121 CWPB [B])", tag="V")
def c2f6_from_cf4(cf4: ArrayLike, ratio: ArrayLike = 0.121) -> Array:
    """Hexafluoroethane that comes with carbon tetrafluoride [kg/t].

    Args:
        cf4: carbon tetrafluoride [kg/t].
        ratio: mass of C2F6 for that of CF4 [-]; the Chinese guide takes 0.10.

    >>> round(float(c2f6_from_cf4(0.0143)), 6)
    0.00173
    """
    return array(ratio) * array(cf4)


@relation(unit="kg/t", equation="CO2e = CF4 GWP4 + C2F6 GWP6", source="definition", tag="C")
def pfc_co2_equivalent(cf4: ArrayLike, c2f6: ArrayLike, gwp_cf4: ArrayLike, gwp_c2f6: ArrayLike) -> Array:
    """Perfluorocarbons as carbon dioxide [kg CO2e/t]; name the vintage of the warming potentials.

    Args:
        cf4: carbon tetrafluoride [kg/t].
        c2f6: hexafluoroethane [kg/t].
        gwp_cf4: warming potential of CF4 [kg/kg].
        gwp_c2f6: warming potential of C2F6 [kg/kg].

    >>> round(float(pfc_co2_equivalent(0.143, 0.143 * 0.121, 7390.0, 12_200.0)))
    1268
    """
    return array(cf4) * array(gwp_cf4) + array(c2f6) * array(gwp_c2f6)


@relation(
    unit="kg/t",
    equation="CO2e = 1075.6 AEM",
    source="Welch, Iffert, Skyllas-Kazacos, JOM 60(11) 2008, 17, eq. 1 (second assessment report)",
    tag="V",
)
def pfc_co2_equivalent_welch(minutes: ArrayLike) -> Array:
    """Perfluorocarbons as carbon dioxide in one step [kg CO2e/t], with the warming potentials of 1995.

    Args:
        minutes: minutes in anode effect a cell and day [min/d].

    >>> float(pfc_co2_equivalent_welch(1.0))
    1075.6
    """
    return 1075.6 * array(minutes)


@relation(
    unit="kg/t",
    equation="E = NC (1 - S - A) 44/12",
    source="national guide for aluminium smelting; same structure in US 40 CFR 98.63",
    tag="V",
)
def anode_co2(net_anode: ArrayLike, sulphur: ArrayLike = 0.02, ash: ArrayLike = 0.004) -> Array:
    """Carbon dioxide from the anodes [kg CO2/t].

    Args:
        net_anode: net *anode* consumption, ash and sulphur included [kg/t].
        sulphur: sulphur in the anode, a mass fraction [-].
        ash: ash in the anode, a mass fraction [-].

    >>> round(float(anode_co2(420.0)), 2)
    1503.04
    """
    return array(net_anode) * (1.0 - array(sulphur) - array(ash)) * 44.0 / 12.0
