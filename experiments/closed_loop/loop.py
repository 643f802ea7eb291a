"""One arm on one line: it lives through the record, then the arm plans cell by cell and the line follows.

Arms of one seed share every draw, so that what differs between two arms is what they did.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from experiments.closed_loop.plan import PROMISED, Plan, Promise, as_setpoints, in_force
from experiments.closed_loop.tally import SUMS, Tally, per_tonne
from experiments.closed_loop.watch import Watch
from experiments.simulator.cells import LifeDay
from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from experiments.simulator.preset import Preset
from features.errors import InputError
from features.policy.cost import Prices
from features.recipe import Recipe
from features.relations import Array

Bools: TypeAlias = NDArray[np.bool_]
Words: TypeAlias = NDArray[np.str_]

ADVISED_AGE_D: Final = 120.0
"""Younger cells are left to start-up practice by every arm, the oracle's among them (domain notes: 90 to 120 d)."""


@dataclass(frozen=True)
class LineSettings:
    """The line that is judged on.

    Attributes:
        preset: the simulator's preset, by name.
        cells, days: of the judged period.
        every_d: days for which a cell's move stands before the arm is asked about it again.
        record_d: days under the operators before the first decision, which only fill the record.
    """

    preset: str = "line-500"
    cells: int = 60
    days: int = 119
    every_d: int = 7
    record_d: int = 60

    def __post_init__(self) -> None:
        """Check the counts.

        Raises:
            InputError: no cell, no decision, or a record that is shorter than the features look back.
        """
        if self.cells < 1 or self.every_d < 1 or self.days < self.every_d or self.record_d < 30:
            raise InputError(
                f"closed loop: {self.cells} cells, {self.days} days, a decision every {self.every_d} and a record of"
                f" {self.record_d} days; give at least one cell, one decision and 30 days of record"
            )


class Arm(Protocol):
    """Who decides. An arm may keep what it wants from day to day; a new seed gets a new arm."""

    def plan(self, plant: Potline, watch: Watch, due: Bools, in_hand: Array, days: int) -> Plan:
        """Return the plan of the cells that are ``due``.

        Args:
            plant: the line; only the oracle may look beyond what ``watch`` has seen.
            watch: the measured record.
            due: (c,) cells that are asked about today.
            in_hand: (c, k) settings that earlier decisions took in hand, NaN where the operators decide.
            days: until the arm is asked about a cell again.
        """


@dataclass(frozen=True)
class ArmResult:
    """What one arm did to one line.

    Attributes:
        sums: name -> (days, c), see ``tally.SUMS``.
        unmoved: name -> (days, c), the sums over the ``every_d`` days that begin with this one had nothing been
            decided on it, under the same noise; NaN where nothing was moved.
        promise: name -> (days, c, 3). status, reason: (days, c), "" where the arm was not asked.
        moved: (days, c, k) the size of the move asked for, 0 where none.
        settings: (days, c, k) setpoints in force. age_d, damage: (days, c).
        every_d: see ``LineSettings``.
    """

    sums: Mapping[str, Array]
    unmoved: Mapping[str, Array]
    promise: Mapping[str, Array]
    status: Words
    reason: Words
    moved: Array
    settings: Array
    age_d: Array
    damage: Array
    every_d: int

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as named arrays."""
        named = {name: np.asarray(getattr(self, name)) for name in _PLAIN}
        named["protocol"] = np.asarray(PROTOCOL)
        for group in ("sums", "unmoved", "promise"):
            named |= {f"{group}.{name}": value for name, value in getattr(self, group).items()}
        return named

    @classmethod
    def from_arrays(cls, named: Mapping[str, NDArray[Any]]) -> "ArmResult":
        """Return what :meth:`as_arrays` told.

        Raises:
            InputError: written by another version of this format.
            KeyError: an array is missing.
        """
        if int(named["protocol"]) != PROTOCOL:
            raise InputError(f"a result of protocol {int(named['protocol'])}, not {PROTOCOL}; run it again")

        def group(prefix: str) -> dict[str, Array]:
            return {key.removeprefix(prefix): named[key] for key in named if key.startswith(prefix)}

        plain: dict[str, Any] = {name: named[name] for name in _PLAIN}
        plain["every_d"] = int(plain["every_d"])
        return cls(sums=group("sums."), unmoved=group("unmoved."), promise=group("promise."), **plain)

    def realised(self, prices: Prices) -> dict[str, Array]:
        """Return what each decision saved in truth (days, c): the same days without it, less with it.

        NaN where nothing was moved, and for the last days, whose horizon is not over.
        """
        without, with_it = per_tonne(self.unmoved, prices), self.ahead(prices)
        return {name: without[name] - with_it[name] for name in without}

    def ahead(self, prices: Prices) -> dict[str, Array]:
        """Return a tonne's figures over the ``every_d`` days that begin with each day (days, c); NaN near the end."""
        return per_tonne({name: _ahead(value, self.every_d) for name, value in self.sums.items()}, prices)


PROTOCOL: Final = 2
"""Version of the stored format: raise it whenever an array is added, or means something else."""
_PLAIN: Final = ("status", "reason", "moved", "settings", "age_d", "damage", "every_d")


