"""The tiered tariff: vectors, periods, relief, and the mistakes that are easy to make."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import SettingsError, UnitError, UnknownNameError
from features.policy.energy import Consumption, Metric, SiteEnergy, energy_account
from features.policy.tariff import (
    Renewables,
    distance_to_cheaper_step,
    overdue_factor,
    step_probabilities,
    surcharge,
    tariff_steps,
)

NOW = datetime.date(2025, 6, 1)
EX = Metric.LIQUID_COMPREHENSIVE_AC_EX_DESULPHURISATION


@pytest.mark.parametrize(
    ("energy", "steps", "per_t"),
    [
        (13300, 0, 0.0),
        (13301, 1, 133.01),
        (13320, 1, 133.20),
        (13321, 2, 266.42),
        (13400, 5, 670.00),
        (13500, 10, 1350.00),
        (13700, 20, 2740.00),
    ],
)
def test_vectors_of_2025(energy: float, steps: float, per_t: float) -> None:
    result = surcharge(Consumption(EX, energy), NOW)
    assert result.steps == steps
    assert result.per_t == pytest.approx(per_t, abs=5e-3)


def test_relief_cuts_the_rate_and_not_the_threshold() -> None:
    relieved = surcharge(Consumption(EX, [13_310.0, 13_500.0]), NOW, renewables=Renewables(25.0, 10.0))
    assert relieved.per_t[1] == pytest.approx(1215.0)
    assert relieved.steps[0] == 1  # a moved threshold would have freed this line
    assert relieved.per_t[0] == pytest.approx(133.10 * 0.9)


@pytest.mark.parametrize(
    ("share", "weight", "factor"),
    [(15.0, 5.0, 1.0), (15.1, 5.0, 0.999), (16.0, 20.0, 1.0), (20.0, 20.0, 0.95), (14.0, 5.0, 1.0)],
)
def test_relief_needs_both_conditions(share: float, weight: float, factor: float) -> None:
    relieved = surcharge(Consumption(EX, 13_500.0), NOW, renewables=Renewables(share, weight))
    assert relieved.per_t == pytest.approx(1350.0 * factor)


def test_renewables_outside_per_cent_are_refused() -> None:
    with pytest.raises(SettingsError, match="nonhydro_pct is 250"):
        Renewables(250.0, 10.0)


def test_the_surcharge_falls_on_all_the_electricity_and_not_on_the_excess() -> None:
    result = surcharge(Consumption(EX, 13_320.0), NOW)
    assert result.per_t == pytest.approx(0.01 * 13_320.0)
    paying = surcharge(Consumption(EX, 13_320.0), NOW, liquid_energy=13_000.0)
    assert paying.per_t == pytest.approx(130.0)


def test_a_started_step_counts_whole_and_a_rounding_error_does_not_start_one() -> None:
    assert tariff_steps(13_300.01, 13_300.0) == 1
    assert tariff_steps(np.nextafter(13_320.0, np.inf), 13_300.0) == 1


def test_thresholds_and_metrics_by_period() -> None:
    for day, metric, free in (
        ("2022-05-01", Metric.LIQUID_COMPREHENSIVE_AC, 13_650.0),
        ("2023-05-01", EX, 13_450.0),
        ("2024-05-01", EX, 13_450.0),
        ("2025-05-01", EX, 13_300.0),
    ):
        date = datetime.date.fromisoformat(day)
        assert surcharge(Consumption(metric, free), date).per_t == 0.0
        assert surcharge(Consumption(metric, free + 1.0), date).per_t == pytest.approx(0.01 * (free + 1.0))


def test_desulphurisation_counts_in_2022_and_not_from_2023() -> None:
    account = energy_account(12_740.0, SiteEnergy(auxiliary_kwh_per_t=680.0, desulphurisation_kwh_per_t=60.0))
    in_2022, in_2023 = datetime.date(2022, 6, 1), datetime.date(2023, 6, 1)
    with pytest.raises(UnitError):
        surcharge(account[EX], in_2022)
    with pytest.raises(UnitError):
        surcharge(account[Metric.LIQUID_COMPREHENSIVE_AC], in_2023)
    assert surcharge(account[Metric.LIQUID_COMPREHENSIVE_AC], in_2022).steps == 2  # 13,680 over 13,650
    assert surcharge(account[EX], in_2023).steps == 9  # 13,620 over 13,450


def test_the_alternating_current_of_the_cells_is_not_the_metric_of_today() -> None:
    account = energy_account(12_740.0, SiteEnergy(auxiliary_kwh_per_t=350.0))
    assert surcharge(account[EX], NOW).steps == 3
    with pytest.raises(UnitError, match="carry it over with energy_account"):
        surcharge(account[Metric.LIQUID_AC], NOW)  # its 13,000 would look free of surcharge


def test_the_banded_tariff_of_2014_to_2021() -> None:
    result = surcharge(
        Consumption(Metric.LIQUID_AC, [13_700.0, 13_701.0, 13_800.0, 13_801.0]), datetime.date(2018, 1, 1)
    )
    np.testing.assert_array_equal(result.rate_per_kwh, [0.0, 0.02, 0.02, 0.08])
    np.testing.assert_array_equal(result.steps, [0.0, 1.0, 1.0, 2.0])
    with pytest.raises(UnknownNameError, match="threshold"):
        step_probabilities(13_500.0, 50.0, datetime.date(2018, 1, 1))


def test_no_surcharge_from_the_day_a_retrofit_passed_in_that_year() -> None:
    high = Consumption(EX, 13_500.0)
    accepted = datetime.date(2025, 4, 1)
    assert surcharge(high, datetime.date(2025, 3, 31), retrofit_accepted=accepted).per_t == pytest.approx(
        1350.0
    )
    assert surcharge(high, accepted, retrofit_accepted=accepted).per_t == 0.0
    assert surcharge(high, datetime.date(2026, 5, 1), retrofit_accepted=accepted).per_t == pytest.approx(
        1350.0
    )


def test_late_payment() -> None:
    assert overdue_factor(90, NOW) == 1.0
    assert overdue_factor(91, NOW) == 1.5


def test_a_missing_consumption_stays_missing() -> None:
    result = surcharge(Consumption(EX, [np.nan, 13_321.0]), NOW)
    assert np.isnan(result.per_t[0])
    banded = surcharge(Consumption(Metric.LIQUID_AC, [np.nan]), datetime.date(2018, 1, 1))
    assert np.isnan(banded.per_t[0])
    assert np.isnan(banded.steps[0])


@given(st.floats(12_500.0, 14_500.0))
def test_the_saving_to_the_cheaper_step_is_exactly_enough(energy: float) -> None:
    saving = distance_to_cheaper_step(energy, 13_300.0)
    steps = tariff_steps(energy, 13_300.0)
    assert (saving == 0.0) == (steps == 0.0)
    if steps > 0:
        assert tariff_steps(energy - saving, 13_300.0) == steps - 1
        assert 0.0 < saving <= 20.0 + 1e-6


@given(st.floats(12_500.0, 14_500.0), st.floats(0.1, 50.0))
def test_the_surcharge_never_falls_with_the_consumption(energy: float, more: float) -> None:
    low, high = (surcharge(Consumption(EX, value), NOW).per_t for value in (energy, energy + more))
    assert high >= low


@given(st.floats(13_000.0, 13_800.0), st.floats(1.0, 200.0))
def test_step_probabilities_add_up(mean: float, spread: float) -> None:
    probabilities = step_probabilities(mean, spread, NOW)
    assert probabilities.sum() == pytest.approx(1.0)
    assert (probabilities >= -1e-15).all()


def test_step_probabilities_agree_with_counting() -> None:
    rng = np.random.default_rng(7)
    drawn = tariff_steps(rng.normal(13_340.0, 25.0, 200_000), 13_300.0)
    counted = np.bincount(drawn.astype(int), minlength=31)[:31] / drawn.size
    np.testing.assert_allclose(step_probabilities(13_340.0, 25.0, NOW), counted, atol=4e-3)


def test_a_certain_consumption_is_in_one_step() -> None:
    probabilities = step_probabilities(13_320.0, 0.0, NOW)
    assert probabilities[1] == 1.0
    assert probabilities.sum() == 1.0
