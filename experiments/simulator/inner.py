"""One day inside the cells, in steps of some minutes: circuit, heat, ledge, alumina, fluorides, metal.

Explicit Euler. The fastest loop is the superheat against the side (some 50 minutes), so 15 minutes are stable.
Every flow is added up as it is applied, and the balances of ``DayTotals`` close to rounding.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.calibration import Calibration
from experiments.simulator.electrics import Circuit, circuit
from experiments.simulator.preset import Preset
from experiments.simulator.state import ALF3, CellState, bath_level_mm, metal_level_mm
from features.electrolysis.bath import Bath, liquidus_lithium_potassium_2014
from features.electrolysis.faraday import ALUMINA_KG_PER_KG, METAL_KG_PER_KA_DAY
from features.relations import Array

SUPERHEAT_WINDOW_C = (6.0, 12.0)
TEMPERATURE_WINDOW_C = (940.0, 965.0)
"""Typical windows (domain notes, section 2 [B]); the hours outside are counted, nothing acts on them."""
_LIVE_SHARE = 0.10
"""Below this share of the nominal current a step does not count as operation."""


@dataclass(frozen=True)
class DayPlan:
    """What one day does to c cells in s steps."""

    current_ka: Array
    """(s,)"""
    ambient_c: float
    target_v: Array
    """(c,) applied set voltage at the nominal current."""
    extra_v: Array
    """(s, c) what anode changes and taps add to it."""
    feed_kg_d: Array
    """(c,) alumina at the base rate, true kilograms."""
    prompt_share: float
    alf3_kg_d: Array
    soda_kg_d: Array
    """(c,) AlF3 that the soda of the alumina and the lining takes."""
    damp: float
    """Share by which damp alumina raises the loss of AlF3."""
    salt_supply_kg_d: Array
    """(4, 1)"""
    crust_kg: Array
    """(c,) bath added, negative where tapped, in the day's middle step."""
    tap_kg: Array
    tap_step: NDArray[np.int64]
    chill_mj: Array
    """(s, c) heat that the anodes set in a step will take."""
    dust_kg_d: Array
    noise_mv: Array
    """(c,) part of the noise that does not follow the state."""
    ohmic: Array
    conductivity: Array
    efficiency: Array
    """(c,) offset of the current efficiency."""
    top_factor: Array
    extra_loss_kw: Array
    critical_mm: Array
    estimate_bias: Array
    voltage_draw: Array
    estimate_draw: Array
    effect_draw: Array


@dataclass(eq=False)
class DayTotals:
    """Sums over one day, each (c,)."""

    live_steps: Array
    volt_steps: Array
    metal_kg: Array
    charge_ka_d: Array
    electric_kwh: Array
    effect_count: Array
    effect_minutes: Array
    effect_kwh: Array
    noise_mv: Array
    temperature_c: Array
    superheat_c: Array
    ledge_mm: Array
    acd_cm: Array
    al2o3_wt_pct: Array
    alf3_wt_pct: Array
    fed_kg: Array
    alumina_in_kg: Array
    alumina_out_kg: Array
    alf3_in_kg: Array
    alf3_out_kg: Array
    moves_cm: Array
    heat_in_kj: Array
    heat_lost_kj: Array
    heat_stored_kj: Array
    superheat_outside_h: Array
    temperature_outside_h: Array


def empty_totals(cells: int) -> DayTotals:
    """Return totals of nought for ``cells`` cells."""
    return DayTotals(**{f.name: np.zeros(cells) for f in fields(DayTotals)})


@dataclass(frozen=True)
class _Moment:
    """What a step knows of itself."""

    k: int
    current_ka: float
    bath: Bath
    superheat_c: Array
    liquidus_c: Array
    metal_mm: Array
    bath_mm: Array


def noise_mv(
    preset: Preset, state: CellState, resting: Array, critical_offset: Array, metal_mm: Array
) -> Array:
    """True voltage noise (c,) [mV]: it grows as the distance nears its critical value, with sludge, cold and bad anodes.

    Args:
        preset: the line's constants.
        state: the cells.
        resting: (c,) the part that does not follow the state [mV].
        critical_offset: (c,) the cells' own critical distance against the preset's [mm].
        metal_mm: (c,) metal level.
    """
    n = preset.noise
    critical = n.critical_mm + critical_offset
    critical = critical - n.metal_mm_per_mm * (metal_mm - preset.operation.metal_level_mm)
    near = np.minimum((critical - 10.0 * state.acd_cm) / n.width_mm, 2.5)
    sludge = n.per_sludge_t_mv * np.maximum(state.sludge_kg - 120.0, 0.0) / 1000.0
    cold = n.cold_mv_per_k * np.maximum(n.cold_from_c - state.bath_temperature_c, 0.0)
    noise: Array = resting + state.bad_anode_mv + cold + sludge + n.growth_mv * np.exp(near)
    return np.maximum(noise, 2.0)


