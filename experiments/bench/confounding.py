"""Does the confounding report tell the truth? Simulated histories whose truth is known, and dials wired to nothing.

For every history the effect of each lever is estimated from the record alone, as the report does it, and compared
with the truth: the same plant forked on many of its days, one lever held elsewhere, everything else under the same
noise. Then a dial that is wired to nothing, but turned up on cells that look sick, takes a lever's place in the
record, and the verdict on it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from experiments.bench.table import BenchMeta, BenchTable, Value
from experiments.confounding.dml import by_doubleml
from experiments.confounding.planted import DIALS, plant_dial
from experiments.confounding.truth import OUTCOME, true_slopes
from experiments.progress import Meter
from experiments.simulator.potline import Potline
from experiments.simulator.simulate import collect
from features.errors import InputError
from features.labels import label_table
from features.levers import operating_window
from features.recipe import Recipe
from features.setpoints import OperatingWindow
from features.tables.history import history
from features.tables.store import Tables
from training.identification.assess import LeverAssessment, judge, residuals
from training.identification.crossfit import ridge_and_trees
from training.identification.instruments import Learners
from training.inputs import TrainingInputs
from training.rows import Rows, mature

_HORIZON_D: Final = 7
_GROWN_D: Final = 120.0
_APART_D: Final = 30
_MARGIN_D: Final = 15
_COLUMNS: Final = (
    ("lever", ""),
    ("outcome", ""),
    ("unit", ""),
    ("truth", "unit"),
    ("estimate", "unit"),
    ("half_width", "unit"),
    ("covered", ""),
    ("sign_errors", ""),
    ("naive", "unit"),
    ("verdicts", ""),
)


@dataclass(frozen=True)
class ConfoundingPlan:
    """Histories, each of ``cells`` over ``days`` of ``preset``, their seeds from ``seed`` on."""

    histories: int = 3
    cells: int = 30
    days: int = 300
    preset: str = "line-500"
    seed: int = 11

    def __post_init__(self) -> None:
        """Refuse a plan in which nothing can be asked.

        Raises:
            InputError: as said.
        """
        if self.histories < 1 or self.cells < 4 or self.days < 2 * _MARGIN_D + _APART_D:
            raise InputError(
                f"confounding bench: {self}; give a history or more, 4 cells and {2 * _MARGIN_D + _APART_D} days at"
                " least"
            )


@dataclass(frozen=True)
class _Told:
    """One lever and outcome of one history: truth, estimate, its interval, the naive slope, the verdict's code."""

    truth: float
    value: float
    low: float
    high: float
    naive: float
    code: str


def run(plan: ConfoundingPlan, meter: Meter) -> BenchTable:
    """Return the table; the meter moves with days and histories.

    Raises:
        UnknownNameError: no such preset.
    """
    found: dict[tuple[str, str], list[_Told]] = {}
    dials: dict[str, list[LeverAssessment]] = {name: [] for name in DIALS}
    units: dict[str, str] = {}
    for number in range(plan.histories):
        tables, truth = _history(plan, number, meter)
        rows, window = _rows(tables)
        for name, told in _assess(rows, window).items():
            units[name] = told.unit
            for entry in told.outcomes:
                if entry.slope is not None and entry.outcome in truth[name]:
                    low, high = entry.slope.interval()
                    one = _Told(
                        truth[name][entry.outcome],
                        entry.slope.value,
                        low,
                        high,
                        _naive(rows, name, entry.outcome),
                        entry.finding.code,
                    )
                    found.setdefault((name, entry.outcome), []).append(one)
        for name, each in dials.items():
            each.append(_assess(*_rows(plant_dial(tables, name, plan.seed + number)))[name])
        meter(number + 1.0, plan.histories, f"history {number + 1}")
    return _table(plan, found, dials, units)


