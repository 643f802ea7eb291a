"""Arms against the reference arm: paired by seed and cell, corrected for their number, with what could be seen at all.

The unit of evidence is the seed: cells of one line share its current, lots and weather. A mean difference over seeds
has a Student interval with (seeds - 1) degrees of freedom; p values are Holm's over all arms of a line. The smallest
detectable difference is the one that a test at 5 % would see with a power of 80 %.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import stdtr, stdtrit

from experiments.closed_loop.definition import Definition, LineSpec
from experiments.closed_loop.loop import ArmResult
from experiments.closed_loop.store import Store, Task
from experiments.closed_loop.tally import per_tonne
from features.policy.cost import Prices
from features.relations import Array

PER_DAY: Final = {
    "anode_effects": "anode_effects",
    "anode_effect_min": "anode_effect_min",
    "noise_mv": "noise_mv_d",
    "superheat_outside_h": "superheat_outside_h",
    "temperature_outside_h": "temperature_outside_h",
}
"""Figure a cell and day -> its sum."""
_BOOTSTRAP: Final = 400


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; NaN ends where one seed alone says nothing."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Kept:
    """How the promises of one arm were kept, over its cell-weeks with a move; None where it promised nothing."""

    decisions: int
    promised: float
    realised: float
    inside: float
    """Share of cell-weeks whose realised saving of cost lies within the interval stated for one cell and horizon."""
    line_inside: float
    """Share of line-weeks whose realised saving, over all cells moved, lies within their summed intervals."""
    energy_inside: float
    """Share of cell-weeks, held or moved, whose energy lies within its stated interval."""
    lost: float
    """Share of cell-weeks with a move that made a tonne dearer."""


@dataclass(frozen=True)
class ArmRow:
    """One arm on one line.

    Attributes:
        level: figure -> its mean over seeds. change: figure -> reference less arm (positive saves), with interval.
        harm: figure of ``PER_DAY`` -> arm less the safety arm (positive harms), with interval.
        p: of the metric's change, Holm-corrected; NaN for the reference. detectable: smallest detectable difference.
        share: of the ceiling's saving: median over seeds with its bootstrap interval over seeds and cells.
        moves: lever moves a cell and week. abstained: share of the cell-days asked about. kept: see there.
        by_seed: the metric's saving seed by seed.
    """

    line: str
    arm: str
    kind: str
    seeds: int
    level: Mapping[str, float]
    change: Mapping[str, Interval]
    harm: Mapping[str, Interval]
    p: float
    detectable: float
    share: Interval
    moves: float
    abstained: float
    kept: Kept | None
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Compared:
    """All arms of all lines, in the definition's order."""

    arms: tuple[ArmRow, ...]

    def row(self, line: str, arm: str) -> ArmRow:
        """Return one arm's row; KeyError where there is none."""
        for row in self.arms:
            if (row.line, row.arm) == (line, arm):
                return row
        raise KeyError(f"{arm} on {line}")


def compare(definition: Definition, store: Store, seeds: Sequence[int], prices: Prices) -> Compared:
    """Compare the arms over ``seeds``, all of whose results are there."""
    rows: list[ArmRow] = []
    for line in definition.lines if seeds else ():
        results = {
            arm.name: [_known(store, Task(line, arm, seed)) for seed in seeds]
            for arm in definition.arms
            if definition.lives_on(arm, line)
        }
        rows += _line_rows(definition, line, results, prices)
    return Compared(tuple(rows))


def _known(store: Store, task: Task) -> ArmResult:
    result = store.get(task)
    if result is None:
        raise KeyError(f"{task.words} is not done")
    return result