def current_efficiency(
    preset: Preset, state: CellState, bath: Bath, superheat: Array, noise: Array, metal_mm: Array
) -> Array:
    """True current efficiency (c,) before the cell's own offset."""
    law = preset.efficiency
    t = state.bath_temperature_c - preset.heat.reference_temperature_c
    a = bath.excess_alf3 - preset.bath.reference_wt_pct[0]
    rich = np.maximum(bath.excess_alf3 - law.alf3_knee_wt_pct, 0.0)
    close = np.maximum(law.distance_knee_mm - 10.0 * state.acd_cm, 0.0)
    cold = np.maximum(law.superheat_knee_c - superheat, 0.0)
    shallow = np.maximum(law.low_metal_mm - metal_mm, 0.0)
    linear = law.reference + law.per_k * t + law.per_alf3_pct * a
    bends = law.alf3_bend * rich**2 + law.distance_bend * close**2 + law.superheat_bend * cold**2
    losses = law.per_noise_mv * np.maximum(noise - law.noise_knee_mv, 0.0)
    losses = losses + law.per_sludge_t * state.sludge_kg / 1000.0 + law.per_dust_kg * state.dust_kg
    return linear + bends + losses + law.low_metal_bend * shallow**2


def run_day(preset: Preset, calibration: Calibration, state: CellState, plan: DayPlan) -> DayTotals:
    """Advance ``state`` in place by one day and return its sums."""
    totals = empty_totals(state.sick.shape[0])
    steps = preset.line.steps_per_day
    for k in range(steps):
        _step(preset, calibration, state, plan, totals, k)
    for name in (
        "noise_mv",
        "temperature_c",
        "superheat_c",
        "ledge_mm",
        "acd_cm",
        "al2o3_wt_pct",
        "alf3_wt_pct",
    ):
        getattr(totals, name)[:] /= steps
    return totals


def _step(
    preset: Preset, calibration: Calibration, state: CellState, plan: DayPlan, totals: DayTotals, k: int
) -> None:
    bath = state.bath()
    liquidus = liquidus_lithium_potassium_2014(bath)
    moment = _Moment(
        k=k,
        current_ka=float(plan.current_ka[k]),
        bath=bath,
        superheat_c=state.bath_temperature_c - liquidus,
        liquidus_c=liquidus,
        metal_mm=metal_level_mm(preset, state),
        bath_mm=bath_level_mm(preset, state),
    )
    wiring = circuit(preset, state, bath, moment.current_ka, plan.ohmic, plan.conductivity)
    cell_voltage = _control(preset, state, plan, totals, moment, wiring)
    noise = noise_mv(preset, state, plan.noise_mv, plan.critical_mm, moment.metal_mm)
    law = preset.efficiency
    ce = current_efficiency(preset, state, bath, moment.superheat_c, noise, moment.metal_mm) + plan.efficiency
    ce = np.clip(ce, law.low, law.high)
    effect_v = _anode_effects(preset, state, plan, totals, moment)
    volts = cell_voltage + effect_v
    metal = METAL_KG_PER_KA_DAY * moment.current_ka * ce / preset.line.steps_per_day
    _feed(preset, state, plan, totals, moment, metal, wiring.saturation_wt_pct)
    _heat(preset, calibration, state, plan, totals, moment, volts, ce)
    _fluorides(preset, state, plan, totals, moment)
    state.metal_kg += metal
    state.metal_kg -= np.where(plan.tap_step == k, plan.tap_kg, 0.0)
    _add_up(preset, state, totals, moment, volts, metal, noise)


def _control(
    preset: Preset, state: CellState, plan: DayPlan, totals: DayTotals, moment: _Moment, wiring: Circuit
) -> Array:
    """Move the anodes towards the resistance that the target asks for; return the voltage (c,)."""
    e = preset.electrics
    load = moment.current_ka / preset.line.nominal_current_ka
    cell_voltage = wiring.voltage(state.acd_cm) + e.controller_noise_v * plan.voltage_draw[moment.k]
    if load > _LIVE_SHARE:
        counter = 1.65
        target = counter + (plan.target_v + plan.extra_v[moment.k] - counter) * load
        error = wiring.distance(target) - state.acd_cm
        move = np.clip(e.controller_share * error, -0.20, 0.20)
        state.acd_cm += move
        np.clip(state.acd_cm, 2.5, 8.0, out=state.acd_cm)
        totals.moves_cm += np.abs(move)
    volts: Array = np.maximum(cell_voltage, 0.0)
    return volts


