"""Grades, levels and what follows from them."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.electrolysis.faraday import dc_energy
from features.errors import SettingsError, UnitError, UnknownNameError
from features.policy.energy import Consumption, Metric, ac_energy
from features.policy.grades import (
    FAIL,
    Level,
    Standing,
    benchmark_share,
    dc_equivalent,
    gap_to,
    grade,
    level,
    level_probabilities,
    retirement_flagged,
    standing,
)

NOW = datetime.date(2025, 6, 1)
LIMITS = {
    Metric.LIQUID_AC: (12950, 13000, 13350),
    Metric.LIQUID_COMPREHENSIVE_AC: (13250, 13350, 13700),
    Metric.INGOT_COMPREHENSIVE_AC: (13300, 13400, 13750),
    Metric.INGOT_COAL_EQUIVALENT: (1670, 1680, 1720),
}


@pytest.mark.parametrize("metric", LIMITS)
def test_grades_change_just_above_each_limit(metric: Metric) -> None:
    first, second, third = LIMITS[metric]
    values = [first, first + 1, second, second + 1, third, third + 1, np.nan]
    assert grade(Consumption(metric, values), NOW).tolist() == [1, 2, 2, 3, 3, FAIL, 0]


def test_each_indicator_is_graded_apart() -> None:
    assert grade(Consumption(Metric.LIQUID_AC, 12_940.0), NOW) == 1
    assert grade(Consumption(Metric.LIQUID_COMPREHENSIVE_AC, 13_650.0), NOW) == 3
    for metric in (Metric.DC, Metric.LIQUID_COMPREHENSIVE_AC_EX_DESULPHURISATION):
        with pytest.raises(UnknownNameError, match=f"no family 'gb21346.{metric.value}'"):
            grade(Consumption(metric, 13_000.0), NOW)


def test_the_standard_holds_from_2024() -> None:
    with pytest.raises(UnknownNameError, match="the first holds from 2024-01-01"):
        grade(Consumption(Metric.LIQUID_AC, 13_000.0), datetime.date(2023, 12, 31))


@pytest.mark.parametrize(
    ("energy", "reached"),
    [
        (13_000.0, Level.BENCHMARK),
        (13_000.1, Level.BETWEEN),
        (13_350.0, Level.BETWEEN),
        (13_350.1, Level.BELOW_BASELINE),
    ],
)
def test_levels(energy: float, reached: Level) -> None:
    assert level(Consumption(Metric.LIQUID_AC, energy), NOW) is reached


def test_a_level_needs_one_known_line_and_the_right_metric() -> None:
    with pytest.raises(SettingsError, match="give one number"):
        level(Consumption(Metric.LIQUID_AC, [13_000.0, 13_100.0]), NOW)
    with pytest.raises(SettingsError, match="nan"):
        level(Consumption(Metric.LIQUID_AC, np.nan), NOW)
    with pytest.raises(UnitError):
        level(Consumption(Metric.DC, 12_700.0), NOW)


def test_level_probabilities_follow_the_uncertainty() -> None:
    sure = level_probabilities(Consumption(Metric.LIQUID_AC, [12_900.0, 13_200.0, 13_500.0]), 1.0, NOW)
    np.testing.assert_allclose(sure, np.eye(3), atol=1e-12)
    unsure = level_probabilities(Consumption(Metric.LIQUID_AC, 13_000.0), 100.0, NOW)
    assert unsure[0] == pytest.approx(0.5)


def test_benchmark_share_weighs_capacity() -> None:
    lines = Consumption(Metric.LIQUID_AC, [12_980.0, 13_000.0, 13_001.0])
    assert benchmark_share([100.0, 200.0, 700.0], lines, NOW) == pytest.approx(0.30)


def test_the_whole_matrix_of_standings() -> None:
    table = {(reached, env): standing(reached, env) for reached in Level for env in "ABCD"}
    assert [key for key, value in table.items() if value is Standing.MAY_RELEASE] == [(Level.BENCHMARK, "A")]
    must = {key for key, value in table.items() if value is Standing.MUST_UPGRADE}
    assert must == {(r, e) for r in Level for e in "ABCD" if r is Level.BELOW_BASELINE or e in "CD"}
    with pytest.raises(SettingsError, match="'E'"):
        standing(Level.BENCHMARK, "E")


def test_retirement_flags_below_200_ka() -> None:
    assert [retirement_flagged(current) for current in (160.0, 199.9, 200.0, 500.0)] == [
        True,
        True,
        False,
        False,
    ]


def test_direct_current_of_the_benchmark() -> None:
    assert dc_equivalent(13_000.0, 0.98) == pytest.approx(12_740.0)
    assert gap_to(13_000.0, 3.976, 0.93, 0.98).millivolt == pytest.approx(0.0, abs=0.5)


@given(st.floats(3.8, 4.3), st.floats(0.88, 0.95), st.floats(0.97, 0.99))
def test_each_way_alone_closes_the_gap(voltage: float, efficiency: float, rectifier: float) -> None:
    gap = gap_to(13_350.0, voltage, efficiency, rectifier)
    by_voltage = dc_energy(voltage - gap.millivolt / 1000.0, efficiency)
    by_efficiency = dc_energy(voltage, efficiency + gap.efficiency_points / 100.0)
    for energy in (by_voltage, by_efficiency, dc_energy(voltage, efficiency) - gap.kwh_per_t):
        assert ac_energy(energy, rectifier) == pytest.approx(13_350.0, rel=1e-9)
