"""Ridge with physics in it: the line that every other family builds on, and where the levers' effects live.

A lever enters as its reference (the level) and its move, never as its value, so its effect is one coefficient: the
move's, and for the voltage the crowding response beside it. Those come from the operators' own moves
(:mod:`training.estimators.effects`), one draw a member; the rest of the line is one fit on all rows around them: drawn
anew for every member it errs more and says nothing about a lever.

All other columns are shrunk towards no effect, except anchors: where the recipe already estimates the outcome (its
running estimate), ridge shrinks towards a share of *that*. With little data the line is then persistence, with much
data it is free. Line-wide columns (lots, line current) are shrunk harder, because all cells under one lot are one
observation of it. Shares and strengths are chosen on forward splits in time.
"""

from dataclasses import dataclass

import numpy as np

from training.estimators.crowding import crowding, scales, voltage_lever
from training.estimators.effects import Effects, learn_effects
from training.estimators.ridge import Grid, Normal, Prior, choose
from training.estimators.task import Task, input_ranges
from training.settings import LinearSettings
from training.structures import Bools, Floats, Inputs, Ints, Linear, Structure, Sum


def fit_linear(task: Task, settings: LinearSettings) -> Structure:
    """Fit m ridge regressions, each around its own draw of the levers' effects: a line, and the crowding response."""
    inputs = input_ranges(task)
    used = task.usable.copy()
    used[[lever.value for lever in task.levers]] = False
    columns = np.flatnonzero(used)
    effects = learn_effects(task, inputs, settings.overlap_d)
    designs = _designs(inputs.read(task.z)[:, columns], _response(task, inputs, effects), task.m)
    prior, alpha = _context_prior(task, columns, used, designs[0], settings)
    moves = np.searchsorted(columns, [lever.move for lever in task.levers])
    slopes, intercept = np.zeros((task.m, len(prior.mean))), np.zeros(task.m)
    for j, design in enumerate(designs):
        known = dict(zip(moves.tolist(), effects.straight[j] * design.sd[moves], strict=True))
        if effects.crowding is not None:
            known[len(columns)] = effects.crowding[j] * design.sd[-1]
        normal = Normal.of(design.u, task.y, np.ones(len(task.y)))
        slope, centre = normal.solve(alpha, prior, known)
        slopes[j] = slope / design.sd
        intercept[j] = centre - float(slopes[j] @ design.mean)
    coef = np.zeros((task.m, task.z.shape[1]))
    coef[:, columns] = slopes[:, : len(columns)]
    line = Linear(inputs=inputs, coef=coef, intercept=intercept)
    lever = voltage_lever(task)
    if lever is None or effects.crowding is None:
        return line
    return Sum(parts=(line, crowding(task, lever, inputs, effects.crowding, scales(task.m))))


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


def _response(task: Task, inputs: Inputs, effects: Effects) -> Floats | None:
    """Return the crowding responses (n, m) of amplitude one, None where outcome or history has none."""
    lever = voltage_lever(task)
    if lever is None or effects.crowding is None:
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
