"""What is known of one cell on its decision day, beside the feature row: how fresh, how alive, how settled."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from features.history import History
from features.recipe import FeatureTable, Recipe
from serving.widening import is_factor

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]

_WATCHED = ("cell_voltage_v", "noise_mv", "bath_temperature_c")
"""Instruments that a living cell never shows twice the same for long."""


@dataclass(frozen=True)
class Stuck:
    """An instrument that repeats itself: the signal, its value, and for how many days in a row."""

    signal: str
    value: float
    days: int


@dataclass(frozen=True)
class Erring:
    """An outcome on which the model has lately been wrong more often than was proved.

    Attributes:
        outcome: its name. days: decision days looked at.
        missed: share of what was measured that lay outside its interval; ``nominal`` is what was promised.
        factor: its intervals are so many times as wide as was proved, at least 1.
    """

    outcome: str
    days: int
    missed: float
    nominal: float
    factor: float

    def __post_init__(self) -> None:
        """Refuse a factor that would narrow.

        Raises:
            InputError: as said.
        """
        if not is_factor(self.factor):
            raise InputError(
                f"{self.outcome}: a factor of {self.factor} widens nothing; give one of at least 1"
            )


@dataclass(frozen=True)
class RecentErrors:
    """What the model's recent errors ask of what it says of a cell: outcomes to be widened, and those out of hand.

    With any of the second kind nothing is said.
    """

    widened: tuple[Erring, ...] = ()
    withheld: tuple[Erring, ...] = ()


@dataclass(frozen=True)
class Context:
    """One cell on one decision day.

    Attributes:
        line_id, cell_id: the cell. date: the decision date D; all that is here was reported before it.
        row: the recipe's features (d,) float32, or None where the record carries no row.
        last_reported: the last day with a report; None = never.
        hours_since_anode_change: before the start of D; None = not known or not recorded.
        stuck: instruments that repeat themselves, longest first.
        errors: what the model's recent errors ask for; None = nothing.
    """

    line_id: str
    cell_id: str
    date: datetime.date
    row: Rows | None
    last_reported: datetime.date | None
    hours_since_anode_change: float | None = None
    stuck: tuple[Stuck, ...] = field(default_factory=tuple)
    errors: RecentErrors | None = None

    @property
    def widening(self) -> dict[str, float]:
        """By how much intervals and doubts are widened, by outcome; an outcome that is left out: not at all."""
        return {} if self.errors is None else {entry.outcome: entry.factor for entry in self.errors.widened}

    def __post_init__(self) -> None:
        """Refuse a row that is no float32 vector.

        Raises:
            InputError: as said.
        """
        if self.row is not None and (self.row.ndim != 1 or self.row.dtype != np.float32):
            raise InputError(
                f"cell {self.cell_id}: a context row is one (d,) float32 vector, not {self.row.shape}"
                f" {self.row.dtype}; take one row of the recipe's table"
            )


def contexts_today(history: History, recipe: Recipe) -> Iterator[Context]:
    """Yield the context of every cell of ``history`` for a decision on the day after it ends, in its order.

    A cell without a usable record is yielded too, with no row: that nothing can be said of it is an answer.
    """
    yield from contexts_of(recipe.today(history), history)


def contexts_of(table: FeatureTable, history: History) -> Iterator[Context]:
    """Yield the contexts of ``table``, whose rows are those of a decision on the day after ``history`` ends.

    ``history`` may be the record's last weeks alone: it tells what is fresh and what is stuck, the table the rest.
    """
    rows = dict(zip(table.cell.tolist(), table.X, strict=True))
    end = history.dates[-1] + np.timedelta64(1, "D")
    for cell in range(len(history.cell_ids)):
        yield Context(
            line_id=str(history.line_ids[cell]),
            cell_id=str(history.cell_ids[cell]),
            date=end.astype("datetime64[D]").item(),
            row=rows.get(cell),
            last_reported=_last_reported(history, cell),
            hours_since_anode_change=_hours_since_change(history, cell, float(end.astype(np.int64))),
            stuck=_stuck(history, cell),
        )


def _last_reported(history: History, cell: int) -> datetime.date | None:
    watched = [history.signals[name][:, cell] for name in _WATCHED if name in history.signals]
    if not watched:
        return None
    days = np.flatnonzero(np.isfinite(watched).any(axis=0))
    last: datetime.date | None = history.dates[days[-1]].item() if days.size else None
    return last


def _hours_since_change(history: History, cell: int, end: float) -> float | None:
    set_at = history.anodes.set_at[history.anodes.cell == cell]
    before = set_at[set_at < end]
    return float(24.0 * (end - before.max())) if before.size else None


def _stuck(history: History, cell: int) -> tuple[Stuck, ...]:
    """Return the watched instruments whose last known values are all one, from two days in a row on."""
    found = []
    for name in _WATCHED:
        if name in history.signals:
            run = _run(history.signals[name][:, cell])
            if run is not None and run[1] > 1:
                found.append(Stuck(name, *run))
    return tuple(sorted(found, key=lambda stuck: -stuck.days))


def _run(values: Floats) -> tuple[float, int] | None:
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    changed = np.flatnonzero(known != known[-1])
    return float(known[-1]), int(known.size - (changed[-1] + 1 if changed.size else 0))
