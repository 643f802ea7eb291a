"""The report's charts, each a function from plain values to one SVG text; one look for all of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from experiments.report.svg import Canvas, Scale, spanning, tick_text
from experiments.report.words import Words

_TOP: Final = 14.0
_BOTTOM: Final = 44.0
_ROW: Final = 22.0


@dataclass(frozen=True)
class Bar:
    """One row of an interval chart: a dot at ``value`` with whiskers ``lower..upper`` (NaN = none).

    ``filled`` draws a bar from zero instead of a dot, for shares of a whole.
    """

    label: Words
    value: float
    lower: float = math.nan
    upper: float = math.nan
    kind: str = "model"
    note: str = ""
    filled: bool = False


@dataclass(frozen=True)
class Curve:
    """One curve: ``y`` over ``x`` with a band ``lower..upper``; all of one length."""

    x: Sequence[float]
    y: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    kind: str = "model"

    def __post_init__(self) -> None:
        """Refuse lengths that differ."""
        if len({len(self.x), len(self.y), len(self.lower), len(self.upper)}) != 1 or len(self.x) < 2:
            raise ValueError(f"curve: {len(self.x)} x and {len(self.y)} y values; give two or more of each")


def intervals(
    rows: Sequence[Bar], axis: Words, title: Words, mark: float | None = None, label_width: float = 150.0
) -> Markup:
    """Draw one dot with whiskers a row, over a common axis; ``mark`` is a dashed line to compare with."""
    canvas = Canvas(540, _TOP + _ROW * len(rows) + _BOTTOM)
    ends = [v for row in rows for v in (row.value, row.lower, row.upper)] + _one(mark)
    low, high = spanning(ends, 0.06)
    if any(row.filled for row in rows):
        low = 0.0
    x = Scale(low, high, label_width, 480)
    floor = _TOP + _ROW * len(rows)
    _x_axis(canvas, x, _TOP, floor, axis)
    if mark is not None:
        canvas.line(x.at(mark), _TOP, x.at(mark), floor, "mark")
    for index, row in enumerate(rows):
        middle = _TOP + _ROW * (index + 0.5)
        canvas.text(label_width - 10, middle + 4, row.label, anchor="end")
        if math.isfinite(row.lower) and math.isfinite(row.upper):
            canvas.line(x.at(row.lower), middle, x.at(row.upper), middle, f"whisker {row.kind}")
        if row.filled:
            canvas.bar(x.at(0), middle - 6, x.at(row.value) - x.at(0), 12, "column")
        elif math.isfinite(row.value):
            canvas.dot(x.at(row.value), middle, 4.5, f"dot {row.kind}", f"{row.label.en}: {row.value:,.4g}")
        if row.note:
            canvas.text(538, middle + 4, Words.same(row.note), "figure", "end")
    return canvas.svg(title)


def scatter(
    measured: Sequence[float], predicted: Sequence[float], axes: tuple[Words, Words], title: Words
) -> Markup:
    """Draw predicted over measured with the line where they agree; both axes have one range."""
    canvas = Canvas(420, 384)
    low, high = spanning([*measured, *predicted], 0.03)
    x, y = Scale(low, high, 64, 404), Scale(low, high, 340, 10)
    _x_axis(canvas, x, 10, 340, axes[0])
    _y_axis(canvas, y, 64, 404, axes[1])
    for one, other in zip(measured, predicted, strict=True):
        canvas.dot(x.at(one), y.at(other), 1.9, "point")
    canvas.line(x.at(low), y.at(low), x.at(high), y.at(high), "mark")
    return canvas.svg(title)


def curves(
    lines: Sequence[Curve], axes: tuple[Words, Words], title: Words, mark: float | None = None
) -> Markup:
    """Draw curves with their bands; ``mark`` is a dashed upright line, for example the setting of today."""
    canvas = Canvas(340, 232)
    x = Scale(min(min(c.x) for c in lines), max(max(c.x) for c in lines), 58, 330)
    low, high = spanning([v for c in lines for part in (c.y, c.lower, c.upper) for v in part], 0.08)
    y = Scale(low, high, 186, 10)
    _x_axis(canvas, x, 10, 186, axes[0])
    _y_axis(canvas, y, 58, 330, axes[1])
    if low < 0 < high:
        canvas.line(58, y.at(0), 330, y.at(0), "zero")
    if mark is not None:
        canvas.line(x.at(mark), 10, x.at(mark), 186, "mark")
    for curve in lines:
        there = [(x.at(a), y.at(b)) for a, b in zip(curve.x, curve.upper, strict=True)]
        back = [(x.at(a), y.at(b)) for a, b in zip(curve.x, curve.lower, strict=True)]
        canvas.path([*there, *reversed(back)], f"band {curve.kind}", closed=True)
        canvas.path(
            [(x.at(a), y.at(b)) for a, b in zip(curve.x, curve.y, strict=True)], f"curve {curve.kind}"
        )
    return canvas.svg(title)


def days(lines: Sequence[Curve], labels: Sequence[tuple[int, str]], axis: Words, title: Words) -> Markup:
    """Draw curves over the days; ``labels`` are (day, text) under the axis."""
    canvas = Canvas(900, 260)
    x = Scale(min(min(c.x) for c in lines), max(max(c.x) for c in lines), 70, 884)
    low, high = spanning([v for c in lines for part in (c.y, c.lower, c.upper) for v in part], 0.08)
    y = Scale(low, high, 218, 10)
    _y_axis(canvas, y, 70, 884, axis)
    for day, text in labels:
        canvas.line(x.at(day), 218, x.at(day), 223, "tick")
        canvas.text(x.at(day), 238, Words.same(text), "figure", "middle")
    for curve in lines:
        there = [(x.at(a), y.at(b)) for a, b in zip(curve.x, curve.upper, strict=True)]
        back = [(x.at(a), y.at(b)) for a, b in zip(curve.x, curve.lower, strict=True)]
        if curve.lower != curve.upper:
            canvas.path([*there, *reversed(back)], f"band {curve.kind}", closed=True)
        canvas.path(
            [(x.at(a), y.at(b)) for a, b in zip(curve.x, curve.y, strict=True)], f"curve {curve.kind}"
        )
    return canvas.svg(title)


def _one(mark: float | None) -> list[float]:
    return [] if mark is None else [mark]


def _x_axis(canvas: Canvas, x: Scale, top: float, floor: float, words: Words) -> None:
    ticks = x.ticks(5)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    for tick in ticks:
        canvas.line(x.at(tick), top, x.at(tick), floor, "grid")
        canvas.text(x.at(tick), floor + 16, Words.same(tick_text(tick, step)), "figure", "middle")
    canvas.line(x.start, floor, x.end, floor, "axis")
    canvas.text((x.start + x.end) / 2, floor + 36, words, "axis-title", "middle")


def _y_axis(canvas: Canvas, y: Scale, left: float, right: float, words: Words) -> None:
    ticks = y.ticks(5)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    for tick in ticks:
        canvas.line(left, y.at(tick), right, y.at(tick), "grid")
        canvas.text(left - 6, y.at(tick) + 4, Words.same(tick_text(tick, step)), "figure", "end")
    canvas.line(left, y.start, left, y.end, "axis")
    canvas.text(14, (y.start + y.end) / 2, words, "axis-title", "middle", turn=-90)
