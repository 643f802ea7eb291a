"""Metal, energy, heat, carbon and feeding against worked values, and the balances that must close."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.electrolysis import anode, carbon, distance, faraday, feeding, heat, power
from features.electrolysis.bath import Bath
from features.electrolysis.efficiency import (
    EfficiencyReference,
    Operation,
    current_efficiency_mechanistic,
    current_efficiency_operating,
    current_efficiency_regression,
)
from features.parameters.ledges import load_ledge_design

WALL = load_ledge_design("ledge_180ka")
efficiency = st.floats(0.85, 0.99)


def test_faradays_numbers() -> None:
    assert pytest.approx(8.05375, abs=5e-6) == faraday.METAL_KG_PER_KA_DAY
    assert pytest.approx(0.335573, abs=5e-7) == faraday.METAL_KG_PER_KA_HOUR
    assert pytest.approx(2979.98, abs=5e-3) == faraday.ENERGY_KWH_PER_T_PER_V
    assert pytest.approx(2.97998, abs=5e-6) == 1.0 / faraday.METAL_KG_PER_KA_HOUR
    assert pytest.approx(1.8895, abs=5e-5) == faraday.ALUMINA_KG_PER_KG
    assert pytest.approx(333.87, abs=5e-3) == faraday.CARBON_KG_PER_T


def test_energy_sensitivities() -> None:
    base = faraday.dc_energy(3.92, 0.94)
    assert base == pytest.approx(12427, abs=0.5)
    assert faraday.dc_energy(3.93, 0.94) - base == pytest.approx(31.7, abs=0.05)
    assert faraday.dc_energy(3.92, 0.95) - base == pytest.approx(-131, abs=0.5)


@pytest.mark.parametrize(
    ("voltage", "ce", "energy"),
    [(3.95, 0.94, 12522.3), (4.00, 0.93, 12817.1), (3.90, 0.92, 12632.5), (4.10, 0.925, 13208.6)],
)
def test_energy_vectors(voltage: float, ce: float, energy: float) -> None:
    assert faraday.dc_energy(voltage, ce) == pytest.approx(energy, abs=0.051)


def test_energy_vector_slopes() -> None:
    assert faraday.energy_per_volt(0.93) / 1000.0 == pytest.approx(3.204, abs=5e-4)
    assert faraday.dc_energy(4.0, 0.94) - faraday.dc_energy(4.0, 0.93) == pytest.approx(-136.35, abs=5e-3)


@given(st.floats(3.4, 5.0), efficiency)
def test_energy_voltage_and_efficiency_are_inverse(voltage: float, ce: float) -> None:
    energy = faraday.dc_energy(voltage, ce)
    assert faraday.voltage_for_energy(energy, ce) == pytest.approx(voltage, rel=1e-12)
    assert faraday.current_efficiency_for_energy(energy, voltage) == pytest.approx(ce, rel=1e-12)


@given(st.floats(100.0, 660.0), st.floats(3.4, 5.0), efficiency)
def test_the_energy_identity_is_power_over_metal(current: float, voltage: float, ce: float) -> None:
    metal = faraday.metal_rate(current, ce)
    assert faraday.current_efficiency_from_metal(metal, current) == pytest.approx(ce, rel=1e-12)
    assert 24.0 * current * voltage / (metal / 1000.0) == pytest.approx(
        float(faraday.dc_energy(voltage, ce)), rel=1e-12
    )


@pytest.mark.parametrize(
    ("ce", "requirement", "voltage"),
    [(1.0, 6.31, 2.119), (0.96, 6.37, 2.053), (0.95, 6.39, 2.037), (0.94, 6.405, 2.020), (0.90, 6.47, 1.955)],
)
def test_enthalpy_floor(ce: float, requirement: float, voltage: float) -> None:
    assert heat.enthalpy_requirement(ce) == pytest.approx(requirement, abs=0.0051)
    assert heat.enthalpy_voltage(ce) == pytest.approx(voltage, abs=7e-4)
    assert heat.enthalpy_voltage_haupin(ce) == pytest.approx(voltage, abs=0.0125)


def test_heat_loss_of_the_large_cell() -> None:
    loss = heat.heat_loss(500.0, 3.91, 0.17, heat.enthalpy_voltage(0.94))
    assert loss == pytest.approx(860, abs=0.5)


@given(efficiency, st.floats(3.6, 4.5), st.floats(100.0, 600.0))
def test_the_energy_balance_closes(ce: float, voltage: float, current: float) -> None:
    loss = heat.heat_loss(current, voltage, 0.0, heat.enthalpy_voltage(ce))
    reaction = heat.enthalpy_requirement(ce) * faraday.metal_rate(current, ce) / 24.0
    assert loss + reaction == pytest.approx(current * voltage, rel=1e-12)
    utilised = heat.energy_utilisation(faraday.dc_energy(voltage, ce), ce)
    assert utilised == pytest.approx(float(reaction / (current * voltage)), rel=1e-12)


@given(st.floats(4.0, 15.0), st.floats(920.0, 970.0))
def test_the_ledge_stands_still_at_its_equilibrium_and_returns_to_it(
    superheat: float, liquidus: float
) -> None:
    thickness = heat.ledge_equilibrium_thickness(liquidus, 35.0, superheat, WALL)
    into = heat.heat_flux_to_ledge(superheat, WALL)
    still = heat.ledge_growth_rate(heat.heat_flux_through_ledge(liquidus, 35.0, thickness, WALL), into, WALL)
    assert still == pytest.approx(0.0, abs=1e-15)
    thick = heat.heat_flux_through_ledge(liquidus, 35.0, thickness + 0.01, WALL)
    assert heat.ledge_growth_rate(thick, into, WALL) < 0.0
    assert heat.ledge_equilibrium_thickness(liquidus, 35.0, superheat + 1.0, WALL) < thickness


def test_the_ledge_at_no_and_at_great_superheat() -> None:
    assert np.isinf(heat.ledge_equilibrium_thickness(945.0, 35.0, 0.0, WALL))
    assert heat.ledge_equilibrium_thickness(945.0, 35.0, 60.0, WALL) == 0.0


def test_electrolytic_carbon() -> None:
    assert anode.electrolytic_carbon(0.94) == pytest.approx(355.2, abs=0.05)
    assert anode.electrolytic_carbon(0.95) == pytest.approx(351.4, abs=0.05)


def test_fischers_check_value_and_the_signs_of_its_terms() -> None:
    lot = {"crr": 90.0, "arr": 80.0, "air_permeability": 1.0, "thermal_conductivity": 3.5}
    base = anode.net_carbon_fischer(0.94, 955.0, anode.AnodeQuality(**lot), 285.0)
    assert base == pytest.approx(398.6, abs=0.05)
    for name, slope in (
        ("crr", -1.7),
        ("arr", -1.5),
        ("air_permeability", 9.3),
        ("thermal_conductivity", 8.0),
    ):
        moved = anode.AnodeQuality(**{**lot, name: lot[name] + 1.0})
        assert anode.net_carbon_fischer(0.94, 955.0, moved, 285.0) - base == pytest.approx(slope)
    assert anode.net_carbon_fischer(0.94, 965.0, anode.AnodeQuality(**lot), 285.0) - base == pytest.approx(
        12.0
    )


@given(efficiency, st.floats(940.0, 975.0))
def test_net_carbon_exceeds_what_electrolysis_takes(ce: float, temperature: float) -> None:
    assert anode.net_carbon_operating(ce, temperature) > anode.electrolytic_carbon(ce)
    assert anode.net_carbon_operating(ce + 0.005, temperature) < anode.net_carbon_operating(ce, temperature)


def test_anode_effects_and_perfluorocarbons() -> None:
    assert carbon.anode_effect_mean_voltage(carbon.anode_effect_minutes(1.0, 2.0)) == pytest.approx(
        0.035, abs=5e-4
    )
    cf4 = carbon.cf4_by_slope(1.0)
    c2f6 = carbon.c2f6_from_cf4(cf4)
    assert carbon.pfc_co2_equivalent(cf4, c2f6, 6500.0, 9200.0) == pytest.approx(1089, abs=0.5)
    assert carbon.pfc_co2_equivalent(cf4, c2f6, 7390.0, 12_200.0) == pytest.approx(1268, abs=0.5)
    welch = carbon.pfc_co2_equivalent_welch(1.0)
    assert welch == pytest.approx(1075.6)
    assert carbon.pfc_co2_equivalent(cf4, c2f6, 6500.0, 9200.0) == pytest.approx(float(welch), rel=0.015)


def test_efficiency_slopes() -> None:
    def regression(t: float, a: float) -> float:
        return float(current_efficiency_regression(t, a, 22.0, 24.0))

    assert regression(960.0, 11.0) - regression(950.0, 11.0) == pytest.approx(-0.0139, abs=5e-5)
    assert regression(950.0, 12.0) - regression(950.0, 11.0) == pytest.approx(0.0059)
    assert 0.88 < regression(950.0, 11.0) < 0.95

    def law(t: float, a: float) -> float:
        return float(current_efficiency_operating(Operation(t, a)))

    assert law(950.0, 11.0) == pytest.approx(0.942)
    assert law(960.0, 11.0) - law(950.0, 11.0) == pytest.approx(-0.0139)
    assert law(950.0, 12.0) - law(950.0, 11.0) == pytest.approx(0.0059)


@given(
    st.floats(900.0, 1000.0),
    st.floats(0.0, 20.0),
    st.floats(0.0, 200.0),
    st.floats(2.0, 6.0),
    st.floats(-5.0, 40.0),
)
def test_the_operating_law_is_clamped_and_falls_with_unrest(
    temperature: float, excess: float, noise: float, gap: float, margin: float
) -> None:
    value = current_efficiency_operating(Operation(temperature, excess, noise, gap, margin))
    assert 0.86 <= value <= 0.965
    assert current_efficiency_operating(Operation(temperature, excess, noise + 5.0, gap, margin)) <= value
    assert current_efficiency_operating(Operation(temperature, excess, noise, gap - 0.1, margin)) <= value


def test_the_mechanistic_loss_from_solubility_alone_is_weaker_than_the_plants_slope() -> None:
    bath = Bath(10.5, al2o3=2.5, caf2=5.0, mgf2=0.3)
    slope = current_efficiency_mechanistic(bath, 965.0, 0.8, 4.2) - current_efficiency_mechanistic(
        bath, 955.0, 0.8, 4.2
    )
    assert slope == pytest.approx(-0.004, abs=5e-4)
    with pytest.raises(ValueError, match="reference density is 0"):
        EfficiencyReference(density=0.0)
    with pytest.raises(ValueError, match=r"reference loss is 1\.5"):
        EfficiencyReference(loss=1.5)


@given(st.floats(0.0, 7200.0), st.floats(0.0, 1.0), st.floats(1e-4, 1e-2))
def test_a_shot_dissolves_from_its_fast_share_towards_all_of_it(
    seconds: float, fast: float, rate: float
) -> None:
    share = feeding.dissolved_share(seconds, fast, rate)
    assert fast - 1e-12 <= share <= 1.0
    assert feeding.dissolved_share(seconds + 60.0, fast, rate) >= share


def test_alumina_balance() -> None:
    demand = faraday.alumina_demand(500.0, 0.94)
    assert feeding.alumina_content_rate(demand / 24.0, 500.0, 0.94, 12_000.0) == pytest.approx(0.0, abs=1e-12)
    hours = feeding.overfeed_duration(25.0, 1.5, demand)
    gained = feeding.alumina_content_rate(1.5 * demand / 24.0, 500.0, 0.94, 12_000.0) * hours
    assert gained == pytest.approx(100.0 * 25.0 / 12_000.0)


def test_noise_grows_as_the_distance_shrinks() -> None:
    noise = distance.noise_from_distance(np.linspace(4.6, 3.6, 11))
    assert (np.diff(noise) > 0).all()
    assert 12.0 < noise[0] < 18.0
    assert noise[-1] > 40.0


def test_the_linear_cell_of_the_storage_study() -> None:
    assert power.linear_cell_voltage(500.0) == pytest.approx(3.95)
    assert power.cell_power(500.0) == pytest.approx(1975.0)
    assert power.marginal_energy(500.0, 0.94) == pytest.approx(18196.9, abs=0.05)
    assert power.cell_power(375.0) / power.cell_power(500.0) == pytest.approx(0.6650, abs=5e-5)
    assert power.cell_power(625.0) / power.cell_power(500.0) == pytest.approx(1.3916, abs=5e-5)
    assert faraday.dc_energy(power.linear_cell_voltage(375.0), 0.94) == pytest.approx(11104, abs=0.5)
    assert faraday.dc_energy(power.linear_cell_voltage(625.0), 0.94) == pytest.approx(13941, abs=0.5)


@given(st.floats(300.0, 600.0))
def test_the_marginal_energy_is_the_slope_of_power_over_metal(current: float) -> None:
    rise = power.cell_power(current + 0.01) - power.cell_power(current - 0.01)
    metal = faraday.metal_rate(0.02, 0.94) / 1000.0
    assert 24.0 * rise / metal == pytest.approx(float(power.marginal_energy(current, 0.94)), rel=1e-7)


def test_anode_and_metal_move_the_distance() -> None:
    burn = anode.anode_burn_rate(405.0, 3785.0, 622_000.0)
    rise = distance.metal_rise_rate(3785.0, 64.0)
    assert distance.distance_rate(burn, rise, burn - rise) == pytest.approx(0.0)
    carbon_kg = float(burn) / 1000.0 * 62.2 * 1570.0
    assert carbon_kg == pytest.approx(405.0 * 3.785)
    assert anode.gross_carbon(405.0, 0.22) * (1.0 - 0.22) == pytest.approx(405.0)
    assert feeding.alf3_for_soda(7460.0, 0.4) == pytest.approx(27.0, abs=0.1)
