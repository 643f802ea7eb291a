"""From the hidden day to the record: sensors with bias and noise, rounded as a plant writes them."""

from dataclasses import dataclass

import numpy as np

from experiments.simulator.anodes import Burn
from experiments.simulator.cells import CellEffects, LifeDay
from experiments.simulator.draws import DayDraws
from experiments.simulator.inner import DayPlan, DayTotals
from experiments.simulator.operators import Board
from experiments.simulator.preset import Preset
from experiments.simulator.record import Morning
from experiments.simulator.state import ALF3, CellState, bath_level_mm, metal_level_mm
from features.electrolysis.faraday import ENERGY_KWH_PER_T_PER_V, METAL_KG_PER_KA_DAY
from features.relations import Array


@dataclass(frozen=True)
class Watched:
    """All that the instruments look at on one day."""

    morning: Morning
    plan: DayPlan
    totals: DayTotals
    burned: Burn
    state: CellState
    """At the day's end."""
    board: Board
    """With the day's setpoints."""
    life: LifeDay
    draws: DayDraws


def read_cell_days(preset: Preset, effects: CellEffects, seen: Watched) -> dict[str, Array]:
    """Return the columns of ``cell_days`` (c,), rounded as recorded."""
    i, z, totals, plan, board = preset.instruments, seen.draws.normal, seen.totals, seen.plan, seen.board
    steps = preset.line.steps_per_day
    live = np.maximum(totals.live_steps, 1.0)
    noise = np.maximum(totals.noise_mv * (1.0 + 0.05 * z[10]) + i.noise_mv * z[11], 3.0)
    fed = totals.fed_kg * effects.shot_factor
    dosed = plan.alf3_kg_d / effects.alf3_feeder
    swing = 2.0 + np.where(seen.draws.uniform[10] < 0.05 + 0.006 * noise, 3.0 * np.exp(0.7 * z[14]), 0.0)
    burnt_mm = seen.burned.net_kg / (preset.carbon.face_t_per_mm * 1000.0)
    current = float(np.mean(plan.current_ka))
    return {
        "line_current_ka": np.full(live.shape, round(current, 1)),
        "cell_voltage_v": np.round(totals.volt_steps / live + i.voltage_v * z[15], 3),
        "set_voltage_v": np.round(board.set_voltage_v, 3),
        "applied_set_voltage_v": np.round(plan.target_v, 3),
        "noise_mv": np.round(noise),
        "swing_minutes": np.round(swing),
        "bath_temperature_c": seen.morning.bath_temperature_c,
        "metal_level_mm": seen.morning.metal_level_mm,
        "bath_level_mm": seen.morning.bath_level_mm,
        "alf3_dose_kg_d": np.round(board.alf3_dose_kg_d),
        "alf3_fed_kg_d": np.round(dosed),
        "alumina_feed_kg_d": np.round(board.alumina_feed_kg_d),
        "alumina_fed_kg_d": np.round(fed),
        "alumina_shots": np.round(fed / preset.feeding.shot_kg),
        "anode_effects": totals.effect_count.copy(),
        "anode_effect_minutes": np.round(totals.effect_minutes, 1),
        "cell_age_d": np.maximum(seen.life.age_d, 0.0),
        "run_minutes": np.round(totals.live_steps * (1440.0 / steps)),
        "beam_travel_mm": np.round(burnt_mm + 5.0 * totals.moves_cm, 1),
    }


def morning_round(
    preset: Preset,
    effects: CellEffects,
    state: CellState,
    resting_noise: Array,
    draws: DayDraws,
    day: int,
) -> Morning:
    """Return the readings of the round; ``resting_noise`` (c,) is the true noise as the night leaves it."""
    i, z = preset.instruments, draws.normal
    since = _days_at_fault(effects, day)
    drifted = np.minimum(effects.drift_c_per_d * since, preset.faults.drift_most_c)
    jumped = np.where(since > 0.0, effects.jump_mm, 0.0)
    metal = metal_level_mm(preset, state) + effects.metal_gauge_mm + jumped + i.level_mm * z[12]
    bath = bath_level_mm(preset, state) + effects.bath_gauge_mm + i.bath_level_mm * z[13]
    read = state.bath_temperature_c + effects.thermocouple_c + drifted + i.temperature_c * z[16]
    return Morning(
        bath_temperature_c=np.round(read),
        metal_level_mm=np.round(metal, -1),
        bath_level_mm=np.round(bath, -1),
        noise_mv=resting_noise + 2.0 * i.noise_mv * z[11],
        samples=_samples(preset, state, draws),
    )


def _days_at_fault(effects: CellEffects, day: int) -> Array:
    """Return the days (c,) since an instrument's fault began; nought before it."""
    since: Array = np.maximum(day - effects.fault_day, 0.0)
    return since


def _samples(preset: Preset, state: CellState, draws: DayDraws) -> dict[str, Array]:
    i, z, bath = preset.instruments, draws.normal, state.bath()
    true = (bath.excess_alf3, bath.caf2, bath.lif, bath.kf, bath.mgf2, bath.al2o3)
    names = ("excess_alf3_wt_pct", "caf2_wt_pct", "lif_wt_pct", "kf_wt_pct", "mgf2_wt_pct", "al2o3_wt_pct")
    noise = (i.alf3_wt_pct, i.salt_wt_pct, i.salt_wt_pct, i.salt_wt_pct, 0.5 * i.salt_wt_pct, i.al2o3_wt_pct)
    values = {name: true[k] + noise[k] * z[17 + k] for k, name in enumerate(names)}
    return {
        name: np.round(np.maximum(v, 0.0 if name != names[0] else -4.0), 2 if k else 1)
        for k, (name, v) in enumerate(values.items())
    }


