"""Carbon, cost and savings as the rules count them, with the traps of the sources."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.electrolysis.carbon import anode_co2
from features.errors import SettingsError, UnknownNameError
from features.plant import Plant
from features.policy.carbon import (
    anode_saving_value,
    carbon_factors,
    direct_emissions,
    electricity_co2,
    electricity_co2_market,
    grid_factor,
    market_covers,
)
from features.policy.cost import Prices, cost_per_t, outcome_prices
from features.policy.rules import load_pack, pack_names
from features.policy.savings import check_claim, check_published, saving_from_changes

AR5 = carbon_factors("carbon.cn.2024", "ar5")


@pytest.mark.parametrize(("net", "expected"), [(420.0, 1.50304), (411.0, 1.47083), (400.0, 1.43147)])
def test_anode_vectors(net: float, expected: float) -> None:
    assert direct_emissions(net, 0.0, AR5).anode == pytest.approx(expected, abs=6e-6)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(0.05, 0.05534), (0.1, 0.11068), (0.2, 0.22136), (0.5, 0.55341), (1.0, 1.10682), (None, 0.26316)],
)
def test_perfluorocarbon_vectors(minutes: float | None, expected: float) -> None:
    assert direct_emissions(400.0, minutes, AR5).pfc == pytest.approx(expected, abs=6e-6)


def test_the_guides_default_of_the_anode() -> None:
    assert direct_emissions(None, 0.0, AR5).anode == pytest.approx(1.471, abs=5e-4)
    assert direct_emissions(None, 0.0, carbon_factors("carbon.cn.2013")).anode == pytest.approx(
        1.503, abs=5e-4
    )


def test_hexafluoroethane_is_a_tenth_of_tetrafluoride_in_every_default() -> None:
    for rule in load_pack("carbon").values():
        if "c2f6_kg_per_t" in rule.numbers:
            assert rule.number("c2f6_kg_per_t") == pytest.approx(0.1 * rule.number("cf4_kg_per_t"))


def test_the_vintage_of_the_warming_potentials_matters() -> None:
    totals = {
        vintage: float(direct_emissions(400.0, 1.0, carbon_factors("carbon.ipcc.2006", vintage)).pfc)
        for vintage in ("sar", "ar4", "ar5", "ar6")
    }
    assert totals["sar"] == pytest.approx(1.089, abs=5e-4)
    assert totals["ar4"] == pytest.approx(1.268, abs=5e-4)
    assert len(set(totals.values())) == 4
    with pytest.raises(UnknownNameError, match=r"gwp\.ar9"):
        carbon_factors(vintage="ar9")  # type: ignore[arg-type]


def test_net_anode_means_one_thing() -> None:
    # Ash and sulphur are part of the anode and leave no CO2; counting the input as pure carbon would give 1.54.
    assert direct_emissions(420.0, 0.0, AR5).anode == pytest.approx(float(anode_co2(420.0)) / 1000.0)
    assert direct_emissions(420.0, 0.0, AR5).anode < 0.42 * 44.0 / 12.0


@pytest.mark.parametrize(("kind", "expected"), [("average", 7.163), ("residual", 8.230), ("fossil", 11.169)])
def test_electricity_vectors(kind: str, expected: float) -> None:
    assert electricity_co2(13_500.0, grid_factor(kind, 2023)) == pytest.approx(expected, abs=6e-4)  # type: ignore[arg-type]


def test_the_grid_grows_cleaner_every_year_so_2021_and_2022_are_not_swapped() -> None:
    factors = [grid_factor("average", year).number("kg_co2_per_kwh") for year in (2020, 2021, 2022, 2023)]
    assert factors == [0.5703, 0.5568, 0.5366, 0.5306]
    assert factors == sorted(factors, reverse=True)


def test_the_latest_factor_serves_later_years_and_names_its_own() -> None:
    assert grid_factor("average", 2026).id == "grid.cn.average.2023"
    assert grid_factor("average", 2023, "southwest").number("kg_co2_per_kwh") == 0.2472
    with pytest.raises(UnknownNameError, match="2019 or before"):
        grid_factor("average", 2019)
    with pytest.raises(UnknownNameError, match="atlantis"):
        grid_factor("average", 2023, "atlantis")


def test_the_market_method_takes_the_residual_mix_only() -> None:
    residual = grid_factor("residual", 2023)
    assert electricity_co2_market(13_500.0, 0.5, residual) == pytest.approx(8.2296 / 2.0)
    with pytest.raises(SettingsError, match="no residual mix"):
        electricity_co2_market(13_500.0, 0.5, grid_factor("average", 2023))


def test_benchmarks_that_count_electricity_and_draft_figures_are_in_no_pack() -> None:
    numbers = {
        number
        for pack in pack_names()
        for rule in load_pack(pack).values()
        for number in rule.numbers.values()
    }
    assert numbers.isdisjoint({9.26, 9.1132, 1.424, 0.1454, 0.1518})
    assert {field.name for field in dataclasses.fields(direct_emissions(400.0, 0.1, AR5))} == {"anode", "pfc"}


def test_what_a_saving_of_anode_is_worth() -> None:
    assert anode_co2(10.0) == pytest.approx(35.8, abs=0.05)
    assert anode_saving_value(10.0, 69.3, AR5) == pytest.approx(2.5, abs=0.05)


def test_the_market_covers_from_its_threshold() -> None:
    assert market_covers(26_000.0)
    assert not market_covers(25_999.9)


def test_claims() -> None:
    small = check_claim(278.0, 4.0, 0.92, -0.083)
    assert small.computed_kwh_per_t == pytest.approx(268.8, abs=0.06)
    assert small.ratio == pytest.approx(1.03, abs=0.005)
    assert small.consistent
    large = check_claim(521.0, 4.0, 0.92, -0.069, 0.0129)
    assert large.computed_kwh_per_t == pytest.approx(399.6, abs=0.05)
    assert large.ratio == pytest.approx(1.30, abs=0.005)
    assert not large.consistent


def test_published_retrofits_against_their_own_figures() -> None:
    verdicts = {rule.id: check_published(rule).consistent for rule in load_pack("retrofits").values()}
    assert verdicts == {
        "retrofit.graphite_cathode.300ka.zh": False,
        "retrofit.graphite_cathode.300ka.en": False,
        "retrofit.phosphorus_iron.200ka": True,
        "retrofit.new_cathode.2008": True,
    }
    english = check_published(load_pack("retrofits")["retrofit.graphite_cathode.300ka.en"])
    assert english.computed_kwh_per_t == pytest.approx(330, abs=3)


def test_a_claim_whose_figures_save_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="less voltage negative"):
        check_claim(300.0, 4.0, 0.92, 0.08)


@given(st.floats(-0.2, -0.01), st.floats(0.001, 0.02))
def test_savings_do_not_add_up(voltage_change: float, efficiency_change: float) -> None:
    together = saving_from_changes(4.0, 0.92, voltage_change, efficiency_change)
    apart = saving_from_changes(4.0, 0.92, voltage_change) + saving_from_changes(
        4.0, 0.92, 0.0, efficiency_change
    )
    assert together < apart


def test_cost_is_linear_in_the_outcomes_with_the_published_prices() -> None:
    prices = Prices(electricity_per_kwh=0.5, rectifier_efficiency=1.0, co2_per_t=100.0, alf3_per_kg=10.0)
    base = cost_per_t(12_400.0, 400.0, 13.0, prices)
    for name, energy, net in (("energy_kwh_per_t", 1.0, 0.0), ("net_anode_kg_per_t", 0.0, 1.0)):
        rise = cost_per_t(12_400.0 + energy, 400.0 + net, 13.0, prices) - base
        assert rise == pytest.approx(outcome_prices(prices)[name], rel=1e-6)
    assert cost_per_t(12_400.0, 400.0, 14.0, prices) - base == pytest.approx(10.0)
    assert outcome_prices(prices)["net_anode_kg_per_t"] == pytest.approx(5.0 + 0.1 * float(anode_co2(1.0)))
    assert np.isnan(cost_per_t([np.nan], 400.0, 13.0, prices)).all()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"currency": " "}, "no currency"),
        ({"electricity_per_kwh": -0.1}, r"electricity_per_kwh is -0\.1"),
        ({"co2_per_t": math.nan}, "co2_per_t is nan"),
        ({"rectifier_efficiency": 0.5}, r"rectifier_efficiency is 0\.5"),
        ({"anode_sulphur": 2.0}, "not per cent"),
    ],
)
def test_impossible_prices_are_refused(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        Prices(**values)  # type: ignore[arg-type]


PLANT = {
    "name": "line one",
    "timezone": "Asia/Shanghai",
    "line_current_ka": 500.0,
    "anodes_per_cell": 48,
    "metal_pad_area_m2": 64.0,
    "simulated": True,
}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"name": ""}, "no name"),
        ({"timezone": "Mars/Olympus"}, "'Mars/Olympus' is unknown"),
        ({"timezone": "../etc"}, "is unknown"),
        ({"line_current_ka": 500_000.0}, "line_current_ka is 500000"),
        ({"anodes_per_cell": 0}, "anodes_per_cell is 0"),
        ({"metal_pad_area_m2": math.nan}, "metal_pad_area_m2 is nan"),
        ({"currency": "EUR"}, "counts in EUR but its prices are in CNY"),
    ],
)
def test_an_impossible_plant_is_refused(values: dict[str, object], complaint: str) -> None:
    assert Plant(**PLANT).prices.currency == "CNY"  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=complaint):
        Plant(**{**PLANT, **values})  # type: ignore[arg-type]
