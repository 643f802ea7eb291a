"""Which moves first: the subset of a line's recommended moves that pays most within what a shift can do.

    max  mean(x) - caution * deviation(x)
    s.t. at most one option a cell; setpoint changes on each day, AlF3, and the line's voltage within their budgets

``x`` chooses options. A model's errors are shared by all cells, so risk does not average out over them: every member
of the ensemble gives every option its own gain, the chosen gains add up member by member, and ``deviation`` is the
spread of those sums. It is the mean absolute deviation times sqrt(pi / 2), which is a normal's standard deviation and
keeps the programme linear. Solved by HiGHS to a proved gap.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

from features.errors import SearchError, SettingsError

Floats = NDArray[np.float64]

NORMAL: Final = math.sqrt(math.pi / 2)
"""A normal's standard deviation over its mean absolute deviation."""
ALF3, VOLTAGE = "alf3_dose_kg_d", "set_voltage_v"
_SLACK: Final = 1e-9


@dataclass(frozen=True)
class Option:
    """One way to move one cell.

    Attributes:
        cell: its key, "line/cell".
        moves: lever -> change from today's setting, those that change alone.
        gains: (m,) what it gains, as each member sees it, in the unit of the allocation (currency a day or a tonne).
        changes: setpoint changes on each day of its path, the first day first.
    """

    cell: str
    moves: Mapping[str, float]
    gains: tuple[float, ...]
    changes: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse an option that moves nothing, or whose numbers are not finite.

        Raises:
            SettingsError: as said.
        """
        numbers = (*self.gains, *self.moves.values())
        if not self.moves or not self.gains or not all(math.isfinite(number) for number in numbers):
            raise SettingsError(f"option of cell {self.cell}: give its moves and finite gains, not {numbers}")
        if not self.changes or min(self.changes) < 0 or self.changes[0] < 1:
            raise SettingsError(
                f"option of cell {self.cell}: changes by day are {self.changes}; the first day has one at least"
            )


@dataclass(frozen=True)
class Budget:
    """What a shift can do: None = no limit.

    moves_a_day: setpoint changes on any one day. alf3_kg_d: rise of the line's AlF3 a day, all cells together.
    line_voltage_v: change of the line's voltage either way, the sum over the cells' setpoints. caution: how many
    standard deviations of the shared error are taken off the mean.
    """

    moves_a_day: int | None = None
    alf3_kg_d: float | None = None
    line_voltage_v: float | None = None
    caution: float = 1.0

    def __post_init__(self) -> None:
        """Refuse negative budgets.

        Raises:
            SettingsError: as said.
        """
        for name in ("moves_a_day", "alf3_kg_d", "line_voltage_v", "caution"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise SettingsError(f"budget {name} is {value}; give a number of 0 or more")


@dataclass(frozen=True)
class Allocation:
    """What was chosen.

    Attributes:
        chosen: indices of the options, in the order in which to do them: the one that loses most if left out first.
        worth: index -> what the objective would lose without it.
        mean, deviation: of the chosen options' joint gain; objective = mean - caution * deviation.
        bound: no allocation has a larger objective. gap: bound over objective less one, 0 = proved.
        binding: budgets that are used up, so that one more of it would be worth something.
    """

    chosen: tuple[int, ...]
    worth: Mapping[int, float]
    mean: float
    deviation: float
    objective: float
    bound: float
    gap: float
    binding: tuple[str, ...] = field(default_factory=tuple)


def allocate(options: Sequence[Option], budget: Budget, seconds: float = 30.0) -> Allocation:
    """Return the best subset of ``options`` within ``budget``.

    Raises:
        SettingsError: options whose members differ in number.
        SearchError: the solver ended without an answer.
    """
    if not options:
        return Allocation((), {}, 0.0, 0.0, 0.0, 0.0, 0.0)
    gains = _gains(options)
    chosen, bound = _solve(_Programme(options, gains, budget), seconds)
    picked = [at for at in range(len(options)) if chosen[at]]
    value, mean, deviation = objective(gains, picked, budget.caution)
    worth = {
        at: value - objective(gains, [other for other in picked if other != at], budget.caution)[0]
        for at in picked
    }
    gap = max(0.0, bound - value) / max(abs(value), _SLACK)
    return Allocation(
        chosen=tuple(sorted(picked, key=lambda at: -worth[at])),
        worth=worth,
        mean=mean,
        deviation=deviation,
        objective=value,
        bound=max(bound, value),
        gap=gap if gap > 1e-7 else 0.0,
        binding=_binding(options, picked, budget),
    )


def objective(gains: Floats, picked: Sequence[int], caution: float) -> tuple[float, float, float]:
    """Return (objective, mean, deviation) of the options ``picked`` of ``gains`` (n, m)."""
    total = gains[list(picked)].sum(axis=0) if len(picked) else np.zeros(gains.shape[1])
    mean = float(total.mean())
    deviation = NORMAL * float(np.abs(total - mean).mean())
    return mean - caution * deviation, mean, deviation


def feasible(options: Sequence[Option], picked: Sequence[int], budget: Budget) -> bool:
    """Say whether the options ``picked`` keep one option a cell and every budget."""
    cells = [options[at].cell for at in picked]
    if len(set(cells)) != len(cells):
        return False
    return all(used <= limit + _SLACK for _, used, limit in uses(options, picked, budget))


def uses(options: Sequence[Option], picked: Sequence[int], budget: Budget) -> list[tuple[str, float, float]]:
    """Return (budget, used, limit) of every limited thing; setpoint changes as ``moves_a_day.0``, ``.1``... by day."""
    found = []
    if budget.moves_a_day is not None:
        for day in range(max((len(options[at].changes) for at in picked), default=0)):
            used = sum(_on(options[at].changes, day) for at in picked)
            found.append((f"moves_a_day.{day}", float(used), float(budget.moves_a_day)))
    if budget.alf3_kg_d is not None:
        found.append(("alf3_kg_d", sum(options[at].moves.get(ALF3, 0.0) for at in picked), budget.alf3_kg_d))
    if budget.line_voltage_v is not None:
        change = sum(options[at].moves.get(VOLTAGE, 0.0) for at in picked)
        found.append(("line_voltage_v", abs(change), budget.line_voltage_v))
    return found


def _gains(options: Sequence[Option]) -> Floats:
    members = {len(option.gains) for option in options}
    if len(members) != 1:
        raise SettingsError(f"options have {sorted(members)} members; take all of them from one bundle")
    return np.array([option.gains for option in options], dtype=np.float64)


def _on(changes: Sequence[int], day: int) -> int:
    return changes[day] if day < len(changes) else 0


def _binding(options: Sequence[Option], picked: Sequence[int], budget: Budget) -> tuple[str, ...]:
    """Return the budgets by which some option that is left out does not fit in."""
    found: list[str] = []
    taken = {options[at].cell for at in picked}
    for at, option in enumerate(options):
        if at in picked or option.cell in taken:
            continue
        used_now = uses(options, [*picked, at], budget)
        found += [name.partition(".")[0] for name, used, limit in used_now if used > limit + _SLACK]
    return tuple(dict.fromkeys(found))


class _Programme:
    """The columns: one binary an option, one deviation a member; the rows: cells, budgets, members."""

    def __init__(self, options: Sequence[Option], gains: Floats, budget: Budget) -> None:
        n, m = gains.shape
        self.options, self.members = n, m
        risk = np.full(m, -budget.caution * NORMAL / m)
        self.cost = -np.concatenate([gains.mean(axis=1), risk])
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._entries: list[tuple[NDArray[np.int64], Floats]] = []
        cells = sorted({option.cell for option in options})
        for cell in cells:
            mine = [at for at, option in enumerate(options) if option.cell == cell]
            self._add(mine, np.ones(len(mine)), upper=1.0)
        self._budgets(options, budget)
        centred = gains - gains.mean(axis=1, keepdims=True)
        for j in range(m):
            # d_j >= |sum of what member j sees beyond the mean|
            columns = [*range(n), n + j]
            self._add(columns, np.append(centred[:, j], -1.0), upper=0.0)
            self._add(columns, np.append(-centred[:, j], -1.0), upper=0.0)

    def _budgets(self, options: Sequence[Option], budget: Budget) -> None:
        everyone = list(range(len(options)))
        if budget.moves_a_day is not None:
            for day in range(max(len(option.changes) for option in options)):
                counts = np.array([float(_on(option.changes, day)) for option in options])
                self._add(everyone, counts, upper=float(budget.moves_a_day))
        if budget.alf3_kg_d is not None:
            rise = np.array([option.moves.get(ALF3, 0.0) for option in options])
            self._add(everyone, rise, upper=budget.alf3_kg_d)
        if budget.line_voltage_v is not None:
            change = np.array([option.moves.get(VOLTAGE, 0.0) for option in options])
            self._add(everyone, change, upper=budget.line_voltage_v, lower=-budget.line_voltage_v)

    def _add(self, columns: Sequence[int], values: Floats, upper: float, lower: float = -math.inf) -> None:
        self._entries.append((np.array(columns, dtype=np.int64), values))
        self.lower.append(lower)
        self.upper.append(upper)

    def matrix(self) -> coo_matrix:
        """Return the rows as a sparse matrix."""
        rows = np.concatenate([np.full(len(columns), at) for at, (columns, _) in enumerate(self._entries)])
        columns = np.concatenate([columns for columns, _ in self._entries])
        values = np.concatenate([values for _, values in self._entries])
        return coo_matrix((values, (rows, columns)), (len(self._entries), self.options + self.members))


def _solve(programme: _Programme, seconds: float) -> tuple[NDArray[np.bool_], float]:
    """Return which options are chosen (n,) and the proved bound of the objective."""
    rows = programme.matrix().tocsr()
    width = programme.options + programme.members
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = width, rows.shape[0]
    lp.col_cost_ = programme.cost
    lp.col_lower_ = np.zeros(width)
    lp.col_upper_ = np.concatenate(
        [np.ones(programme.options), np.full(programme.members, highspy.kHighsInf)]
    )
    lp.row_lower_, lp.row_upper_ = np.array(programme.lower), np.array(programme.upper)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = rows.indptr, rows.indices, rows.data
    kinds = highspy.HighsVarType
    lp.integrality_ = [kinds.kInteger] * programme.options + [kinds.kContinuous] * programme.members
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    options = {"output_flag": False, "threads": 1, "time_limit": float(seconds), "mip_rel_gap": 1e-9}
    for option, value in {**options, "mip_abs_gap": 1e-9, "random_seed": 0}.items():
        solver.setOptionValue(option, value)
    solver.passModel(lp)
    solver.run()
    found = np.array(solver.getSolution().col_value)
    bound = -float(solver.getInfo().mip_dual_bound)
    if len(found) < width or not math.isfinite(bound):
        status = solver.modelStatusToString(solver.getModelStatus())
        raise SearchError(
            f"no allocation within {seconds:g} s: the solver says {status!r}; give it more time"
        )
    return np.asarray(found[: programme.options] > 0.5), bound
