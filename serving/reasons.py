"""Every reason that a recommendation can give, by code, in both languages.

The sentences are for the engineer on shift: what was seen, in numbers with units, and what follows from it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from features.errors import UnknownNameError
from serving.constraints import constraint_words
from serving.schemas import Reason


@dataclass(frozen=True)
class Wording:
    """The sentence of one code in both languages; braces name the evidence that fills them."""

    code: str
    text: str
    text_zh: str

    def __post_init__(self) -> None:
        """Refuse a sentence that needs other evidence than its translation."""
        if self.fields(self.text) != self.fields(self.text_zh):
            raise ValueError(f"reason {self.code}: the two languages need different evidence")

    @staticmethod
    def fields(text: str) -> frozenset[str]:
        """Return the names of the evidence that ``text`` needs."""
        return frozenset(name for _, name, _, _ in Formatter().parse(text) if name)


_ALL = (
    # Why a cell is moved.
    Wording(
        "saving",
        "Saves {cost:.1f} {currency} a tonne: {energy:+.0f} kWh/t energy{anode_text}. At {confidence:.0%} confidence at"
        " least {cost_lower:.1f} {currency} a tonne.",
        "预计每吨节约 {cost:.1f} {currency}：电耗 {energy:+.0f} kWh/t{anode_text}。{confidence:.0%} 置信下限为每吨"
        " {cost_lower:.1f} {currency}。",
    ),
    Wording(
        "stays_inside",
        "{outcome} is expected at {recommended:.1f} {unit} (now {current:.1f}), inside its window of {window}.",
        "{outcome}预计为 {recommended:.1f} {unit}（当前 {current:.1f}），在要求范围内（{window}）。",
    ),
    Wording(
        "toward_window",
        "{outcome} already stands outside its window of {window} ({current:.1f} {unit}); the move takes it no further"
        " out, to {recommended:.1f}.",
        "{outcome}已超出要求范围（{window}，当前 {current:.1f} {unit}）；调整后为 {recommended:.1f}，不会更偏离。",
    ),
    Wording(
        "staged",
        "The change is larger than one day's step: it takes {days:.0f} days, one group of setpoints a day.",
        "调整量超过单日步长：分 {days:.0f} 天完成，每天只动一类设定。",
    ),
    Wording(
        "binding",
        "More would be gained, but a limit stops the move here ({constraint}).",
        "继续调整仍有收益，但受约束限制（{constraint}）。",
    ),
    Wording(
        "cautious",
        "The largest expected saving is not sure enough; this smaller move is.",
        "期望节约最大的方案把握不足；采用把握更大的较小调整。",
    ),
    Wording(
        "beyond_practice",
        "{outcome} is predicted at {predicted:.0f} {unit}, better than whole lines have shown ({edge:g}); check the"
        " cell before acting.",
        "{outcome}预测值 {predicted:.0f} {unit}，优于整系列已实现水平（{edge:g}）；执行前请核对该槽。",
    ),
    Wording(
        "no_anode_target",
        "The model does not predict net anode consumption, so only energy and AlF3 are counted: {why}",
        "模型不预测阳极净耗，仅计电耗与氟化铝：{why}",
    ),
    Wording(
        "unchecked",
        "The model does not predict {outcome}, so its window was not checked.",
        "模型不预测{outcome}，未核对其范围。",
    ),
    Wording(
        "model_error_widened",
        "Intervals are {factor:.1f} times wider than proved: over {days:.0f} days {missed:.0%} of {outcome} lay outside"
        " instead of {nominal:.0%}.",
        "区间放宽至验证时的 {factor:.1f} 倍：近 {days:.0f} 天{outcome}有 {missed:.0%} 落在区间之外（应为 {nominal:.0%}）。",
    ),
    Wording(
        "not_identified",
        "The {lever} stays where it is: what it does is not known from this plant's record. {why}",
        "{lever}保持不变：该厂记录无法说明其作用。{why}",
    ),
    Wording(
        "weakly_identified",
        "What the {lever} does rests on physics more than on this plant's record: watch what follows. {why}",
        "{lever}的作用主要依据物理先验而非该厂记录，请关注后续变化。{why}",
    ),
    # Why a cell is held.
    Wording(
        "no_gain",
        "No setting within reach costs less than today's.",
        "可行范围内没有比当前设定成本更低的方案。",
    ),
    Wording(
        "too_small",
        "The best move would save {cost:.2f} {currency} a tonne, less than the {least:g} that a move is worth.",
        "最佳调整每吨仅节约 {cost:.2f} {currency}，低于最低要求 {least:g}。",
    ),
    Wording(
        "uncertain",
        "The best move would save {cost:.1f} {currency} a tonne, but with {confidence:.0%} confidence only"
        " {cost_lower:.1f}: not surely a saving.",
        "最佳调整预计每吨节约 {cost:.1f} {currency}，但 {confidence:.0%} 置信下限为 {cost_lower:.1f}，不能确认节约。",
    ),
    Wording(
        "single_member",
        "The model has one member, so how sure a saving is cannot be said.",
        "模型只有一个成员，无法给出节约的把握程度。",
    ),
    Wording(
        "unsafe",
        "The found move fails the final check ({constraint}) by {excess:.3g}; the cell is held.",
        "所得方案未通过最终校核（{constraint}，超出 {excess:.3g}），保持当前设定。",
    ),
    Wording(
        "no_path",
        "No order of daily steps reaches the found setting with every limit kept on each day; the cell is held.",
        "没有任何逐日步骤能在每天都满足约束的前提下到达所得设定，保持当前设定。",
    ),
    Wording(
        "outside_window",
        "{outcome} is predicted at {predicted:.1f} {unit}, outside its window of {window}, and no move that saves brings"
        " it back: bring the cell back by the line's own rules.",
        "{outcome}预计为 {predicted:.1f} {unit}，超出要求范围（{window}），且没有既节约又能使其恢复的调整：请按系列自身规程恢复该槽。",
    ),
    # Why nothing is said.
    Wording(
        "model_error",
        "Over {days:.0f} days {missed:.0%} of {outcome} lay outside its interval instead of {nominal:.0%}: the model is not"
        " trusted on this cell until it is trained again.",
        "近 {days:.0f} 天{outcome}有 {missed:.0%} 落在预测区间之外（应为 {nominal:.0%}）：重新训练前不采信该槽的模型结果。",
    ),
    Wording(
        "no_data",
        "The cell has no usable record for this day: it has reported nothing, or a setpoint was never reported.",
        "该槽当日没有可用记录：未上报数据，或某设定值从未上报。",
    ),
    Wording(
        "stale",
        "The last report is {age_d:.0f} days old, more than {limit_d:g}.",
        "最近一次上报已过 {age_d:.0f} 天，超过 {limit_d:g} 天。",
    ),
    Wording(
        "missing",
        "{feature} is not known, and the model needs it.",
        "模型需要的 {feature} 缺失。",
    ),
    Wording(
        "out_of_range",
        "{feature} is {value:g} {unit}, outside its plausible range {low:g} to {high:g}.",
        "{feature} 为 {value:g} {unit}，超出合理范围 {low:g} 至 {high:g}。",
    ),
    Wording(
        "frozen",
        "{signal} has shown the same value, {value:g}, for {days:.0f} days: the instrument may be stuck.",
        "{signal} 连续 {days:.0f} 天为同一数值 {value:g}，仪表可能卡滞。",
    ),
    Wording(
        "young",
        "The cell is {age_d:.0f} days old; below {limit_d:g} days it is left to start-up practice.",
        "槽龄 {age_d:.0f} 天，低于 {limit_d:g} 天，按启动期管理。",
    ),
    Wording(
        "anode_effect",
        "An anode effect {since_d:.0f} days ago: the cell settles first, {limit_d:g} days.",
        "{since_d:.0f} 天前发生阳极效应，需先稳定 {limit_d:g} 天。",
    ),
    Wording(
        "anode_change",
        "An anode was changed {since_h:.0f} hours before the decision: the cell settles first, {limit_h:g} hours.",
        "决策前 {since_h:.0f} 小时换过阳极，需先稳定 {limit_h:g} 小时。",
    ),
    Wording(
        "unsupported",
        "The model has seen too few cells like this one: support {score:.3f}, at least {threshold:g} is needed.",
        "模型见过的类似工况过少：支持度 {score:.3f}，要求不低于 {threshold:g}。",
    ),
    Wording(
        "implausible",
        "With today's setting the model predicts {outcome} at {predicted:.4g} {unit}, beyond what a cell can show"
        " ({edge:g}): the prediction is not trusted.",
        "当前设定下模型预测{outcome}为 {predicted:.4g} {unit}，超出可信界限（{edge:g}），不予采信。",
    ),
    Wording(
        "not_a_number",
        "The model gives no number for {outcome} on this cell.",
        "模型对该槽的{outcome}没有给出数值。",
    ),
    Wording(
        "no_helper",
        "The model does not predict {outcome}, without which no setpoint may be moved.",
        "模型不预测{outcome}，而该项是调整设定的前提。",
    ),
    # Why a recommended move is not among the first.
    Wording(
        "left_out_budget",
        "It does not fit beside the others: {budget} would come to {used:.4g}, and {limit:.4g} is allowed.",
        "与其他调整同时执行时{budget}将达 {used:.4g}，超出允许的 {limit:.4g}。",
    ),
    Wording(
        "left_out_risk",
        "It fits, but its risk adds to the others': with it the joint gain less its risk changes by {change:+.1f}"
        " {currency} a day.",
        "可以执行，但其风险与其他调整叠加：加入后扣除风险的总收益变化为每天 {change:+.1f} {currency}。",
    ),
)

WORDINGS: Mapping[str, Wording] = {wording.code: wording for wording in _ALL}


def reason(code: str, evidence: Mapping[str, float | str | None] | None = None, **zh: str) -> Reason:
    """Return the reason ``code`` with its sentences filled from ``evidence``.

    ``zh`` replaces evidence that is itself a word in the Chinese sentence. A ``constraint`` stands in the evidence by its
    code and in the sentences by its words.

    Raises:
        UnknownNameError: no such code.
    """
    if code not in WORDINGS:
        raise UnknownNameError(f"unknown reason {code!r}; the reasons are {', '.join(WORDINGS)}")
    wording, values = WORDINGS[code], dict(evidence or {})
    told, told_zh = dict(values), {**values, **zh}
    if "constraint" in values:
        told["constraint"], told_zh["constraint"] = constraint_words(str(values["constraint"]))
    return Reason(
        code=code,
        text=wording.text.format(**told),
        text_zh=wording.text_zh.format(**told_zh),
        # A file cannot hold a number that is none.
        evidence={
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        },
    )
