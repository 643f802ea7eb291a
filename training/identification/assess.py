"""Every lever of a training run judged from its record: ridge and small trees, seconds for a line's year."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.outcomes import OUTCOMES
from features.setpoints import OperatingWindow
from training.identification.crossfit import Folds
from training.identification.instruments import Learners, instruments
from training.identification.moves import Moves
from training.identification.slope import OwnMoves, Slope, own_moves, slopes
from training.identification.verdict import (
    Finding,
    OutcomeFinding,
    lacking,
    lever_finding,
    outcome_finding,
    steadiness,
)
from training.rows import Rows
from training.structures import Bools, Floats, Ints

_LEAST_ROWS = 200
_TAIL = 0.02


@dataclass(frozen=True)
class Residuals:
    """Decisions with what their nuisance models leave, line-days taken out; NaN where it cannot be told.

    own, held: (n, k) moves and mean setpoints. left: outcome -> (n,).
    """

    moves: Moves
    own: Floats
    held: Floats
    left: Mapping[str, Floats]

    def known(self, outcome: str | None = None) -> Bools:
        """Return (n,): rows on which moves and mean setpoints (and the outcome) are all known."""
        parts = (
            [self.own, self.held] if outcome is None else [self.own, self.held, self.left[outcome][:, None]]
        )
        return np.asarray(np.isfinite(np.concatenate(parts, axis=1)).all(axis=1))


@dataclass(frozen=True)
class LeverAssessment:
    """What the record says of one lever: its own moves, every outcome, and the grade over all."""

    lever: str
    unit: str
    reach: float
    moves: OwnMoves
    outcomes: tuple[OutcomeFinding, ...]
    finding: Finding


def assess(
    rows: Rows,
    window: OperatingWindow,
    horizon_d: int,
    folds: Folds | None = None,
    learners: Learners | None = None,
) -> dict[str, LeverAssessment]:
    """Return lever -> assessment from ``rows`` (n decisions): give those of mature cells whose labels may be used.

    The same rows give the same numbers bit for bit.
    """
    if len(rows) < _LEAST_ROWS:
        nothing = OwnMoves(len(rows), 0, 0.0, 0.0, 0.0, 0.0, 0.0)
        return {
            lever.name: LeverAssessment(
                lever.name, lever.unit, lever.window, nothing, (), lever_finding(nothing, ())
            )
            for lever in window.levers
        }
    return judge(residuals(rows, horizon_d, folds, learners), window)


def residuals(
    rows: Rows,
    horizon_d: int,
    folds: Folds | None = None,
    learners: Learners | None = None,
    progress: Callable[[str], None] | None = None,
) -> Residuals:
    """Return what the nuisance models leave of every move, mean setpoint and outcome of ``rows``."""
    found = instruments(rows, horizon_d, folds, learners, progress)
    left: dict[str, Floats] = {}
    for name in OUTCOMES:
        if name in rows.y:
            if progress is not None:
                progress(name)
            left[name] = found.left(rows.y[name])
    return Residuals(found.moves, found.own, found.held, left)


Estimator = Callable[[Residuals, str, Ints], Sequence[Slope] | None]
"""(residuals, outcome, columns (j,) of the levers that can be told) -> one slope each."""


def judge(
    residual: Residuals, window: OperatingWindow, estimate: Estimator | None = None
) -> dict[str, LeverAssessment]:
    """Return lever -> assessment from residuals; ``estimate`` is where the slopes come from."""
    told = estimate or clustered
    known, moves = residual.known(), residual.moves
    own = {
        name: own_moves(moves.move[known, at], residual.own[known, at], residual.held[known, at])
        for at, name in enumerate(moves.levers)
    }
    told_of = [at for at, name in enumerate(moves.levers) if lacking(own[name]) is None]
    found: dict[str, list[OutcomeFinding]] = {name: [] for name in moves.levers}
    for outcome in residual.left:
        each: dict[int, Slope] = {}
        if told_of and residual.known(outcome).sum() >= _LEAST_ROWS:
            columns = np.array(told_of, dtype=np.int64)
            each = dict(zip(told_of, told(residual, outcome, columns) or (), strict=False))
        for at, name in enumerate(moves.levers):
            entry = outcome_finding(outcome, name, window.lever(name).window, own[name], each.get(at))
            if entry.finding.code == "follows":
                entry = replace(entry, finding=steadiness(opposite(residual, outcome, told_of, at)))
            found[name].append(entry)
    return {
        name: LeverAssessment(
            name,
            window.lever(name).unit,
            window.lever(name).window,
            own[name],
            tuple(found[name]),
            lever_finding(own[name], found[name]),
        )
        for name in moves.levers
    }


def opposite(residual: Residuals, outcome: str, columns: Sequence[int], at: int) -> float:
    """Return on which share of the decisions the effect of lever ``at`` goes the other way than on average.

    The effect may change in a straight line with the lever's state; a change that hardly shows (below one-sided
    90 %) counts as none.
    """
    moves = residual.moves
    state = moves.states.get(moves.levers[at])
    if state is None:
        return 0.0
    known = residual.known(outcome) & np.isfinite(state)
    if known.sum() < _LEAST_ROWS:
        return 0.0
    inside = np.clip(state[known], *np.quantile(state[known], [_TAIL, 1 - _TAIL]))
    spread = float(inside.std())
    if spread == 0:
        return 0.0
    depth = ((inside - inside.mean()) / spread)[:, None]
    own, held = residual.own[known], residual.held[known]
    kept, place = list(columns), list(columns).index(at)
    told = slopes(
        np.concatenate([own[:, kept], own[:, [at]] * depth], axis=1),
        np.concatenate([held[:, kept], held[:, [at]] * depth], axis=1),
        residual.left[outcome][known],
        moves.cell[known],
        moves.fortnight[known],
    )
    if told is None or abs(told[-1].value) < told[-1].quantile(0.8) * told[-1].error:
        return 0.0
    main = told[place].value
    return float(np.mean(np.sign(main + told[-1].value * depth) != np.sign(main)))


def clustered(residual: Residuals, outcome: str, columns: Ints) -> list[Slope] | None:
    """Return the slopes of the levers at ``columns`` (j,), clustered by cell and fortnight."""
    known = residual.known(outcome)
    moves = residual.moves
    return slopes(
        residual.own[known][:, columns],
        residual.held[known][:, columns],
        residual.left[outcome][known],
        moves.cell[known],
        moves.fortnight[known],
    )