def _history(plan: ConfoundingPlan, number: int, meter: Meter) -> tuple[Tables, dict[str, dict[str, float]]]:
    """Simulate a history, its truth asked on copies of the plant along the way."""
    plant, records, asked = Potline(plan.preset, plan.cells, plan.seed + number), [], []
    for day in range(plan.days):
        if _MARGIN_D <= day < plan.days - _MARGIN_D and (day - _MARGIN_D) % _APART_D == 0:
            asked.append(true_slopes(plant.copy(), [plant.day], _HORIZON_D, grown_from_d=_GROWN_D).slopes)
        records.append(plant.step())
        meter(number + 0.6 * (day + 1) / plan.days, plan.histories, f"history {number + 1}, day {day + 1}")
    truth = {
        lever: {
            outcome: float(np.nanmean(np.concatenate([one[lever][outcome] for one in asked])))
            for outcome in OUTCOME
        }
        for lever in asked[0]
    }
    return collect(plant, records).tables, truth


def _rows(tables: Tables) -> tuple[Rows, OperatingWindow]:
    line = history(tables)
    window = operating_window(line)
    recipe = Recipe.for_signals(line.available(), window.names, line.sensors)
    inputs = TrainingInputs(
        recipe.table(line), label_table(line, _HORIZON_D), recipe, window, line.plant, "0" * 64
    )
    rows = inputs.rows()
    return rows.take(mature(rows, _GROWN_D)), window


def _assess(rows: Rows, window: OperatingWindow) -> dict[str, LeverAssessment]:
    learners = replace(Learners(), rule=ridge_and_trees)
    return judge(residuals(rows, _HORIZON_D, learners=learners), window, by_doubleml)


def _naive(rows: Rows, lever: str, outcome: str) -> float:
    """Return the slope of the outcome on the setpoint as they stand side by side in the record."""
    place = next(place for place in rows.levers if place.name == lever)
    known = np.isfinite(rows.y[outcome])
    x, y = rows.z[known, place.value], rows.y[outcome][known]
    return float(np.polyfit(x - x.mean(), y, 1)[0])


def _table(
    plan: ConfoundingPlan,
    found: dict[tuple[str, str], list[_Told]],
    dials: dict[str, list[LeverAssessment]],
    units: dict[str, str],
) -> BenchTable:
    rows: list[tuple[Value, ...]] = [
        _row(lever, outcome, each, units[lever]) for (lever, outcome), each in found.items()
    ]
    every = [told for each in found.values() for told in each]
    covered = sum(told.low <= told.truth <= told.high for told in every)
    rows += [
        (
            f"dial for {name}, wired to nothing",
            "all",
            units.get(name, ""),
            0.0,
            None,
            None,
            None,
            None,
            None,
            _counts([told.finding.grade + ": " + told.finding.code for told in each]),
        )
        for name, each in dials.items()
    ]
    return BenchTable.of(
        f"What the record says of each lever against the truth, {plan.histories} histories",
        _COLUMNS,
        rows,
        BenchMeta.here(("DoubleML", "lightgbm", "scikit-learn"), seed=plan.seed, simulated=True),
        (
            f"{plan.cells} cells x {plan.days} days of {plan.preset} each; effects per unit of the lever on the mean over"
            f" {_HORIZON_D} days, the others held; truth by forking the plant every {_APART_D} days.",
            f"{covered} of {len(every)} intervals of nominally 95 % hold the truth;"
            f" {sum(_sign_error(told) for told in every)} sign errors among"
            f" {sum(told.code == 'follows' for told in every)} effects called identified.",
            "naive: slope of outcome on setpoint as they stand side by side.",
        ),
    )


def _row(lever: str, outcome: str, each: Sequence[_Told], unit: str) -> tuple[Value, ...]:
    return (
        lever,
        outcome,
        f"per {unit}",
        float(np.mean([told.truth for told in each])),
        float(np.mean([told.value for told in each])),
        float(np.mean([(told.high - told.low) / 2 for told in each])),
        f"{sum(told.low <= told.truth <= told.high for told in each)} of {len(each)}",
        sum(_sign_error(told) for told in each),
        float(np.mean([told.naive for told in each])),
        _counts([told.code for told in each]),
    )


def _sign_error(told: _Told) -> bool:
    """Say whether an effect called identified has the wrong sign."""
    return told.code == "follows" and told.value * told.truth < 0


def _counts(codes: Sequence[str]) -> str:
    return ", ".join(
        f"{codes.count(code)} {code.replace('_', ' ')}" for code in sorted(set(codes), key=codes.index)
    )
