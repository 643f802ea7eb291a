"""Why a recommendation says what it says: what each lever does, what the cell's state does, and where limits stand.

The levers' shares are Shapley values over the few levers that move: each lever's effect averaged over every order in
which they could be moved, computed in full, so that the shares add up to the whole.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.bundle import LOWER, MEMBERS, UPPER, Manifest
from serving.context import Context
from serving.recommend import Advisor, Bundle
from serving.savings import estimate
from serving.search.problem import Problem
from serving.search.specialise import Points
from serving.widening import widened

Floats = NDArray[np.float64]
Outputs = Mapping[str, Floats]

ENERGY: Final = "energy_kwh_per_t"
_TOP: Final = 8
_BROKEN: Final = 1e-9
_DIGITS: Final = 9


def explain(
    bundle: Bundle,
    advisor: Advisor,
    context: Context,
    recommended: Mapping[str, float],
    typical: Sequence[float | None] | None,
) -> dict[str, Any]:
    """Return shares of levers and state for every outcome, and the curves of each lever.

    Args:
        bundle: what predicts.
        advisor: what advised by it.
        context: with a row.
        recommended: the setting of every lever on offer.
        typical: the row (d,) that the cell's state is compared with; None = not known.
    """
    problem = advisor.problem(context)
    here = problem.home
    there = problem.surrogate.points(np.array([[recommended[name] for name in problem.window.names]]))[0]
    moved = np.flatnonzero(here != there).tolist()
    corners = _corners(here, there, moved)
    outputs = widened(bundle.predict(problem.surrogate.rows(corners)), context.widening)
    around = _around(bundle, problem, context, typical)
    told = {
        outcome.name: {
            "unit": outcome.unit,
            "levers": _shares(
                outputs, outcome.name, problem, (here, there), moved, advisor.settings.confidence
            ),
            "context": around.get(outcome.name, []),
        }
        for outcome in bundle.manifest.outcomes
    }
    return {"outcomes": told, "curves": _curves(bundle, problem, there, context.widening)}


def _corners(here: Points, there: Points, moved: Sequence[int]) -> Points:
    """Return the grid points (2^m, k) with each subset of ``moved`` at its recommended value, by binary counting."""
    points = np.repeat(here[None, :], 2 ** len(moved), axis=0)
    for bit, lever in enumerate(moved):
        points[(np.arange(len(points)) >> bit) & 1 == 1, lever] = there[lever]
    return points


def _shares(
    outputs: Outputs,
    name: str,
    problem: Problem,
    ends: tuple[Points, Points],
    moved: Sequence[int],
    confidence: float,
) -> list[dict[str, Any]]:
    """Return what each moved lever lowers the outcome by, with bounds where the members are answered."""
    own = outputs.get(name + MEMBERS)
    means = _shapley(outputs[name][:, None], len(moved))
    members = None if own is None else _shapley(own, len(moved))
    before, after = (problem.surrogate.levers(point[None, :])[0] for point in ends)
    found = []
    for i, lever in enumerate(moved):
        spread = None if members is None else estimate(members[i], confidence)
        mean = float(means[i, 0]) if spread is None else spread.mean
        found.append(
            {
                "name": problem.window.levers[lever].name,
                "unit": problem.window.levers[lever].unit,
                "from": float(before[lever]),
                "to": float(after[lever]),
                "effect": {
                    "mean": _rounded(mean),
                    "lower": None if spread is None else _rounded(spread.lower),
                    "upper": None if spread is None else _rounded(spread.upper),
                },
            }
        )
    return found


def _shapley(values: Floats, players: int) -> Floats:
    """Return each player's share (p, m) of what is lowered between the empty and the full coalition.

    ``values`` (2^p, m): the outcome of each coalition, by binary counting.
    """
    shares = np.zeros((players, values.shape[1]))
    for player in range(players):
        others = [p for p in range(players) if p != player]
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            for coalition in combinations(others, size):
                mask = sum(1 << p for p in coalition)
                shares[player] += weight * (values[mask] - values[mask | 1 << player])
    return shares


def _around(
    bundle: Bundle, problem: Problem, context: Context, typical: Sequence[float | None] | None
) -> dict[str, list[dict[str, Any]]]:
    """Return, by outcome, the features that most set the cell apart from what is typical, one at a time."""
    manifest = bundle.manifest
    if typical is None or len(typical) != len(manifest.features):
        return {}
    base = problem.surrogate.rows(problem.home[None, :])[0]
    normal = np.array([np.nan if value is None else value for value in typical], dtype=np.float32)
    ours = {column for pair in manifest.lever_columns for column in pair}
    differ = [
        i
        for i in range(len(base))
        if i not in ours and np.isfinite(base[i]) and np.isfinite(normal[i]) and base[i] != normal[i]
    ]
    rows = np.repeat(base[None, :], len(differ) + 1, axis=0)
    for row, column in enumerate(differ, start=1):
        rows[row, column] = normal[column]
    outputs = bundle.predict(rows)
    return {
        outcome.name: _strongest(manifest, outputs[outcome.name], base, normal, differ)
        for outcome in manifest.outcomes
    }


def _strongest(
    manifest: Manifest,
    values: Floats,
    base: NDArray[np.float32],
    normal: NDArray[np.float32],
    differ: Sequence[int],
) -> list[dict[str, Any]]:
    effects = values[0] - values[1:]
    order = np.argsort(-np.abs(effects), kind="stable")[:_TOP]
    return [
        {
            "feature": manifest.features[differ[at]].name,
            "unit": manifest.features[differ[at]].unit,
            "value": _rounded(base[differ[at]]),
            "typical": _rounded(normal[differ[at]]),
            "effect": _rounded(effects[at]),
        }
        for at in order.tolist()
        if effects[at] != 0
    ]


def _curves(bundle: Bundle, problem: Problem, there: Points, widening: Mapping[str, float]) -> dict[str, Any]:
    """Return, for each lever, the energy over its settings with the others as recommended, and what stops it where."""
    found: dict[str, Any] = {}
    for i, lever in enumerate(problem.window.levers):
        points = np.repeat(there[None, :], problem.sizes[i], axis=0)
        points[:, i] = np.arange(problem.sizes[i])
        values = problem.surrogate.levers(points)[:, i]
        outputs = widened(bundle.predict(problem.surrogate.rows(points)), widening)
        energy = {
            key: [_rounded(value) for value in outputs[output]]
            for key, output in (("mean", ENERGY), ("lower", ENERGY + LOWER), ("upper", ENERGY + UPPER))
            if output in outputs
        }
        stops = _stops(problem, points)
        limit = [
            {"value": float(value), "constraint": stop}
            for value, stop in zip(values, stops, strict=True)
            if stop
        ]
        found[lever.name] = {
            "unit": lever.unit,
            "values": [float(value) for value in values],
            ENERGY: energy,
            "limit": limit,
        }
    return found


def _stops(problem: Problem, points: Points) -> list[str]:
    """Return the limit that each grid point (n, k) breaks most, "" where it breaks none."""
    excess = problem.score(points).excess
    inside = problem.inside(points)
    found = []
    for row, kept in zip(excess, inside.tolist(), strict=True):
        if not kept:
            found.append("joint limit")
        elif row.max(initial=0.0) > _BROKEN:
            found.append(problem.sides[int(row.argmax())])
        else:
            found.append("")
    return found


def _rounded(value: float) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
