"""What a fitted outcome listens to, and what it says a lever does: asked of the structure itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.rows import LeverPlace
from training.scores import mae
from training.structures import Floats, Structure, predict

_ROWS = 400


@dataclass(frozen=True)
class Importance:
    """name of a column, and by how much shuffling it raises the mean absolute error, in the outcome's unit."""

    name: str
    loss: float


def importances(
    structure: Structure, z: Floats, y: Floats, names: Sequence[str], seed: int
) -> tuple[Importance, ...]:
    """Return every column's permutation importance on ``z`` (n, z), ``y`` (n,), the largest first.

    Asked on at most 400 rows. A column is shuffled alone, so what two columns both know counts for neither.
    """
    rng = np.random.default_rng(seed)
    picked = np.sort(rng.permutation(len(z))[:_ROWS])
    z, y = z[picked], y[picked]
    base = mae(y, predict(structure, z))
    out: list[Importance] = []
    for column, name in enumerate(names):
        shuffled = z.copy()
        shuffled[:, column] = z[rng.permutation(len(z)), column]
        out.append(Importance(name, mae(y, predict(structure, shuffled)) - base))
    return tuple(sorted(out, key=lambda item: -item.loss))


@dataclass(frozen=True)
class Response:
    """What moving one lever does, all else as it is: moves (p,), effect (p, m) of each member, meaned over rows."""

    lever: str
    moves: Floats
    effect: Floats

    @property
    def mean(self) -> Floats:
        """The expected effect (p,)."""
        return np.asarray(self.effect.mean(axis=1))


def response(structure: Structure, z: Floats, lever: LeverPlace, moves: Floats) -> Response:
    """Return the effect of each of ``moves`` (p,) of ``lever`` from where it stands, on the rows ``z`` (n, z).

    The comparison is with holding (a move of zero), not with what was done on the day.
    """
    held = _set(z, lever, 0.0)
    base = structure.members(held)
    effect = [(structure.members(_set(z, lever, float(move))) - base).mean(axis=0) for move in moves]
    return Response(lever.name, moves, np.stack(effect))


def _set(z: Floats, lever: LeverPlace, move: float) -> Floats:
    out = z.copy()
    out[:, lever.value] = z[:, lever.reference] + move
    out[:, lever.move] = move
    return out
