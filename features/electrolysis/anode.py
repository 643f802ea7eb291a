"""Net anode consumption: what electrolysis takes, and what air and CO2 burn away beside it.

The back reaction 2Al + 3CO2 -> Al2O3 + 3CO costs metal, not carbon, so 333.87/CE already contains it. Anode quality
varies with the batch and is no setpoint: it enters as a covariate, never as a lever.
"""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from features.electrolysis.faraday import CARBON_KG_PER_T
from features.relations import Array, array, relation

_FISCHER = (
    "Fischer, Keller, Perruchoud, Interdependence between anode net consumption and pot design, pot operating"
    " parameters and anode properties, Light Metals 1991; coefficients recalled"
)


@dataclass(frozen=True, init=False, eq=False)
class AnodeQuality:
    """What the laboratory says of an anode lot, each entry of any shape that broadcasts; NaN is "not known"."""

    crr: Array
    """CO2 reactivity residue [%]."""
    arr: Array
    """Air reactivity residue [%]."""
    air_permeability: Array
    """Air permeability [nPm]."""
    thermal_conductivity: Array
    """Thermal conductivity [W/(m K)]."""

    def __init__(
        self, crr: ArrayLike, arr: ArrayLike, air_permeability: ArrayLike, thermal_conductivity: ArrayLike
    ) -> None:
        """Hold the four properties as float64 arrays."""
        object.__setattr__(self, "crr", array(crr))
        object.__setattr__(self, "arr", array(arr))
        object.__setattr__(self, "air_permeability", array(air_permeability))
        object.__setattr__(self, "thermal_conductivity", array(thermal_conductivity))


@relation(
    unit="kg/t",
    equation="C_el = 333.87/CE",
    source="Faraday's law with M(C) 12.011 g/mol; Al2O3 + 1.5C -> 2Al + 1.5CO2",
    tag="C",
)
def electrolytic_carbon(current_efficiency: ArrayLike) -> Array:
    """Carbon that electrolysis consumes, back reaction included [kg/t].

    Args:
        current_efficiency: current efficiency [-], a fraction.

    >>> round(float(electrolytic_carbon(0.94)), 1)
    355.2
    """
    return CARBON_KG_PER_T / array(current_efficiency)


@relation(
    unit="kg/t",
    equation="NC = C + 334/CE + 1.2 (BT - 960) - 1.7CRR + 9.3AP + 8TC - 1.5ARR",
    source=_FISCHER,
    tag="B",
    valid={
        "cell_factor": (270, 310),
        "current_efficiency": (0.82, 0.95),
        "bath_temperature": (945, 980),
        "crr": (75, 90),
        "arr": (60, 90),
        "air_permeability": (0.5, 5),
        "thermal_conductivity": (3, 6),
    },
)
def net_carbon_fischer(
    current_efficiency: ArrayLike,
    bath_temperature: ArrayLike,
    quality: AnodeQuality,
    cell_factor: ArrayLike = 285.0,
) -> Array:
    """Net carbon consumption in Fischer's form [kg/t].

    Args:
        current_efficiency: current efficiency [-], a fraction.
        bath_temperature: bath temperature [degC].
        quality: properties of the anode.
        cell_factor: what the cell's design adds [kg/t].

    >>> lot = AnodeQuality(crr=90.0, arr=80.0, air_permeability=1.0, thermal_conductivity=3.5)
    >>> round(float(net_carbon_fischer(0.94, 955.0, lot)), 1)
    398.6
    """
    operation = 334.0 / array(current_efficiency) + 1.2 * (array(bath_temperature) - 960.0)
    permeability = 9.3 * quality.air_permeability + 8.0 * quality.thermal_conductivity
    return array(cell_factor) + operation + permeability - 1.7 * quality.crr - 1.5 * quality.arr


@relation(
    unit="kg/t",
    equation="NC = 333.87/CE + (airburn + carboxy) + 1.2 (BT - 955) + dust",
    source="split of the excess over Faraday; slope with the temperature as in Fischer's form",
    tag="B",
    valid={"airburn": (15, 45), "carboxy": (8, 25), "dust": (5, 20)},
)
def net_carbon_operating(
    current_efficiency: ArrayLike,
    bath_temperature: ArrayLike,
    airburn: ArrayLike = 25.0,
    carboxy: ArrayLike = 14.0,
    dust: ArrayLike = 8.0,
) -> Array:
    """Net carbon consumption from operating parameters alone [kg/t].

    Args:
        current_efficiency: current efficiency [-], a fraction.
        bath_temperature: bath temperature [degC].
        airburn: carbon that air burns off at 955 degC [kg/t]; depends on the cover.
        carboxy: carbon that CO2 burns at 955 degC [kg/t].
        dust: carbon that falls off and floats [kg/t].

    >>> round(float(net_carbon_operating(0.94, 955.0)), 1)
    402.2
    """
    excess = array(airburn) + array(carboxy) + array(dust)
    return electrolytic_carbon(current_efficiency) + excess + 1.2 * (array(bath_temperature) - 955.0)


@relation(unit="kg/t", equation="gross = net/(1 - butt share)", source="mass balance of an anode", tag="C")
def gross_carbon(net_carbon: ArrayLike, butt_share: ArrayLike) -> Array:
    """Gross anode consumption [kg/t], of which the butts return to the anode shop.

    Args:
        net_carbon: net carbon consumption [kg/t].
        butt_share: butt mass over new-anode mass [-]; 0.20-0.25 in practice [B].

    >>> round(float(gross_carbon(400.0, 0.2)), 1)
    500.0
    """
    return array(net_carbon) / (1.0 - array(butt_share))


@relation(
    unit="mm/d",
    equation="v = NC m_Al/(rho A), kg and m2",
    source="mass balance of the anodes; baked density 1,550-1,600 kg/m3",
    tag="C",
)
def anode_burn_rate(
    net_carbon: ArrayLike, metal: ArrayLike, anode_area: ArrayLike, density: ArrayLike = 1570.0
) -> Array:
    """Speed at which the anodes' faces rise by consumption [mm/d].

    Args:
        net_carbon: net carbon consumption [kg/t].
        metal: metal made [kg/d].
        anode_area: area of all anodes' faces [cm2].
        density: apparent density of baked carbon [kg/m3].

    >>> round(float(anode_burn_rate(400.0, 3785.0, 622_000.0)), 1)
    15.5
    """
    carbon = array(net_carbon) * array(metal) / 1000.0
    return carbon / (array(density) * array(anode_area) * 1e-4) * 1000.0
