"""Ridge with physics in it: the line that every other family builds on, and where the levers' effects live.

A lever enters as its reference (the level) and its move, never as its value, so its effect is one coefficient: the
move's, and for the voltage the crowding response beside it. Each starts from what physics expects, with the weight
that physics deserves, and is learnt from mature cells: a start-up is a regime of its own. Data that push an effect to
the sign that physics forbids are confounded (operators act on sick cells) and are not believed: it stays at what
physics expects. Every member draws its own expectation from the prior and its own sample for the effects, so the members
differ by what is not known about an effect. The rest of the line is one fit on all rows: drawn anew for every member
it errs more and says nothing about a lever.

All other columns are shrunk towards no effect, except anchors: where the recipe already estimates the outcome (its
running estimate), ridge shrinks towards a share of *that*. With little data the line is then persistence, with much
data it is free. Line-wide columns (lots, line current) are shrunk harder, because all cells under one lot are one
observation of it. Shares and strengths are chosen on forward splits in time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from training.estimators.crowding import crowding, scales, voltage_lever
from training.estimators.ridge import Grid, Normal, Prior, choose
from training.estimators.task import Task, input_ranges
from training.lever_effects import CROWDING, LeverEffect, doubtful
from training.settings import LinearSettings
from training.structures import Bools, Floats, Inputs, Ints, Linear, Structure, Sum

_LEAST_MATURE = 200
"""With fewer rows of mature cells than this, effects are learnt from all."""


def fit_linear(task: Task, settings: LinearSettings) -> Structure:
    """Fit m weighted ridge regressions with physics: a line, and the crowding response where there is one."""
    inputs = input_ranges(task)
    used = task.usable.copy()
    used[[lever.value for lever in task.levers]] = False
    columns = np.flatnonzero(used)
    response = _response(task, inputs)
    designs = _designs(inputs.read(task.z)[:, columns], response, task.m)
    prior, alpha = _context_prior(task, columns, used, designs[0], settings)
    slopes, intercept = np.zeros((task.m, len(prior.mean))), np.zeros(task.m)
    every = np.ones(len(task.y))
    for j, design in enumerate(designs):
        effects = _effects(task, columns, design, (prior, alpha, settings.overlap_d), j)
        normal = Normal.of(design.u, task.y, every)
        slope, centre = normal.solve(alpha, prior, effects)
        slopes[j] = slope / design.sd
        intercept[j] = centre - float(slopes[j] @ design.mean)
    coef = np.zeros((task.m, task.z.shape[1]))
    coef[:, columns] = slopes[:, : len(columns)]
    line = Linear(inputs=inputs, coef=coef, intercept=intercept)
    lever = voltage_lever(task)
    if lever is None or response is None:
        return line
    return Sum(parts=(line, crowding(task, lever, inputs, slopes[:, -1], scales(task.m))))


def fit_plain(task: Task, settings: LinearSettings) -> Linear:
    """Fit the baseline: ridge on every usable column, its strength chosen on forward splits, nothing else."""
    inputs = input_ranges(task)
    columns = np.flatnonzero(task.usable)
    design = _Design.of(inputs.read(task.z)[:, columns])
    grid = Grid(np.zeros(0, dtype=np.int64), design.sd, np.zeros(len(columns), dtype=bool))
    alpha = choose(design.u, task.y, task.date, grid, settings).alpha
    coef, intercept = np.zeros((task.m, task.z.shape[1])), np.empty(task.m)
    for j in range(task.m):
        normal = Normal.of(design.u, task.y, task.weights[:, j])
        slope, centre = normal.solve(alpha, Prior.flat(len(columns)))
        coef[j, columns] = slope / design.sd
        intercept[j] = centre - float(coef[j, columns] @ design.mean)
    return Linear(inputs=inputs, coef=coef, intercept=intercept)


@dataclass(frozen=True)
class _Design:
    """Standardised columns u (n, p), with what they were: mean (p,), sd (p,)."""

    u: Floats
    mean: Floats
    sd: Floats

    @classmethod
    def of(cls, x: Floats) -> "_Design":
        """Standardise ``x`` (n, p)."""
        mean, sd = x.mean(axis=0), x.std(axis=0)
        sd = np.where(sd > 1e-9 * (np.abs(mean) + 1e-9), sd, 1.0)  # a constant's spread is rounding
        return cls((x - mean) / sd, mean, sd)


def _designs(x: Floats, response: Floats | None, members: int) -> list[_Design]:
    """Return one design a member: the columns x (n, p), and the member's own crowding response (n, m) as the last."""
    if response is None:
        return [_Design.of(x)] * members
    return [_Design.of(np.column_stack([x, one])) for one in response.T]


