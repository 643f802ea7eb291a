"""One cell's search problem: the cost of a tonne over the lever grid, and what must hold.

Bounds, windows and joint limits hold by construction: a point that breaks a joint limit has no key. What is
predicted (superheat, temperature, noise, support) is a constraint: a point that breaks one loses against any point
that does not. Holding is always allowed, because every side is relaxed to where the cell already stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.bundle import MEMBERS, SUPPORT
from features.errors import SettingsError, UnknownNameError
from features.setpoints import OperatingWindow
from serving.limits import Limit, check_limits
from serving.search.specialise import Points, Specialised
from serving.widening import is_factor, needed, widened

Floats = NDArray[np.float64]

SUPPORT_SIDE = "support.low"
BROKEN = 1e12
"""Least key of a point that breaks a predicted limit: above any cost, below a broken joint limit (inf)."""
_SLACK = 1e-9


class Landscape(Protocol):
    """What a descent walks over: keys (n,) of grid points (n, k), smaller is better.

    From ``BROKEN`` on a point breaks a limit, the more the larger; inf is out.
    """

    @property
    def sizes(self) -> tuple[int, ...]:
        """Grid values of each lever."""

    @property
    def home(self) -> Points:
        """The grid point (k,) of the current setting."""

    def keys(self, points: Points) -> Floats:
        """Return the key (n,) of each grid point."""


@dataclass(frozen=True)
class LeverPrice:
    """What one unit of a lever's move costs a tonne: ``up`` is paid for raising it, ``down`` is saved by lowering it."""

    up: float
    down: float

    def cost(self, moves: Floats) -> Floats:
        """Return the cost (n,) of ``moves`` (n,) away from the current setting."""
        return np.asarray(self.up * np.maximum(moves, 0.0) - self.down * np.maximum(-moves, 0.0))


@dataclass(frozen=True)
class Objective:
    """What a tonne costs: ``prices`` by outcome, and what moving a lever adds by ``lever_prices``.

    ``caution`` adds that many standard errors of the saving, as the members see it: 0 minimises the expected cost,
    a t quantile maximises the saving's lower confidence bound.
    """

    prices: Mapping[str, float]
    lever_prices: Mapping[str, LeverPrice] = field(default_factory=dict)
    caution: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an objective without a priced outcome, and a negative caution.

        Raises:
            SettingsError: as said.
        """
        numbers = [*self.prices.values(), self.caution]
        numbers += [number for price in self.lever_prices.values() for number in (price.up, price.down)]
        if not self.prices or not np.isfinite(numbers).all() or self.caution < 0:
            raise SettingsError(
                f"objective: price at least one outcome, with finite numbers and caution >= 0, not {numbers}"
            )


@dataclass(frozen=True)
class Goal:
    """What is wanted and what must hold: objective, predicted limits, and the least support.

    ``widening``: outcome -> its interval and its members' disagreement count so many times as wide as answered.
    """

    objective: Objective
    limits: tuple[Limit, ...] = ()
    support: float = 0.0
    widening: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse two windows for one outcome, and a widening that narrows.

        Raises:
            SettingsError: as said.
        """
        check_limits(self.limits)
        if not all(is_factor(factor) for factor in self.widening.values()):
            raise SettingsError(f"goal: widening is {dict(self.widening)}; give numbers of at least 1")


@dataclass(frozen=True)
class Scores:
    """Rows as the search sees them: cost (n,), excess (n, s) over what each side allows (0 = kept), outputs."""

    cost: Floats
    excess: Floats
    outputs: Mapping[str, Floats]

    @property
    def keys(self) -> Floats:
        """One number a row (n,): the cost, or beyond any cost where a side is broken."""
        total = np.where(self.excess > _SLACK, self.excess, 0.0).sum(axis=1)
        return np.where(total > 0, BROKEN * (1.0 + total / (1.0 + total)), self.cost)


