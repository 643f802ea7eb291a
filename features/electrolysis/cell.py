"""The chain: an operating point and a cell design give the voltage, part by part.

Anode-cathode distance and voltage are two views of one state: the controller holds the voltage by moving the
anodes, and everything but the bath's drop stands still while it does.
"""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from features.electrolysis import voltage
from features.electrolysis.bath import Bath, alumina_saturation, bath_ratio
from features.electrolysis.correlations import Conductivity
from features.parameters.designs import CellDesign
from features.relations import Array, array, relation


@dataclass(frozen=True, init=False, eq=False)
class OperatingPoint:
    """The state that decides a cell's voltage, each entry of any shape that broadcasts; NaN is "not known"."""

    line_current: Array
    """Line current [kA]."""
    anode_cathode_distance: Array
    """Distance from anode to metal [cm]."""
    bath_temperature: Array
    """Bath temperature [degC]."""
    bath: Bath
    conductivity: Array
    """Conductivity of the bath [S/cm]."""

    def __init__(
        self,
        line_current: ArrayLike,
        anode_cathode_distance: ArrayLike,
        bath_temperature: ArrayLike,
        bath: Bath,
        conductivity: Conductivity,
    ) -> None:
        """Hold the state; the conductivity is computed once, by the correlation given."""
        object.__setattr__(self, "line_current", array(line_current))
        object.__setattr__(self, "anode_cathode_distance", array(anode_cathode_distance))
        object.__setattr__(self, "bath_temperature", array(bath_temperature))
        object.__setattr__(self, "bath", bath)
        object.__setattr__(self, "conductivity", conductivity(bath, bath_temperature))


@dataclass(frozen=True, eq=False)
class CellVoltage:
    """The voltage of a cell in its parts, all [V] and of one broadcast shape."""

    reversible: Array
    anode_surface: Array
    anode_concentration: Array
    cathode_concentration: Array
    bath: Array
    bubble: Array
    anode: Array
    cathode: Array
    external: Array

    @property
    def electrode(self) -> Array:
        """Reversible potential and overvoltages [V]."""
        return self.reversible + self.anode_surface + self.anode_concentration + self.cathode_concentration

    @property
    def fixed(self) -> Array:
        """Anode, cathode and busbars [V]."""
        return self.anode + self.cathode + self.external

    @property
    def total(self) -> Array:
        """The cell voltage [V]."""
        return self.electrode + self.bath + self.bubble + self.fixed


@relation(
    unit="V",
    equation="V = E_rev + eta_sa + eta_ca + eta_cc + V_bath + V_bub + I (R_an + R_ca + R_ext)",
    source="Haupin, Light Metals 1998, 531-537; public code CellModel, ElectroChemistry.py",
    tag="V",
)
def cell_voltage(point: OperatingPoint, design: CellDesign) -> CellVoltage:
    """The voltage of a cell, part by part [V].

    Args:
        point: the cell's state.
        design: the cell's geometry and resistances.

    >>> from features.electrolysis.conductivity import conductivity_hives
    >>> from features.parameters.designs import load_cell_design
    >>> lithium = Bath(11.0, al2o3=2.5, caf2=5.0, lif=2.0, mgf2=0.5, kf=1.5)
    >>> point = OperatingPoint(500.0, 4.2, 948.0, lithium, conductivity_hives)
    >>> round(float(cell_voltage(point, load_cell_design("prebaked_500ka")).total), 3)
    3.911
    """
    bath, t, current = point.bath, point.bath_temperature, point.line_current
    density = voltage.current_density(current, design.anode_area_cm2, design.fanning)
    saturation = bath.al2o3 / alumina_saturation(bath, t)
    critical = voltage.critical_current_density(t, bath.al2o3, design.single_anode_area_cm2)
    ratio = bath_ratio(bath)
    layer = voltage.bubble_layer_thickness(density)
    coverage = voltage.bubble_coverage(density, ratio, bath.al2o3, design.al2o3_at_effect_wt_pct)
    cathode_density = voltage.current_density(current, design.cathode_area_cm2)
    return CellVoltage(
        reversible=voltage.reversible_potential(t, voltage.alumina_activity(saturation)),
        anode_surface=voltage.anode_surface_overvoltage(t, density, bath.al2o3),
        anode_concentration=voltage.anode_concentration_overvoltage(t, density, critical),
        cathode_concentration=voltage.cathode_concentration_overvoltage(t, ratio, cathode_density),
        bath=voltage.bath_voltage(density, point.anode_cathode_distance, layer, point.conductivity),
        bubble=voltage.bubble_voltage(density, layer, coverage, point.conductivity),
        anode=voltage.ohmic_drop(current, design.anode_resistance_microohm),
        cathode=voltage.ohmic_drop(current, design.cathode_resistance_microohm),
        external=voltage.ohmic_drop(current, design.external_resistance_microohm),
    )


@relation(
    unit="cm", equation="ACD' = ACD + (V' - V) k/i", source="the voltage solved for the distance", tag="C"
)
def distance_for_voltage(wanted: ArrayLike, point: OperatingPoint, design: CellDesign) -> Array:
    """Anode-cathode distance at which the cell shows a wanted voltage, all else standing still [cm].

    Args:
        wanted: cell voltage wanted [V].
        point: the cell's state, whose distance is the starting point.
        design: the cell's geometry and resistances.

    >>> from features.electrolysis.conductivity import conductivity_hives
    >>> from features.parameters.designs import load_cell_design
    >>> lithium = Bath(11.0, al2o3=2.5, caf2=5.0, lif=2.0, mgf2=0.5, kf=1.5)
    >>> point = OperatingPoint(500.0, 4.2, 948.0, lithium, conductivity_hives)
    >>> round(float(distance_for_voltage(3.979, point, load_cell_design("prebaked_500ka"))), 2)
    4.4
    """
    density = voltage.current_density(point.line_current, design.anode_area_cm2, design.fanning)
    missing = array(wanted) - cell_voltage(point, design).total
    return point.anode_cathode_distance + missing * point.conductivity / density
