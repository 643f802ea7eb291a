"""From a bundle and the cells' contexts to recommendations, one cell and one day each, as they come.

For every cell: screen the context, specialise the graph to it, look at today's setting, search, keep the levers that
earn their move, and judge the result again with the full graph. A saving whose lower confidence bound is not above
zero is searched once more for the surest saving instead of the largest; if that fails too, the cell is held.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.bundle import SUPPORT, Manifest
from features.errors import InputError, SearchError, SettingsError
from features.metal_pad import Pad, with_level_kept
from features.plant import metal_t_per_d
from features.policy.cost import Prices, outcome_prices
from features.setpoints import OperatingWindow
from features.signals import SIGNALS
from features.stages import Stage
from serving.advice import Author, Judged
from serving.context import Context
from serving.guard import (
    Break,
    GuardSettings,
    feature_value,
    outside,
    pinned,
    screen,
    standing,
    still,
    support_threshold,
    verify,
)
from serving.offer import offered
from serving.reasons import reason
from serving.refusals import refused
from serving.savings import Pricing, cost_saving, quantile
from serving.schemas import Reason, Recommendation
from serving.search.economy import fewest_levers
from serving.search.graph import CutGraph
from serving.search.paths import safe_path
from serving.search.problem import Goal, LeverPrice, Objective, Problem
from serving.search.specialise import Points, Specialised
from serving.search.study import SearchSettings, search
from serving.widening import widened

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]

_ALF3 = "alf3_dose_kg_d"
_TWIN_TOLERANCE = 1e-9


class Bundle(Protocol):
    """What advice needs of a predictor: ``serving.predictor.Predictor`` is one."""

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""

    @property
    def model(self) -> bytes:
        """The verified bytes of its graph."""

    def predict(self, X: Rows) -> dict[str, Floats]:
        """Return every output for recipe rows (n, d) float32."""


@dataclass(frozen=True)
class AdviceSettings:
    """How advice is found and when it is given.

    Attributes:
        search, guard: see there.
        window: the levers on offer, a part of the bundle's (see ``offer``); None = the bundle's own window.
        prices: None = the plant's.
        confidence: one-sided, of the saving's bounds.
        least_saving: currency a tonne that a move must be expected to save.
        lever_tolerance: share of the gain given up to leave a lever where it is.
        alf3_saving_share: share of the price of AlF3 not fed that counts as saved. What a lower dose does not feed
            comes out of the bath's own AlF3 and has to be paid back after the horizon, so by default none counts;
            what a higher dose feeds is paid in full.
        cautious: search for the surest saving where the largest is not sure enough.
        hold_days: days between two groups of a staged path. valid_days: until the advice expires.
    """

    search: SearchSettings = field(default_factory=SearchSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    window: OperatingWindow | None = None
    prices: Prices | None = None
    confidence: float = 0.9
    least_saving: float = 0.0
    lever_tolerance: float = 0.02
    alf3_saving_share: float = 0.0
    cautious: bool = True
    hold_days: int = 0
    valid_days: int = 1

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            SettingsError: a number is out of range.
        """
        ranges = {
            "confidence": (0.5, 0.9999),
            "least_saving": (0.0, 1e6),
            "lever_tolerance": (0.0, 1.0),
            "alf3_saving_share": (0.0, 1.0),
            "hold_days": (0, 30),
            "valid_days": (1, 30),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"advice setting {name} is {value}; give a number from {low} to {high}")


def recommend(
    bundle: Bundle, contexts: Iterable[Context], settings: AdviceSettings | None = None
) -> Iterator[Recommendation]:
    """Yield one recommendation per context, in order, as they come."""
    advisor = Advisor(bundle, settings or AdviceSettings())
    for context in contexts:
        yield advisor.advise(context)


@dataclass(frozen=True)
class Cell:
    """One cell under search: its base row with every lever held, window, current setting, and today's outputs."""

    context: Context
    row: Rows
    current: Floats
    window: OperatingWindow
    surrogate: Specialised
    today: dict[str, Floats]
    pricing: Objective


