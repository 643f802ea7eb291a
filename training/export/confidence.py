"""Intervals and support as graph nodes."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.bundle.graph import DESIGN, SUPPORT
from training.confidence import Interval, Support, SupportView
from training.export.structures import Members
from training.export.writer import GraphWriter

_LAST: Final = [1]


def write_half_widths(writer: GraphWriter, intervals: Sequence[Interval], members: Members) -> str:
    """Return the name of the half-widths (s, n) of ``intervals``, whose scales are among ``members``."""
    columns = [each.age_column for each in intervals]
    ages = writer.node("Gather", DESIGN, writer.constant(columns), axis=1)
    age = writer.node("Transpose", ages, perm=[1, 0])
    mature = writer.node("GreaterOrEqual", age, _each(writer, [each.mature_from_d for each in intervals]))
    widths = (_each(writer, [each.q[regime] for each in intervals]) for regime in ("mature", "young"))
    floor = _each(writer, [each.floor for each in intervals])
    scale = writer.node("Max", members.means([each.scale for each in intervals]), floor)
    return writer.node("Mul", writer.node("Where", mature, *widths), scale)


def _each(writer: GraphWriter, values: Sequence[float]) -> str:
    """Return a constant (s, 1)."""
    return writer.constant(np.array(values, dtype=np.float64)[:, None])


def write_support(writer: GraphWriter, support: Support) -> None:
    """Write the support score (n,): the lowest of the views' scores."""
    scores = [_score(writer, view) for view in support.views]
    lowest = writer.node("Min", *scores) if len(scores) > 1 else scores[0]
    writer.node("Identity", lowest, name=SUPPORT)


def _score(writer: GraphWriter, view: SupportView) -> str:
    """The score table as a sum of ramps: each piece adds its slope times how far the distance reaches into it."""
    distance = writer.node("Unsqueeze", _distance(writer, view), writer.constant(_LAST))
    width = np.diff(view.knots)
    into = writer.node("Sub", distance, writer.constant(view.knots[:-1]))
    into = writer.node("Max", into, writer.constant(np.float64(0.0)))
    into = writer.node("Min", into, writer.constant(width))
    lost = writer.node("MatMul", into, writer.constant((np.diff(view.scores) / width)[:, None]))
    score = writer.node("Add", lost, writer.constant(view.scores[:1]))
    score = writer.node(
        "Max", score, writer.constant(view.scores[-1:])
    )  # beyond the last knot to the last bit
    return writer.node("Squeeze", score, writer.constant(_LAST))


def _distance(writer: GraphWriter, view: SupportView) -> str:
    """The distance (n,) to the nearest prototype: found by one matrix product, then measured without cancellation.

    Coordinates are first cut at a bound that lies further from every prototype than the last knot: beyond it the
    score is flat, and no square overflows.
    """
    x = writer.node("Gather", DESIGN, writer.constant(view.columns), axis=1)
    x = writer.node("Where", writer.node("IsNaN", x), writer.constant(view.fill), x)
    u = writer.node("Div", writer.node("Sub", x, writer.constant(view.mean)), writer.constant(view.scale))
    bound = np.float64(2.0 * (np.abs(view.prototypes).max() + view.knots[-1] + 1.0))
    u = writer.node("Max", writer.node("Min", u, writer.constant(bound)), writer.constant(-bound))
    # |u - p|^2 less |u|^2, which is the same for every prototype.
    cross = writer.node("MatMul", u, writer.constant(-2.0 * view.prototypes.T))
    square = writer.node("Add", cross, writer.constant((view.prototypes**2).sum(axis=1)))
    nearest = writer.node("ArgMin", square, axis=1, keepdims=0)
    prototype = writer.node("Gather", writer.constant(view.prototypes), nearest, axis=0)
    return writer.node("ReduceL2", writer.node("Sub", u, prototype), writer.constant(_LAST), keepdims=0)
