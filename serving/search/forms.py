"""Outputs written as weighted tree sums plus one function per lever, where they are that: what a proof can use.

A bundle's output may pass through networks and identities. Whether it still is a sum of trees and of functions of
single levers around one cell is found by probing the rest of the graph, and checked at random points, so that a
proof never rests on how a graph happens to be written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.search.problem import Problem
from serving.search.specialise import Points, Specialised

Floats = NDArray[np.float64]

_CHECKS = 64
_RELATIVE = 1e-9


@dataclass(frozen=True)
class Form:
    """constant + the sum over groves of weights . tree sums + the sum over levers of unary[j][index].

    weights: (columns,) of each grove. unary: (g_j,) of each lever, zero at home.
    """

    constant: float
    weights: tuple[Floats, ...]
    unary: tuple[Floats, ...]

    def value(self, points: Points, sums: Sequence[Floats]) -> Floats:
        """Return (n,) at grid ``points`` (n, k), where the trees sum to ``sums``."""
        out = np.full(len(points), self.constant)
        for weight, total in zip(self.weights, sums, strict=True):
            out += total @ weight
        for j, table in enumerate(self.unary):
            out += table[points[:, j]]
        return out

    def scaled(self, factor: float) -> "Form":
        """Return ``factor`` times this form."""
        return Form(
            factor * self.constant,
            tuple(factor * weight for weight in self.weights),
            tuple(factor * table for table in self.unary),
        )

    def plus(self, other: "Form") -> "Form":
        """Return the sum of two forms."""
        return Form(
            self.constant + other.constant,
            tuple(a + b for a, b in zip(self.weights, other.weights, strict=True)),
            tuple(a + b for a, b in zip(self.unary, other.unary, strict=True)),
        )


def read_forms(
    surrogate: Specialised, home: Points, outputs: Sequence[str], seed: int = 0
) -> dict[str, Form]:
    """Return the form of each of ``outputs`` that has one around ``home`` (k,)."""
    found = linearised(surrogate, home, outputs)
    draw = np.random.default_rng(seed)
    points = draw.integers(0, surrogate.sizes, size=(_CHECKS, len(home)))
    sums = surrogate.sums(points)
    actual = surrogate.rest(points, sums, outputs)
    return {
        name: form
        for name, form in found.items()
        if np.allclose(form.value(points, sums), actual[name], rtol=_RELATIVE, atol=_RELATIVE)
    }


def linearised(surrogate: Specialised, home: Points, outputs: Sequence[str]) -> dict[str, Form]:
    """Return each output's first-order form around ``home`` (k,): exact where the output has a form at all."""
    here = home[None, :]
    sums = surrogate.sums(here)
    base = surrogate.rest(here, sums, outputs)
    slopes = [_slopes(surrogate, home, sums, grove, outputs) for grove in range(len(sums))]
    lines = [line_through(home, j, int(size)) for j, size in enumerate(surrogate.sizes)]
    along = [
        surrogate.rest(line, [np.repeat(total, len(line), axis=0) for total in sums], outputs)
        for line in lines
    ]
    forms = {}
    for name in outputs:
        weights = tuple(slope[name] for slope in slopes)
        trees = sum(float(total[0] @ weight) for total, weight in zip(sums, weights, strict=True))
        unary = tuple(part[name] - base[name][0] for part in along)
        forms[name] = Form(float(base[name][0]) - trees, weights, unary)
    return forms


def _slopes(
    surrogate: Specialised, home: Points, sums: Sequence[Floats], grove: int, outputs: Sequence[str]
) -> Mapping[str, Floats]:
    """Return how each output answers one unit more of each tree column of ``grove``: exact where it is linear."""
    width = sums[grove].shape[1]
    points = np.repeat(home[None, :], 2 * width, axis=0)
    moved = [np.repeat(total, 2 * width, axis=0) for total in sums]
    # Scaled to the column, so that an output of 12,000 and one of 0.9 are both probed in their own size.
    step = np.maximum(1e-3 * np.abs(sums[grove][0]), 1e-3)
    moved[grove][:width] += np.diag(step)
    moved[grove][width:] -= np.diag(step)
    answers = surrogate.rest(points, moved, outputs)
    return {name: (answers[name][:width] - answers[name][width:]) / (2.0 * step) for name in outputs}


def line_through(point: Points, lever: int, size: int) -> Points:
    """Return the line (size, k) through grid ``point`` (k,) along one lever."""
    line = np.repeat(point[None, :], size, axis=0)
    line[:, lever] = np.arange(size)
    return line


def cost_form(problem: Problem, forms: Mapping[str, Form]) -> Form | None:
    """Return the form of the cost of a tonne; None where a priced outcome has none."""
    prices = problem.goal.objective.prices
    if not set(prices) <= set(forms) or problem.goal.objective.caution or problem.goal.widening:
        return None
    first, *others = prices
    total = forms[first].scaled(prices[first])
    for name in others:
        total = total.plus(forms[name].scaled(prices[name]))
    own = tuple(
        problem.lever_cost(line_through(problem.home, j, size)) for j, size in enumerate(problem.sizes)
    )
    return total.plus(Form(0.0, tuple(np.zeros_like(weight) for weight in total.weights), own))
