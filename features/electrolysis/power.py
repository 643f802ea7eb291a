"""A cell as a source and a resistor: what a change of current costs while nothing else moves."""

from numpy.typing import ArrayLike

from features.electrolysis.faraday import ENERGY_KWH_PER_T_PER_V
from features.relations import Array, array, relation

_SOURCE = "public code of a virtual-storage study: 2.16 V, 3.58 microohm, 500 kA"


@relation(unit="V", equation="V = EMF + R I", source=_SOURCE, tag="V2", valid={"line_current": (375, 625)})
def linear_cell_voltage(
    line_current: ArrayLike, electromotive_force: ArrayLike = 2.16, resistance: ArrayLike = 3.58
) -> Array:
    """Voltage of a cell at another current, isothermal [V].

    Args:
        line_current: line current [kA].
        electromotive_force: intercept of the line [V].
        resistance: slope of the line [microohm].

    >>> round(float(linear_cell_voltage(500.0)), 3)
    3.95
    """
    return array(electromotive_force) + array(resistance) * array(line_current) / 1000.0


@relation(unit="kW", equation="P = (EMF + R I) I", source=_SOURCE, tag="V2")
def cell_power(
    line_current: ArrayLike, electromotive_force: ArrayLike = 2.16, resistance: ArrayLike = 3.58
) -> Array:
    """Power that a cell draws [kW].

    Args:
        line_current: line current [kA].
        electromotive_force: intercept of the line [V].
        resistance: slope of the line [microohm].

    >>> round(float(cell_power(500.0)))
    1975
    """
    return linear_cell_voltage(line_current, electromotive_force, resistance) * array(line_current)


@relation(unit="kWh/t", equation="dP/dm = 2979.98 (EMF + 2 R I)/CE", source=_SOURCE, tag="C")
def marginal_energy(
    line_current: ArrayLike,
    current_efficiency: ArrayLike,
    electromotive_force: ArrayLike = 2.16,
    resistance: ArrayLike = 3.58,
) -> Array:
    """Energy of the last tonne that a higher current makes [kWh/t]: half as much again as the mean.

    Args:
        line_current: line current [kA].
        current_efficiency: current efficiency [-], a fraction.
        electromotive_force: intercept of the line [V].
        resistance: slope of the line [microohm].

    >>> round(float(marginal_energy(500.0, 0.94)), 1)
    18196.9
    """
    slope = array(electromotive_force) + 2.0 * array(resistance) * array(line_current) / 1000.0
    return ENERGY_KWH_PER_T_PER_V * slope / array(current_efficiency)
