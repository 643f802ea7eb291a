"""Windows that predicted outcomes must keep: preferred by the prediction, hard by the interval's far side.

A cell that already stands outside a window may be held there or moved toward it, never further out. Every side is
judged for itself, so a cell that is too hot does not earn the right to become too cold.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.bundle import LOWER, UPPER
from features.errors import SettingsError
from features.outcomes import outcome

Floats = NDArray[np.float64]
_INF = math.inf


@dataclass(frozen=True)
class Side:
    """One side of a window: kept where ``sign * (output - edge) <= 0``; ``name`` is what it is called when it binds."""

    name: str
    output: str
    sign: float
    edge: float


@dataclass(frozen=True)
class Limit:
    """The window of one outcome, in its unit.

    Attributes:
        outcome: its name.
        low, high: kept by the prediction, ``margin`` inside.
        hard_low, hard_high: kept by the interval's lower and upper end.
        source: where the numbers come from, with the tag of the house.
        label: what it is called when it binds; "" = the outcome's name.

    Raises:
        SettingsError: the window is empty, nothing is limited, or the margin is negative.
        UnknownNameError: no such outcome.
    """

    outcome: str
    low: float = -_INF
    high: float = _INF
    hard_low: float = -_INF
    hard_high: float = _INF
    margin: float = 0.0
    source: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        """Check the numbers."""
        outcome(self.outcome)
        edges = (self.low, self.high, self.hard_low, self.hard_high)
        if any(math.isnan(edge) for edge in edges) or not any(math.isfinite(edge) for edge in edges):
            raise SettingsError(f"limit on {self.outcome}: give at least one finite edge, not {edges}")
        if not (math.isfinite(self.margin) and self.margin >= 0):
            raise SettingsError(f"limit on {self.outcome}: margin {self.margin} must be zero or above")
        if self.low + self.margin > self.high - self.margin or self.hard_low > self.hard_high:
            raise SettingsError(
                f"limit on {self.outcome}: {edges} with margin {self.margin} leave no room; widen the window"
            )

    @property
    def sides(self) -> tuple[Side, ...]:
        """The finite sides."""
        name = self.label or self.outcome
        found = (
            Side(f"{name}.low", self.outcome, -1.0, self.low + self.margin),
            Side(f"{name}.high", self.outcome, 1.0, self.high - self.margin),
            Side(f"{name}.hard_low", self.outcome + LOWER, -1.0, self.hard_low),
            Side(f"{name}.hard_high", self.outcome + UPPER, 1.0, self.hard_high),
        )
        return tuple(side for side in found if math.isfinite(side.edge))

    def excess(self, outputs: Mapping[str, Floats]) -> Floats:
        """Return how far each row lies outside each side (n, s), in the outcome's unit; 0 inside."""
        away = [side.sign * (outputs[side.output] - side.edge) for side in self.sides]
        # An outcome that is not a number keeps no window.
        return np.stack([np.where(np.isnan(far), _INF, np.maximum(far, 0.0)) for far in away], axis=1)


DEFAULT_LIMITS: tuple[Limit, ...] = (
    Limit(
        "mean_superheat_c",
        9.5,
        15.5,
        7.5,
        18.5,
        0.25,
        "typical window 6-12, hard 4-15 degC [B], 3.5 higher: computed superheat stands 2-5 above that of Li, K baths [V]",
    ),
    Limit(
        "mean_bath_temperature_c", 940.0, 965.0, 930.0, 975.0, 1.0, "typical 940-960, western to 965 degC [B]"
    ),
    Limit("mean_noise_mv", high=25.0, hard_high=35.0, margin=0.5, source="typical 8-25, alarm 30-40 mV [B]"),
)
"""For a plant that set none: a plant's own windows go into its settings.

Superheat is computed, with a liquidus (Solheim's) that lies 2 to 5 degC below the one fitted to industrial baths with
lithium and potassium. The two disagree and nobody measures superheat every day, so its window stands higher by the
middle of what they differ by: what looks like 9.5 is about 6. A cell that comes to stand outside is given back.
"""

FLOORS: tuple[Limit, ...] = (
    Limit(
        "mean_voltage_v", low=3.65, label="floor.mean_voltage_v", source="no cell of this kind runs below [C]"
    ),
    Limit("energy_kwh_per_t", low=11500.0, label="floor.energy_kwh_per_t", source="best pilot cells [C, V]"),
)
"""What no cell has shown: a prediction beyond is the model's error, whatever a plant's windows are."""


def check_limits(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """Return ``limits``; raises SettingsError where two have one name."""
    names = [limit.label or limit.outcome for limit in limits]
    if len(set(names)) != len(names):
        raise SettingsError(f"limits {names} hold a name twice; give each outcome one window, or label them")
    return limits
