"""The effect of a lever per unit, from the moves that the operators' rule does not explain.

    outcome = slopes . held + g(seen) + noise,    move = rule(seen) + own

``own`` is the instrument: what was set beyond the rule. What it did to the mean setpoint over the horizon counts, not
the move, because a move is partly taken back within the week; and all levers are solved together, because the
operators answer a move of one with a move of another, while an effect is asked for with the others held.

Partially linear instrumental regression with both nuisances partialled out: Chernozhukov et al., "Double/debiased
machine learning for treatment and structural parameters", Econometrics Journal 21 (2018), C1-C68, section 4.2. Errors
are clustered by cell and by fortnight.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from training.structures import Floats, Ints

POWER = 0.8
COVERAGE = 0.95


@dataclass(frozen=True)
class Slope:
    """An effect per unit of the lever: value, standard error, degrees of freedom of its t statistic, rows."""

    value: float
    error: float
    freedom: int
    rows: int

    def interval(self, coverage: float = COVERAGE) -> tuple[float, float]:
        """Return the two-sided interval."""
        half = self.quantile(coverage) * self.error
        return self.value - half, self.value + half

    def quantile(self, coverage: float = COVERAGE) -> float:
        """Return the t quantile of a two-sided interval."""
        return float(student.ppf(0.5 + coverage / 2, self.freedom))

    @property
    def detectable(self) -> float:
        """The smallest effect that such a record would show, at 95 % and with 80 % power."""
        return (self.quantile() + float(student.ppf(POWER, self.freedom))) * self.error

    @property
    def p_value(self) -> float:
        """Two-sided, of no effect."""
        return float(2 * student.sf(abs(self.value) / self.error, self.freedom)) if self.error > 0 else 1.0

    @property
    def robustness(self) -> float:
        """Share of what is left of move and outcome that a cause nobody recorded must explain to undo the effect.

        Cinelli, Hazlett, "Making sense of sensitivity", JRSS B 82 (2020), 39-67, with the clustered t.
        """
        strength = abs(self.value) / self.error / math.sqrt(max(self.rows, 1)) if self.error > 0 else 0.0
        return 0.5 * (math.sqrt(strength**4 + 4 * strength**2) - strength**2)


@dataclass(frozen=True)
class System:
    """The levers' effects on one outcome, all at once, (k,): instruments turned so that each moves one lever alone.

    value: effects. score: (n, k) what each row adds to an effect's error. turned: (n, k) instruments with
    ``turned.T @ held`` the identity.
    """

    value: Floats
    score: Floats
    turned: Floats

    @classmethod
    def solve(cls, own: Floats, held: Floats, left: Floats) -> "System":
        """Return the effects of ``held`` (n, k) on ``left`` (n,) by the instruments ``own`` (n, k)."""
        turned = own @ np.linalg.inv(own.T @ held).T
        value = turned.T @ left
        return cls(value, turned * (left - held @ value)[:, None], turned)


def slopes(own: Floats, held: Floats, left: Floats, cell: Ints, fortnight: Ints) -> list[Slope] | None:
    """Return each lever's effect on ``left`` (n,) while the others stay; None where clusters are too few."""
    groups = min(len(np.unique(cell)), len(np.unique(fortnight)))
    if groups < 2 or not len(left):
        return None
    system = System.solve(own, held, left)
    errors = [math.sqrt(two_way(score, cell, fortnight)) for score in system.score.T]
    return [
        Slope(float(value), error, groups - 1, len(left))
        for value, error in zip(system.value, errors, strict=True)
    ]


def two_way(score: Floats, one: Ints, other: Ints) -> float:
    """Return the variance of the sum of ``score`` (n,) clustered by ``one`` and by ``other`` (n,).

    What both have in common is counted twice and not taken off again: that errs on the wide side, as the estimator of
    Chiang, Kato, Ma and Sasaki (JBES 40 (2022), 1046-1056) does.
    """
    return _clustered(score, one) + _clustered(score, other)


def _clustered(score: Floats, key: Ints) -> float:
    _, group = np.unique(key, return_inverse=True)
    sums = np.bincount(group.reshape(-1), weights=score)
    count = len(sums)
    return float(np.square(sums).sum()) * count / max(count - 1, 1)


@dataclass(frozen=True)
class OwnMoves:
    """How much a lever moved beyond its operators' rule.

    Attributes:
        decisions: rows looked at; moves: rows on which it moved.
        own_share: share of the moves' variance that the rule does not explain, at least 0.
        effective: own moves of equal size that would say as much (Kish).
        usual: root mean square of the own moves, in the lever's unit.
        kept: share of an own move that is still in force on average over the horizon.
        first_stage_r2: share of what is left of the mean setpoint that the own moves explain.
    """

    decisions: int
    moves: int
    own_share: float
    effective: float
    usual: float
    kept: float
    first_stage_r2: float


def own_moves(move: Floats, own: Floats, held: Floats) -> OwnMoves:
    """Return how much ``move`` (n,) was its own: ``own`` (n,) is the residual, ``held`` (n,) that of the mean setpoint."""
    n = len(move)
    power = float(own @ own)
    fourth = float(np.square(np.square(own)).sum())
    spread = float(np.square(move - move.mean()).sum()) if n else 0.0
    if not n or power == 0 or spread == 0:
        return OwnMoves(n, int(np.count_nonzero(move)), 0.0, 0.0, 0.0, 0.0, 0.0)
    both = float(own @ held)
    return OwnMoves(
        decisions=n,
        moves=int(np.count_nonzero(move)),
        own_share=min(1.0, power / spread),
        effective=power**2 / fourth,
        usual=math.sqrt(power / n),
        kept=both / power,
        first_stage_r2=both**2 / (power * max(float(held @ held), 1e-300)),
    )
