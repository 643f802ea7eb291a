"""The optimum of a cell's search, proved: a mixed-integer programme on the pruned trees, solved by HiGHS.

Each lever is an ordered row of binaries (is it at grid value i or above?), each tree that couples levers a choice of
one leaf that those binaries allow, each tree of one lever a part of that lever's own cost. Joint limits and predicted
limits are linear rows. Where the objective is no sum of trees (networks, V over CE), the whole grid is the reference.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

from features.errors import SearchError
from serving.search.forms import Form, cost_form, linearised, read_forms
from serving.search.problem import Landscape, Problem
from serving.search.specialise import Points, Specialised
from serving.search.trees import Boxes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TOLERANCE = 1e-9
_GAP = 1e-8
_AT_ONCE = 65536


@dataclass(frozen=True)
class Proof:
    """What is proved: no point costs less than ``bound``.

    point (k,): a point that costs ``key``. proven: whether key and bound meet. unproved: predicted limits that the
    proof leaves out because they have no linear form, so that the bound may be lower than need be.
    """

    bound: float
    key: float
    point: Points
    proven: bool
    unproved: tuple[str, ...] = ()


def prove(problem: Problem, seconds: float = 60.0) -> Proof | None:
    """Prove the lowest cost of ``problem``; None where its cost has no linear form.

    Raises:
        SearchError: the solver stopped without a bound.
    """
    surrogate = problem.surrogate
    sides = [side for limit in problem.limits for side in limit.sides]
    outputs = tuple(dict.fromkeys([*problem.goal.objective.prices, *(side.output for side in sides)]))
    forms = read_forms(surrogate, problem.home, outputs)
    cost = cost_form(problem, forms)
    if cost is None:
        return None
    rows = [
        (forms[side.output].scaled(side.sign), side.sign * side.edge + allowed)
        for side, allowed in zip(sides, problem.allowed.tolist(), strict=False)
        if side.output in forms
    ]
    kept = {side.name for side in sides if side.output in forms}
    unproved = tuple(name for name in problem.sides if name not in kept)
    bound, point = _solve(_Model(surrogate, cost, rows, problem.window.matrix(problem.current)), seconds)
    key = float(problem.keys(point[None, :])[0])
    return Proof(bound, key, point, _meet(bound, key), unproved)


class TreePart:
    """The trees' own share of a problem's cost, to first order around home: what a proof can always check.

    Joint limits hold; predicted limits do not enter.
    """

    def __init__(self, problem: Problem) -> None:
        """Take the slope of the cost with respect to every tree around the current setting."""
        self._problem = problem
        prices = problem.goal.objective.prices
        forms = linearised(problem.surrogate, problem.home, tuple(prices))
        whole = cost_form(problem, forms)
        if whole is None:
            raise SearchError("a cautious objective has no tree part; prove the problem with caution 0")
        self.form = Form(0.0, whole.weights, tuple(np.zeros_like(table) for table in whole.unary))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Grid values of each lever."""
        return self._problem.sizes

    @property
    def home(self) -> Points:
        """The grid point (k,) of the current setting."""
        return self._problem.home

    def keys(self, points: Points) -> Floats:
        """Return the trees' cost (n,) of grid ``points`` (n, k); inf where a joint limit breaks."""
        value = self.form.value(points, self._problem.surrogate.sums(points))
        return np.asarray(np.where(self._problem.inside(points), value, np.inf))

    def prove(self, seconds: float = 60.0) -> Proof:
        """Prove the lowest value of the trees' part."""
        limits = self._problem.window.matrix(self._problem.current)
        bound, point = _solve(_Model(self._problem.surrogate, self.form, [], limits), seconds)
        key = float(self.keys(point[None, :])[0])
        return Proof(bound, key, point, _meet(bound, key))


def best_of_grid(land: Landscape, limit: int = 1_000_000, seed: int = 0) -> tuple[float, bool]:
    """Return the lowest key of up to ``limit`` grid points, and whether that was the whole grid.

    A larger grid is sampled: ``limit`` random points, so the result is then a reference and no optimum.
    """
    total = int(np.prod([float(size) for size in land.sizes]))
    if total <= limit:
        return min(float(land.keys(block).min()) for block in _whole_grid(land.sizes)), True
    draw = np.random.default_rng(seed)
    best = np.inf
    for start in range(0, limit, _AT_ONCE):
        points = draw.integers(0, land.sizes, size=(min(_AT_ONCE, limit - start), len(land.sizes)))
        best = min(best, float(land.keys(points).min()))
    return best, False


