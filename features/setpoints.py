"""What may be moved, how far and how fast: levers, joint limits, projection onto the feasible set, staged paths.

The feasible set is discrete: a lever stands at its current value or a whole number of resolutions away from it, so
"hold" is exactly no move. Two rules make holding always feasible and keep every move honest:

* a bound or a joint limit that the *current* setting already breaks binds at the current value: no move may make it
  worse, any move may make it better;
* everything else is refused by construction, not by penalty.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError, SettingsError, UnknownNameError
from features.stages import Stage, Staircase

Floats = NDArray[np.float64]
Group = Literal["voltage", "chemistry", "metal", "feed"]

_SLACK = 1e-9
_DECIMALS = 9  # writes 3.852, not 3.8520000000000003, and moves no setting that a plant could write
_CHUNK = 200_000


@dataclass(frozen=True)
class Lever:
    """A setpoint that we may move.

    Attributes:
        name: the signal's name; unit: its unit.
        low, high: hard bounds.
        resolution: grid step; max_daily_step: the largest move in one day.
        window: the largest total move from the current value that a recommendation may target.
        group: levers of one group may move on the same day, groups may not.
        source: where the numbers come from, with the tag of the house ([V], [C], [B]).
    """

    name: str
    unit: str
    low: float
    high: float
    resolution: float
    max_daily_step: float
    window: float
    group: Group
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse bounds, steps and windows that contradict each other.

        Raises:
            SettingsError: a number is not finite or out of order.
        """
        numbers = (self.low, self.high, self.resolution, self.max_daily_step, self.window)
        if not all(math.isfinite(number) for number in numbers):
            raise SettingsError(f"lever {self.name}: {numbers} holds a number that is not finite")
        if not self.low < self.high:
            raise SettingsError(f"lever {self.name}: low {self.low} is not below high {self.high}")
        if not 0 < self.resolution <= self.max_daily_step + _SLACK <= self.window + 2 * _SLACK:
            raise SettingsError(
                f"lever {self.name}: resolution {self.resolution} <= max_daily_step {self.max_daily_step}"
                f" <= window {self.window} must hold, all above zero"
            )

    @property
    def decimals(self) -> int:
        """Decimal places that tell settings of this lever apart, with three to spare."""
        return max(0, -math.floor(math.log10(self.resolution) + _SLACK)) + 3

    @property
    def steps_in_window(self) -> int:
        """Whole resolutions within the window."""
        return math.floor(self.window / self.resolution + _SLACK)

    @property
    def steps_a_day(self) -> int:
        """Whole resolutions within a day's step."""
        return math.floor(self.max_daily_step / self.resolution + _SLACK)


