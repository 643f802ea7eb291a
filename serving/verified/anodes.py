"""Net anode carbon before and after, as far as weighed butts tell it.

An anode's carbon is known only as a whole, over its own life, so days after a move carry carbon of days before it.
How much of the carbon's own time lay under the move is its exposure; the change of the carbon is divided by the
change of the exposure, and nothing is said where that is small.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import anode_labels
from features.anode_labels import COVERAGE, AnodeCarbon
from features.history import History
from serving.verified.panel import Window

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Carbon:
    """A line's weighed carbon day by day, and when each anode stood."""

    history: History
    daily: AnodeCarbon

    @classmethod
    def of(cls, history: History) -> "Carbon":
        """Read ``history``; see :func:`features.anode_labels.unavailable` for whether it can."""
        return cls(history, anode_labels.daily_carbon(history))

    def rate(self, first: int, last: int) -> Floats:
        """Return the net carbon of days ``first``..``last`` [kg/d] (c,), NaN where not every position is weighed."""
        span = slice(first, last + 1)
        days = last - first + 1
        whole = float(self.history.plant.anodes_per_cell * days)
        time = self.daily.anode_days[span].sum(axis=0)
        covered = (time >= COVERAGE[0] * whole) & (time <= COVERAGE[1] * whole)
        scale = np.where(covered, whole / np.where(covered, time, 1.0), np.nan)
        return np.asarray(self.daily.carbon_kg[span].sum(axis=0) * scale / days)

    def exposure(self, cell: int, window: Window) -> float:
        """Return how much more of the carbon's time lay under the move after than before, a share."""
        after = self._exposure(cell, window, window.first, window.last)
        return after - self._exposure(cell, window, window.begin, window.start - 1)

    def _exposure(self, cell: int, window: Window, first: int, last: int) -> float:
        anodes = self.history.anodes
        mine = (anodes.cell == cell) & np.isfinite(anodes.removed_at) & np.isfinite(anodes.butt_mass_kg)
        origin = float(self.history.dates[0].astype("datetime64[D]").astype(np.int64))
        begun, ended = anodes.set_at[mine] - origin, anodes.removed_at[mine] - origin
        present = np.clip(np.minimum(ended, last + 1.0) - np.maximum(begun, first), 0.0, None)
        # A setting stays until it is moved again: counting it to the anode's end never tells too much.
        under = np.clip(ended - np.maximum(begun, window.start), 0.0, None)
        life = np.where(ended > begun, ended - begun, 1.0)
        total = float(present.sum())
        return float((present * under / life).sum()) / total if total > 0 else 0.0
