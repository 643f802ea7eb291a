"""How figures are written on the page: decimals by unit, signs that say saved or spent, names in both languages."""

import math
from typing import Final

from experiments.report.words import Words
from experiments.summary import Estimate
from features.outcomes import OUTCOMES
from features.signals import SIGNALS

_DECIMALS: Final = {
    "kWh/t": 0,
    "kg/t": 1,
    "V": 3,
    "fraction": 3,
    "degC": 1,
    "mV": 1,
    "kg/d": 0,
    "kg": 0,
    "kWh/d": 0,
    "%": 1,
}
_FAMILIES: Final = {
    "boosting": Words("LightGBM", "LightGBM"),
    "network": Words("network ensemble", "神经网络集成"),
    "composed": Words("physics hybrid", "物理组合模型"),
    "blend": Words("blend", "加权融合"),
    "ridge": Words("physics ridge", "物理约束岭回归"),
    "ridge_plain": Words("ridge (baseline)", "岭回归（基准）"),
    "persistence": Words("persistence", "保持昨日值"),
    "running_estimate": Words("running estimate", "滚动估计"),
    "cell_mean": Words("cell mean", "单槽均值"),
}
BASELINES: Final = frozenset({"persistence", "running_estimate", "cell_mean", "ridge_plain"})


def decimals(unit: str) -> int:
    """Return the decimals that figures in ``unit`` are shown with."""
    return _DECIMALS.get(unit, 1)


def figure(value: float | None, unit: str) -> str:
    """Write ``value`` as a page shows it; a dash where it is not known.

    >>> figure(12400.4, "kWh/t"), figure(3.9, "V"), figure(None, "V")
    ('12,400', '3.900', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return _plus_zero(f"{value:,.{decimals(unit)}f}")


def signed(value: float | None, unit: str) -> str:
    """Write a change with its sign, a true minus for less."""
    if value is None or not math.isfinite(value):
        return "–"
    text = _plus_zero(f"{value:+,.{decimals(unit)}f}")
    return text.replace("-", "−")


def spread(estimate: Estimate, unit: str) -> str:
    """Write an interval ``lower – upper`` with true minus signs."""
    lower, upper = (figure(end, unit).replace("-", "−") for end in (estimate.lower, estimate.upper))
    return f"{lower} – {upper}"


def lever_words(name: str) -> Words:
    """Return a signal's meaning in both languages; its own name where the dictionary lacks it (a plant's sensor)."""
    entry = SIGNALS.get(name)
    return Words(entry.meaning, entry.meaning_zh) if entry else Words.same(name)


def outcome_words(name: str) -> Words:
    """Return an outcome's meaning in both languages."""
    entry = OUTCOMES.get(name)
    return Words(entry.meaning, entry.meaning_zh) if entry else Words.same(name)


def family_words(name: str) -> Words:
    """Return a model family's or baseline's name in both languages."""
    return _FAMILIES.get(name, Words.same(name.replace("_", " ")))


def money(value: float | None) -> str:
    """Write an amount of money: cents below 100, whole above."""
    if value is None or not math.isfinite(value):
        return "–"
    return _plus_zero(f"{value:,.{0 if abs(value) >= 100 else 1}f}").replace("-", "−")


def _plus_zero(text: str) -> str:
    return text.lstrip("-+") if not any(digit in text for digit in "123456789") else text