def _anode_effects(
    preset: Preset, state: CellState, plan: DayPlan, totals: DayTotals, moment: _Moment
) -> Array:
    """Let anode effects strike where alumina runs out; return the voltage they add to the step's mean (c,)."""
    f = preset.feeding
    if moment.current_ka < 0.5 * preset.line.nominal_current_ka:
        return np.zeros_like(state.acd_cm)
    lack = (f.effect_onset_wt_pct - moment.bath.al2o3) / f.effect_width_wt_pct
    hazard = np.minimum(f.effect_rate_per_step * np.exp(np.minimum(lack, 6.0)), 0.5)
    draw = plan.effect_draw[moment.k]
    struck = draw < hazard
    if not struck.any():
        return np.zeros_like(state.acd_cm)
    # The same uniform, rescaled to its own hazard, gives the length: no second stream is needed.
    share = np.where(struck, draw / hazard, 0.5)
    minutes = np.where(struck, f.effect_minutes * (0.4 + 1.4 * share**2 + 0.4 * share), 0.0)
    state.alumina_kg += np.where(struck, f.effect_feed_kg, 0.0)
    totals.fed_kg += np.where(struck, f.effect_feed_kg, 0.0)
    totals.alumina_in_kg += np.where(struck, f.effect_feed_kg, 0.0)
    totals.effect_count += struck
    totals.effect_minutes += minutes
    volts = f.effect_volts * minutes / (1440.0 / preset.line.steps_per_day)
    totals.effect_kwh += volts * moment.current_ka * 24.0 / preset.line.steps_per_day
    return volts


def _feed(
    preset: Preset,
    state: CellState,
    plan: DayPlan,
    totals: DayTotals,
    moment: _Moment,
    metal_kg: Array,
    saturation: Array,
) -> None:
    """Feed on demand: underfeed until the slope shows it, overfeed for an hour, hold the base rate, again."""
    f, steps = preset.feeding, preset.line.steps_per_day
    estimate = moment.bath.al2o3 + plan.estimate_bias + f.estimate_noise_wt_pct * plan.estimate_draw[moment.k]
    state.feed_left -= 1
    ended = np.where(state.feed_phase == 0, estimate < f.trigger_wt_pct, state.feed_left <= 0)
    state.feed_phase[:] = np.where(ended, (state.feed_phase + 1) % 3, state.feed_phase)
    length = np.where(state.feed_phase == 1, f.over_steps, f.base_steps)
    state.feed_left[:] = np.where(ended, length, state.feed_left)
    rate = np.array([f.under_rate, f.over_rate, 1.0])[state.feed_phase]
    load = moment.current_ka / preset.line.nominal_current_ka
    fed = plan.feed_kg_d / steps * rate * load
    arriving = fed * ALUMINA_KG_PER_KG / f.practical_kg_per_kg
    prompt = plan.prompt_share - f.cold_penalty * np.maximum(7.0 - moment.superheat_c, 0.0)
    drive = np.clip((saturation - moment.bath.al2o3) / saturation, 0.0, 1.0)
    dissolving = (
        f.dissolution_per_step * drive * np.clip(moment.superheat_c / 8.0, 0.05, 1.5) * state.sludge_kg
    )
    consumed = ALUMINA_KG_PER_KG * metal_kg
    state.alumina_kg += arriving * prompt + dissolving - consumed
    # A cell that has run dry makes an anode effect, not negative alumina.
    short = np.minimum(state.alumina_kg - 0.006 * state.bath_kg, 0.0)
    state.alumina_kg -= short
    state.sludge_kg += arriving * (1.0 - prompt) - dissolving
    totals.fed_kg += fed
    totals.alumina_in_kg += arriving
    totals.alumina_out_kg += consumed + short


