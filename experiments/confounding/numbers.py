"""How effects are written: per step that an operator would take, not per volt."""

import math
from typing import Final

from experiments.confounding.content import LeverPage
from features.outcomes import OUTCOMES
from training.identification.verdict import OutcomeFinding

_STEPS: Final = {
    "set_voltage_v": (0.010, "10 mV"),
    "alf3_dose_kg_d": (5.0, "5 kg/d"),
    "tap_target_kg": (60.0, "60 kg"),
    "alumina_feed_kg_d": (25.0, "25 kg/d"),
}
_UNITS: Final = {"fraction": (100.0, "pp"), "V": (1000.0, "mV")}


def step_of(lever: str) -> float:
    """Return the step of ``lever`` that effects are shown for, in its unit."""
    return _STEPS[lever][0] if lever in _STEPS else 1.0


def scaled_unit(lever: str, unit: str) -> str:
    """Return that step in words."""
    return _STEPS[lever][1] if lever in _STEPS else f"1 {unit}"


def outcome_unit(outcome: str) -> str:
    """Return the unit that effects on ``outcome`` are shown in."""
    unit = OUTCOMES[outcome].unit
    return _UNITS[unit][1] if unit in _UNITS else unit


def scale(lever: str, outcome: str) -> float:
    """Return by what a slope per unit is multiplied before it is shown."""
    return step_of(lever) * _UNITS.get(OUTCOMES[outcome].unit, (1.0, ""))[0]


def number(value: float) -> str:
    """Write an effect with its sign: two significant digits below 100, none after the point above."""
    if not math.isfinite(value):
        return "–"
    digits = max(0, 1 - math.floor(math.log10(abs(value)))) if abs(value) > 1e-12 else 0
    text = f"{value:+.{min(digits, 4)}f}"
    return "0" if not any(digit in text for digit in "123456789") else text.replace("-", "−")


def between(low: float | None, high: float | None, factor: float) -> str:
    """Write an interval, "" without one."""
    return "" if low is None or high is None else f"({number(low * factor)} – {number(high * factor)})"


def effect_text(page: LeverPage, entry: OutcomeFinding) -> tuple[str, str, str, str, str]:
    """Return record, physics, model, smallest effect that would show, and verdict of one lever and outcome."""
    factor = scale(page.assessment.lever, entry.outcome)
    unit = outcome_unit(entry.outcome)
    slope, model = entry.slope, None if page.model is None else page.model.get(entry.outcome)
    record = "–"
    if slope is not None:
        low, high = slope.interval()
        record = f"{number(slope.value * factor)} {between(low, high, factor)} {unit}"
    physics = "–"
    if entry.expected is not None:
        physics = f"{number(entry.expected.mean * factor)} ± {number(entry.expected.sd * factor).lstrip('+')}"
    said = (
        "–"
        if model is None
        else f"{number(model.value * factor)} {between(model.low, model.high, factor)}".strip()
    )
    shown = "–" if slope is None else number(slope.detectable * factor).lstrip("+")
    verdict = f"{entry.finding.grade.replace('_', ' ')}: {entry.finding.code.replace('_', ' ')}"
    return record, physics, said, shown, verdict