def _line_rows(
    definition: Definition, line: LineSpec, results: Mapping[str, list[ArmResult]], prices: Prices
) -> list[ArmRow]:
    figures = {name: [figures_of(one, prices) for one in found] for name, found in results.items()}
    base = figures[definition.reference]
    calm = figures[definition.safety or definition.reference]
    rows = []
    kinds = {arm.name: arm.kind for arm in definition.arms}
    for name, found in results.items():
        mine = figures[name]
        saved = {key: [b[key] - m[key] for b, m in zip(base, mine, strict=True)] for key in mine[0]}
        metric = saved[definition.metric]
        rows.append(
            ArmRow(
                line=line.name,
                arm=name,
                kind=kinds[name],
                seeds=len(found),
                level={key: float(np.mean([m[key] for m in mine])) for key in mine[0]},
                change={key: interval(values) for key, values in saved.items()},
                harm={
                    key: interval([m[key] - c[key] for m, c in zip(mine, calm, strict=True)])
                    for key in PER_DAY
                },
                p=math.nan if name == definition.reference else paired_p(metric),
                detectable=detectable(metric),
                share=_share(results, name, definition, prices),
                moves=float(np.mean([_moves(one) for one in found])),
                abstained=float(np.mean([_abstained(one) for one in found])),
                kept=kept(found, prices),
                by_seed=tuple(metric),
            )
        )
    return _holm(rows)


def figures_of(result: ArmResult, prices: Prices, cells: Array | None = None) -> dict[str, float]:
    """Return the line's figures: a tonne's over all metal, the others a cell and day; ``cells`` weighs cells (c,).

    A cell whose metal pad an arm has drained runs no more: its days without a figure count as days that it stood.
    """
    weigh = np.where(np.isfinite(result.sums["kwh"]), 1.0 if cells is None else cells, 0.0)
    sums = {
        name: np.asarray(float((np.where(weigh > 0.0, value, 0.0) * weigh).sum()))
        for name, value in result.sums.items()
    }
    found = {name: float(value) for name, value in per_tonne(sums, prices).items()}
    found |= {name: float(sums[key] / sums["days"]) for name, key in PER_DAY.items()}
    found["current_efficiency"] = float(sums["metal_kg"] / sums["ideal_kg"])
    return found


def interval(values: Sequence[float]) -> Interval:
    """Return mean and 95 % Student interval over seeds."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(mean, math.nan, math.nan)
    reach = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(n))
    return Interval(mean, mean - reach, mean + reach)


def paired_p(values: Sequence[float]) -> float:
    """Return the two-sided p value of a mean of nought, by the paired t test; NaN for one seed."""
    n = len(values)
    if n < 2:
        return math.nan
    error = float(np.std(values, ddof=1)) / math.sqrt(n)
    if error == 0.0:
        return 1.0 if float(np.mean(values)) == 0.0 else 0.0
    return float(2.0 * stdtr(n - 1, -abs(float(np.mean(values)) / error)))


def detectable(values: Sequence[float], level: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest mean difference that a test at ``level`` sees with ``power``; NaN for one seed."""
    n = len(values)
    if n < 2:
        return math.nan
    reach = float(stdtrit(n - 1, 1.0 - level / 2.0) + stdtrit(n - 1, power))
    return reach * float(np.std(values, ddof=1)) / math.sqrt(n)


