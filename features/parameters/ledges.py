"""Side walls: what decides how thick the ledge freezes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

from features.errors import SettingsError
from features.parameters.files import Citation, number, read_parameter_file


@dataclass(frozen=True)
class LedgeDesign:
    """A side wall with its ledge.

    Raises:
        SettingsError: a quantity that is not positive and finite.
    """

    name: str
    title: str
    bath_transfer_w_m2k: float
    """Heat transfer from bath to ledge."""
    shell_transfer_w_m2k: float
    """Heat transfer from shell to air."""
    wall_resistance_m2k_w: float
    """Heat resistance of the lining beside the ledge."""
    conductivity_w_mk: float
    """Heat conductivity of the ledge."""
    density_kg_m3: float
    latent_heat_j_kg: float
    citations: Mapping[str, Citation]

    def __post_init__(self) -> None:
        """Refuse what no wall can have."""
        for field in _QUANTITIES:
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0.0):
                raise SettingsError(f"ledge {self.name}: {field} is {value}; it must be positive")

    @property
    def outer_resistance_m2k_w(self) -> float:
        """Heat resistance of wall and shell behind the ledge [m2 K/W]."""
        return self.wall_resistance_m2k_w + 1.0 / self.shell_transfer_w_m2k


_QUANTITIES = tuple(
    field.name for field in fields(LedgeDesign) if field.name not in {"name", "title", "citations"}
)


@cache
def load_ledge_design(name: str) -> LedgeDesign:
    """The side wall of that name, from ``parameters/ledges``.

    Raises:
        UnknownNameError: there is no such wall.
        SettingsError: its file is incomplete or uncited.

    >>> load_ledge_design("ledge_180ka").latent_heat_j_kg
    450000.0
    """
    file = read_parameter_file("ledges", name, _QUANTITIES)
    values = {field: number(file, field) for field in _QUANTITIES}
    return LedgeDesign(name=name, title=file.title, citations=file.citations, **values)
