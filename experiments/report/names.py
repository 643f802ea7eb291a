"""What recommendations call by code, in the page's two languages: constraints that bind, reasons that hold."""

from typing import Final

from experiments.report.words import Words
from serving.constraints import constraint_words as named

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
    """Return what a binding constraint is called.

    >>> str(constraint_words("mean_noise_mv.high"))
    'mean voltage noise: upper bound'
    """
    return Words(*named(name))


def reason_words(code: str) -> Words:
    """Return what a reason is called as the heading of all cells that share it."""
    return _REASONS.get(code, Words.same(code.replace("_", " ")))
