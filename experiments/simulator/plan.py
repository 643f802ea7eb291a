"""From setpoints, disturbances and the crews' work to what the inner steps need for one day."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.anodes import ChangeDay, lot_factors
from experiments.simulator.calibration import Calibration
from experiments.simulator.cells import CellEffects, LifeDay
from experiments.simulator.draws import DayDraws
from experiments.simulator.electrics import cathode_extra_v, ohmic_resistance
from experiments.simulator.inner import DayPlan
from experiments.simulator.line import Line, LineDay
from experiments.simulator.operators import Board, crust_addition
from experiments.simulator.preset import Preset
from experiments.simulator.state import CellState
from features.relations import Array

_TAP_FROM_STEP = 20
_YOUNG_EFFICIENCY_DAYS = 90.0


@dataclass(frozen=True)
class Settled:
    """All that is settled before the day's first inner step."""

    day: int
    effects: CellEffects
    life: LifeDay
    line: Line
    line_day: LineDay
    board: Board
    """With the day's setpoints."""
    crew: ChangeDay
    draws: DayDraws


def day_plan(preset: Preset, calibration: Calibration, state: CellState, settled: Settled) -> DayPlan:
    """Return the day's plan."""
    m, draws = settled, settled.draws
    tap_step = _TAP_FROM_STEP + (draws.uniform[14] * 48).astype(np.int64)
    alumina = m.line.alumina_lots
    lot = alumina.on(float(m.day))
    fines = float(alumina.quality["fines_wt_pct"][lot])
    sick = np.maximum(state.sick - 1.0, 0.0)
    spread, heat = preset.cells, preset.heat
    young = np.exp(-np.maximum(m.life.age_d, 0.0) / heat.young_days)
    cathode = cathode_extra_v(preset, m.effects, m.life.age_d, m.life.damage)
    feed = m.board.alumina_feed_kg_d / m.effects.shot_factor
    changes = m.crew.per_step
    return DayPlan(
        current_ka=m.line_day.current_ka,
        ambient_c=m.line_day.ambient_c,
        target_v=m.board.set_voltage_v + modifier_v(preset, m.board),
        extra_v=_event_volts(preset, changes, tap_step),
        feed_kg_d=feed,
        prompt_share=preset.feeding.prompt_share
        - preset.feeding.fines_penalty * (fines - preset.lots.fines_wt_pct[0]),
        alf3_kg_d=_alf3_fed(preset, m),
        soda_kg_d=_soda_taken(preset, m, feed, float(alumina.quality["soda_wt_pct"][lot])),
        damp=preset.hidden.damp_fume
        * max(m.line_day.ambient_c - heat.ambient_c, 0.0)
        / max(heat.ambient_swing_k, 1.0),
        salt_supply_kg_d=np.array(calibration.salt_supply_kg_d)[:, None] * m.line.alumina_salts[:, [lot]],
        crust_kg=crust_addition(preset, m.board, draws),
        tap_kg=_tapped(preset, state, m),
        tap_step=tap_step,
        chill_mj=heat.new_anode_mj * changes,
        dust_kg_d=_dust_to_bath(preset, m),
        noise_mv=resting_noise_mv(preset, m.effects, state)
        + preset.noise.anode_change_mv * changes.sum(axis=0),
        ohmic=ohmic_resistance(preset, calibration.anode_drop_v, cathode),
        conductivity=m.effects.conductivity,
        efficiency=_efficiency_offset(preset, m) - spread.sick_efficiency * sick,
        top_factor=m.effects.top_loss * (1.0 + spread.cover * state.cover + spread.sick_top_loss * sick),
        extra_loss_kw=heat.damaged_bottom_kw * m.life.damage + heat.young_bottom_kw * young,
        critical_mm=m.effects.critical_mm + _end_of_line_mm(preset, m),
        estimate_bias=m.effects.estimate_bias_wt_pct,
        voltage_draw=draws.voltage,
        estimate_draw=draws.estimate,
        effect_draw=draws.effect,
    )


