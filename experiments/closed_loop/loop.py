"""One arm on one line: it lives through the record, then round by round the arm plans and the line follows.

Arms of one seed share every draw, so that what differs between two arms is what they did.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from experiments.closed_loop.plan import Plan, Promise, as_setpoints
from experiments.closed_loop.tally import SUMS, Tally, per_tonne
from experiments.closed_loop.watch import Watch
from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from experiments.simulator.preset import Preset
from features.errors import InputError
from features.policy.cost import Prices
from features.recipe import Recipe
from features.relations import Array

ADVISED_AGE_D = 120.0
"""Younger cells are left to start-up practice by every arm, the oracle's among them (domain notes: 90 to 120 d)."""


@dataclass(frozen=True)
class LineSettings:
    """The line that is judged on.

    Attributes:
        preset: the simulator's preset, by name.
        cells, days: of the judged period. every_d: days between two rounds; a round asks about every cell.
        record_d: days under the operators before the first round, which only fill the record.
    """

    preset: str = "line-500"
    cells: int = 60
    days: int = 119
    every_d: int = 7
    record_d: int = 60

    def __post_init__(self) -> None:
        """Check the counts.

        Raises:
            InputError: no cell, no round, or a record that is shorter than the features look back.
        """
        if self.cells < 1 or self.every_d < 1 or self.days < self.every_d or self.record_d < 30:
            raise InputError(
                f"closed loop: {self.cells} cells, {self.days} days, a round every {self.every_d} and a record of"
                f" {self.record_d} days; give at least one cell, one round and 30 days of record"
            )

    @property
    def rounds(self) -> int:
        """Rounds; days beyond the last whole one are not lived."""
        return self.days // self.every_d


class Arm(Protocol):
    """Who decides. An arm may keep what it wants from round to round; a new seed gets a new arm."""

    def plan(self, plant: Potline, watch: Watch, in_hand: Array, days: int) -> Plan:
        """Return the plan of the coming ``days``.

        Args:
            plant: the line; only the oracle may look beyond what ``watch`` has seen.
            watch: the measured record.
            in_hand: (c, k) settings that earlier rounds took in hand, NaN where the operators decide.
            days: until the next round.
        """


@dataclass(frozen=True)
class ArmResult:
    """What one arm did to one line.

    Attributes:
        sums: name -> (rounds, c), see ``tally.SUMS``.
        unmoved: the same had the arm decided nothing in that round, under the same noise; NaN where it moved nothing.
        promise: name -> (rounds, c, 3). status, reason: (rounds, c).
        moved: (rounds, c, k) size of the move that the round asked for, 0 where none.
        settings: (rounds, c, k) setpoints in force at the round's end. age_d: (rounds, c) at its beginning.
    """

    sums: Mapping[str, Array]
    unmoved: Mapping[str, Array]
    promise: Mapping[str, Array]
    status: np.ndarray
    reason: np.ndarray
    moved: Array
    settings: Array
    age_d: Array

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as named arrays."""
        named = {"status": self.status, "reason": self.reason, "moved": self.moved}
        named |= {"settings": self.settings, "age_d": self.age_d}
        for group in ("sums", "unmoved", "promise"):
            named |= {f"{group}.{name}": value for name, value in getattr(self, group).items()}
        return named

    @classmethod
    def from_arrays(cls, named: Mapping[str, np.ndarray]) -> "ArmResult":
        """Return what :meth:`as_arrays` told."""

        def group(prefix: str) -> dict[str, Array]:
            return {key.removeprefix(prefix): named[key] for key in named if key.startswith(prefix)}

        plain = {name: named[name] for name in ("status", "reason", "moved", "settings", "age_d")}
        return cls(sums=group("sums."), unmoved=group("unmoved."), promise=group("promise."), **plain)


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
    watch, book = Watch(plant, recipe), _Book()
    tally = Tally(plant)
    for _ in range(line.record_d):
        record = plant.step()
        watch.see(record)
        tally.add(record)
    tally.close()
    in_hand = np.full((line.cells, len(LEVERS)), np.nan)
    for number in range(line.rounds):
        age = plant.life().age_d
        plan = arm.plan(plant, watch, in_hand, line.every_d)
        before = np.stack([plant.setpoints[name] for name in LEVERS], axis=1)
        twin, alf3 = plant.copy(), tally.alf3_kg
        for day in range(line.every_d):
            record = plant.step(plan.day(day))
            watch.see(record)
            tally.add(record)
        after = np.stack([plant.setpoints[name] for name in LEVERS], axis=1)
        book.write(
            sums=tally.close(),
            unmoved=_had_nothing_been_decided(twin, plan, alf3),
            promise=plan.promise,
            moved=np.where(plan.moved, plan.settings[-1] - before, 0.0),
            settings=after,
            age_d=age,
        )
        in_hand = np.where(plant.life().running[:, None], plan.settings[-1], np.nan)
        if progress is not None:
            progress(number + 1, line.rounds)
    return book.closed()


def _had_nothing_been_decided(twin: Potline, plan: Plan, alf3: Array) -> dict[str, Array]:
    """Return the round's sums (c,) had the plan not been made; NaN for the cells that it did not move."""
    moved = np.flatnonzero(plan.moved.any(axis=1))
    found = {name: np.full(twin.cells, np.nan) for name in SUMS}
    if not moved.size:
        return found
    other = twin.fork(1, moved)
    tally = Tally(other, alf3[moved])
    for _ in range(plan.settings.shape[0]):
        tally.add(other.step(as_setpoints(plan.unmoved[moved])))
    for name, value in tally.close().items():
        found[name][moved] = value
    return found


class _Book:
    """Rounds written one by one."""

    def __init__(self) -> None:
        self._sums: list[Mapping[str, Array]] = []
        self._unmoved: list[Mapping[str, Array]] = []
        self._promise: list[Promise] = []
        self._rest: list[tuple[Array, Array, Array]] = []

    def write(
        self,
        *,
        sums: Mapping[str, Array],
        unmoved: Mapping[str, Array],
        promise: Promise,
        moved: Array,
        settings: Array,
        age_d: Array,
    ) -> None:
        self._sums.append(sums)
        self._unmoved.append(unmoved)
        self._promise.append(promise)
        self._rest.append((moved, settings, age_d))

    def closed(self) -> ArmResult:
        moved, settings, age = (np.stack(column) for column in zip(*self._rest, strict=True))
        return ArmResult(
            sums={name: np.stack([entry[name] for entry in self._sums]) for name in SUMS},
            unmoved={name: np.stack([entry[name] for entry in self._unmoved]) for name in SUMS},
            promise={
                name: np.stack([getattr(entry, name) for entry in self._promise])
                for name in ("energy_kwh_per_t", "net_anode_kg_per_t", "cost_per_t")
            },
            status=np.stack([entry.status for entry in self._promise]),
            reason=np.stack([entry.reason for entry in self._promise]),
            moved=moved,
            settings=settings,
            age_d=age,
        )


def realised(result: ArmResult, prices: Prices) -> dict[str, Array]:
    """Return what each round's decision saved in truth (rounds, c): the same days without it, less with it."""
    without, with_it = per_tonne(result.unmoved, prices), per_tonne(result.sums, prices)
    return {name: without[name] - with_it[name] for name in without}
