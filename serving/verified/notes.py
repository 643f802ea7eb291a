"""Why a saving is not told, by code, in both languages."""

from collections.abc import Mapping
from typing import Final

from serving.reasons import Wording
from serving.verified.schemas import Note

_ALL = (
    Wording(
        "none_accepted",
        "No accepted recommendation was carried out in this time.",
        "该时段内没有已采纳并执行的建议。",
    ),
    Wording(
        "waiting",
        "{waiting:.0f} accepted recommendations wait for their outcome: it is not in the record yet.",
        "{waiting:.0f} 条已采纳建议的结果尚未进入记录。",
    ),
    Wording(
        "no_signal",
        "Energy per tonne cannot be told without {missing}; map what is missing.",
        "缺少 {missing}，无法计算吨铝电耗，请补充映射。",
    ),
    Wording(
        "few_controls",
        "Too few unmoved cells like the moved ones to compare with: {controls:.0f} on the line, {least:.0f} near each are"
        " needed. Leave some cells unmoved.",
        "可比的未调整槽过少：系列内 {controls:.0f} 台，每台至少需 {least:.0f} 台相近的对照槽。请保留部分槽不调整。",
    ),
    Wording(
        "few_days",
        "Only {days:.0f} cell-days could be compared; {least:.0f} are needed.",
        "可比较的槽日仅 {days:.0f} 个，至少需要 {least:.0f} 个。",
    ),
    Wording(
        "partly",
        "{days:.0f} of {total:.0f} cell-days had a baseline and controls; the others count as no saving.",
        "{total:.0f} 个槽日中仅 {days:.0f} 个具备基准期与对照，其余按未节约计。",
    ),
    Wording(
        "no_butts",
        "Net anode is not told: {why}",
        "未计阳极净耗：{why}",
    ),
    Wording(
        "anode_life",
        "Net anode is not told: butts weighed so far spent {share:.0%} of their lives under the move, {least:.0%} are"
        " needed.",
        "未计阳极净耗：已称残极仅有 {share:.0%} 的使用时间处于调整之后，至少需要 {least:.0%}。",
    ),
    Wording(
        "not_promised",
        "A person chose another setting for some of these days; nothing was promised for it.",
        "部分日期由人工改选设定，对其没有承诺值。",
    ),
)

NOTES: Final[Mapping[str, Wording]] = {wording.code: wording for wording in _ALL}


def note(code: str, zh: Mapping[str, str] | None = None, /, **evidence: float | str) -> Note:
    """Return the note ``code`` with its sentences filled; ``zh`` replaces what is itself a word in Chinese."""
    wording = NOTES[code]
    chinese = {**evidence, **(zh or {})}
    return Note(code=code, text=wording.text.format(**evidence), text_zh=wording.text_zh.format(**chinese))