class Advisor:
    """A bundle ready to advise on one cell after another; it keeps the graph compiled between them."""

    def __init__(self, bundle: Bundle, settings: AdviceSettings) -> None:
        """Prepare ``bundle``.

        Raises:
            SettingsError: the bundle has no lever, or the settings offer more than it supports.
            UnknownNameError: the settings' window offers a lever that the bundle does not have.
        """
        self.manifest, self.settings = bundle.manifest, settings
        self._bundle = bundle
        self._graph = CutGraph(bundle.model)
        self._outputs = frozenset(self._graph.outputs)
        own = bundle.manifest.operating_window
        self.window = offered(own, settings.window)
        at = [own.index(name) for name in self.window.names]
        self._columns = np.array([self.manifest.lever_columns[i][0] for i in at])
        self._references = np.array([self.manifest.lever_columns[i][1] for i in at])
        self._prices = settings.prices or self.manifest.plant.prices
        self._threshold = support_threshold(self.manifest, settings.guard)
        self._pins = tuple(
            lever for lever in pinned(self.manifest, settings.guard) if lever.name in self.window.names
        )
        self._author = Author(
            self.manifest,
            self.manifest.digest,
            self.window,
            settings.guard.limits,
            self._threshold,
            self._prices.currency,
            settings.confidence,
            settings.valid_days,
            self._pins,
        )

    def advise(self, context: Context) -> Recommendation:
        """Return the recommendation for one cell and day.

        Raises:
            InputError: the context's row has not the bundle's features.
        """
        if context.row is not None and len(context.row) != len(self.manifest.features):
            raise InputError(
                f"cell {context.cell_id}: {len(context.row)} features, the bundle takes {len(self.manifest.features)};"
                " make the row with the bundle's own recipe"
            )
        if blocked := screen(context, self.manifest, self.settings.guard):
            return self._author.abstain(context, blocked)
        cell = self._cell(context)
        if blocked := standing(cell.today, self.manifest, self.settings.guard):
            return self._author.abstain(context, blocked, cell.today)
        author = replace(self._author, window=cell.window)
        if len(self._pins) == len(self.window.levers):
            return author.hold(context, cell.current, cell.today)
        judged = self._find(cell)
        if judged.held is None:
            return author.move(context, cell.current, judged)
        return author.hold(context, cell.current, cell.today, judged.held)

    def outside(self, context: Context) -> bool:
        """Say whether the cell is predicted outside a window at today's setting; no search, so it is cheap to ask daily."""
        if screen(context, self.manifest, self.settings.guard):
            return False
        today = widened(self._bundle.predict(self._held_row(context)[None, :]), context.widening)
        return bool(outside(today, self.settings.guard.limits))

    def judge(self, context: Context, levers: Mapping[str, float]) -> tuple[Judged, list[Break]]:
        """Return a person's own setting, ``levers`` of every lever on offer, with its days, and what it breaks.

        It is judged as a found move is: day by day, with the full graph.

        Raises:
            InputError: nothing can be said of this cell today, or a setting is none of the lever's steps, or today's.
            SearchError: no order of daily steps reaches it with every limit kept.
        """
        blocked = screen(context, self.manifest, self.settings.guard)
        if blocked:
            why, why_zh = blocked[0].text, blocked[0].text_zh
            raise refused(422, "invalid_input.not_judged", zh={"why": why_zh}, cell=context.cell_id, why=why)
        cell = self._cell(context)
        problem = self._problem(cell, 0.0)
        point = self._point(cell, levers)
        if np.array_equal(point, problem.home):
            raise refused(422, "invalid_input.todays", cell=context.cell_id)
        try:
            stages = safe_path(problem, point, self.settings.hold_days)
        except SearchError as error:
            raise refused(422, "no_feasible_setpoint.path", cell=context.cell_id) from error
        outputs = self._predict(cell, stages)
        breaks = verify(cell.window, stages, outputs, self.settings.guard, self._threshold, cell.current)
        target = cell.surrogate.levers(point[None, :])[0]
        return Judged(target, stages, outputs, None, (), None), breaks

    def _point(self, cell: Cell, levers: Mapping[str, float]) -> Points:
        """Return the grid point (k,) of ``levers``."""
        nearest = cell.current.copy()
        for i, (lever, values) in enumerate(
            zip(cell.window.levers, self._grid(cell.window, cell.current), strict=True)
        ):
            at = int(np.argmin(np.abs(values - levers[lever.name])))
            if abs(values[at] - levers[lever.name]) > 1e-6 * lever.resolution:
                meant = SIGNALS[lever.name]
                raise refused(
                    422,
                    "invalid_input.no_setting",
                    zh={"lever": meant.meaning_zh},
                    lever=meant.meaning,
                    value=levers[lever.name],
                    unit=lever.unit,
                    low=values[0],
                    high=values[-1],
                    step=lever.resolution,
                    nearest=values[at],
                )
            nearest[i] = values[at]
        point: Points = cell.surrogate.points(nearest[None, :])[0]
        return point

    def problem(self, context: Context, caution: float = 0.0) -> Problem:
        """Return the search problem of ``context``, for a search or a proof outside of advice."""
        return self._problem(self._cell(context), caution)

    def judge_part(self, context: Context, target: Floats) -> Judged:
        """Judge a part ``target`` (k,) of a found move, by the very checks of the whole.

        Raises:
            InputError: the context has no row, or the target is no grid value around its current setting.
        """
        cell = self._cell(context)
        if not cell.window.feasible(cell.current, target)[0]:
            raise InputError(
                f"cell {context.cell_id}: {target.tolist()} is not feasible around {cell.current.tolist()};"
                " project it first"
            )
        point = cell.surrogate.points(np.asarray(target, dtype=np.float64)[None, :])[0]
        return self._at(cell, self._problem(cell, 0.0), point)

    def _held_row(self, context: Context) -> Rows:
        """Return the cell's row (d,) with every lever where it stands."""
        if context.row is None:
            raise InputError(f"cell {context.cell_id} has no row; there is nothing to search")
        row = context.row.copy()
        for column, reference in self.manifest.lever_columns:
            row[column] = row[reference]
        return row

    def _cell(self, context: Context) -> Cell:
        row = self._held_row(context)
        current = np.array([_exact(row[at]) for at in self._references])
        window = self._window(context)
        surrogate = Specialised(self._graph, row, self._columns.tolist(), self._grid(window, current))
        today = widened(self._bundle.predict(row[None, :]), context.widening)
        return Cell(context, row, current, window, surrogate, today, self._objective(context, today))

    def _window(self, context: Context) -> OperatingWindow:
        """Return the window of one cell: a tap target must not drain or drown its pad while it stands."""
        names = ("metal_level_mm_last", "metal_level_mm_dev_28d", "production_kg_d_now")
        level, above, production = (feature_value(context, self.manifest, name) for name in names)
        if level is None or above is None or production is None:
            return self.window
        return with_level_kept(self.window, Pad(level, level - above, production), self.manifest.plant)

    def _grid(self, window: OperatingWindow, current: Floats) -> list[Floats]:
        """Return the values that each lever may take: of a pinned one, the one that it has."""
        grid = window.grid(current)
        for lever in self._pins:
            at = self.window.index(lever.name)
            grid[at] = current[at : at + 1].copy()
        return grid

    def _objective(self, context: Context, today: dict[str, Floats]) -> Objective:
        targets = {target.name for target in self.manifest.targets}
        prices = {name: price for name, price in outcome_prices(self._prices).items() if name in targets}
        if _ALF3 not in self.window.names:
            return Objective(prices)
        dose = self._prices.alf3_per_kg / self._metal_t_per_d(context, today)
        return Objective(prices, {_ALF3: LeverPrice(dose, self.settings.alf3_saving_share * dose)})

    def _metal_t_per_d(self, context: Context, today: dict[str, Floats]) -> float:
        current_ka = feature_value(context, self.manifest, "line_current_ka_last")
        efficiency = float(today["current_efficiency"][0]) if "current_efficiency" in today else None
        return metal_t_per_d(current_ka or self.manifest.plant.line_current_ka, efficiency)

    def _problem(self, cell: Cell, caution: float) -> Problem:
        objective = replace(cell.pricing, caution=caution)
        limits, widening = self.settings.guard.every_limit, cell.context.widening
        goal = Goal(objective, limits, self._threshold, widening)
        return Problem(cell.surrogate, cell.window, cell.current, goal, self._outputs)

    def _find(self, cell: Cell) -> Judged:
        """Search for the largest expected saving, then, where that is not sure, for the surest."""
        judged = self._judge(cell, self._problem(cell, 0.0))
        if judged.held is None or judged.held.code != "uncertain" or not self.settings.cautious:
            return judged
        members = min(self.manifest.outcome(name).members for name in cell.pricing.prices)
        surest = self._judge(cell, self._problem(cell, quantile(members, self.settings.confidence)))
        return replace(surest, cautious=True) if surest.held is None else judged

    def _judge(self, cell: Cell, problem: Problem) -> Judged:
        name = "/".join((cell.context.line_id, cell.context.cell_id, str(cell.context.date)))
        name += "" if problem.goal.objective.caution == 0 else "/cautious"
        told = self.settings.search
        # Cells draw their own starts: one unlucky draw must not be every cell's.
        mine = replace(told, seed=(told.seed + zlib.crc32(name.encode())) % 2**32)
        found = search(problem, mine, name if told.storage else None)
        point = fewest_levers(problem, found.point, self.settings.lever_tolerance)
        if np.array_equal(point, problem.home):
            return Judged(cell.current, (), cell.today, None, (), reason("no_gain"))
        return self._at(cell, problem, point)

    def _at(self, cell: Cell, problem: Problem, point: Points) -> Judged:
        """Judge the setting at grid ``point`` (k,): its way there, the full graph's outputs, and what it breaks."""
        target = cell.surrogate.levers(point[None, :])[0]
        try:
            stages = safe_path(problem, point, self.settings.hold_days)
        except SearchError:
            return Judged(cell.current, (), cell.today, None, (), reason("no_path"))
        outputs = self._predict(cell, stages)
        _require_twin(cell, point, outputs)
        breaks = verify(cell.window, stages, outputs, self.settings.guard, self._threshold, cell.current)
        breaks += still(self._pins, cell.window, stages, cell.current)
        pricing = Pricing(cell.pricing.prices, float(problem.lever_cost(point[None, :])[0]))
        judged = Judged(target, stages, outputs, pricing, blocking(problem, point, target), None)
        return replace(judged, held=self._held(judged, breaks))

    def _held(self, judged: Judged, breaks: list[Break]) -> Reason | None:
        """Return why a found move is not given; None where it is."""
        if breaks:
            worst = max(breaks, key=lambda entry: entry.excess)
            excess = worst.excess if np.isfinite(worst.excess) else 1e308
            return reason("unsafe", {"constraint": worst.constraint, "excess": excess})
        saved = None
        if judged.pricing is not None:
            saved = cost_saving(judged.outputs, judged.pricing, self.settings.confidence)
        if saved is None:
            return reason("single_member")
        told: dict[str, float | str | None] = {"cost": saved.mean, "currency": self._prices.currency}
        if saved.mean < self.settings.least_saving:
            return reason("too_small", {**told, "least": self.settings.least_saving})
        if not saved.lower > 0:
            return reason(
                "uncertain", {**told, "cost_lower": saved.lower, "confidence": self.settings.confidence}
            )
        return None

    def _predict(self, cell: Cell, stages: tuple[Stage, ...]) -> dict[str, Floats]:
        """Return the full graph's outputs for today's setting (row 0) and each stage."""
        rows = np.repeat(cell.row[None, :], len(stages) + 1, axis=0)
        for i, stage in enumerate(stages):
            rows[i + 1, self._columns] = np.asarray(stage.levers, dtype=np.float32)
        return widened(self._bundle.predict(rows), cell.context.widening)


