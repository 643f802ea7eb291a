"""The plant: what holds for a line as a whole and does not change from day to day."""

import math
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from features.electrolysis.faraday import metal_rate
from features.errors import SettingsError
from features.policy.cost import Prices

TYPICAL_EFFICIENCY = 0.94
"""Current efficiency of a sound modern cell (background knowledge), where a cell's own is not known."""


@dataclass(frozen=True)
class Plant:
    """A line's constants.

    Raises:
        SettingsError: an empty name, an unknown zone, a current, anode count or pad area that no cell has, or two
            currencies.
    """

    name: str
    timezone: str
    line_current_ka: float
    """Nominal line current [kA]."""
    anodes_per_cell: int
    metal_pad_area_m2: float
    """Area of the metal pad in one cell [m2]."""
    simulated: bool
    """True for a virtual line: every file, page and plot that shows its data says so."""
    currency: str = "CNY"
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        """Check every constant."""
        if not self.name.strip():
            raise SettingsError("the plant has no name; give it one")
        try:
            ZoneInfo(self.timezone)
        except (
            KeyError,
            ValueError,
            OSError,
        ) as error:  # an unknown key, a path, a directory of the database
            raise SettingsError(
                f"plant {self.name}: timezone {self.timezone!r} is unknown; use an IANA name such as Asia/Shanghai"
            ) from error
        _require_between(self.name, "line_current_ka", self.line_current_ka, 10.0, 1000.0)
        _require_between(self.name, "anodes_per_cell", self.anodes_per_cell, 1, 100)
        _require_between(self.name, "metal_pad_area_m2", self.metal_pad_area_m2, 1.0, 200.0)
        if self.currency != self.prices.currency:
            raise SettingsError(
                f"plant {self.name} counts in {self.currency} but its prices are in {self.prices.currency};"
                " use one currency"
            )


def metal_t_per_d(line_current_ka: float, efficiency: float | None) -> float:
    """Return the metal that a cell is expected to make in a day [t/d].

    Args:
        line_current_ka: line current [kA].
        efficiency: predicted current efficiency, a fraction; one that is not known, or that no cell has, counts as
            ``TYPICAL_EFFICIENCY``.
    """
    if efficiency is None or not 0.5 <= efficiency <= 1.0:
        efficiency = TYPICAL_EFFICIENCY
    return float(metal_rate(line_current_ka, efficiency)) / 1000.0


def _require_between(plant: str, name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise SettingsError(f"plant {plant}: {name} is {value}; give a value between {low} and {high}")
