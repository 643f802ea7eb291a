"""Rows planted where an export goes wrong first: on thresholds, one float32 beside them, missing, huge and tiny.

A tree's threshold is a double and its input a float32. A row that stands on the threshold's float32, or next to it,
is answered alike by two programs only if both compare in double; rows drawn from data almost never stand there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import numpy as np
from numpy.typing import NDArray

from features.design import LeverColumns
from training.confidence import Interval
from training.structures import Floats, Inputs, Tree

Rows = NDArray[np.float32]

_NUDGES = (-np.inf, np.nan, np.inf)
"""Direction of the float32 neighbour: below, the number itself, above."""
_LARGE = np.finfo(np.float32).max
_EXTREMES = np.array(
    [0.0, -0.0, 1e-45, -1e-45, 1e-35, -1e-35, 1.0, -1.0, 1e30, -1e30, _LARGE, -_LARGE], dtype=np.float32
)
MISSING_SHARE = 0.1


def landmarks(whole: object) -> dict[int, Floats]:
    """Return design column -> sorted numbers (p,) at which some part of ``whole`` changes course.

    ``whole``: a structure, a fitted outcome, or a mapping or tuple of them.
    """
    found: dict[int, list[Floats]] = {}
    for part in _parts(whole):
        for column, values in _marks(part):
            found.setdefault(column, []).append(values)
    return {column: np.unique(np.concatenate(found[column])) for column in sorted(found)}


def plant(
    rows: Rows,
    marks: dict[int, Floats],
    levers: LeverColumns,
    count: int,
    seed: int,
    missing_share: float = MISSING_SHARE,
) -> Rows:
    """Return ``count`` rows (count, d) made from ``rows`` (n, d): every column on or beside one of its marks.

    A mark on a lever's move becomes the lever's value: the reference plus the mark. ``missing_share`` of the values
    become NaN, in any column.
    """
    draw = np.random.default_rng(seed)
    planted = rows[np.arange(count) % len(rows)].copy()
    width = rows.shape[1]
    for column in (column for column in marks if column < width):
        planted[:, column] = _beside(marks[column], np.zeros(count), draw)
    for move, (lever, reference) in enumerate(levers):
        if width + move in marks:
            half = draw.random(count) < 0.5
            beside = _beside(marks[width + move], planted[:, reference].astype(np.float64), draw)
            planted[half, lever] = beside[half]
    planted[draw.random(planted.shape) < missing_share] = np.nan
    return planted


def extremes(rows: Rows) -> Rows:
    """Return rows (r, d) of ends: all zero, all tiny, all huge, all missing, and single missing columns."""
    width = rows.shape[1]
    whole = np.repeat(np.append(_EXTREMES, np.float32(np.nan))[:, None], width, axis=1)
    holes = rows[np.arange(width) % len(rows)].copy()
    np.fill_diagonal(holes, np.nan)
    return np.concatenate([whole, holes])


def _beside(marks: Floats, offset: Floats, draw: np.random.Generator) -> Rows:
    """Return (n,) float32: for each row ``offset + a mark`` or a float32 neighbour of it."""
    n = len(offset)
    # A threshold beyond float32 parts only missing from present.
    value = np.clip(offset + draw.choice(marks, n), -_LARGE, _LARGE).astype(np.float32)
    toward = draw.choice(np.array(_NUDGES, dtype=np.float32), n)
    with np.errstate(over="ignore"):
        beside = np.where(np.isnan(toward), value, np.nextafter(value, toward))
    return np.asarray(np.clip(beside, -_LARGE, _LARGE), dtype=np.float32)


def _parts(value: object) -> Iterator[object]:
    """Walk every tree, input range and interval inside ``value``."""
    if isinstance(value, Tree | Inputs | Interval):
        yield value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for inner in value:
            yield from _parts(inner)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _parts(getattr(value, field.name))


def _marks(part: object) -> Iterator[tuple[int, Floats]]:
    if isinstance(part, Tree):
        for column in np.unique(part.feature):
            yield int(column), part.threshold[part.feature == column]
    elif isinstance(part, Inputs):
        for column, ends in enumerate(np.stack([part.low, part.high], axis=1)):
            yield column, ends
    elif isinstance(part, Interval):
        yield part.age_column, np.array([part.mature_from_d])
