"""The recipe: which features a record can carry, how they are made, and the digest that pins both."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleForeignError, ContractError, InputError
from features.history import History
from features.plant import Plant
from features.recipe.catalogue import Feature, entries, sensors_beyond
from features.recipe.state import RecipeState
from features.recipe.table import FeatureTable
from features.signals import Signal

ARITHMETIC: Final = 2
"""Version of the features' arithmetic: raise it whenever the same record would give another number."""

_UNDECLARED: Final = 1e12


@dataclass(frozen=True)
class Recipe:
    """An ordered set of causal features.

    A row of decision date D is made from what was *reported* up to the end of D-1, and from the levers set on D.

    Attributes:
        signals: the record's signals that the features use, sorted.
        levers: the levers, in the order of every (c, k) array.
        sensors: the plant's own signals among them.
        features: (d,) the columns.
    """

    signals: tuple[str, ...]
    levers: tuple[str, ...]
    sensors: tuple[Signal, ...]
    features: tuple[Feature, ...]

    @classmethod
    def for_signals(
        cls, available: Collection[str], levers: Sequence[str], sensors: Sequence[Signal] = ()
    ) -> "Recipe":
        """Return the recipe of every feature that ``available`` signals can carry.

        Args:
            available: names of signals with data, as ``History.available()`` gives them.
            levers: names of the setpoints that may be moved.
            sensors: the plant's own signals; one without data is left out, one without declaration is taken
                unitless and unbounded.

        Raises:
            UnknownNameError: a lever that is no lever or has no setpoint in the record.
            InputError: no lever.
        """
        if not levers or len(set(levers)) != len(levers):
            raise InputError(f"recipe: give each lever once and at least one, not {list(levers)}")
        declared = {sensor.name: sensor for sensor in sensors}
        own = tuple(declared.get(name, _undeclared(name)) for name in sensors_beyond(available))
        kept = entries(available, levers, own)
        used = sorted(frozenset().union(*(entry.needs for entry in kept)))
        return cls(tuple(used), tuple(levers), own, tuple(entry.feature for entry in kept))

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Recipe":
        """Return the recipe that ``describe()`` described.

        Raises:
            BundleForeignError: this code would make other features, or make them by another arithmetic.
        """
        try:
            recipe = cls.for_signals(
                description["signals"],
                description["levers"],
                [Signal(**sensor) for sensor in description["sensors"]],
            )
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise BundleForeignError(f"the recipe's description is not one of ours: {error}") from error
        if recipe.describe() != dict(description):
            raise BundleForeignError(
                f"the recipe is foreign: it was written by arithmetic {description.get('arithmetic')} with"
                f" {len(description.get('features', ()))} features, this code has arithmetic {ARITHMETIC} and"
                f" {len(recipe.features)}; train again"
            )
        return recipe

    @property
    def names(self) -> tuple[str, ...]:
        """The (d,) feature names."""
        return tuple(feature.name for feature in self.features)

    @property
    def lever_columns(self) -> tuple[tuple[int, int], ...]:
        """(lever column, reference column) of each lever, as ``features.design.design`` takes them."""
        names = self.names
        return tuple((names.index(lever), names.index(f"{lever}_last")) for lever in self.levers)

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical description, the arithmetic's version among it."""
        text = json.dumps(self.describe(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return a description in plain JSON values that ``from_description`` rebuilds the recipe from."""
        return {
            "arithmetic": ARITHMETIC,
            "signals": list(self.signals),
            "levers": list(self.levers),
            "sensors": [asdict(sensor) for sensor in self.sensors],
            "features": [asdict(feature) for feature in self.features],
        }

    def start(self, cells: int, plant: Plant) -> RecipeState:
        """Return the state of ``cells`` cells of which nothing is known."""
        sensors = [sensor.name for sensor in self.sensors]
        return RecipeState(self.features, self.levers, sensors, cells, plant)

    def table(self, history: History, since: np.datetime64 | None = None) -> FeatureTable:
        """Return the rows of every decision that ``history`` shows: what was set on D, known at the end of D-1.

        ``since``: only of decisions from that day on; the days before are known all the same.

        A setpoint that was not reported on D stands as it stood. Cells without a report for three days, or with a
        lever never reported, give no row.

        Raises:
            ContractError: the history is shorter than two days or lacks a lever's setpoint.
        """
        if len(history.dates) < 2:
            raise ContractError(f"recipe: {len(history.dates)} days give no decision; give at least two")
        state = self.start(len(history.cell_ids), history.plant)
        rows, cells, dates = [], [], []
        for index in range(len(history.dates) - 1):
            state.advance(history.day(index))
            if since is not None and history.dates[index + 1] < since:
                continue
            usable = np.flatnonzero(state.usable)
            if len(usable):
                rows.append(state.row(self._set_on(history, index + 1, state))[usable])
                cells.append(usable)
                dates.append(np.full(len(usable), state.date))
        return self._joined(rows, cells, dates, history)

    def today(self, history: History) -> FeatureTable:
        """Return the rows of a decision on the day after ``history`` ends, with every lever held."""
        state = self.start(len(history.cell_ids), history.plant)
        for index in range(len(history.dates)):
            state.advance(history.day(index))
        usable = np.flatnonzero(state.usable)
        return self._joined([state.row()[usable]], [usable], [np.full(len(usable), state.date)], history)

    def _set_on(self, history: History, index: int, state: RecipeState) -> NDArray[np.float64]:
        missing = [lever for lever in self.levers if lever not in history.signals]
        if missing:
            raise ContractError(
                f"recipe: the history lacks the setpoints {missing}; use a recipe without them"
            )
        told = np.stack([history.signals[lever][index] for lever in self.levers], axis=1)
        return np.where(np.isfinite(told), told, state.levers_in_force)

    def _joined(
        self,
        rows: list[NDArray[np.float32]],
        cells: list[NDArray[np.intp]],
        dates: list[NDArray[np.datetime64]],
        history: History,
    ) -> FeatureTable:
        empty = not rows
        return FeatureTable(
            np.zeros((0, len(self.features)), dtype=np.float32) if empty else np.concatenate(rows),
            np.zeros(0, dtype=np.intp) if empty else np.concatenate(cells),
            np.zeros(0, dtype="datetime64[D]") if empty else np.concatenate(dates),
            self.names,
            history.cell_ids,
            history.line_ids,
        )


def _undeclared(name: str) -> Signal:
    meaning = "a sensor of the plant, not declared"
    return Signal(
        name, "-", meaning, "电厂自有信号（未声明）", -_UNDECLARED, _UNDECLARED, "measured", "plant"
    )
