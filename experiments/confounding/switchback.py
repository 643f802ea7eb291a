"""The test that would settle it: a few cells, a lever up and down by half a day's step, week about, in random order.

Every pair of weeks holds one week up and one down, their order drawn by the seed; cells go in pairs that mirror each
other, so that on any day as many cells are up as down and nothing that befalls the line can pass for an effect. No
cell leaves its present setting by more than half of the largest daily step, nor the lever's bounds.

How wide the interval would be is not assumed but tried: the very plan is laid over the record's last weeks, where
nothing was tested, many times in other random orders, and the effects that it then "finds" are chance alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.setpoints import Lever
from training.identification.moves import SLOW
from training.structures import Bools, Floats, Ints

_DRAWS: Final = 200
_CELLS: Final = (4, 6, 8, 10, 12)
_PAIRS: Final = (2, 3, 4, 5, 6)
_LEAST_SPAN_SHARE: Final = 0.6
BALANCED: Final = frozenset({"energy_kwh_per_t", "current_efficiency", "net_anode_kg_per_t"})
"""Outcomes that rest on the metal balance or on weighed butts, smooth over weeks: no test by the week is led by them."""


@dataclass(frozen=True)
class Slot:
    """One cell's setting over one period: from ``start`` on (0 = the test's first day), ``days`` long."""

    cell_id: str
    start: int
    days: int
    setting: float


@dataclass(frozen=True)
class Expected:
    """What a plan would tell of one outcome: half the width of its 95 % interval per unit, and the smallest effect
    that it would show with 80 % power, both from placebo tests on the record.
    """

    half_width: float
    detectable: float


@dataclass(frozen=True)
class TestPlan:
    """A switchback of one lever.

    Attributes:
        lever, unit: what is moved. low_high: how far below and above the present setting.
        cells: which, in mirrored pairs. period_d, pairs: days of a period; pairs of periods (one up, one down).
        slots: the whole schedule. expected: outcome -> what it would tell.
        lead: the outcome that tells first, of those that an instrument reads by the day. enough: whether an effect as physics expects it would show on ``lead``.
        cost: at most, in the plant's currency: the worse setting's extra energy on its days. stop: when to end it.
    """

    __test__ = False  # not a test of ours, whatever its name looks like

    lever: str
    unit: str
    step: float
    cells: tuple[str, ...]
    period_d: int
    pairs: int
    slots: tuple[Slot, ...]
    expected: Mapping[str, Expected]
    lead: str
    enough: bool
    cost: float

    @property
    def days(self) -> int:
        """How long it takes."""
        return 2 * self.pairs * self.period_d


@dataclass(frozen=True)
class Ground:
    """What a plan is laid on: the record's residuals and the cells that may be tested.

    Attributes:
        cell: (n,) index of each row's cell; day: (n,) its day number. left: outcome -> (n,).
        cell_ids: (c,). fit: (f,) indices of cells that may be tested, the calmest first.
        settings: (c,) the lever's present setting.
    """

    cell: Ints
    day: Ints
    left: Mapping[str, Floats]
    cell_ids: NDArray[np.str_]
    fit: Ints
    settings: Floats


def propose(ground: Ground, lever: Lever, hopes: Mapping[str, float], seed: int) -> TestPlan | None:
    """Return the smallest plan by which an effect as large as hoped would show; None where no two cells may be tested.

    Args:
        ground: the record.
        lever: what is moved.
        hopes: outcome -> the size of the effect per unit that matters.
        seed: of the order, and of the trials.
    """
    step = _step(lever)
    room = [
        cell
        for cell in ground.fit.tolist()
        if lever.low <= ground.settings[cell] - step and ground.settings[cell] + step <= lever.high
    ]
    best: TestPlan | None = None
    sizes = sorted(((c, p) for c in _CELLS for p in _PAIRS), key=lambda size: (size[0] * size[1], size[1]))
    for count, pairs in sizes:
        if count > len(room):
            continue
        plan = _plan(ground, lever, (room[:count], pairs, step), hopes, seed)
        if plan is None:
            continue
        if plan.enough:
            return plan
        if best is None or _ratio(plan, hopes) < _ratio(best, hopes):
            best = plan
    return best


def _ratio(plan: TestPlan, hopes: Mapping[str, float]) -> float:
    """Return how many times larger than hoped an effect must be to show on the plan's lead outcome."""
    return plan.expected[plan.lead].detectable / hopes[plan.lead]