@dataclass(frozen=True)
class JointLimit:
    """A named linear limit over several levers: sum(moves[l] * (l - current l) + values[l] * l) <= bound.

    Attributes:
        name: how a recommendation calls it when it binds.
        moves: lever -> coefficient on the move away from the current setting.
        values: lever -> coefficient on the setting itself.
        bound: the right-hand side.
        source: where the numbers come from, with its tag.
    """

    name: str
    bound: float
    moves: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a limit without levers or with numbers that are not finite.

        Raises:
            SettingsError: as said.
        """
        numbers = (self.bound, *self.moves.values(), *self.values.values())
        if not self.levers or not all(math.isfinite(number) for number in numbers):
            raise SettingsError(
                f"joint limit {self.name}: name its levers and give finite numbers, not {numbers}"
            )

    @property
    def levers(self) -> frozenset[str]:
        """The levers that it couples."""
        return frozenset((*self.moves, *self.values))


@dataclass(frozen=True)
class OperatingWindow:
    """The levers on offer and the limits that couple them.

    Raises:
        SettingsError: no lever, or a lever twice.
        UnknownNameError: a joint limit over a lever that is not offered.
    """

    levers: tuple[Lever, ...]
    limits: tuple[JointLimit, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        if not self.levers or len(set(self.names)) != len(self.levers):
            raise SettingsError(f"operating window: give each lever once, not {self.names}")
        for limit in self.limits:
            unknown = sorted(limit.levers - set(self.names))
            if unknown:
                raise UnknownNameError(
                    f"joint limit {limit.name}: {unknown} are not offered; levers are {', '.join(self.names)}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The levers' names, in the order of every (k,) array."""
        return tuple(lever.name for lever in self.levers)

    def lever(self, name: str) -> Lever:
        """Return the lever called ``name``.

        Raises:
            UnknownNameError: it is not offered.
        """
        return self.levers[self.index(name)]

    def index(self, name: str) -> int:
        """Return the place of lever ``name`` in every (k,) array.

        Raises:
            UnknownNameError: it is not offered.
        """
        if name not in self.names:
            raise UnknownNameError(f"unknown lever {name!r}; this window offers {', '.join(self.names)}")
        return self.names.index(name)

    def narrowed(self, name: str, low: float, high: float) -> "OperatingWindow":
        """Return the window with lever ``name`` kept inside low..high too; where nothing is left, its nearer bound.

        Raises:
            UnknownNameError: it is not offered.
        """
        lever = self.lever(name)
        low = min(max(lever.low, low), lever.high - lever.resolution)
        high = max(min(lever.high, high), low + lever.resolution)
        levers = tuple(replace(one, low=low, high=high) if one is lever else one for one in self.levers)
        return replace(self, levers=levers)

    def matrix(self, current: Floats) -> tuple[Floats, Floats]:
        """Return (A (l, k), b (l,)) of the joint limits for this ``current`` (k,): A levers <= b.

        A limit that the current setting already breaks is relaxed to the current value.
        """
        here = self._checked(current)
        A = np.zeros((len(self.limits), len(self.levers)))
        b = np.zeros(len(self.limits))
        for row, limit in enumerate(self.limits):
            moves, values = self._row(limit.moves), self._row(limit.values)
            A[row] = moves + values
            b[row] = max(limit.bound + float(moves @ here), float(A[row] @ here))
        return A, b

    def bounds(self, current: Floats) -> tuple[Floats, Floats]:
        """Return the (k,) lowest and highest grid values that bounds and window leave around ``current`` (k,)."""
        grid = self.grid(current)
        return np.array([values[0] for values in grid]), np.array([values[-1] for values in grid])

    def grid(self, current: Floats) -> list[Floats]:
        """Return for each lever the allowed values around ``current`` (k,), ascending, the current one among them."""
        here = self._checked(current)
        return [_grid(lever, float(value)) for lever, value in zip(self.levers, here, strict=True)]

    def feasible(self, current: Floats, levers: Floats) -> NDArray[np.bool_]:
        """Say for each row of ``levers`` (n, k) whether it is in the feasible set around ``current`` (k,)."""
        rows = np.atleast_2d(np.asarray(levers, dtype=np.float64))
        good = self.within_limits(current, rows)
        for column, values in enumerate(self.grid(current)):
            nearest = _nearest(values, rows[:, column])
            tolerance = 1e-6 * self.levers[column].resolution
            good &= np.abs(values[nearest] - rows[:, column]) <= tolerance
        return good

    def within_limits(self, current: Floats, levers: Floats) -> NDArray[np.bool_]:
        """Say for each row of ``levers`` (n, k) whether it keeps the joint limits around ``current`` (k,)."""
        A, b = self.matrix(current)
        slack = _SLACK * np.maximum(1.0, np.abs(A) @ np.abs(self._checked(current)))
        return np.asarray((np.atleast_2d(levers) @ A.T <= b + slack).all(axis=1))

    def binding(self, current: Floats, levers: Floats) -> tuple[str, ...]:
        """Return what stops ``levers`` (k,) from going further: bounds ``<lever>.low|high`` and joint limits."""
        setting = np.asarray(levers, dtype=np.float64)
        here = self._checked(current)
        low, high = self.bounds(current)
        found = []
        for i, lever in enumerate(self.levers):
            half = 0.5 * lever.resolution
            if setting[i] != here[i] and setting[i] <= low[i] + half:
                found.append(f"{lever.name}.low")
            if setting[i] != here[i] and setting[i] >= high[i] - half:
                found.append(f"{lever.name}.high")
        A, b = self.matrix(current)
        for row, limit in enumerate(self.limits):
            # One more resolution of any of its levers would break it.
            reach = np.abs(A[row]) * [lever.resolution for lever in self.levers]
            if np.any(setting != here) and A[row] @ setting > b[row] - reach.max() + _SLACK:
                found.append(limit.name)
        return tuple(found)

    def project(self, current: Floats, target: Floats) -> Floats:
        """Return the feasible setting nearest to each row of ``target`` (n, k), around ``current`` (k,).

        Near is Euclidean with every lever measured in its daily step; a tie goes to the smaller values.

        Raises:
            InputError: a target is not finite.
        """
        rows = np.atleast_2d(np.asarray(target, dtype=np.float64))
        if rows.shape[1] != len(self.levers) or not np.isfinite(rows).all():
            raise InputError(
                f"project: target must be (n, {len(self.levers)}) finite numbers, not {rows.shape}"
            )
        grids = self.grid(current)
        settings = np.stack([values[_nearest(values, rows[:, i])] for i, values in enumerate(grids)], axis=1)
        broken = np.flatnonzero(~self.within_limits(current, settings))
        if len(broken):
            for block in self._blocks():
                settings[broken[:, None], block] = self._nearest_in_block(current, grids, block, rows[broken])
        return settings

    def path(self, current: Floats, target: Floats, hold_days: int = 0) -> tuple[Stage, ...]:
        """Return the days that lead from ``current`` (k,) to ``target`` (k,), empty where they are equal.

        One group moves a day, each lever by at most its daily step, every day inside the joint limits; before
        another group starts, ``hold_days`` days pass without a move.

        Raises:
            InputError: the target is not feasible around the current setting.
            SearchError: no order of the groups keeps the joint limits on every day.
        """
        here, there = self._checked(current), self._checked(target)
        if not self.feasible(here, there)[0]:
            raise InputError(
                f"path: {there.tolist()} is not feasible around {here.tolist()}; project it first"
            )
        size = np.array([lever.resolution for lever in self.levers])

        def setting(gone: NDArray[np.int64]) -> Floats:
            on_grid = np.array(
                [_at(lever, float(here[i]), int(gone[i])) for i, lever in enumerate(self.levers)]
            )
            return np.where(gone == moves, there, on_grid)

        moves = np.round((there - here) / size).astype(np.int64)
        stairs = Staircase(
            moves,
            np.array([lever.steps_a_day for lever in self.levers]),
            [lever.group for lever in self.levers],
            lambda gone: bool(self.within_limits(here, setting(gone))[0]),
        )
        stages: list[Stage] = []
        before = here
        for group, gone in stairs.walk():
            if stages and stages[-1].group != group:
                for _ in range(hold_days):
                    stages.append(Stage(len(stages), tuple(before.tolist()), None))
            before = setting(gone)
            stages.append(Stage(len(stages), tuple(before.tolist()), group))
        return tuple(stages)

    def _row(self, coefficients: Mapping[str, float]) -> Floats:
        return np.array([coefficients.get(name, 0.0) for name in self.names])

    def _checked(self, setting: Floats) -> Floats:
        values = np.asarray(setting, dtype=np.float64)
        if values.shape != (len(self.levers),) or not np.isfinite(values).all():
            raise InputError(f"a setting must hold {len(self.levers)} finite numbers, not {values}")
        return values

    def _blocks(self) -> list[list[int]]:
        """Return the levers (indices) that the joint limits tie together, block by block."""
        blocks: list[set[int]] = []
        for limit in self.limits:
            block = {self.index(name) for name in limit.levers}
            for other in [other for other in blocks if other & block]:
                blocks.remove(other)
                block |= other
            blocks.append(block)
        return [sorted(block) for block in blocks]

    def _nearest_in_block(
        self, current: Floats, grids: Sequence[Floats], block: list[int], rows: Floats
    ) -> Floats:
        A, b = self.matrix(current)
        here = self._checked(current)
        points = np.stack(np.meshgrid(*[grids[i] for i in block], indexing="ij"), axis=-1)
        points = points.reshape(-1, len(block))
        mine = np.flatnonzero(np.abs(A[:, block]).sum(axis=1) > 0)
        slack = _SLACK * np.maximum(1.0, np.abs(A[mine]) @ np.abs(here))
        points = points[(points @ A[mine[:, None], block].T <= b[mine] + slack).all(axis=1)]
        scale = np.array([self.levers[i].max_daily_step for i in block])
        nearest = np.empty((len(rows), len(block)))
        size = max(1, _CHUNK // len(points))
        for start in range(0, len(rows), size):
            part = rows[start : start + size][:, block]
            distance = np.sum(((points[None] - part[:, None]) / scale) ** 2, axis=2)
            # Rounded, so that two equally near points are a tie whatever the last bit says.
            nearest[start : start + size] = points[np.argmin(np.round(distance, 9), axis=1)]
        return nearest


def _grid(lever: Lever, current: float) -> Floats:
    low, high = min(lever.low, current), max(lever.high, current)
    reach = lever.steps_in_window
    values = np.array([_at(lever, current, step) for step in range(-reach, reach + 1)])
    tolerance = 1e-6 * lever.resolution
    return values[(values >= low - tolerance) & (values <= high + tolerance)]


def _at(lever: Lever, current: float, steps: int) -> float:
    """Return the setting ``steps`` resolutions from ``current``, written as a plant would write it."""
    return round(current + steps * lever.resolution, _DECIMALS) if steps else current


def _nearest(values: Floats, targets: Floats) -> NDArray[np.intp]:
    """Return the index of the grid value nearest to each target; a tie goes to the smaller value."""
    return np.searchsorted(0.5 * (values[:-1] + values[1:]), targets, side="left").astype(np.intp)
