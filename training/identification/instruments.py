"""What of the operators' moves no rule explains: the experiment that a record holds, to learn any outcome's effects from.

Operators move a lever *because* of what a cell does, and what a cell does goes on by itself. Both a move and an outcome
are therefore taken less what was known before, each by models of other cells at other times; what is left of the moves
is as good as drawn by lot (Chernozhukov et al., Econometrics Journal 21 (2018), C1-C68).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.identification.crossfit import Folds, Learner, out_of_fold, ridge, ridge_and_trees
from training.identification.moves import Moves, less_line_day, line_days, moves_of
from training.rows import Rows
from training.structures import Bools, Floats, Ints


@dataclass(frozen=True)
class Learners:
    """What explains the operators' moves, the mean setpoints, and the outcomes."""

    rule: Learner = ridge_and_trees
    held: Learner = ridge
    outcome: Learner = ridge


@dataclass(frozen=True)
class Instruments:
    """n decisions about k levers: what is left of their moves.

    Attributes:
        moves: the moves themselves, and what was seen before them.
        own, held: (n, k) what no rule explains of moves and of mean setpoints over the horizon, line-days taken out;
            NaN where it cannot be told.
        parted: (train, test) masks (n,) of the cross-fit.
        outcome: explains outcomes.
        row: (n,) where the decisions stand among the rows that they were taken from.
    """

    moves: Moves
    own: Floats
    held: Floats
    parted: Sequence[tuple[Bools, Bools]]
    outcome: Learner
    row: Ints

    @property
    def day(self) -> Ints:
        """(n,) the line-day of each decision, numbered from zero."""
        return line_days(self.moves.date)

    def left(self, y: Floats) -> Floats:
        """Return what is left of an outcome ``y`` (n,); NaN where it cannot be told."""
        return _left(y, self.outcome, self.moves.seen, self.parted, self.day)


def instruments(
    rows: Rows,
    horizon_d: int,
    folds: Folds | None = None,
    learners: Learners | None = None,
    progress: Callable[[str], None] | None = None,
    where: Bools | None = None,
) -> Instruments:
    """Return the instruments of ``rows`` (those under ``where`` (n,)), an outcome being a mean over ``horizon_d`` days."""
    where = np.ones(len(rows), dtype=bool) if where is None else where
    told, parts = learners or Learners(), folds or Folds()
    moves = moves_of(rows.take(where), horizon_d)
    parted = replace(parts, gap_d=max(parts.gap_d, horizon_d)).parted(moves.cell, moves.date)
    day = line_days(moves.date)

    def left(name: str, values: Floats, learner: Learner, seen: Floats) -> Floats:
        if progress is not None:
            progress(name)
        return _left(values, learner, seen, parted, day)

    # An instrument may know more than the outcome's model: only the operators' rule sees the whole day.
    levers = list(enumerate(moves.levers))
    own = [left(name, moves.move[:, at], told.rule, moves.seen_of(name)) for at, name in levers]
    held = [left(name, moves.held[:, at], told.held, moves.seen) for at, name in levers]
    return Instruments(
        moves, np.stack(own, axis=1), np.stack(held, axis=1), parted, told.outcome, np.flatnonzero(where)
    )


def _left(
    values: Floats, learner: Learner, seen: Floats, parted: Sequence[tuple[Bools, Bools]], day: Ints
) -> Floats:
    rest = values - out_of_fold(seen, values, parted, learner)
    return less_line_day(rest, day, np.isfinite(rest))
