"""What recommendations call by code, in the page's two languages: constraints that bind, reasons that hold."""

from typing import Final

from experiments.report.words import Words
from features.outcomes import OUTCOMES
from features.signals import SIGNALS

_SIDES: Final = {
    "low": Words("lower bound", "下限"),
    "high": Words("upper bound", "上限"),
    "hard_low": Words("hard lower limit", "硬性下限"),
    "hard_high": Words("hard upper limit", "硬性上限"),
    "max_daily_step": Words("daily step", "每日步长"),
    "bounds": Words("bounds", "范围"),
    "above_electrolysis": Words("carbon floor", "理论碳耗下限"),
}
_CONSTRAINTS: Final = {
    "support.low": Words("data support", "数据支持度"),
    "heat_balance_cooling": Words("heat balance (cooling)", "热平衡（趋冷）"),
    "heat_balance_heating": Words("heat balance (heating)", "热平衡（趋热）"),
}
_REASONS: Final = {
    "no_gain": Words("no setting within reach costs less", "可行范围内没有更低成本的设定"),
    "too_small": Words("the saving is smaller than a move is worth", "节约小于一次调整的最低要求"),
    "uncertain": Words("the saving is not sure enough", "节约把握不足"),
    "single_member": Words("the model cannot say how sure a saving is", "模型无法给出把握程度"),
    "unsafe": Words("the move found fails the final check", "所得方案未通过最终校核"),
    "no_path": Words("no order of daily steps reaches the setting", "没有可行的逐日步骤"),
    "not_identified": Words("what its levers do is not known from the record", "记录无法说明设定项的作用"),
    "no_data": Words("no usable record for the day", "当日没有可用记录"),
    "stale": Words("the last report is too old", "最近上报过旧"),
    "missing": Words("a value that the model needs is missing", "模型所需数据缺失"),
    "out_of_range": Words("a value lies outside its plausible range", "数值超出合理范围"),
    "frozen": Words("an instrument may be stuck", "仪表可能卡滞"),
    "young": Words("young cell, left to start-up practice", "新启动槽，按启动期管理"),
    "anode_effect": Words("a recent anode effect", "近期发生阳极效应"),
    "anode_change": Words("a recent anode change", "近期换极"),
    "unsupported": Words("too few cells like this one in the record", "历史中类似工况过少"),
    "implausible": Words("the prediction for today is not credible", "当前预测不可信"),
    "not_a_number": Words("the model gives no number", "模型未给出数值"),
    "no_helper": Words("a prediction that safety needs is missing", "缺少安全所需的预测"),
}


def constraint_words(name: str) -> Words:
    """Return what a binding constraint is called; its own name in words where it is none of ours.

    >>> str(constraint_words("mean_noise_mv.high"))
    'mean voltage noise: upper bound'
    """
    if name in _CONSTRAINTS:
        return _CONSTRAINTS[name]
    subject, _, side = name.rpartition(".")
    known = SIGNALS.get(subject) or OUTCOMES.get(subject)
    if known is None or side not in _SIDES:
        return Words.same(name.replace("_", " "))
    edge = _SIDES[side]
    return Words(f"{known.meaning}: {edge.en}", f"{known.meaning_zh}：{edge.zh}")


def reason_words(code: str) -> Words:
    """Return what a reason is called as the heading of all cells that share it."""
    return _REASONS.get(code, Words.same(code.replace("_", " ")))
