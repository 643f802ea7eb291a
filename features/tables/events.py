"""When the process itself explains a jump: what must never be called a fault of an instrument.

An anode effect takes a cell from 4.3 V to tens of volts, a start-up runs hot and high, an amperage change moves the
whole line, an anode change or a late tap disturbs a cell for a day. The marks here come from the record's own
columns; where a plant does not record anode effects, noise and swing beside a voltage jump stand for them.
"""

from dataclasses import dataclass

import numpy as np

from features.history import History
from features.tables.instruments import Floats, Mask, spread, widen

_YOUNG_D = 120.0
_CURRENT_STEP = 0.01
_SET_STEP_V = 0.03
_FULL_DAY_MIN = 1300.0
_SWING_MIN = 10.0
_TAP_KG = 800.0


@dataclass(frozen=True)
class Events:
    """Days (t, c) on which the process is unsettled (any jump is its own), or was handled (small jumps are)."""

    unsettled: Mask
    handled: Mask

    @classmethod
    def of(cls, history: History) -> "Events":
        """Read the events from the record's own columns."""
        none = np.zeros((len(history.dates), len(history.cell_ids)), dtype=np.bool_)
        get = history.signals.get
        unsettled = none.copy()
        for name in ("anode_effects", "anode_effect_minutes"):
            if (count := get(name)) is not None:
                unsettled |= widen(np.nan_to_num(count) > 0.0, 0, 1)
        if (age := get("cell_age_d")) is not None:
            unsettled |= np.nan_to_num(age, nan=np.inf) < _YOUNG_D
        if (run := get("run_minutes")) is not None:
            unsettled |= widen(np.nan_to_num(run, nan=np.inf) < _FULL_DAY_MIN, 1, 1)
        if (current := get("line_current_ka")) is not None:
            unsettled |= widen(_jumps(current, _CURRENT_STEP * np.nan_to_num(current, nan=np.inf)), 3, 3)
        for name in ("set_voltage_v", "applied_set_voltage_v"):
            if (setpoint := get(name)) is not None:
                unsettled |= widen(_jumps(setpoint, np.full_like(setpoint, _SET_STEP_V)), 1, 1)
        return cls(unsettled, _handled(history, none))

    def explains(self, history: History, name: str) -> Mask:
        """Say on which days (t, c) other signals of the cell explain a jump of ``name``."""
        none = np.zeros_like(self.unsettled)
        if name in ("cell_voltage_v", "bath_temperature_c"):
            swing = history.signals.get("swing_minutes")
            noise = history.signals.get("noise_mv")
            restless = none if swing is None else np.nan_to_num(swing) > _SWING_MIN
            return restless if noise is None else restless | _high(noise)
        if name == "noise_mv" and (voltage := history.signals.get("cell_voltage_v")) is not None:
            return _high(voltage)
        return none


def _handled(history: History, none: Mask) -> Mask:
    handled = none.copy()
    if (changed := history.signals.get("anodes_removed")) is not None:
        handled |= widen(np.nan_to_num(changed) > 0.0, 0, 1)
    mass, target = history.signals.get("tap_mass_kg"), history.signals.get("tap_target_kg")
    if mass is not None and target is not None:
        handled |= widen(np.abs(np.nan_to_num(mass - target)) > _TAP_KG, 0, 1)
    return handled


def _high(values: Floats) -> Mask:
    """Say where ``values`` (t, c) are far above the cell's own scatter."""
    steps = spread(np.diff(values, axis=0), 0)[None, :]
    middle = np.array([np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else np.nan for c in values.T])
    return np.asarray(values > middle[None, :] + 4.0 * steps, dtype=np.bool_)


def _jumps(values: Floats, least: Floats) -> Mask:
    moved = np.zeros(values.shape, dtype=np.bool_)
    moved[1:] = np.abs(np.nan_to_num(np.diff(values, axis=0))) > least[1:]
    return moved