def _step(lever: Lever) -> float:
    """Return how far each way: half a daily step on the lever's grid, at least one resolution."""
    return max(1, int(lever.steps_a_day // 2)) * lever.resolution


def _plan(
    ground: Ground,
    lever: Lever,
    size: tuple[Sequence[int], int, float],
    hopes: Mapping[str, float],
    seed: int,
) -> TestPlan | None:
    cells, pairs, step = size
    period = 14 if lever.name in SLOW else 7
    expected = {}
    for name in hopes:
        found = _placebo(ground, np.array(cells), (period, pairs, step), name, seed)
        if found is not None:
            expected[name] = found
    if not expected:
        return None
    swift = [name for name in expected if name not in BALANCED] or list(expected)
    lead = min(swift, key=lambda name: expected[name].detectable / hopes[name])
    order = signs(len(cells), pairs, np.random.default_rng(seed))
    slots = tuple(
        Slot(
            str(ground.cell_ids[cell]),
            period * at,
            period,
            round(float(ground.settings[cell] + step * order[row, at]), 9),
        )
        for row, cell in enumerate(cells)
        for at in range(2 * pairs)
    )
    return TestPlan(
        lever=lever.name,
        unit=lever.unit,
        step=step,
        cells=tuple(str(ground.cell_ids[cell]) for cell in cells),
        period_d=period,
        pairs=pairs,
        slots=slots,
        expected=expected,
        lead=lead,
        enough=expected[lead].detectable <= hopes[lead],
        cost=0.0,
    )


def priced(plan: TestPlan, energy_slope: float, price_per_kwh: float, metal_t_per_d: float) -> TestPlan:
    """Return ``plan`` with its cost at most: the worse of the two settings, on its half of the days."""
    cell_days = len(plan.cells) * plan.days / 2
    return replace(plan, cost=abs(energy_slope) * plan.step * price_per_kwh * metal_t_per_d * cell_days)


def signs(cells: int, pairs: int, draw: np.random.Generator) -> Ints:
    """Return (cells, 2 pairs) of +1 and -1: each pair of periods holds both, neighbouring cells mirror each other."""
    first = np.where(draw.random((cells // 2, pairs)) < 0.5, 1, -1)
    own = np.stack([first, -first], axis=2).reshape(cells // 2, 2 * pairs)
    return np.stack([own, -own], axis=1).reshape(cells, 2 * pairs).astype(np.int64)


def _placebo(
    ground: Ground, cells: Ints, size: tuple[int, int, float], outcome: str, seed: int
) -> Expected | None:
    """Lay the plan over the record's last stretch, ``_DRAWS`` times in other orders; None where labels are too few."""
    period, pairs, step = size
    weeks = _periods(ground, cells, (period, pairs), ground.left[outcome])
    known = np.isfinite(weeks)
    if known.mean() < _LEAST_SPAN_SHARE:
        return None
    # What is left has no effect of its own in it: any slope that comes out is chance.
    draw = np.random.default_rng(seed)
    found = np.empty(_DRAWS)
    filled = np.where(known, weeks, 0.0)
    for trial in range(_DRAWS):
        x = step * np.where(known, signs(len(cells), pairs, draw), 0)
        found[trial] = float((x * filled).sum() / np.square(x).sum())
    spread = float(np.sqrt(np.mean(np.square(found))))
    return Expected(half_width=2.1 * spread, detectable=2.95 * spread)


def _periods(ground: Ground, cells: Ints, size: tuple[int, int], left: Floats) -> Floats:
    """Return (cells, periods): what is left of the outcome on each period's judged day, over the record's last days.

    A slow lever is judged over the second week of its fortnight.
    """
    period, pairs = size
    count = 2 * pairs
    judged = period - 7
    known_days = ground.day[np.isfinite(left)]
    if not len(known_days):
        return np.full((len(cells), count), np.nan)
    first = int(known_days.max()) - period * (count - 1) - judged
    out = np.full((len(cells), count), np.nan)
    for row, cell in enumerate(cells.tolist()):
        own: Bools = np.asarray(ground.cell == cell)
        day_of = dict(zip(ground.day[own].tolist(), left[own].tolist(), strict=True))
        for at in range(count):
            out[row, at] = day_of.get(first + period * at + judged, np.nan)
    return out