def _heat(
    preset: Preset,
    calibration: Calibration,
    state: CellState,
    plan: DayPlan,
    totals: DayTotals,
    moment: _Moment,
    volts: Array,
    ce: Array,
) -> None:
    h, dt = preset.heat, preset.step_s
    reaction = h.haupin_v[0] + h.haupin_v[1] * ce
    made = moment.current_ka * (volts - preset.electrics.external_drop_v - reaction)
    over = state.bath_temperature_c - plan.ambient_c
    top = calibration.top_kw_per_k * plan.top_factor * over
    bottom = h.bottom_kw_per_k * over + plan.extra_loss_kw
    state.chill_mj += plan.chill_mj[moment.k]
    chill = state.chill_mj * 1000.0 / (h.chill_hours * 3600.0)
    wetted = h.bath_to_ledge_kw_m2k * moment.bath_mm + h.metal_to_ledge_kw_m2k * moment.metal_mm
    to_ledge = h.perimeter_m * wetted / 1000.0 * moment.superheat_c
    resistance = state.ledge_mm / (h.ledge_w_mk * h.ledge_area_m2) + calibration.wall_inner_k_per_kw
    to_wall = (moment.liquidus_c - state.wall_temperature_c) / resistance
    to_air = (state.wall_temperature_c - plan.ambient_c) / calibration.wall_outer_k_per_kw
    frozen_kg = (to_wall - to_ledge) * dt / h.ledge_latent_kj_kg
    # No more ledge can melt than there is, and what is frozen leaves the bath as cryolite.
    per_mm = h.ledge_density_kg_m3 * h.ledge_area_m2 / 1000.0
    frozen_kg = np.maximum(frozen_kg, -0.5 * per_mm * (state.ledge_mm - 5.0))
    to_wall = to_ledge + frozen_kg * h.ledge_latent_kj_kg / dt
    capacity = state.bath_kg * h.bath_kj_kgk + state.metal_kg * h.metal_kj_kgk + h.carbon_kj_k
    warming = (made - top - bottom - chill - to_ledge) * dt
    walling = (to_wall - to_air) * dt
    state.bath_temperature_c += warming / capacity
    state.wall_temperature_c += walling / h.wall_kj_k
    state.ledge_mm += frozen_kg / per_mm
    state.bath_kg -= frozen_kg
    state.chill_mj -= chill * dt / 1000.0
    totals.heat_in_kj += made * dt
    totals.heat_lost_kj += (top + bottom + chill + to_air) * dt
    totals.heat_stored_kj += warming + walling + (to_ledge - to_wall) * dt


def _fluorides(preset: Preset, state: CellState, plan: DayPlan, totals: DayTotals, moment: _Moment) -> None:
    b, steps = preset.bath, preset.line.steps_per_day
    a = moment.bath.excess_alf3
    warm = np.exp(b.fume_per_k * (state.bath_temperature_c - preset.heat.reference_temperature_c))
    fume = (
        b.fume_kg_d
        * (1.0 + plan.damp)
        / steps
        * warm
        * np.maximum(a / b.reference_wt_pct[0], 0.0) ** b.fume_power
    )
    given = plan.alf3_kg_d / steps
    taken = fume + plan.soda_kg_d / steps
    salts = state.salts_kg
    salts[ALF3] += given - taken
    salts[1:] += plan.salt_supply_kg_d / steps - salts[1:] * (b.salt_loss_per_day / steps)
    state.bath_kg += given - fume
    totals.alf3_in_kg += given
    totals.alf3_out_kg += taken
    state.dust_kg += plan.dust_kg_d / steps - state.dust_kg / (preset.carbon.dust_days * steps)
    state.bad_anode_mv *= 1.0 - 1.0 / (preset.noise.bad_anode_days * steps)
    if moment.k == steps // 2:
        added = np.maximum(plan.crust_kg, 0.0)
        tapped = np.minimum(plan.crust_kg, 0.0) / state.bath_kg
        alf3 = added * b.crust_alf3_wt_pct / 100.0
        totals.alf3_in_kg += alf3
        totals.alf3_out_kg -= salts[ALF3] * tapped
        salts += salts * tapped
        salts[ALF3] += alf3
        salts[1:] += added * np.array(b.reference_wt_pct[1:])[:, None] / 100.0
        totals.alumina_out_kg -= state.alumina_kg * tapped
        state.alumina_kg += state.alumina_kg * tapped
        state.bath_kg += plan.crust_kg


def _add_up(
    preset: Preset,
    state: CellState,
    totals: DayTotals,
    moment: _Moment,
    volts: Array,
    metal: Array,
    noise: Array,
) -> None:
    steps = preset.line.steps_per_day
    if moment.current_ka > _LIVE_SHARE * preset.line.nominal_current_ka:
        totals.live_steps += 1.0
        totals.volt_steps += volts
    totals.charge_ka_d += moment.current_ka / steps
    totals.electric_kwh += volts * moment.current_ka * (24.0 / steps)
    totals.metal_kg += metal
    totals.noise_mv += noise
    totals.temperature_c += state.bath_temperature_c
    totals.superheat_c += moment.superheat_c
    totals.ledge_mm += state.ledge_mm
    totals.acd_cm += state.acd_cm
    totals.al2o3_wt_pct += moment.bath.al2o3
    totals.alf3_wt_pct += moment.bath.excess_alf3
    totals.superheat_outside_h += _outside(moment.superheat_c, SUPERHEAT_WINDOW_C) * (24.0 / steps)
    totals.temperature_outside_h += _outside(state.bath_temperature_c, TEMPERATURE_WINDOW_C) * (24.0 / steps)


def _outside(values: Array, window: tuple[float, float]) -> NDArray[np.bool_]:
    return (values < window[0]) | (values > window[1])
