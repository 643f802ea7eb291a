"""One outcome to learn from rows whose label is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from training.identification.instruments import Instruments
from training.lever_effects import LeverEffect, lever_effect
from training.rows import LeverPlace
from training.structures import Bools, Floats, Inputs

TAIL = 0.001
"""Share of the known values that a smooth estimator's input range leaves out at either end."""
_MOVE_ROOM = 1.5
"""Room for a move beyond the 99 % quantile of the moves made, relative to it."""
_ANCHOR_ROOM = 1.0
"""Room for an anchor beyond its range, relative to the range."""


@dataclass(frozen=True)
class Task:
    """What a family needs to fit one outcome.

    Attributes:
        outcome: name of what ``y`` (n,) holds; no NaN.
        z: (n, z) design matrix.
        date: (n,) decision dates.
        weights: (n, m) row weights of each member.
        usable: (z,) columns that may be used.
        levers: the levers whose history moved.
        own: what of the moves no rule explains, from which effects are learnt; None = nothing, then physics alone tells.
        parts: outcome -> (n,), the labels that an identity makes this one of; their effects then make this one's.
        line_wide: (z,) columns in which all cells share one value a day; None = there are none.
        anchors: columns that already estimate the outcome, in its unit; see :mod:`training.estimators.linear`.
        seed: of every random draw.
    """

    outcome: str
    z: Floats
    y: Floats
    date: NDArray[np.datetime64]
    weights: Floats
    usable: Bools
    levers: tuple[LeverPlace, ...]
    seed: int
    own: Instruments | None = None
    parts: Mapping[str, Floats] = field(default_factory=dict)
    line_wide: Bools | None = None
    anchors: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse labels that are not known and members without a row."""
        if len(self.y) < 20 or not np.isfinite(self.y).all():
            raise InputError(
                f"{self.outcome}: {len(self.y)} rows, or labels not finite; 20 known labels needed"
            )
        if not (self.weights.sum(axis=0) > 0).all():
            raise InputError(f"{self.outcome}: a member drew no row; give more cells or days")

    @property
    def m(self) -> int:
        """Ensemble members."""
        return int(self.weights.shape[1])

    @property
    def local(self) -> Bools:
        """(z,) the usable columns that differ between cells."""
        return self.usable if self.line_wide is None else self.usable & ~self.line_wide

    def relabelled(self, outcome: str, y: Floats) -> "Task":
        """Return the same rows with other labels, which no column estimates."""
        return replace(self, outcome=outcome, y=y, anchors=(), parts={})

    def effect(self, lever: LeverPlace) -> LeverEffect | None:
        """Return what physics says about ``lever`` on this outcome."""
        return lever_effect(self.outcome, lever.name)


def input_ranges(task: Task) -> Inputs:
    """Return how smooth estimators read Z: column means as fill, the bulk of the known values as range.

    A lever's move keeps room beyond its usual sizes, because the larger ones are the informative ones, but not for
    the steps of a start-up, which no recommendation makes and no line follows. Anchors get room on both sides,
    because a line drifts and "as it was" stays true outside the range. Unused columns are pinned to zero.
    """
    z = np.where(np.isfinite(task.z), task.z, np.nan)[:, task.usable]
    fill, low, high = np.zeros((3, task.z.shape[1]))
    fill[task.usable] = np.nanmean(z, axis=0)
    low[task.usable], high[task.usable] = np.nanquantile(z, [TAIL, 1 - TAIL], axis=0)
    for lever in task.levers:
        made = task.z[:, lever.move]
        reach = _MOVE_ROOM * float(np.quantile(np.abs(made[made != 0]), 0.99))
        low[lever.move], high[lever.move] = -reach, reach
    for column in task.anchors:
        room = _ANCHOR_ROOM * (high[column] - low[column])
        low[column], high[column] = low[column] - room, high[column] + room
    return Inputs(fill=np.clip(fill, low, high), low=low, high=high)