def _whole_grid(sizes: Sequence[int]) -> Iterator[Points]:
    """Yield every grid point in blocks (n, k) of bounded size."""
    inner = len(sizes)
    while inner > 0 and np.prod(sizes[inner - 1 :]) <= _AT_ONCE:
        inner -= 1
    block = np.stack(np.meshgrid(*(np.arange(size) for size in sizes[inner:]), indexing="ij"), axis=-1)
    block = np.asarray(block.reshape(-1, len(sizes) - inner), dtype=np.int64)
    for outer in product(*(range(size) for size in sizes[:inner])):
        lead = np.repeat(np.array([outer], dtype=np.int64).reshape(1, inner), len(block), axis=0)
        yield np.concatenate([lead, block], axis=1)


def _meet(bound: float, key: float) -> bool:
    return key <= bound + _GAP * max(1.0, abs(bound))


class _Model:
    """The programme's columns (lever binaries, then leaves) and rows, collected as triplets."""

    def __init__(
        self,
        surrogate: Specialised,
        cost: Form,
        rows: Sequence[tuple[Form, float]],
        joint: tuple[Floats, Floats],
    ) -> None:
        self.sizes = [int(size) for size in surrogate.sizes]
        self.first = np.cumsum([0, *(size - 1 for size in self.sizes)])
        forms = [cost, *(form for form, _ in rows)]
        self._forest = [_coupling(boxes, forms, i) for i, boxes in enumerate(surrogate.boxes)]
        self.leaves = sum(part.value.size for part in self._forest)
        self.columns = int(self.first[-1]) + self.leaves
        self._row: list[Ints] = []
        self._column: list[Ints] = []
        self._value: list[Floats] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._order()
        self._trees()
        for a, b in zip(*joint, strict=True):
            values = [a[j] * (grid - grid[0]) for j, grid in enumerate(surrogate.grid)]
            at_first = sum(a[j] * grid[0] for j, grid in enumerate(surrogate.grid))
            self._add(*self._steps(values), upper=float(b - at_first))
        for form, most in rows:
            columns, values_, offset = self._form(form, surrogate.boxes)
            self._add(columns, values_, upper=most - offset)
        self.cost = np.zeros(self.columns)
        columns, values_, self.offset = self._form(cost, surrogate.boxes)
        np.add.at(self.cost, columns, values_)

    def matrix(self) -> coo_matrix:
        """Return the rows as a sparse matrix."""
        triplet = (np.concatenate(part) for part in (self._value, self._row, self._column))
        value, row, column = triplet
        return coo_matrix((value, (row, column)), shape=(len(self.lower), self.columns))

    def _add(self, columns: Ints, values: Floats, lower: float = -np.inf, upper: float = np.inf) -> None:
        self._row.append(np.full(len(columns), len(self.lower)))
        self._column.append(np.asarray(columns))
        self._value.append(np.asarray(values, dtype=np.float64))
        self.lower.append(lower)
        self.upper.append(upper)

    def _order(self) -> None:
        for j, size in enumerate(self.sizes):
            for i in range(size - 2):
                at = self.first[j] + i
                self._add(np.array([at, at + 1]), np.array([1.0, -1.0]), lower=0.0)

    def _trees(self) -> None:
        """One leaf a tree, and only leaves on the side of each threshold that the lever stands on."""
        offset = int(self.first[-1])
        for part in self._forest:
            for tree in np.unique(part.tree):
                mine = np.flatnonzero(part.tree == tree)
                columns = offset + mine
                self._add(columns, np.ones(len(mine)), lower=1.0, upper=1.0)
                for j, size in enumerate(self.sizes):
                    low, high = part.low[j, mine], part.high[j, mine]
                    for edge in np.unique(np.concatenate([low[low > 0], high[high < size]])).tolist():
                        binary = self.first[j] + edge - 1
                        below, above = columns[high <= edge], columns[low >= edge]
                        self._add(np.append(below, binary), np.ones(len(below) + 1), upper=1.0)
                        signs = np.append(np.ones(len(above)), -1.0)
                        self._add(np.append(above, binary), signs, upper=0.0)
            offset += part.value.size

    def _steps(self, tables: Sequence[Floats]) -> tuple[Ints, Floats]:
        """Write one function a lever, zero at its first grid value, as steps of that lever's binaries."""
        columns = np.arange(int(self.first[-1]))
        return columns, np.concatenate([np.diff(table) for table in tables])

    def _form(self, form: Form, forest: Sequence[Boxes]) -> tuple[Ints, Floats, float]:
        """Return columns, coefficients and constant of ``form``."""
        unary = [table.copy() for table in form.unary]
        constant = form.constant
        leaf_values = []
        for weight, boxes, coupled in zip(form.weights, forest, self._forest, strict=True):
            constant += float(boxes.constant @ weight)
            alone = np.flatnonzero(~np.isin(boxes.tree, coupled.tree))
            _fold(boxes.pick(alone), weight, self.sizes, unary)
            leaf_values.append(weight[coupled.column] * coupled.value)
        constant += sum(float(table[0]) for table in unary)
        columns, steps = self._steps(unary)
        leaves = np.arange(int(self.first[-1]), self.columns)
        return np.concatenate([columns, leaves]), np.concatenate([steps, *leaf_values]), constant