def _ahead(values: Array, days: int) -> Array:
    """Return (days, c) sums over the ``days`` that begin with each one, NaN where they are not all there."""
    total = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), values]), axis=0)
    ahead = np.full(values.shape, np.nan)
    count = len(values) - days + 1
    ahead[:count] = total[days:] - total[:count]
    return ahead


def run_arm(
    line: LineSettings,
    preset: Preset,
    arm: Arm,
    recipe: Recipe,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> ArmResult:
    """Let ``arm`` run the line of ``seed`` and return what came of it."""
    plant = Potline(preset, line.cells, seed)
    watch, tally = Watch(plant, recipe), Tally(plant)
    for _ in range(line.record_d):
        record = plant.step()
        watch.see(record)
        tally.add(record)
    tally.close()
    book, hand = _Book(line), _Hand.of(line)
    for day in range(line.days):
        life = plant.life()
        plan = arm.plan(plant, watch, hand.due, hand.standing, line.every_d)
        asked = hand.due.copy()
        before = in_force(plant.setpoints)
        unmoved = _had_nothing_been_decided(plant, plan, asked, tally.alf3_kg)
        hand.take(plan, asked)
        record = plant.step(as_setpoints(hand.setting))
        watch.see(record)
        tally.add(record)
        moved = np.where(plan.moved & asked[:, None], plan.settings[-1] - before, 0.0)
        book.write(tally.close(), unmoved, plan.promise, (moved, in_force(plant.setpoints)), life)
        hand.pass_day(plant.life().running)
        if progress is not None:
            progress(day + 1, line.days)
    return book.closed()


@dataclass(eq=False)
class _Hand:
    """What decisions have in hand: each cell's plan, how far it is into it, and who is to be asked about."""

    plans: Array
    """(every_d, c, k)"""
    at: NDArray[np.int64]
    """(c,) day of the plan."""
    due: Bools

    @classmethod
    def of(cls, line: LineSettings) -> "_Hand":
        """Nothing in hand, every cell to be asked about."""
        free = np.full((line.every_d, line.cells, len(LEVERS)), np.nan)
        return cls(free, np.zeros(line.cells, dtype=np.int64), np.ones(line.cells, dtype=bool))

    @property
    def setting(self) -> Array:
        """(c, k) what is asked of the line today."""
        return np.asarray(np.take_along_axis(self.plans, self.at[None, :, None], axis=0)[0])

    @property
    def standing(self) -> Array:
        """(c, k) what the plans end with."""
        return np.array(self.plans[-1])

    def take(self, plan: Plan, asked: Bools) -> None:
        """Put the plan of the cells ``asked`` in the place of what they had."""
        self.plans[:, asked] = plan.settings[:, asked]
        self.at[asked] = 0
        self.due = plan.ask_again & asked
        if plan.given_back is not None:
            self.plans[:, plan.given_back & ~asked] = np.nan

    def pass_day(self, running: Bools) -> None:
        """A day is over; cells that stand still are nobody's."""
        self.plans[:, ~running] = np.nan
        last = self.at >= len(self.plans) - 1
        self.due = self.due | last
        self.at = np.minimum(self.at + 1, len(self.plans) - 1)


def _had_nothing_been_decided(plant: Potline, plan: Plan, asked: Bools, alf3: Array) -> dict[str, Array]:
    """Return the sums (c,) of the coming days had the plan not been made; NaN for the cells that it does not move."""
    moved = np.flatnonzero(plan.moved.any(axis=1) & asked)
    found = {name: np.full(plant.cells, np.nan) for name in SUMS}
    if not moved.size:
        return found
    other = plant.fork(1, moved)
    tally = Tally(other, alf3[moved])
    for _ in range(plan.settings.shape[0]):
        tally.add(other.step(as_setpoints(plan.unmoved[moved])))
    for name, value in tally.close().items():
        found[name][moved] = value
    return found


class _Book:
    """Days written one by one."""

    def __init__(self, line: LineSettings) -> None:
        self._every_d = line.every_d
        self._sums: list[Mapping[str, Array]] = []
        self._unmoved: list[Mapping[str, Array]] = []
        self._promise: list[Promise] = []
        self._rest: list[tuple[Array, Array, Array, Array]] = []

    def write(
        self,
        sums: Mapping[str, Array],
        unmoved: Mapping[str, Array],
        promise: Promise,
        levers: tuple[Array, Array],
        life: LifeDay,
    ) -> None:
        """Write a day: its sums, its decisions, (moved, settings) and where the cells stood in their lives."""
        self._sums.append(sums)
        self._unmoved.append(unmoved)
        self._promise.append(promise)
        self._rest.append((*levers, life.age_d, life.damage))

    def closed(self) -> ArmResult:
        """Return the result."""
        moved, settings, age, damage = (np.stack(column) for column in zip(*self._rest, strict=True))
        return ArmResult(
            sums={name: np.stack([entry[name] for entry in self._sums]) for name in SUMS},
            unmoved={name: np.stack([entry[name] for entry in self._unmoved]) for name in SUMS},
            promise={name: np.stack([getattr(entry, name) for entry in self._promise]) for name in PROMISED},
            status=np.stack([entry.status for entry in self._promise]),
            reason=np.stack([entry.reason for entry in self._promise]),
            moved=moved,
            settings=settings,
            age_d=age,
            damage=damage,
            every_d=self._every_d,
        )
