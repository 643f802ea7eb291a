"""Current efficiency: a published regression, a mechanistic form and the law used for operation.

No one formula is good across smelters; what they agree on are the slopes, -1.39 percentage points for ten degrees
and +0.59 for one per cent of AlF3.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from features.electrolysis.bath import Bath, metal_solubility
from features.relations import Array, array, relation

LOW: Final = 0.86
HIGH: Final = 0.965
"""Where the operating law is clamped [-]."""


@relation(
    unit="-",
    equation="CE% = 163.7 - 0.1388T + 0.59AlF3 + 58.9 sin(3h) - 0.032age",
    source="Birch-Grjotheim type regression in Chinese patent 2020108564309 (iprtt.com); the unit of h is not"
    " stated: cm, with the sine of degrees, is the reading that gives a real cell's efficiency",
    tag="V",
    valid={"metal_level": (15, 30)},
)
def current_efficiency_regression(
    bath_temperature: ArrayLike, excess_alf3: ArrayLike, metal_level: ArrayLike, cell_age: ArrayLike
) -> Array:
    """Current efficiency by the patent's regression [-]; use its slopes, refit its level.

    Args:
        bath_temperature: bath temperature [degC].
        excess_alf3: excess AlF3 [wt%].
        metal_level: metal level [cm].
        cell_age: cell age [months].

    >>> round(float(current_efficiency_regression(950.0, 11.0, 22.0, 24.0)), 4)
    0.9137
    """
    pad = 58.9 * np.sin(np.deg2rad(3.0 * array(metal_level)))
    percent = 163.7 - 0.1388 * array(bath_temperature) + 0.59 * array(excess_alf3) + pad
    return (percent - 0.032 * array(cell_age)) / 100.0


@dataclass(frozen=True)
class EfficiencyReference:
    """Where the mechanistic loss is anchored: a cell in good order.

    Raises:
        ValueError: a reference that is not positive, or a loss outside (0, 1).
    """

    loss: float = 0.058
    """Loss of current efficiency at the reference [-]."""
    solubility: float = 0.0456
    """Metal dissolved at the reference [wt%]."""
    density: float = 0.80
    """Anode current density at the reference [A/cm2]."""
    distance: float = 4.2
    """Anode-cathode distance at the reference [cm]."""

    def __post_init__(self) -> None:
        """Refuse a reference that no cell can have."""
        for name in ("solubility", "density", "distance"):
            value = getattr(self, name)
            if not value > 0.0:
                raise ValueError(f"reference {name} is {value}; it must be positive")
        if not 0.0 < self.loss < 1.0:
            raise ValueError(f"reference loss is {self.loss}; give a fraction between 0 and 1")


@relation(
    unit="-",
    equation="CE = 1 - k (c/c0)(i0/i)(d/d0)^-0.17 s",
    source="Lillebuen and others (1980): loss ~ D^0.67 mu^-0.5 u^0.83 d^-0.17 c (1 - f)",
    tag="B",
)
def current_efficiency_mechanistic(
    bath: Bath,
    bath_temperature: ArrayLike,
    density: ArrayLike,
    anode_cathode_distance: ArrayLike,
    stirring: ArrayLike = 1.0,
    reference: EfficiencyReference | None = None,
) -> Array:
    """Current efficiency from the metal that dissolves and meets the gas [-].

    Args:
        bath: composition [wt%].
        bath_temperature: bath temperature [degC].
        density: anode current density [A/cm2].
        anode_cathode_distance: distance from anode to metal [cm].
        stirring: factor on the loss by a restless metal pad [-]; 1 is a calm one.
        reference: where the loss is anchored.

    >>> calm = Bath(10.5, al2o3=2.5, caf2=5.0, mgf2=0.3)
    >>> round(float(current_efficiency_mechanistic(calm, 955.0, 0.8, 4.2)), 3)
    0.942
    """
    anchor = reference or EfficiencyReference()
    dissolved = metal_solubility(bath, bath_temperature) / anchor.solubility
    distance = (array(anode_cathode_distance) / anchor.distance) ** -0.17
    return 1.0 - anchor.loss * dissolved * (anchor.density / array(density)) * distance * array(stirring)


@dataclass(frozen=True, init=False, eq=False)
class Operation:
    """What a cell's efficiency answers to, each entry of any shape that broadcasts; NaN is "not known"."""

    bath_temperature: Array
    """Bath temperature [degC]."""
    excess_alf3: Array
    """Excess AlF3 [wt%]."""
    noise: Array
    """Voltage noise [mV]."""
    anode_cathode_distance: Array
    """Distance from anode to metal [cm]."""
    superheat: Array
    """Bath temperature above the liquidus [degC]."""

    def __init__(
        self,
        bath_temperature: ArrayLike,
        excess_alf3: ArrayLike,
        noise: ArrayLike = 15.0,
        anode_cathode_distance: ArrayLike = 4.2,
        superheat: ArrayLike = 9.0,
    ) -> None:
        """Hold the five states as float64 arrays."""
        object.__setattr__(self, "bath_temperature", array(bath_temperature))
        object.__setattr__(self, "excess_alf3", array(excess_alf3))
        object.__setattr__(self, "noise", array(noise))
        object.__setattr__(self, "anode_cathode_distance", array(anode_cathode_distance))
        object.__setattr__(self, "superheat", array(superheat))


@relation(
    unit="-",
    equation="CE = 0.942 - 0.00139 (T - 950) + 0.0059 (a - 11) - 0.0004 max(0, noise - 15)"
    " - 0.0004 max(0, 40 - ACD mm)^2 - 0.00015 (SH - 9)^2 - penalty, within 0.86-0.965",
    source="calibrated to the slopes of patent 2020108564309",
    tag="B",
)
def current_efficiency_operating(
    operation: Operation, penalty: ArrayLike = 0.0, level: ArrayLike = 0.942
) -> Array:
    """Current efficiency of an operating cell [-], held within 0.86-0.965.

    Args:
        operation: the cell's state.
        penalty: what anode effects and a shallow pad cost beside it [-].
        level: efficiency at 950 degC, 11 % AlF3, in good order [-].

    >>> round(float(current_efficiency_operating(Operation(955.0, 10.5, noise=20.0))), 4)
    0.9301
    """
    deficit = np.maximum(40.0 - 10.0 * operation.anode_cathode_distance, 0.0)
    chemistry = -0.00139 * (operation.bath_temperature - 950.0) + 0.0059 * (operation.excess_alf3 - 11.0)
    unrest = 0.0004 * np.maximum(operation.noise - 15.0, 0.0) + 0.0004 * deficit**2
    balance = 0.00015 * (operation.superheat - 9.0) ** 2
    return np.clip(array(level) + chemistry - unrest - balance - array(penalty), LOW, HIGH)
