"""Cell designs: the geometry and the fixed resistances of a cell."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

from features.errors import SettingsError
from features.parameters.files import Citation, number, read_parameter_file


@dataclass(frozen=True)
class CellDesign:
    """What a cell is built like.

    Raises:
        SettingsError: a quantity that is not positive and finite.
    """

    name: str
    title: str
    line_current_ka: float
    """Line current of the design [kA]."""
    anodes_per_cell: int
    anode_area_cm2: float
    """Geometric area of all anodes' faces [cm2]."""
    fanning: float
    """Factor by which the current spreads beyond that area [-]."""
    cathode_area_cm2: float
    """Area of the cathode that carries current [cm2]."""
    metal_pad_area_m2: float
    anode_cathode_distance_cm: float
    """Distance of normal operation [cm]."""
    al2o3_at_effect_wt_pct: float
    """Alumina at which the bubble fit places the anode effect [wt%]."""
    anode_resistance_microohm: float
    cathode_resistance_microohm: float
    external_resistance_microohm: float
    citations: Mapping[str, Citation]

    def __post_init__(self) -> None:
        """Refuse what no cell can have."""
        for field in _QUANTITIES:
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0.0):
                raise SettingsError(f"cell design {self.name}: {field} is {value}; it must be positive")

    @property
    def single_anode_area_cm2(self) -> float:
        """Face of one anode [cm2]."""
        return self.anode_area_cm2 / self.anodes_per_cell

    @property
    def fixed_resistance_microohm(self) -> float:
        """Anode, cathode and busbars together [microohm]."""
        return (
            self.anode_resistance_microohm
            + self.cathode_resistance_microohm
            + self.external_resistance_microohm
        )


_QUANTITIES = tuple(
    field.name for field in fields(CellDesign) if field.name not in {"name", "title", "citations"}
)


@cache
def load_cell_design(name: str) -> CellDesign:
    """The cell design of that name, from ``parameters/designs``.

    Raises:
        UnknownNameError: there is no such design.
        SettingsError: its file is incomplete or uncited.

    >>> load_cell_design("prebaked_500ka").anodes_per_cell
    48
    """
    file = read_parameter_file("designs", name, _QUANTITIES)
    values = {field: number(file, field) for field in _QUANTITIES if field != "anodes_per_cell"}
    anodes = number(file, "anodes_per_cell")
    if not anodes.is_integer():
        raise SettingsError(f"cell design {name}: anodes_per_cell is {anodes}; give a whole number")
    return CellDesign(
        name=name, title=file.title, anodes_per_cell=int(anodes), citations=file.citations, **values
    )
