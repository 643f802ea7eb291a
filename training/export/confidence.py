"""Intervals and support as graph nodes."""

from typing import Final

import numpy as np

from features.bundle.graph import DESIGN, LOWER, SUPPORT, UPPER
from training.confidence import Interval, Support, SupportView
from training.export.structures import write_mean, write_members
from training.export.writer import GraphWriter

_LAST: Final = [1]


def write_interval(writer: GraphWriter, interval: Interval, outcome: str) -> None:
    """Write ``<outcome>.lower`` and ``<outcome>.upper`` (n,) around the prediction called ``outcome`` (n,)."""
    age = _column(writer, interval.age_column)
    mature = writer.node("GreaterOrEqual", age, writer.constant(np.float64(interval.mature_from_d)))
    widths = (writer.constant(np.float64(interval.q[regime])) for regime in ("mature", "young"))
    q = writer.node("Where", mature, *widths)
    scale = write_mean(writer, write_members(interval.scale, writer))
    floored = writer.node("Max", scale, writer.constant(np.float64(interval.floor)))
    half_width = writer.node("Mul", q, floored)
    writer.node("Sub", outcome, half_width, name=outcome + LOWER)
    writer.node("Add", outcome, half_width, name=outcome + UPPER)


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


def _column(writer: GraphWriter, index: int) -> str:
    column = writer.node("Gather", DESIGN, writer.constant([index]), axis=1)
    return writer.node("Squeeze", column, writer.constant(_LAST))