def _response(task: Task, inputs: Inputs) -> Floats | None:
    """Return the crowding responses (n, m) of amplitude one, None where outcome or history has none."""
    lever = voltage_lever(task)
    if lever is None or task.outcome not in CROWDING:
        return None
    return crowding(task, lever, inputs, np.ones(task.m), scales(task.m)).members(task.z)


def _context_prior(
    task: Task, columns: Ints, used: Bools, design: _Design, settings: LinearSettings
) -> tuple[Prior, float]:
    """Return the prior of everything but the levers' effects, and ridge's strength, as forward splits chose them."""
    prior = Prior.flat(len(design.sd))
    wide = np.zeros(len(design.sd), dtype=bool)
    if task.line_wide is not None:
        wide[: len(columns)] = task.line_wide[columns]
    anchors = np.searchsorted(columns, [anchor for anchor in task.anchors if used[anchor]])
    chosen = choose(design.u, task.y, task.date, Grid(anchors, design.sd, wide), settings)
    prior.factor[wide] = chosen.line_wide
    prior.mean[anchors] = np.array(chosen.shares) * design.sd[anchors]
    return prior, chosen.alpha


def _effects(
    task: Task, columns: Ints, design: _Design, context: tuple[Prior, float, float], j: int
) -> dict[int, float]:
    """Return place in the design -> slope of every lever's effect, as member ``j`` learns it from mature cells.

    context: (prior, strength, overlap in days) of the line. A label averages ``overlap`` days, so neighbouring rows
    repeat each other and count as that many times fewer against the prior.
    """
    prior, alpha, overlap = context
    rows = task.mature if task.mature is not None and task.mature.sum() >= _LEAST_MATURE else slice(None)
    u, y = design.u[rows], task.y[rows]
    slope, centre = Normal.of(u, y, np.ones(len(y))).solve(alpha, prior)
    variance = overlap * float(np.mean(np.square(y - u @ slope - centre)))
    expected = _expectations(task, columns, design, np.sqrt(variance))
    weight = task.weights[rows, j]
    if not expected or not weight.any():
        return {}
    told = _expect(prior, expected, variance, (j, task.m))
    slope, _ = Normal.of(u, y, weight).solve(alpha, told)
    return {place: float(slope[place]) for place in expected}


def _expectations(task: Task, columns: Ints, design: _Design, spread: float) -> dict[int, LeverEffect]:
    """Return place in the design -> effect in standardised units, of every move and of the crowding response."""
    found: dict[int, LeverEffect] = {}
    for lever in task.levers:
        place = int(np.searchsorted(columns, lever.move))
        moves = task.z[:, lever.move]
        usual = float(np.sqrt(np.mean(np.square(moves[moves != 0]))))
        found[place] = (task.effect(lever) or doubtful(spread, usual)).per(design.sd[place])
    if len(design.sd) > len(columns):
        found[len(columns)] = CROWDING[task.outcome].per(design.sd[-1])
    return found


def _expect(
    prior: Prior, expected: Mapping[int, LeverEffect], variance: float, member: tuple[int, int]
) -> Prior:
    """Return ``prior`` with one member's draw (its number, of how many) of what is expected of each effect."""
    mean, precision, low, high = (
        array.copy() for array in (prior.mean, prior.precision, prior.low, prior.high)
    )
    for order, (place, effect) in enumerate(sorted(expected.items())):
        mean[place] = effect.draw(*member, order)
        precision[place] = variance / effect.sd**2
        low[place] = 0.0 if effect.sign > 0 else -np.inf
        high[place] = 0.0 if effect.sign < 0 else np.inf
    return replace(prior, mean=mean, precision=precision, low=low, high=high)