def _end_of_line_mm(preset: Preset, m: Settled) -> Array:
    """The return conductor's field grows with the current, and the pad feels its square."""
    load = float(np.mean(m.line_day.current_ka)) / preset.line.nominal_current_ka
    felt: Array = m.effects.end_mm * load**2
    return felt


def _efficiency_offset(preset: Preset, m: Settled) -> Array:
    law, life = preset.efficiency, m.life
    young = np.exp(-np.maximum(life.age_d, 0.0) / _YOUNG_EFFICIENCY_DAYS) * (1.0 - life.damage)
    offset: Array = m.effects.efficiency + law.damaged * life.damage + law.young * young
    return offset


def modifier_v(preset: Preset, board: Board) -> Array:
    """What the controller adds to the set voltage (c,) [V] against the noise it has seen."""
    n = preset.noise
    return np.clip(n.modifier_v_per_mv * (board.noise_mv - n.modifier_from_mv), 0.0, n.modifier_cap_v)


def _event_volts(preset: Preset, changes: Array, tap_step: NDArray[np.int64]) -> Array:
    op, steps = preset.operation, preset.line.steps_per_day
    k = np.arange(steps)[:, None]
    tapping = (k >= tap_step[None, :]) & (k < tap_step[None, :] + op.event_steps[1])
    set_lately = np.zeros_like(changes)
    for back in range(op.event_steps[0]):
        set_lately[back:] += changes[: steps - back]
    return np.where(set_lately > 0.0, op.event_volts[0], 0.0) + np.where(tapping, op.event_volts[1], 0.0)


def _alf3_fed(preset: Preset, m: Settled) -> Array:
    i = preset.instruments
    scatter = np.maximum(1.0 + i.alf3_scatter * m.draws.normal[3], 0.3)
    recorded = np.round(m.board.alf3_dose_kg_d * i.alf3_overfeed * scatter)
    fed: Array = recorded * m.effects.alf3_feeder
    return fed


def _soda_taken(preset: Preset, m: Settled, feed_kg_d: Array, soda_wt_pct: float) -> Array:
    b = preset.bath
    taken = feed_kg_d * soda_wt_pct / 100.0 * b.soda_kg_per_kg * (1.0 - b.soda_returned)
    new_lining = b.young_soda_kg_d * np.exp(-np.maximum(m.life.age_d, 0.0) / 60.0) * (1.0 - m.life.damage)
    return taken + m.effects.soda_kg_d - new_lining - b.damaged_soda_kg_d * m.life.damage


def _tapped(preset: Preset, state: CellState, m: Settled) -> Array:
    i, u = preset.instruments, m.draws.uniform[15]
    # Most taps hit their target; a few are cut short or go over, and the pad carries the difference.
    wild = np.where(u < 0.03, 4.0, 1.0)
    mass = (
        m.board.tap_target_kg * 1.004
        + i.tap_habit_kg * state.habit
        + i.tap_scatter_kg * wild * m.draws.normal[4]
    )
    # A cell that stands is carried along until it starts anew, and nobody sees it: tapped, so that it does not overflow.
    return np.where(m.board.tap_target_kg > 0.0, np.maximum(mass, 0.0), 0.0)


def _dust_to_bath(preset: Preset, m: Settled) -> Array:
    """Dust comes from the anodes of the last weeks; the lot of two weeks ago stands for them."""
    c = preset.carbon
    lot = m.line.anode_lots.on(m.day - 14.0)
    factor = lot_factors(preset, m.line)[2][lot]
    tonnes = preset.line.nominal_current_ka * 0.00757
    return np.full(m.life.age_d.shape, tonnes * c.dust_kg_t * c.dust_to_bath * float(factor) ** 2)


def resting_noise_mv(preset: Preset, effects: CellEffects, state: CellState) -> Array:
    """True noise (c,) [mV] that does not follow distance, metal, sludge or cold, before the day's anode changes."""
    n, s = preset.noise, preset.cells
    sick = np.maximum(state.sick - 1.0, 0.0)
    weather = n.weather_mv * state.weather
    drift = s.sick_drift_mv * state.sick + s.sick_noise_mv * sick
    return n.base_mv + effects.noise_mv + weather + drift
