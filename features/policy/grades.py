"""Grades and levels: GB 21346-2022, the benchmark and baseline of efficiency, and what follows from them.

The standard grades each indicator apart and forms no grade overall; neither do we.
"""

import datetime
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.electrolysis.faraday import current_efficiency_for_energy, dc_energy, voltage_for_energy
from features.errors import SettingsError
from features.policy.energy import Consumption, Metric
from features.policy.likelihood import band_probabilities
from features.policy.rules import Rule, load_pack, rule_in_force
from features.relations import Array, array, relation

FAIL: Final = 4
"""The "grade" of a consumption above the limit."""


class Level(StrEnum):
    """Where a line stands between benchmark (标杆) and baseline (基准)."""

    BENCHMARK = "benchmark"
    BETWEEN = "between"
    BELOW_BASELINE = "below_baseline"


class Standing(StrEnum):
    """What the action plan lets a line do."""

    MAY_RELEASE = "may_release"
    NEUTRAL = "neutral"
    MUST_UPGRADE = "must_upgrade"


def grade_rule(metric: Metric, day: datetime.date) -> Rule:
    """The graded limits of one indicator on a day.

    Raises:
        UnknownNameError: the standard does not grade that metric, or not yet on that day.
    """
    return rule_in_force("grades", f"gb21346.{metric.value}", day)


def grade(consumption: Consumption, day: datetime.date) -> NDArray[np.int64]:
    """Grade 1, 2, 3 or ``FAIL`` of one indicator, of the consumption's shape; 0 where it is not known.

    Args:
        consumption: one of the four graded indicators.
        day: decides the edition of the standard.

    Raises:
        UnknownNameError: the standard does not grade that metric, or not yet on that day.

    >>> from features.policy.energy import Metric
    >>> grade(Consumption(Metric.LIQUID_AC, [12_950.0, 12_951.0, 13_351.0]), datetime.date(2025, 1, 1)).tolist()
    [1, 2, 4]
    """
    rule = grade_rule(consumption.metric, day)
    value = consumption.judged_by(rule)
    limits = [rule.number("grade_1"), rule.number("grade_2"), rule.number("grade_3")]
    # side="left": a value equal to a limit still earns that grade.
    return np.where(np.isnan(value), 0, np.searchsorted(limits, value, side="left") + 1).astype(np.int64)


def level_rule(day: datetime.date) -> Rule:
    """Benchmark and baseline on a day."""
    return rule_in_force("grades", "efficiency_level.cn.al", day)


def level(consumption: Consumption, day: datetime.date) -> Level:
    """Level of one line: at or below the benchmark, between, or above the baseline.

    Raises:
        UnitError: the consumption is not the alternating current of the liquid metal.
        SettingsError: it is not one known number.

    >>> level(Consumption(Metric.LIQUID_AC, 13_100.0), datetime.date(2025, 1, 1)).value
    'between'
    """
    rule = level_rule(day)
    value = consumption.judged_by(rule)
    if value.size != 1 or np.isnan(value).any():
        raise SettingsError(
            f"a level is of one line with a known consumption, this is {value}; give one number"
        )
    if value.item() <= rule.number("benchmark"):
        return Level.BENCHMARK
    return Level.BETWEEN if value.item() <= rule.number("baseline") else Level.BELOW_BASELINE


def level_probabilities(consumption: Consumption, standard_deviation: ArrayLike, day: datetime.date) -> Array:
    """Probabilities of benchmark, between and below baseline ``(..., 3)`` for an uncertain consumption.

    Raises:
        UnitError: the consumption is not the alternating current of the liquid metal.

    >>> level_probabilities(Consumption(Metric.LIQUID_AC, 13_000.0), 50.0, datetime.date(2025, 1, 1)).round(2).tolist()
    [0.5, 0.5, 0.0]
    """
    rule = level_rule(day)
    edges = [rule.number("benchmark"), rule.number("baseline")]
    return band_probabilities(consumption.judged_by(rule), standard_deviation, edges)


