"""A small SVG writer: a canvas in pixels, scales with round ticks, texts in both languages.

Charts are written by hand rather than by a plotting library so that the report stays small, its text stays text
(both languages, searchable, in the page's own font), and the same seed gives the same bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from markupsafe import Markup

from experiments.report.words import Words

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Scale:
    """A straight map from values ``low..high`` to pixels ``start..end``."""

    low: float
    high: float
    start: float
    end: float

    def __post_init__(self) -> None:
        """Refuse an empty or endless range."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"scale from {self.low} to {self.high} is empty or endless; give low < high")

    def at(self, value: float) -> float:
        """Return the pixel of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about ``count`` round values inside the range."""
        step = nice_step((self.high - self.low) / max(count, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def nice_step(rough: float) -> float:
    """Return the round step (1, 2 or 5 times a power of ten) at or above ``rough``.

    >>> nice_step(0.3), nice_step(7.0), nice_step(20.0)
    (0.5, 10.0, 20.0)
    """
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1.0, 2.0, 5.0, 10.0):
        if factor * power >= rough * (1 - 1e-9):
            return factor * power
    return 10.0 * power


def spanning(values: Sequence[float], pad: float = 0.05) -> tuple[float, float]:
    """Return a range that holds every finite value with ``pad`` of its width to spare on both sides."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room = (high - low) * pad or abs(high) * pad or 1.0
    return low - room, high + room


def tick_text(value: float, step: float) -> str:
    """Write ``value`` with as many decimals as ``step`` needs, thousands apart.

    >>> tick_text(12400.0, 200.0), tick_text(0.25, 0.05), tick_text(-0.0, 1.0)
    ('12,400', '0.25', '0')
    """
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    return f"{value + 0.0:,.{decimals}f}".replace("-0", "0", 1) if value == 0 else f"{value:,.{decimals}f}"


@dataclass
class Canvas:
    """A drawing of ``width`` by ``height`` pixels; methods add shapes in painting order."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Add a line of the style class ``kind``."""
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def dot(self, x: float, y: float, radius: float, kind: str, tip: str = "") -> None:
        """Add a dot, with ``tip`` shown where a pointer rests on it."""
        shape = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"'
        self.parts.append(f"{shape}><title>{escape(tip)}</title></circle>" if tip else f"{shape}/>")

    def bar(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Add a filled rectangle."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        )

    def path(self, points: Sequence[tuple[float, float]], kind: str, closed: bool = False) -> None:
        """Add a line through ``points``; closed makes it an area."""
        steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path class="{kind}" d="M{steps}{" Z" if closed else ""}"/>')

    def text(
        self,
        x: float,
        y: float,
        words: Words,
        kind: str = "label",
        anchor: Anchor = "start",
        turn: float = 0.0,
    ) -> None:
        """Add a text at its baseline; ``turn`` rotates it about its own point [degrees]."""
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        if turn:
            place += f' transform="rotate({turn:g} {x:.1f} {y:.1f})"'
        if words.en == words.zh:
            self.parts.append(f'<text class="{kind}" {place}>{escape(words.en)}</text>')
            return
        self.parts.append(f'<text class="{kind} en" {place}>{escape(words.en)}</text>')
        self.parts.append(f'<text class="{kind} zh" lang="zh" {place}>{escape(words.zh)}</text>')

    def svg(self, title: Words) -> Markup:
        """Return the drawing as one ``<svg>`` element that scales with its column; ``title`` is read aloud.

        Every text in it was escaped where it entered, so a template takes it as it is.
        """
        box = f"0 0 {self.width:g} {self.height:g}"
        head = f'<svg viewBox="{box}" role="img" aria-label="{escape(title.en, quote=True)}">'
        return Markup("".join([head, *self.parts, "</svg>"]))
