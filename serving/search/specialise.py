"""A bundle's graph specialised to one cell: context fixed, levers free on their grid.

What is left of the trees is a sum of boxes of grid indices. A box that is bounded in one or two levers goes into a
table over those levers' grids; the few that are bounded in more stay boxes. A point then costs a handful of look-ups
and the rest of the graph, and equals the full graph to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleForeignError, InputError, SearchError
from serving.search.graph import CutGraph, Rows
from serving.search.trees import Axes, Boxes, Floats, Ints, prune

_ROWS_AT_ONCE = 4096
Points = NDArray[np.int64]
"""Grid indices (n, k) of lever settings."""


@dataclass(frozen=True)
class LeverTables:
    """The sum of boxes over the lever grid, for every output column of a forest.

    constant (c,); singles[j] (g_j, c); pairs[i, j] (g_i, g_j, c). The ``b`` boxes bounded in three levers or more
    stay boxes: values (b,) sorted by column, ``starts`` of the columns ``filled``, and inside[j] (g_j, b), which of
    them hold each grid index of lever j.
    """

    constant: Floats
    singles: dict[int, Floats]
    pairs: dict[tuple[int, int], Floats]
    values: Floats
    filled: Ints
    starts: Ints
    inside: tuple[NDArray[np.bool_], ...]

    def at(self, points: Points) -> Floats:
        """Return (n, c) at grid ``points`` (n, k)."""
        out = np.repeat(self.constant[None, :], len(points), axis=0)
        for j, table in self.singles.items():
            out += table[points[:, j]]
        for (i, j), table in self.pairs.items():
            out += table[points[:, i], points[:, j]]
        if self.values.size:
            inside = self.inside[0][points[:, 0]]
            for j in range(1, points.shape[1]):
                inside &= self.inside[j][points[:, j]]
            out[:, self.filled] += np.add.reduceat(inside * self.values, self.starts, axis=1)
        return out


def tabulate(boxes: Boxes, sizes: NDArray[np.int16]) -> LeverTables:
    """Return the tables of ``boxes`` on a grid of ``sizes`` (k,) values a lever."""
    bounded = (boxes.low > 0) | (boxes.high < sizes[:, None])
    levers = bounded.sum(axis=0)
    width = len(boxes.constant)
    singles = {}
    for j in range(len(sizes)):
        mine = np.flatnonzero((levers == 1) & bounded[j])
        if mine.size:
            singles[j] = _table(boxes, mine, (j,), sizes, width)
    pairs = {}
    for i, j in combinations(range(len(sizes)), 2):
        mine = np.flatnonzero((levers == 2) & bounded[i] & bounded[j])
        if mine.size:
            pairs[i, j] = _table(boxes, mine, (i, j), sizes, width)
    many = np.flatnonzero(levers > 2)
    many = many[np.argsort(boxes.column[many], kind="stable")]
    filled, starts = np.unique(boxes.column[many], return_index=True)
    kept = boxes.pick(many)
    at = [np.arange(size, dtype=np.int16)[:, None] for size in sizes]
    inside = tuple((at[j] >= kept.low[j]) & (at[j] < kept.high[j]) for j in range(len(sizes)))
    return LeverTables(boxes.constant, singles, pairs, kept.value, filled, starts, inside)


def _table(boxes: Boxes, mine: Ints, levers: tuple[int, ...], sizes: NDArray[np.int16], width: int) -> Floats:
    """Sum boxes bounded in ``levers`` into one table: put signed corners down, then add up along each lever."""
    shape = tuple(int(sizes[j]) + 1 for j in levers)
    flat = np.zeros(int(np.prod(shape)) * width)
    for corner in range(2 ** len(levers)):
        index = np.zeros(len(mine), dtype=np.int64)
        sign = 1.0
        for place, j in enumerate(levers):
            far = bool(corner >> place & 1)
            sign = -sign if far else sign
            index = index * shape[place] + (boxes.high if far else boxes.low)[j, mine]
        flat += sign * np.bincount(
            index * width + boxes.column[mine], weights=boxes.value[mine], minlength=flat.size
        )
    table = flat.reshape(*shape, width)
    for axis in range(len(levers)):
        table = np.cumsum(table, axis=axis)
    return np.ascontiguousarray(table[tuple(slice(0, -1) for _ in levers)])


class Specialised:
    """One cell's outcomes as a function of its levers on their grid.

    Attributes:
        row: the context (d,) float32. lever_columns: the feature column of each lever. grid: each lever's allowed
        values, ascending, as the window gives them.
    """

    def __init__(
        self, graph: CutGraph, row: Rows, lever_columns: Sequence[int], grid: Sequence[Floats]
    ) -> None:
        """Prune and tabulate ``graph`` around ``row``.

        Raises:
            InputError: the grid does not fit the levers, or two of its values are one in float32.
            BundleForeignError: a design column moves with two levers.
        """
        self._graph = graph
        self._row = np.asarray(row, dtype=np.float32)
        self._columns = np.asarray(lever_columns, dtype=np.int64)
        self.grid = tuple(np.asarray(values, dtype=np.float64) for values in grid)
        self._values = tuple(values.astype(np.float32) for values in self.grid)
        if len(self._values) != len(self._columns):
            raise InputError(f"{len(self._values)} lever grids for {len(self._columns)} lever columns")
        for values in self._values:
            if len(values) == 0 or not bool((np.diff(values) > 0).all()):
                raise InputError(f"a lever grid must ascend in float32, not {values[:5].tolist()}...")
        self.sizes = np.array([len(values) for values in self._values], dtype=np.int16)
        self.boxes = self._prune()
        self._tables = [tabulate(boxes, self.sizes) for boxes in self.boxes]

    def evaluate(self, points: Points, outputs: Sequence[str]) -> dict[str, Floats]:
        """Return ``outputs`` at grid ``points`` (n, k)."""
        parts = [
            self._evaluate(points[start : start + _ROWS_AT_ONCE], outputs)
            for start in range(0, max(len(points), 1), _ROWS_AT_ONCE)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

    def evaluate_levers(self, levers: Floats, outputs: Sequence[str]) -> dict[str, Floats]:
        """Return ``outputs`` at lever values (n, k) on the grid."""
        return self.evaluate(self.points(levers), outputs)

    def points(self, levers: Floats) -> Points:
        """Return the grid indices (n, k) of lever values (n, k).

        Raises:
            SearchError: a value is not on the grid.
        """
        wanted = np.atleast_2d(levers)
        out = np.empty(wanted.shape, dtype=np.int64)
        for j, values in enumerate(self.grid):
            out[:, j] = np.searchsorted(0.5 * (values[1:] + values[:-1]), wanted[:, j])
            away = np.abs(values[out[:, j]] - wanted[:, j])
            if bool((away > 1e-6 * np.maximum(1.0, np.abs(wanted[:, j]))).any()):
                worst = wanted[int(np.argmax(away)), j]
                raise SearchError(f"lever {j}: {worst} is not on its grid; project it onto the window first")
        return out

    def levers(self, points: Points) -> Floats:
        """Return the lever values (n, k) at grid ``points`` (n, k)."""
        return np.stack([values[points[:, j]] for j, values in enumerate(self.grid)], axis=1)

    def rows(self, points: Points) -> Rows:
        """Return the feature rows (n, d) float32 that the full graph reads at grid ``points`` (n, k)."""
        rows = np.repeat(self._row[None, :], len(points), axis=0)
        for j, values in enumerate(self._values):
            rows[:, self._columns[j]] = values[points[:, j]]
        return rows

    def sums(self, points: Points) -> list[Floats]:
        """Return the sums (n, columns) of each grove's trees at grid ``points`` (n, k)."""
        return [tables.at(points) for tables in self._tables]

    def rest(self, points: Points, sums: Sequence[Floats], outputs: Sequence[str]) -> dict[str, Floats]:
        """Return ``outputs`` at grid ``points`` (n, k) as if the trees had summed to ``sums``."""
        return self._graph.rest(self.rows(points), sums, outputs)

    def _evaluate(self, points: Points, outputs: Sequence[str]) -> dict[str, Floats]:
        return self.rest(points, self.sums(points), outputs)

    def _prune(self) -> list[Boxes]:
        """Prune each grove, finding the design columns that move by moving one lever at a time."""
        starts = np.cumsum([0, *self.sizes])
        lines = np.zeros((int(starts[-1]), len(self.sizes)), dtype=np.int64)
        for j, size in enumerate(self.sizes):
            lines[starts[j] : starts[j + 1], j] = np.arange(size)
        pruned = []
        for grove, design in zip(self._graph.groves, self._graph.designs(self.rows(lines)), strict=True):
            columns: dict[int, tuple[int, Floats]] = {}
            for j in range(len(self.sizes)):
                line = design[starts[j] : starts[j + 1]]
                for column in np.flatnonzero(
                    (line[1:] != line[:1]).any(axis=0) & ~np.isnan(line).all(axis=0)
                ):
                    if int(column) in columns:
                        raise BundleForeignError(
                            f"design column {column} moves with levers {columns[int(column)][0]} and {j}; a bundle's"
                            " design column moves with one lever"
                        )
                    columns[int(column)] = (j, np.ascontiguousarray(line[:, column]))
            pruned.append(prune(grove.forest, design[0], Axes(self.sizes, columns)))
        return pruned
