"""The operators: a nine-box policy on what was measured and reported, with the plant's step sizes and human scatter.

Nothing here sees the truth. Because the voltage rises when a cell looks sick, the record is confounded as a real
plant's is.
"""

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.cells import CellEffects, LifeDay
from experiments.simulator.draws import DayDraws
from experiments.simulator.preset import Preset
from experiments.simulator.record import Morning
from features.relations import Array

LEVERS: Final = ("set_voltage_v", "alf3_dose_kg_d", "tap_target_kg", "alumina_feed_kg_d")
_LIMITS_AT_KA: Final = 500.0


def hard_limits(preset: Preset) -> dict[str, tuple[float, float]]:
    """Return what the plant's own controls accept, whoever asks; what a cell makes and eats goes with the current."""
    scale = preset.line.nominal_current_ka / _LIMITS_AT_KA
    return {
        "set_voltage_v": (3.70, 4.40),
        "alf3_dose_kg_d": (0.0, 120.0),
        "tap_target_kg": (0.0, 4600.0 * scale),
        "alumina_feed_kg_d": (6500.0 * scale, 8500.0 * scale),
    }


@dataclass(eq=False)
class Board:
    """What the operators have before them in the morning, each (c,)."""

    temperature_c: Array
    """Smoothed over some two days."""
    noise_mv: Array
    level_mm: Array
    alf3_wt_pct: Array
    """The last one reported."""
    alf3_pending: Array
    """Sampled, and reported a day later."""
    bath_level_mm: Array
    set_voltage_v: Array
    alf3_dose_kg_d: Array
    tap_target_kg: Array
    alumina_feed_kg_d: Array

    def copy(self) -> "Board":
        """Return an independent copy."""
        return Board(**{f.name: getattr(self, f.name).copy() for f in fields(self)})

    def rows(self, index: NDArray[np.int64]) -> "Board":
        """Return a copy that holds the cells in ``index``, in that order."""
        return Board(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def put(self, mask: NDArray[np.bool_], other: "Board") -> None:
        """Overwrite the cells under ``mask`` (c,) with those of ``other``."""
        for f in fields(self):
            setattr(self, f.name, np.where(mask, getattr(other, f.name), getattr(self, f.name)))


def informed(board: Board, morning: Morning) -> Board:
    """Return the board with the morning's readings worked in, each smoothed as people remember it."""
    return replace(
        board,
        temperature_c=0.35 * board.temperature_c + 0.65 * morning.bath_temperature_c,
        noise_mv=0.5 * board.noise_mv + 0.5 * morning.noise_mv,
        level_mm=0.5 * board.level_mm + 0.5 * morning.metal_level_mm,
        bath_level_mm=0.4 * board.bath_level_mm + 0.6 * morning.bath_level_mm,
    )


@dataclass(frozen=True)
class Aims:
    """What the line's engineers want of each cell at its age and health, each (c,)."""

    set_voltage_v: Array
    temperature_c: Array
    alf3_wt_pct: Array
    alf3_dose_kg_d: Array
    metal_level_mm: Array
    alumina_feed_kg_d: Array


def aims(preset: Preset, effects: CellEffects, life: LifeDay, metal_kg_d: float) -> Aims:
    """Return the aims for each cell; ``metal_kg_d`` is the metal that a sound cell makes in a day."""
    op, hurt = preset.operation, life.damage
    age = np.maximum(life.age_d, 0.0)
    young = (1.0 - hurt) * np.clip((op.young_days - age) / op.young_ramp_days, 0.0, 1.0)
    early = op.start_voltage_v * np.exp(-age / op.start_voltage_days) * (1.0 - 0.6 * hurt)
    fed = metal_kg_d * preset.feeding.practical_kg_per_kg * (1.0 + preset.feeding.shot_bias)
    return Aims(
        set_voltage_v=op.set_voltage_v
        + (op.damaged_voltage_v - op.set_voltage_v) * hurt
        + early
        + effects.preference_v,
        temperature_c=op.temperature_c + (op.young_temperature_c - op.temperature_c) * young,
        alf3_wt_pct=op.alf3_wt_pct + (preset.bath.young_alf3_wt_pct - op.alf3_wt_pct) * young,
        alf3_dose_kg_d=op.alf3_dose_kg_d
        + (op.damaged_dose_kg_d - op.alf3_dose_kg_d) * hurt
        + (op.young_dose_kg_d - op.alf3_dose_kg_d) * young,
        metal_level_mm=op.metal_level_mm
        + (op.damaged_metal_mm - op.metal_level_mm) * hurt
        + (op.young_metal_mm - op.metal_level_mm) * young,
        alumina_feed_kg_d=np.round(fed * effects.feed_preference / op.feed_step_kg) * op.feed_step_kg,
    )


def first_board(preset: Preset, goal: Aims) -> Board:
    """Return the board on the first morning: everything at its aim."""
    cells = goal.set_voltage_v.shape[0]
    return Board(
        temperature_c=goal.temperature_c.copy(),
        noise_mv=np.full(cells, 18.0),
        level_mm=goal.metal_level_mm.copy(),
        alf3_wt_pct=goal.alf3_wt_pct.copy(),
        alf3_pending=np.full(cells, np.nan),
        bath_level_mm=np.full(cells, preset.bath.level_target_mm),
        set_voltage_v=np.round(goal.set_voltage_v, 3),
        alf3_dose_kg_d=np.round(goal.alf3_dose_kg_d / 5.0) * 5.0,
        tap_target_kg=np.full(cells, preset.operation.tap_base_kg),
        alumina_feed_kg_d=goal.alumina_feed_kg_d.copy(),
    )


def decide(preset: Preset, board: Board, goal: Aims, life: LifeDay, draws: DayDraws) -> dict[str, Array]:
    """Return the setpoints (c,) that the operators choose for the day, by lever."""
    low_t, high_t = _beyond(board.temperature_c, goal.temperature_c, preset.operation.temperature_band_c)
    low_a, high_a = _beyond(board.alf3_wt_pct, goal.alf3_wt_pct, preset.operation.alf3_band_wt_pct)
    box = (1 - low_t.astype(np.int64) + high_t, 1 - low_a.astype(np.int64) + high_a)
    volts, doses = (
        np.reshape(table, (3, 3)) for table in (preset.operation.volt_box, preset.operation.dose_box)
    )
    chosen = {
        "set_voltage_v": _voltage(preset, board, goal, volts[box], life, draws),
        "alf3_dose_kg_d": _dose(preset, board, goal, doses[box], draws),
        "tap_target_kg": _tap(preset, board, goal, life, draws),
        "alumina_feed_kg_d": _alumina(preset, board, goal, draws),
    }
    limits = hard_limits(preset)
    return {name: np.clip(value, *limits[name]) for name, value in chosen.items()}


def _beyond(value: Array, aim: Array, band: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return value < aim - band, value > aim + band


def _voltage(preset: Preset, board: Board, goal: Aims, box: Array, life: LifeDay, draws: DayDraws) -> Array:
    """Rarely moved: with the box, against noise, back towards the aim, and sometimes for no recorded reason."""
    op, u, z = preset.operation, draws.uniform, draws.normal
    gap = goal.set_voltage_v - board.set_voltage_v
    noisy = board.noise_mv > op.noise_high_mv
    stride = 0.008 * np.exp(np.clip(1.05 * z[0], -1.9, 2.2))
    wish = np.where(noisy, 1.0, box)
    act = (u[0] < op.voltage_act) & (wish != 0.0)
    back = (u[1] < 0.02 + 2.0 * np.minimum(np.abs(gap), 0.3)) & ~act & (np.abs(gap) > 0.005)
    whim = (u[2] < op.voltage_whim) & ~act & ~back
    move = np.where(act, np.sign(wish) * stride, 0.0)
    move = np.where(
        back, np.sign(gap) * np.minimum(np.abs(gap), np.maximum(stride, 0.25 * np.abs(gap))), move
    )
    move = np.where(whim, np.sign(u[3] - 0.5) * stride, move)
    # Nobody leaves a sound cell far from where the engineers want it.
    far = np.clip(board.set_voltage_v + move, goal.set_voltage_v - 0.03, goal.set_voltage_v + 0.035)
    chosen: Array = np.where(life.running, far, goal.set_voltage_v)
    return np.round(chosen, 3)


def _dose(preset: Preset, board: Board, goal: Aims, box: Array, draws: DayDraws) -> Array:
    """Half of all days: with the box and towards what temperature and analysis ask for, in steps of 5 kg."""
    op, u, z = preset.operation, draws.uniform, draws.normal
    asked = goal.alf3_dose_kg_d + op.dose_per_k * (board.temperature_c - goal.temperature_c)
    asked = asked + op.dose_per_alf3_pct * (board.alf3_wt_pct - goal.alf3_wt_pct) + 4.0 * z[1]
    # A noisy cell is taken for a cold one with sludge, and its AlF3 is cut.
    asked = asked + op.dose_per_noise_mv * np.clip(board.noise_mv - 19.0, -8.0, 14.0)
    gap = asked - board.alf3_dose_kg_d
    step = np.clip(5.0 * np.round((op.dose_follow * gap + 0.4 * box) / 5.0), -15.0, 15.0)
    moved = np.where(u[4] < op.dose_act, step, 0.0)
    return np.clip(board.alf3_dose_kg_d + moved, 0.0, 100.0)


def _tap(preset: Preset, board: Board, goal: Aims, life: LifeDay, draws: DayDraws) -> Array:
    """The tap follows the level in whole steps; a cell that is far from its level is brought there."""
    op, z = preset.operation, draws.normal
    over = board.level_mm - goal.metal_level_mm
    # Metal is what cools a hot cell, so a hot cell is tapped less.
    hot = op.tap_steps_per_k * np.clip(board.temperature_c - op.temperature_c, -10.0, 30.0)
    steps = np.round(over / op.tap_mm_per_step - hot + 0.25 * z[2])
    # A pad that runs low is left to grow: better a light tap than a cell that freezes or shorts.
    steps = np.clip(steps, np.where(over < -30.0, -12.0, -5.0), 3.0)
    change = op.tap_base_kg + op.tap_step_kg * steps - board.tap_target_kg
    stride = np.where(board.tap_target_kg < 0.5 * op.tap_base_kg, op.tap_base_kg, 2.0 * op.tap_step_kg)
    change = np.clip(change, -stride, stride)
    lazy = (draws.uniform[5] < 0.45) & (np.abs(change) < 90.0)
    target = board.tap_target_kg + np.where(lazy, 0.0, change)
    young = (life.age_d < 1.0) & life.running
    return np.where(young, 0.0, target)


def _alumina(preset: Preset, board: Board, goal: Aims, draws: DayDraws) -> Array:
    """Rarely moved, a step at a time, and drawn back to the aim."""
    op, u = preset.operation, draws.uniform
    gap = (goal.alumina_feed_kg_d - board.alumina_feed_kg_d) / op.feed_step_kg
    up = u[7] < 0.5 + 0.12 * np.clip(gap, -4.0, 4.0)
    steps = 1.0 + (u[8] < 0.3)
    return board.alumina_feed_kg_d + np.where(u[6] < 0.07, np.where(up, steps, -steps) * op.feed_step_kg, 0.0)


def crust_addition(preset: Preset, board: Board, draws: DayDraws) -> Array:
    """Bath added or tapped (c,) [kg] to bring the level back, half the gap on the days that somebody does it."""
    gap = preset.bath.level_target_mm - board.bath_level_mm
    wanted = gap * preset.bath.free_area_m2 * preset.bath.density_kg_m3 / 1000.0
    return np.where(
        (np.abs(gap) > 12.0) & (draws.uniform[9] < 0.5), np.clip(0.45 * wanted, -400.0, 400.0), 0.0
    )
