"""What a constraint that binds, or is broken, is called: the code of a limit in words, in both languages."""

from collections.abc import Mapping
from typing import Final

from features.outcomes import OUTCOMES
from features.signals import SIGNALS

Words = tuple[str, str]
"""English, Chinese."""

_SIDES: Final[Mapping[str, Words]] = {
    "low": ("lower bound", "下限"),
    "high": ("upper bound", "上限"),
    "hard_low": ("hard lower limit", "硬性下限"),
    "hard_high": ("hard upper limit", "硬性上限"),
    "max_daily_step": ("daily step", "每日步长"),
    "bounds": ("bounds", "范围"),
    "above_electrolysis": ("carbon floor", "理论碳耗下限"),
    "not_identified": ("effect not known", "作用未知"),
}
_WHOLE: Final[Mapping[str, Words]] = {
    "support.low": ("data support", "数据支持度"),
    "window": ("the window on offer", "可选范围"),
    "one_group_a_day": ("one group of setpoints a day", "每日只动一类设定"),
    "heat_balance_cooling": ("heat balance (cooling)", "热平衡（趋冷）"),
    "heat_balance_heating": ("heat balance (heating)", "热平衡（趋热）"),
}


def constraint_words(name: str) -> Words:
    """Return what the constraint ``name`` is called; its own name in words where it is none of ours.

    >>> constraint_words("mean_noise_mv.high")[0]
    'mean voltage noise: upper bound'
    """
    if name in _WHOLE:
        return _WHOLE[name]
    subject, _, side = name.removeprefix("floor.").rpartition(".")
    known = SIGNALS.get(subject) or OUTCOMES.get(subject)
    if known is None or side not in _SIDES:
        words = name.replace("_", " ")
        return words, words
    edge, edge_zh = _SIDES[side]
    return f"{known.meaning}: {edge}", f"{known.meaning_zh}：{edge_zh}"