def read_taps(preset: Preset, effects: CellEffects, seen: Watched) -> dict[str, Array]:
    """Return the columns of ``taps`` (c,)."""
    z, u = seen.draws.normal, seen.draws.uniform
    mass = seen.plan.tap_kg + preset.instruments.tap_kg * z[23]
    wear = 1.0 + 0.35 * seen.life.damage
    iron = effects.iron_wt_pct * wear * np.exp(0.16 * seen.state.iron + 0.02 * z[24])
    start = np.exp(-np.maximum(seen.life.age_d, 0.0) / 25.0)
    silicon = effects.silicon_wt_pct * np.exp(0.05 * seen.state.iron + 0.04 * z[25]) * (1.0 + 1.8 * start)
    return {
        "tap_mass_kg": np.maximum(np.round(mass, -1), 0.0),
        "tap_target_kg": np.round(seen.board.tap_target_kg),
        "fe_wt_pct": np.round(iron * (1.0 + 0.5 * start) + 0.0 * u[0], 3),
        "si_wt_pct": np.round(silicon, 3),
    }


def read_meters(preset: Preset, seen: Watched, power: Array, date: np.datetime64) -> dict[str, float]:
    """Return the line's meters for the day; ``power`` (4,) standard normals."""
    running = seen.life.running
    dc = float(seen.totals.electric_kwh[running].sum())
    current = float(np.mean(seen.plan.current_ka))
    dc = dc * (1.0 + 0.0008 * float(power[0]))
    tonnes = float(seen.totals.metal_kg[running].sum()) / 1000.0
    month = int(str(date.astype("datetime64[M]"))[5:7])
    wet_season = 6 <= month <= 10
    share = 0.62 if wet_season else 0.34
    return {
        "dc_energy_kwh": float(np.round(dc)),
        "ac_energy_kwh": float(np.round(dc / 0.977)),
        "auxiliary_energy_kwh": float(np.round(tonnes * (255.0 + 4.0 * float(power[1])))),
        "line_current_ka": round(current, 1),
        "tariff_per_kwh": 0.39 if wet_season else 0.46,
        "renewable_share": float(np.round(np.clip(share + 0.05 * float(power[2]), 0.0, 1.0), 2)),
    }


def read_truth(preset: Preset, effects: CellEffects, seen: Watched) -> dict[str, Array]:
    """Return the truth of the day (c,): what only the simulation knows."""
    totals, state = seen.totals, seen.state
    charge = np.maximum(totals.charge_ka_d, 1e-9)
    ce = totals.metal_kg / (METAL_KG_PER_KA_DAY * charge)
    tonnes = np.maximum(totals.metal_kg / 1000.0, 1e-9)
    volts = totals.electric_kwh / (24.0 * charge)
    return {
        "current_efficiency": ce,
        "mean_voltage_v": volts,
        "energy_kwh_per_t": ENERGY_KWH_PER_T_PER_V * volts / np.maximum(ce, 1e-9),
        "net_anode_kg_per_t": seen.burned.net_kg / tonnes,
        "produced_kg": totals.metal_kg,
        "net_anode_kg": seen.burned.net_kg,
        "acd_mm": totals.acd_cm * 10.0,
        "bath_temperature_c": totals.temperature_c,
        "superheat_c": totals.superheat_c,
        "liquidus_c": totals.temperature_c - totals.superheat_c,
        "ledge_mm": totals.ledge_mm,
        "noise_mv": totals.noise_mv,
        "al2o3_wt_pct": totals.al2o3_wt_pct,
        "excess_alf3_wt_pct": totals.alf3_wt_pct,
        "sludge_kg": state.sludge_kg.copy(),
        "bath_kg": state.bath_kg.copy(),
        "metal_kg": state.metal_kg.copy(),
        "dust_kg": state.dust_kg.copy(),
        "sickness": state.sick.copy(),
        "damage": seen.life.damage.copy(),
        "alumina_in_kg": totals.alumina_in_kg,
        "alumina_out_kg": totals.alumina_out_kg,
        "alumina_kg": state.alumina_kg + state.sludge_kg,
        "alf3_in_kg": totals.alf3_in_kg,
        "alf3_out_kg": totals.alf3_out_kg,
        "alf3_kg": state.salts_kg[ALF3].copy(),
        "alf3_fed_kg": seen.plan.alf3_kg_d * 1.0,
        "tapped_kg": seen.plan.tap_kg * 1.0,
        "superheat_outside_h": totals.superheat_outside_h.copy(),
        "temperature_outside_h": totals.temperature_outside_h.copy(),
        "anode_effect_minutes": totals.effect_minutes.copy(),
        "heat_in_kj": totals.heat_in_kj,
        "heat_lost_kj": totals.heat_lost_kj,
        "heat_stored_kj": totals.heat_stored_kj,
    }
