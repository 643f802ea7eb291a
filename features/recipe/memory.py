"""What the recipe remembers of each cell beside the windows: setpoints in force, days since events, silence."""

import numpy as np
from numpy.typing import NDArray

from features.recipe.catalogue import CAPPED_DAYS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class DaysSince:
    """Days since an event, counted from the record's beginning where there was none, up to a cap."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Start counting."""
        self.days = np.zeros(shape)

    def advance(self, happened: Flags) -> None:
        """Count a day; ``happened`` marks where the event fell on it, which is one day ago at the decision."""
        self.days = np.minimum(np.where(happened, 1.0, self.days + 1.0), float(CAPPED_DAYS))


class Setpoints:
    """The levers as they stand, their last move and how long ago it was; arrays are (k, c)."""

    def __init__(self, levers: int, cells: int) -> None:
        """Start with nothing known."""
        self.in_force = np.full((levers, cells), np.nan)
        self.last_move = np.zeros((levers, cells))
        self.since_move = DaysSince((levers, cells))

    def advance(self, values: Floats) -> None:
        """Take in a day's setpoints (k, c); a setpoint that was not reported stands as it stood."""
        told = np.isfinite(values)
        moved = told & np.isfinite(self.in_force) & (values != self.in_force)
        self.last_move = np.where(moved, values - self.in_force, self.last_move)
        self.in_force = np.where(told, values, self.in_force)
        self.since_move.advance(moved)
