"""The second virtual plant: another cell that still obeys physics, instruments that lie, and a raise nobody foresaw."""

import numpy as np
import pytest

from experiments.simulator.physical import balances
from experiments.simulator.potline import Potline
from experiments.simulator.preset import load_preset
from experiments.simulator.simulate import Simulated, simulate

PRESET = load_preset("line-420")


@pytest.fixture(scope="module")
def run() -> Simulated:
    return simulate(PRESET, 16, 120, 5)


def test_it_runs_like_a_plant_of_its_kind(run: Simulated) -> None:
    truth = run.truth[(run.truth["damage"] == 0.0)]
    grown = truth[truth["mean_voltage_v"] < 4.1]
    assert 3.9 < grown["mean_voltage_v"].mean() < 4.02
    assert 0.92 < grown["current_efficiency"].mean() < 0.95
    assert 12_400 < grown["energy_kwh_per_t"].mean() < 13_000
    assert 950 < grown["bath_temperature_c"].mean() < 965
    assert 6 < grown["superheat_c"].mean() < 9
    assert 400 < grown["net_anode_kg_per_t"].mean() < 430
    for row in balances(run.truth):
        assert row.inside, row


def test_the_current_is_raised_as_no_history_shows(run: Simulated) -> None:
    current = run.tables.meters.set_index("date")["line_current_ka"].to_numpy()
    assert abs(current[:55].mean() - 420.0) < 2.5
    assert abs(current[110:].mean() - 434.0) < 2.5


def test_thermocouples_drift_gauges_jump_and_readings_are_lost(run: Simulated) -> None:
    days = run.tables.cell_days.merge(run.truth, on=["cell_id", "date"], suffixes=("", "_true"))
    lost = days["bath_temperature_c"].isna().mean()
    assert 0.03 < lost < 0.09
    off = (days["bath_temperature_c"] - days["bath_temperature_c_true"]).groupby(days["cell_id"])
    late, early = off.apply(lambda v: v.iloc[-15:].mean()), off.apply(lambda v: v.iloc[:15].mean())
    drifted = late - early
    assert (drifted > 3.0).sum() >= 1
    assert (drifted.abs() < 2.0).mean() > 0.5


def test_the_ends_of_the_line_feel_the_return_conductor() -> None:
    effects = Potline(PRESET, 40, 1, spin_up=False)._effects
    assert effects.end_mm[0] == pytest.approx(PRESET.hidden.end_cell_mm)
    assert effects.end_mm[0] == effects.end_mm[-1] > effects.end_mm[2] > 0.0
    assert (effects.end_mm[10:30] == 0.0).all()


def test_the_anode_supply_gets_worse(run: Simulated) -> None:
    lots = run.tables.lots
    anodes = lots[lots["material"] == "anode"].sort_values("used_from")
    plant = Potline(PRESET, 1, 5, spin_up=False)
    quality = plant.lot_series["anode"].quality["crr_pct"]
    assert np.polyfit(np.arange(quality.size), quality, 1)[0] < 0
    assert anodes["crr_pct"].notna().all()
