"""Intervals and support as graph nodes."""

from collections.abc import Iterator, Sequence
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
    distances = [writer.node("Unsqueeze", each, writer.constant([0])) for each in _distances(writer, support)]
    distance = distances[0] if len(distances) == 1 else writer.node("Concat", *distances, axis=0)
    scores = _scores(writer, support.views, distance)
    writer.node("ReduceMin", scores, writer.constant([0, 2]), keepdims=0, name=SUPPORT)


def _scores(writer: GraphWriter, views: Sequence[SupportView], distance: str) -> str:
    """The score tables as sums of ramps: each piece adds its slope times how far ``distance`` (v, n, 1) reaches into it.

    A table of fewer pieces than another ends in flat ones.
    """
    pieces = max(len(view.knots) for view in views) - 1
    start, width, lost = np.zeros((3, len(views), 1, pieces))
    width += 1.0
    for i, view in enumerate(views):
        own = len(view.knots) - 1
        start[i, 0, :own], width[i, 0, :own], lost[i, 0, :own] = (
            view.knots[:-1],
            np.diff(view.knots),
            np.diff(view.scores),
        )
    into = writer.node("Sub", distance, writer.constant(start))
    into = writer.node("Max", into, writer.constant(np.float64(0.0)))
    into = writer.node("Min", into, writer.constant(width))
    falls = writer.node("MatMul", into, writer.constant((lost / width).transpose(0, 2, 1)))
    first, last = (np.array([view.scores[end] for view in views])[:, None, None] for end in (0, -1))
    score = writer.node("Add", falls, writer.constant(first))
    return writer.node("Max", score, writer.constant(last))  # beyond the last knot to the last bit


def _distances(writer: GraphWriter, support: Support) -> Iterator[str]:
    """Yield the distance (n, 1) to each view's nearest prototype.

    It is found by one matrix product, then measured without cancellation. Coordinates, those of all views side by
    side, are first cut at a bound that lies further from every prototype than the last knot: beyond it the score is
    flat, and no square overflows.
    """
    views = support.views
    columns, fill, mean, scale = (
        writer.constant(np.concatenate([getattr(view, name) for view in views]))
        for name in ("columns", "fill", "mean", "scale")
    )
    bound = np.concatenate(
        [
            np.full(len(view.columns), 2.0 * (np.abs(view.prototypes).max() + view.knots[-1] + 1.0))
            for view in views
        ]
    )
    x = writer.node("Gather", DESIGN, columns, axis=1)
    x = writer.node("Where", writer.node("IsNaN", x), fill, x)
    u = writer.node("Div", writer.node("Sub", x, mean), scale)
    u = writer.node("Max", writer.node("Min", u, writer.constant(bound)), writer.constant(-bound))
    ends = np.cumsum([len(view.columns) for view in views])
    for view, end in zip(views, ends.tolist(), strict=True):
        own = writer.constant(np.arange(end - len(view.columns), end))
        yield _distance(writer, view, writer.node("Gather", u, own, axis=1))


def _distance(writer: GraphWriter, view: SupportView, u: str) -> str:
    # |u - p|^2 less |u|^2, which is the same for every prototype.
    cross = writer.node("MatMul", u, writer.constant(-2.0 * view.prototypes.T))
    square = writer.node("Add", cross, writer.constant((view.prototypes**2).sum(axis=1)))
    nearest = writer.node("ArgMin", square, axis=1, keepdims=0)
    prototype = writer.node("Gather", writer.constant(view.prototypes), nearest, axis=0)
    return writer.node("ReduceL2", writer.node("Sub", u, prototype), writer.constant(_LAST), keepdims=1)