def blocking(problem: Problem, point: Points, target: Floats) -> tuple[str, ...]:
    """Return what stops the move at ``point`` (k,): known limits, and predicted ones that a cheaper neighbour breaks."""
    k = len(point)
    steps = np.concatenate([np.eye(k, dtype=np.int64), -np.eye(k, dtype=np.int64)]) + point
    steps = steps[((steps >= 0) & (steps < np.asarray(problem.sizes))).all(axis=1)]
    steps = steps[problem.inside(steps)]
    found = list(problem.window.binding(problem.current, target))
    if len(steps):
        scores = problem.score(np.concatenate([point[None, :], steps]))
        cheaper = scores.cost[1:] < scores.cost[0]
        broken = (scores.excess[1:][cheaper] > 1e-9).any(axis=0)
        found += [side for side, hit in zip(problem.sides, broken.tolist(), strict=True) if hit]
    return tuple(dict.fromkeys(found))


def _exact(value: np.float32) -> float:
    """Return the setpoint that float32 ``value`` came from: the shortest decimal that reads back as it."""
    return float(str(value))


def _require_twin(cell: Cell, point: Points, outputs: dict[str, Floats]) -> None:
    """Refuse to go on where the specialised graph and the full one disagree: one of them is broken."""
    names = [*cell.pricing.prices, SUPPORT]
    mine = cell.surrogate.evaluate(point[None, :], names)
    for name in names:
        full, own = float(outputs[name][-1]), float(mine[name][0])
        if not abs(full - own) <= _TWIN_TOLERANCE * max(1.0, abs(full)):
            raise SearchError(
                f"cell {cell.context.cell_id}: the specialised graph says {own!r} for {name}, the full one {full!r};"
                " do not use this bundle, and report it"
            )
