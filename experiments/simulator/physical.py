"""Does the virtual line obey physics? Checks on the truth, each a number with the range that it must lie in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from experiments.simulator.calibration import calibrate
from experiments.simulator.electrics import circuit, ohmic_resistance
from experiments.simulator.preset import Preset, load_preset
from experiments.simulator.simulate import Simulated
from experiments.simulator.state import reference_state
from features.relations import Array

MATURE_AGE_D: Final = 250.0


@dataclass(frozen=True)
class PhysicalRow:
    """One check: a value and the range that it must lie in."""

    quantity: str
    value: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the value lies in its range."""
        return bool(self.low <= self.value <= self.high)


def physical_checks(simulated: Simulated, preset: Preset | str = "line-500") -> list[PhysicalRow]:
    """Return every check on a simulated record."""
    constants = load_preset(preset) if isinstance(preset, str) else preset
    truth = simulated.truth.sort_values(["cell_id", "date"], ignore_index=True)
    return [*_voltage_curve(constants), *_mature(simulated, truth), *balances(truth)]


def voltage_over_alumina(preset: Preset, al2o3_wt_pct: Iterable[float]) -> Array:
    """Voltage [V] of the reference cell at its reference distance, over dissolved alumina."""
    contents = np.array(list(al2o3_wt_pct))
    state = reference_state(preset, contents.size)
    state.alumina_kg[:] = contents / 100.0 * state.bath_kg
    ohmic = ohmic_resistance(preset, calibrate(preset).anode_drop_v, np.zeros(contents.size))
    wired = circuit(
        preset, state, state.bath(), preset.line.nominal_current_ka, ohmic, np.ones(contents.size)
    )
    return wired.voltage(state.acd_cm)


def _voltage_curve(preset: Preset) -> list[PhysicalRow]:
    contents = np.arange(1.6, 6.01, 0.05)
    curve = voltage_over_alumina(preset, contents)
    lowest = int(curve.argmin())
    return [
        PhysicalRow("alumina of the lowest voltage wt%", float(contents[lowest]), 3.3, 4.2),
        PhysicalRow(
            "voltage at 1.6 % above the lowest mV", 1000.0 * float(curve[0] - curve.min()), 40.0, 200.0
        ),
        PhysicalRow("voltage at 6 % above the lowest mV", 1000.0 * float(curve[-1] - curve.min()), 3.0, 60.0),
    ]


def _mature(simulated: Simulated, truth: pd.DataFrame) -> list[PhysicalRow]:
    ages = simulated.tables.cell_days[["cell_id", "date", "cell_age_d"]]
    known = truth.merge(ages, on=["cell_id", "date"])
    grown = known[(known["damage"] == 0.0) & (known["cell_age_d"] > MATURE_AGE_D)]
    names = ["bath_temperature_c", "excess_alf3_wt_pct", "ledge_mm"]
    within = grown[names] - grown.groupby("cell_id")[names].transform("mean")
    falling = np.polyfit(within["excess_alf3_wt_pct"], within["bath_temperature_c"], 1)[0]
    energy = (grown["energy_kwh_per_t"] * grown["produced_kg"]).sum() / grown["produced_kg"].sum()
    identity = grown["energy_kwh_per_t"] * grown["current_efficiency"] / grown["mean_voltage_v"]
    return [
        PhysicalRow("mature cells V", float(grown["mean_voltage_v"].mean()), 3.85, 3.90),
        PhysicalRow("mature cells kWh/t", float(energy), 12_200.0, 12_400.0),
        PhysicalRow("energy identity kWh/t per V", float(identity.mean()), 2979.9, 2980.1),
        PhysicalRow("temperature against AlF3 degC/%", float(falling), -8.0, -2.0),
        PhysicalRow(
            "ledge against temperature", float(within["ledge_mm"].corr(within[names[0]])), -1.0, -0.2
        ),
        PhysicalRow("superheat 5 %", float(grown["superheat_c"].quantile(0.05)), 4.0, 9.0),
        PhysicalRow("superheat 95 %", float(grown["superheat_c"].quantile(0.95)), 6.0, 15.0),
        PhysicalRow("ledge median mm", float(grown["ledge_mm"].median()), 50.0, 100.0),
        PhysicalRow("net carbon kg/t", float(grown["net_anode_kg_per_t"].mean()), 395.0, 425.0),
        PhysicalRow("least carbon over 334/CE", _least_carbon(truth), 20.0, 80.0),
    ]


def _least_carbon(truth: pd.DataFrame) -> float:
    return float((truth["net_anode_kg_per_t"] - 333.87 / truth["current_efficiency"]).min())


def balances(truth: pd.DataFrame) -> list[PhysicalRow]:
    """Return how well mass and energy close over consecutive days, as the largest gap against the day's flow."""
    ordered = truth.sort_values(["cell_id", "date"], ignore_index=True)
    follows = (ordered["date"].diff() == pd.Timedelta(days=1)) & (
        ordered["cell_id"] == ordered["cell_id"].shift(1)
    )

    def gap(store: str, came: str, went: str) -> float:
        change = ordered[store].diff() - ordered[came] + ordered[went]
        return float((change[follows].abs() / ordered[came][follows].clip(lower=1.0)).max())

    heat = ordered["heat_in_kj"] - ordered["heat_lost_kj"] - ordered["heat_stored_kj"]
    return [
        PhysicalRow("metal balance, largest gap", gap("metal_kg", "produced_kg", "tapped_kg"), 0.0, 1e-9),
        PhysicalRow(
            "alumina balance, largest gap", gap("alumina_kg", "alumina_in_kg", "alumina_out_kg"), 0.0, 1e-9
        ),
        PhysicalRow("AlF3 balance, largest gap", gap("alf3_kg", "alf3_in_kg", "alf3_out_kg"), 0.0, 1e-9),
        PhysicalRow(
            "heat balance, largest gap", float((heat / ordered["heat_in_kj"]).abs().max()), 0.0, 1e-9
        ),
    ]