def benchmark_share(capacity: ArrayLike, consumption: Consumption, day: datetime.date) -> float:
    """Share of the capacity at or above the benchmark level [-]; the plan asks for 30 %.

    Args:
        capacity: capacities of the lines [t/a], shape ``(lines,)``.
        consumption: their consumption, shape ``(lines,)``.
        day: decides the rule.

    >>> benchmark_share([1.0, 3.0], Consumption(Metric.LIQUID_AC, [12_990.0, 13_100.0]), datetime.date(2025, 1, 1))
    0.25
    """
    rule = level_rule(day)
    weights = array(capacity)
    reached = consumption.judged_by(rule) <= rule.number("benchmark")
    return float((weights * reached).sum() / weights.sum())


def standing(reached: Level, environmental_class: str) -> Standing:
    """What the plan lets a line do, from its level and its environmental class, which is an input here.

    Raises:
        SettingsError: the class is not A, B, C or D.

    >>> standing(Level.BENCHMARK, "A").value
    'may_release'
    """
    if environmental_class not in {"A", "B", "C", "D"}:
        raise SettingsError(f"environmental class is {environmental_class!r}; give A, B, C or D")
    if reached is Level.BELOW_BASELINE or environmental_class in {"C", "D"}:
        return Standing.MUST_UPGRADE
    released = reached is Level.BENCHMARK and environmental_class == "A"
    return Standing.MAY_RELEASE if released else Standing.NEUTRAL


def retirement_flagged(line_current_ka: float) -> bool:
    """Whether the plan pushes to retire a prebaked line of that current: a push, not by itself a ban.

    >>> retirement_flagged(180.0), retirement_flagged(200.0)
    (True, False)
    """
    return line_current_ka < load_pack("grades")["retirement.cn.al.2024"].number("line_current_ka_below")


@dataclass(frozen=True, eq=False)
class Gap:
    """What separates a line from a limit, each alone closing it; zero or negative where it is met."""

    kwh_per_t: Array
    """In direct current [kWh/t]."""
    millivolt: Array
    """By the voltage alone [mV]."""
    efficiency_points: Array
    """By the current efficiency alone [percentage points]."""


@relation(
    unit="kWh/t",
    equation="E_dc - eta L; V - V(eta L, CE); CE(eta L, V) - CE",
    source="Faraday's law and the rectifier efficiency",
    tag="C",
)
def gap_to(
    limit_ac: ArrayLike,
    cell_voltage: ArrayLike,
    current_efficiency: ArrayLike,
    rectifier_efficiency: ArrayLike,
) -> Gap:
    """Gap of a line to a limit on its alternating-current energy, in three currencies.

    Args:
        limit_ac: limit on the alternating-current energy of the liquid metal [kWh/t].
        cell_voltage: mean cell voltage [V].
        current_efficiency: current efficiency [-], a fraction.
        rectifier_efficiency: direct over alternating current [-].

    >>> gap = gap_to(13_000.0, 4.0, 0.93, 0.98)
    >>> round(float(gap.kwh_per_t), 1), round(float(gap.millivolt)), round(float(gap.efficiency_points), 2)
    (77.1, 24, 0.56)
    """
    limit_dc = dc_equivalent(limit_ac, rectifier_efficiency)
    energy = dc_energy(cell_voltage, current_efficiency)
    voltage = array(cell_voltage) - voltage_for_energy(limit_dc, current_efficiency)
    efficiency = current_efficiency_for_energy(limit_dc, cell_voltage) - array(current_efficiency)
    return Gap(energy - limit_dc, 1000.0 * voltage, 100.0 * efficiency)


@relation(unit="kWh/t", equation="E_dc = eta E_ac", source="definition of the rectifier efficiency", tag="C")
def dc_equivalent(limit_ac: ArrayLike, rectifier_efficiency: ArrayLike) -> Array:
    """Direct-current energy that just meets a limit on the alternating current [kWh/t].

    Args:
        limit_ac: limit on the alternating-current energy of the liquid metal [kWh/t].
        rectifier_efficiency: direct over alternating current [-].

    >>> round(float(dc_equivalent(13_000.0, 0.98)))
    12740
    """
    return array(limit_ac) * array(rectifier_efficiency)