def _coupling(boxes: Boxes, forms: Sequence[Form], grove: int) -> Boxes:
    """Return the boxes of the trees that matter to a form and depend on two levers or more."""
    matters = np.any([form.weights[grove][boxes.column] != 0 for form in forms], axis=0)
    sizes = np.array([len(table) for table in forms[0].unary])
    bounded = (boxes.low > 0) | (boxes.high < sizes[:, None])
    trees = np.unique(boxes.tree[matters])
    levers = np.stack([np.isin(trees, boxes.tree[matters & bounded[j]]) for j in range(len(sizes))])
    coupled = trees[levers.sum(axis=0) > 1]
    return boxes.pick(np.flatnonzero(matters & np.isin(boxes.tree, coupled)))


def _fold(boxes: Boxes, weight: Floats, sizes: Sequence[int], unary: list[Floats]) -> None:
    """Add boxes bounded in one lever to that lever's function, in place."""
    for j, size in enumerate(sizes):
        mine = np.flatnonzero((boxes.low[j] > 0) | (boxes.high[j] < size))
        steps = np.zeros(size + 1)
        value = weight[boxes.column[mine]] * boxes.value[mine]
        np.add.at(steps, boxes.low[j, mine].astype(np.int64), value)
        np.add.at(steps, boxes.high[j, mine].astype(np.int64), -value)
        unary[j] += np.cumsum(steps)[:-1]


def _solve(model: _Model, seconds: float) -> tuple[float, Points]:
    """Return the proved bound and the best point found."""
    binaries = int(model.first[-1])
    rows = model.matrix().tocsr()
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = model.columns, rows.shape[0]
    lp.col_cost_, lp.offset_ = model.cost, model.offset
    lp.col_lower_, lp.col_upper_ = np.zeros(model.columns), np.ones(model.columns)
    lp.row_lower_, lp.row_upper_ = np.array(model.lower), np.array(model.upper)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = rows.indptr, rows.indices, rows.data
    kinds = highspy.HighsVarType
    lp.integrality_ = [kinds.kInteger] * binaries + [kinds.kContinuous] * model.leaves
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, value in {
        "output_flag": False,
        "threads": 1,
        "time_limit": float(seconds),
        "mip_rel_gap": 0.0,
        "mip_abs_gap": 1e-6,
        "mip_feasibility_tolerance": _TOLERANCE,
        "primal_feasibility_tolerance": _TOLERANCE,
    }.items():
        solver.setOptionValue(option, value)
    solver.passModel(lp)
    solver.run()
    info = solver.getInfo()
    found = np.array(solver.getSolution().col_value)
    if not np.isfinite(info.mip_dual_bound) or len(found) < binaries:
        status = solver.modelStatusToString(solver.getModelStatus())
        raise SearchError(f"no proof within {seconds:g} s: the solver says {status!r}; give it more time")
    point = [int(np.round(found[model.first[j] : model.first[j + 1]]).sum()) for j in range(len(model.sizes))]
    return float(info.mip_dual_bound), np.array(point, dtype=np.int64)
