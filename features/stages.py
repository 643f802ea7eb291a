"""A target beyond one day's step, as the days that lead to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import SearchError

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Stage:
    """One day of a path: ``day`` counts from 0, the decision's own day; ``group`` is None on a hold day."""

    day: int
    levers: tuple[float, ...]
    group: str | None


@dataclass(frozen=True)
class Staircase:
    """A walk from zero to ``moves`` (k,) in whole resolutions, at most ``daily`` (k,) of them a day.

    Attributes:
        moves: (k,) resolutions to go, signed.
        daily: (k,) the most resolutions a lever may go in a day.
        groups: (k,) the group of each lever; one group moves a day.
        allowed: says whether a setting, given as resolutions gone (k,), may stand for a day.
    """

    moves: Counts
    daily: Counts
    groups: Sequence[str]
    allowed: Callable[[Counts], bool]

    def walk(self) -> list[tuple[str, Counts]]:
        """Return the days as (group moved, resolutions gone), finishing a group before the next where that may be.

        Raises:
            SearchError: every order of the groups passes through a setting that is not allowed.
        """
        dead: set[tuple[int, ...]] = set()
        found = self._extend(np.zeros_like(self.moves), None, dead)
        if found is None:
            raise SearchError(
                f"no order of the groups {sorted(set(self.groups))} keeps the joint limits every day on the way to"
                f" {self.moves.tolist()} resolutions; choose a nearer target"
            )
        return found

    def _extend(
        self, gone: Counts, last: str | None, dead: set[tuple[int, ...]]
    ) -> list[tuple[str, Counts]] | None:
        if np.array_equal(gone, self.moves):
            return []
        if tuple(gone.tolist()) in dead:
            return None
        left = sorted({group for group, to_go in zip(self.groups, self.moves - gone, strict=True) if to_go})
        for group in sorted(left, key=lambda name: (name != last, self.groups.index(name))):
            there = self._step(gone, group)
            rest = self._extend(there, group, dead) if self.allowed(there) else None
            if rest is not None:
                return [(group, there), *rest]
        dead.add(tuple(gone.tolist()))
        return None

    def _step(self, gone: Counts, group: str) -> Counts:
        to_go = self.moves - gone
        step = np.sign(to_go) * np.minimum(np.abs(to_go), self.daily)
        return gone + np.where(np.array([name == group for name in self.groups]), step, 0)