class Problem:
    """The search over one cell's lever grid; what was evaluated once is remembered.

    Attributes:
        surrogate: the cell's outcomes. window, current: the levers, their limits, and where they stand (k,).
        goal: objective and limits. limits: those whose outcome the bundle predicts. sides: the names of the
        predicted limits, as columns of an excess. allowed (s,): the excess that each side has today.
    """

    def __init__(
        self,
        surrogate: Specialised,
        window: OperatingWindow,
        current: Floats,
        goal: Goal,
        outputs: frozenset[str],
    ) -> None:
        """Prepare the search; ``outputs`` are the names that the graph answers.

        Raises:
            UnknownNameError: a priced lever or outcome that is not there.
        """
        self.surrogate, self.window, self.goal = surrogate, window, goal
        self.current = np.asarray(current, dtype=np.float64)
        self._A, self._b = window.matrix(self.current)
        self._b = self._b + _SLACK * np.maximum(1.0, np.abs(self._A) @ np.abs(self.current))
        _check_names(goal.objective, window, outputs)
        # A helper that this bundle does not predict cannot be limited; the guard says so.
        self.limits = tuple(limit for limit in goal.limits if limit.outcome in outputs)
        self._members = tuple(name for name in goal.objective.prices if name + MEMBERS in outputs)
        self.sides = (*(side.name for limit in self.limits for side in limit.sides), SUPPORT_SIDE)
        self._outputs = self._wanted()
        self._known: dict[int, float] = {}
        self._strides = np.cumprod([1, *self.sizes[:-1]])
        self.home: Points = surrogate.points(self.current[None, :])[0]
        at_home = self._answers(self.home[None, :])
        self.allowed = self._sides_of(at_home)[0]
        self._home_members = self._member_cost(at_home) if goal.objective.caution else None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Grid values of each lever."""
        return tuple(int(size) for size in self.surrogate.sizes)

    @property
    def evaluations(self) -> int:
        """Points evaluated so far by keys."""
        return len(self._known)

    def keys(self, points: Points) -> Floats:
        """Return the key (n,) of grid ``points`` (n, k): see :class:`Landscape`."""
        flat = points @ self._strides
        unique, first, back = np.unique(flat, return_index=True, return_inverse=True)
        fresh = np.array(
            [i for i, key in enumerate(unique.tolist()) if key not in self._known], dtype=np.int64
        )
        if fresh.size:
            new = points[first[fresh]]
            keys = np.full(len(new), np.inf)
            inside = self.inside(new)
            if inside.any():
                keys[inside] = self.score(new[inside]).keys
            self._known.update(zip(unique[fresh].tolist(), keys.tolist(), strict=True))
        found = np.array([self._known[key] for key in unique.tolist()])
        return np.asarray(found[back.reshape(-1)])

    def inside(self, points: Points) -> NDArray[np.bool_]:
        """Say for each grid point (n, k) whether it keeps the joint limits."""
        return np.asarray((self.surrogate.levers(points) @ self._A.T <= self._b).all(axis=1))

    def keeps(self, point: Points) -> bool:
        """Say whether grid ``point`` (k,) keeps the joint limits and every predicted limit."""
        return bool(self.keys(point[None, :])[0] < BROKEN)

    def score(self, points: Points) -> Scores:
        """Return cost, excess and outputs of grid ``points`` (n, k)."""
        outputs = self._answers(points)
        cost = self.lever_cost(points)
        for name, price in self.goal.objective.prices.items():
            cost = cost + price * outputs[name]
        if self._home_members is not None:
            saved = self._home_members - self._member_cost(outputs)
            cost = cost + self.goal.objective.caution * saved.std(axis=1, ddof=1)
        cost = np.where(np.isnan(cost), np.inf, cost)
        excess = np.maximum(self._sides_of(outputs) - self.allowed, 0.0)
        return Scores(cost, excess, outputs)

    def lever_cost(self, points: Points) -> Floats:
        """Return what the levers' own moves to grid ``points`` (n, k) cost a tonne (n,)."""
        moves = self.surrogate.levers(points) - self.current
        total = np.zeros(len(points))
        for name, price in self.goal.objective.lever_prices.items():
            total += price.cost(moves[:, self.window.index(name)])
        return total

    def _wanted(self) -> tuple[str, ...]:
        names = [*self.goal.objective.prices, SUPPORT]
        names += [side.output for limit in self.limits for side in limit.sides]
        if self.goal.objective.caution:
            names += [name + MEMBERS for name in self._members]
        names += [needed(name, self.goal.widening) for name in names]
        return tuple(dict.fromkeys(names))

    def _answers(self, points: Points) -> dict[str, Floats]:
        """Return the outputs at grid ``points`` (n, k), widened as the goal asks."""
        return widened(self.surrogate.evaluate(points, self._outputs), self.goal.widening)

    def _sides_of(self, outputs: Mapping[str, Floats]) -> Floats:
        lacking = np.maximum(self.goal.support - outputs[SUPPORT], 0.0)
        columns = [limit.excess(outputs) for limit in self.limits]
        return np.concatenate([*columns, np.where(np.isnan(lacking), np.inf, lacking)[:, None]], axis=1)

    def _member_cost(self, outputs: Mapping[str, Floats]) -> Floats:
        """Return the part (n, m) of the cost that the members disagree about."""
        prices = self.goal.objective.prices
        terms = [prices[name] * outputs[name + MEMBERS] for name in self._members]
        return np.asarray(sum(terms[1:], terms[0]))


def _check_names(objective: Objective, window: OperatingWindow, outputs: frozenset[str]) -> None:
    for name in objective.lever_prices:
        window.index(name)
    unknown = sorted(set(objective.prices) - outputs)
    if unknown:
        raise UnknownNameError(f"objective prices {unknown}, which the bundle does not predict")
    lacking = [name for name in objective.prices if name + MEMBERS not in outputs]
    if objective.caution and lacking:
        raise SettingsError(
            f"caution needs the members of {lacking}, which the bundle does not answer; use caution 0"
        )
