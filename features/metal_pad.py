"""The metal pad over the weeks: a tap target that is right for a week must not drain the cell in a month.

Tapping makes no metal. A target above what the cell produces draws the pad down, one below lets it grow, and by how
much is known: linear in the target and in the days for which it stands.
"""

from dataclasses import dataclass

from features.levers import operating_parameters
from features.metal_balance import BalanceSettings
from features.plant import Plant
from features.setpoints import OperatingWindow

TAP = "tap_target_kg"


@dataclass(frozen=True)
class Pad:
    """A cell's metal: its level and its usual level [mm], and what it produces [kg/d]."""

    level_mm: float
    usual_mm: float
    production_kg_d: float


def with_level_kept(window: OperatingWindow, pad: Pad, plant: Plant) -> OperatingWindow:
    """Return ``window`` with the tap target kept where the planned level of ``pad`` stays near its usual one.

    A window that does not offer the tap target is returned as it is.
    """
    if TAP not in window.names:
        return window
    plan = operating_parameters()["metal_pad"]
    a_day = BalanceSettings.for_plant(plant).kg_per_mm / plan["planned_days"]
    above = pad.level_mm - pad.usual_mm
    low, high = (pad.production_kg_d + (above + side * plan["band_mm"]) * a_day for side in (-1.0, 1.0))
    return window.narrowed(TAP, low, high)
