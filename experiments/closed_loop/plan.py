"""What an arm asks of a line until the next round: setpoints day by day, NaN where the operators carry on."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.operators import LEVERS
from features.errors import InputError
from features.relations import Array

PROMISED: Final = (
    "energy_kwh_per_t",
    "net_anode_kg_per_t",
    "cost_per_t",
    "cost_in_one_horizon",
    "expected_energy_kwh_per_t",
)
"""The numbers of a promise."""


@dataclass(frozen=True)
class Promise:
    """What an arm says that its moves will save over the horizon, each (c, 3): mean, lower, upper; NaN = nothing said.

    ``expected_energy_kwh_per_t`` (c, 3) is the energy itself with its interval, at the setting advised, held or moved.
    ``status`` (c,) is ``move``, ``hold``, ``abstain`` or "" where the arm was not asked; ``reason`` (c,) the first
    reason's code.
    """

    energy_kwh_per_t: Array
    net_anode_kg_per_t: Array
    cost_per_t: Array
    cost_in_one_horizon: Array
    expected_energy_kwh_per_t: Array
    status: NDArray[np.str_]
    reason: NDArray[np.str_]

    @classmethod
    def nothing(cls, cells: int) -> "Promise":
        """Return the promise of an arm that says nothing."""
        numbers = [np.full((cells, 3), np.nan) for _ in PROMISED]
        words = [np.full(cells, "", dtype="<U24") for _ in range(2)]
        return cls(*numbers, *words)


@dataclass(frozen=True)
class Plan:
    """Setpoints (days, c, k) in the order of ``LEVERS``; NaN leaves that cell, lever and day to the operators.

    ``unmoved`` (c, k) is what stands if nothing is decided now: what an earlier round took in hand, NaN otherwise.
    It is what ``promise`` is a saving against.
    """

    settings: Array
    unmoved: Array
    promise: Promise
    ask_again: NDArray[np.bool_]
    """(c,) cells to be asked about again tomorrow, because today nothing could be said of them."""
    given_back: NDArray[np.bool_] | None = None
    """(c,) cells, not asked about today, whose standing moves are their operators' again; None = none."""

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit.

        Raises:
            InputError: as said.
        """
        if self.settings.ndim != 3 or self.settings.shape[1:] != (self.unmoved.shape[0], len(LEVERS)):
            raise InputError(f"a plan is (days, cells, {len(LEVERS)}), not {self.settings.shape}")

    def day(self, index: int) -> dict[str, Array]:
        """Return the setpoints of day ``index`` as the plant takes them."""
        return as_setpoints(self.settings[index])

    @property
    def moved(self) -> NDArray[np.bool_]:
        """(c, k) levers that this plan moves or takes in hand."""
        end = self.settings[-1]
        return np.asarray(np.isfinite(end) & ~(end == self.unmoved))


def as_setpoints(settings: Array) -> dict[str, Array]:
    """Return settings (c, k) as lever to (c,)."""
    return {name: settings[:, k].copy() for k, name in enumerate(LEVERS)}


def in_force(setpoints: dict[str, Array]) -> Array:
    """Return lever to (c,) as (c, k) in the order of ``LEVERS``."""
    return np.stack([setpoints[name] for name in LEVERS], axis=1)


def staged(current: Array, target: Array, steps: Array, days: int) -> Array:
    """Return (days, c, k): from ``current`` (c, k) to ``target`` (c, k; NaN stays NaN) by at most ``steps`` (k,) a day."""
    count = np.arange(1, days + 1)[:, None, None] * steps
    return np.clip(target[None], current[None] - count, current[None] + count)