def holm(p: Sequence[float]) -> list[float]:
    """Return Holm's corrected p values; NaN stays and does not count.

    >>> [round(value, 2) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    known = sorted((value, k) for k, value in enumerate(p) if not math.isnan(value))
    found, worst = [math.nan] * len(p), 0.0
    for rank, (value, k) in enumerate(known):
        worst = max(worst, min(1.0, value * (len(known) - rank)))
        found[k] = worst
    return found


def _holm(rows: list[ArmRow]) -> list[ArmRow]:
    return [replace(row, p=p) for row, p in zip(rows, holm([row.p for row in rows]), strict=True)]


def _share(
    results: Mapping[str, list[ArmResult]], name: str, definition: Definition, prices: Prices
) -> Interval:
    """Return the median over seeds of the arm's share of the ceiling's saving; seeds and cells are drawn anew."""
    if definition.ceiling not in results:
        return Interval(math.nan, math.nan, math.nan)
    trio = [results[role] for role in (definition.reference, name, definition.ceiling)]
    seeds, cells = len(trio[0]), trio[0][0].age_d.shape[1]
    generator = np.random.default_rng(0)

    def share(seed: int, weight: Array | None) -> float:
        base, mine, best = (figures_of(arm[seed], prices, weight)[definition.metric] for arm in trio)
        return (base - mine) / (base - best) if base > best else math.nan

    once = [share(seed, None) for seed in range(seeds)]
    drawn = []
    for _ in range(_BOOTSTRAP if seeds > 1 else 0):
        picked = generator.integers(seeds, size=seeds)
        weights = generator.multinomial(cells, np.full(cells, 1.0 / cells), size=seeds).astype(np.float64)
        drawn.append(_median([share(int(s), w) for s, w in zip(picked, weights, strict=True)]))
    known = [value for value in drawn if math.isfinite(value)]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (math.nan, math.nan)
    return Interval(_median(once), float(low), float(high))


def _median(values: Sequence[float]) -> float:
    """Return the median of what is known; NaN where nothing is."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.median(known)) if known else math.nan


def _moves(result: ArmResult) -> float:
    """Return lever moves a cell and week."""
    weeks = result.sums["days"].sum() / 7.0
    return float(np.count_nonzero(result.moved)) / float(weeks)


def _abstained(result: ArmResult) -> float:
    asked = np.count_nonzero(result.status != "")
    return float(np.count_nonzero(result.status == "abstain")) / asked if asked else 0.0


def kept(found: Sequence[ArmResult], prices: Prices) -> Kept | None:
    """Return how promises were kept; None where nothing was promised."""
    told, ends, came, energy, weeks = [], [], [], [], []
    for result in found:
        promise, real = result.promise["cost_per_t"], result.realised(prices)["cost_per_t"]
        known = np.isfinite(promise[:, :, 0]) & np.isfinite(real)
        told.append(promise[known])
        ends.append(result.promise["cost_in_one_horizon"][known][:, 1:])
        came.append(real[known])
        energy.append(_energy_inside(result, prices))
        weeks.append(_weeks_inside(promise, np.where(known, real, np.nan), result.every_d))
    promised, realised, inside = np.concatenate(told), np.concatenate(came), np.concatenate(energy)
    if not len(promised):
        return None
    bounded = np.isfinite(promise_ends := np.concatenate(ends)).all(axis=1)
    within = (realised >= promise_ends[:, 0]) & (realised <= promise_ends[:, 1])
    return Kept(
        decisions=len(promised),
        promised=float(promised[:, 0].mean()),
        realised=float(realised.mean()),
        inside=float(within[bounded].mean()) if bounded.any() else math.nan,
        line_inside=float(np.mean(np.concatenate(weeks))) if np.concatenate(weeks).size else math.nan,
        energy_inside=float(inside.mean()) if inside.size else math.nan,
        lost=float((realised < 0.0).mean()),
    )


def _weeks_inside(promise: Array, real: Array, every_d: int) -> Array:
    """Return for each week with a bounded promise whether its cells together kept it."""
    found = []
    for start in range(0, len(real), every_d):
        part = slice(start, start + every_d)
        known = np.isfinite(real[part]) & np.isfinite(promise[part]).all(axis=2)
        if known.any():
            low, high = promise[part][known][:, 1].sum(), promise[part][known][:, 2].sum()
            found.append(float(low <= real[part][known].sum() <= high))
    return np.array(found)


def _energy_inside(result: ArmResult, prices: Prices) -> Array:
    """Return for each decision with an expected energy whether the coming days' energy lay in its interval."""
    told, came = result.promise["expected_energy_kwh_per_t"], result.ahead(prices)["energy_kwh_per_t"]
    known = np.isfinite(told[:, :, 0]) & np.isfinite(came)
    return np.asarray(
        (came[known] >= told[known][:, 1]) & (came[known] <= told[known][:, 2]), dtype=np.float64
    )
