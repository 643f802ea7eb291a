"""What a fitted outcome listens to, and what it says a lever does: asked of the structure itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.rows import LeverPlace
from training.scores import mae
from training.structures import Floats, Structure, predict

_ROWS = 150
_STATISTIC = re.compile(
    r"(_(last|recent|trend|now|age_d|last_move|days_since_move|move|(mean|std|slope|dev)_\d+d|\d+d))$"
)


@dataclass(frozen=True)
class Importance:
    """A signal, and by how much shuffling its columns raises the mean absolute error, in the outcome's unit."""

    name: str
    loss: float


def importances(
    structure: Structure, z: Floats, y: Floats, names: Sequence[str], seed: int
) -> tuple[Importance, ...]:
    """Return every signal's permutation importance on ``z`` (n, z), ``y`` (n,), the largest first.

    All columns of a signal (last value, means, slopes) are shuffled together, row by row: shuffled alone, each would
    be vouched for by the others. A lever's move is its own entry. Asked on at most 150 rows.
    """
    rng = np.random.default_rng(seed)
    picked = np.sort(rng.permutation(len(z))[:_ROWS])
    z, y = z[picked], y[picked]
    base = mae(y, predict(structure, z))
    out: list[Importance] = []
    for signal, columns in _by_signal(names).items():
        shuffled = z.copy()
        shuffled[:, columns] = z[rng.permutation(len(z))][:, columns]
        out.append(Importance(signal, mae(y, predict(structure, shuffled)) - base))
    return tuple(sorted(out, key=lambda item: -item.loss))


def _by_signal(names: Sequence[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        key = name if name.endswith("_move") and not name.endswith("_last_move") else _STATISTIC.sub("", name)
        groups.setdefault(key, []).append(column)
    return groups


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
