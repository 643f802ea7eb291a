"""Identified, weak or not identified: the rules, and the sentence that goes with each.

A lever is identified where moving it on its own visibly moved something that a move is priced by, in a direction that
physics allows. It is *not* where it never moved, moved only as the rule told, moved without anything following although
this record would show it, where what followed is what physics forbids (then somebody moved it *because* of the
outcome), or where what it does to energy or carbon changes its sign with the cell's state: then a move's worth on one
cell is not known. Between the two it is weak: it moved, physics expects an effect, and the record is too noisy to show
it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from features.outcomes import OUTCOMES, TARGETS
from training.identification.slope import OwnMoves, Slope
from training.lever_effects import LeverEffect, expected_slope

Grade = Literal["identified", "weak", "not_identified"]

LEAST_MOVES: Final = 40
"""Fewer own moves than this (Kish) are anecdotes."""
LEAST_OWN_SHARE: Final = 0.05
"""Below this share of the moves' variance the rule says all there is; what is left is the rule badly written down."""
SURE: Final = 0.05
"""Level of "something followed", over all outcomes of a lever together (Holm)."""
STEADY: Final = 0.05
"""An effect of the other sign on more of the decisions than this is no effect to count on cell by cell."""
WORTH: Final[Mapping[str, float]] = {
    "energy_kwh_per_t": 25.0,
    "net_anode_kg_per_t": 1.0,
    "mean_voltage_v": 0.005,
    "current_efficiency": 0.002,
    "mean_bath_temperature_c": 1.0,
    "mean_superheat_c": 0.5,
    "mean_noise_mv": 1.0,
}
"""The least change over a lever's whole window that is worth knowing (background knowledge: a quarter to a fifth of
what setpoints can realistically save, or half of what an instrument tells apart)."""


@dataclass(frozen=True)
class Finding:
    """A grade with its code and its sentence in both languages."""

    grade: Grade
    code: str
    text: str
    text_zh: str


@dataclass(frozen=True)
class OutcomeFinding:
    """What the record says of one lever on one outcome: slope (None = cannot be told), what physics expects, the grade."""

    outcome: str
    slope: Slope | None
    expected: LeverEffect | None
    finding: Finding


def outcome_finding(
    outcome: str, lever: str, reach: float, moves: OwnMoves, slope: Slope | None
) -> OutcomeFinding:
    """Judge one lever on one outcome; ``reach`` is the lever's window, in its unit."""
    expected = expected_slope(outcome, lever)
    missing = lacking(moves)
    if missing is not None or slope is None:
        return OutcomeFinding(outcome, None, expected, missing or _UNLABELLED)
    return OutcomeFinding(outcome, slope, expected, _of_slope(outcome, expected, reach, slope))


def _of_slope(outcome: str, expected: LeverEffect | None, reach: float, slope: Slope) -> Finding:
    low, high = slope.interval()
    worth = WORTH[outcome] / reach
    if low > 0 or high < 0:
        if expected is not None and expected.sign * slope.value < 0:
            return _FORBIDDEN
        return _UNEXPECTED if expected is not None and _nothing_expected(expected, worth) else _FOLLOWS
    if max(-low, high) <= worth:
        return _NOTHING
    hoped = max(worth, abs(expected.mean) if expected else 0.0)
    return _NOISY if slope.detectable <= 3 * hoped else _BLIND


def steadiness(opposite: float) -> Finding:
    """Judge an effect that follows by the share of decisions on which it goes the other way."""
    if opposite <= STEADY:
        return _FOLLOWS
    return Finding(
        "weak",
        "varies",
        f"It follows on average, but on {opposite:.0%} of the decisions the other way, as the cell's state has it.",
        f"平均而言随其变化，但随槽况不同，在 {opposite:.0%} 的决策中方向相反。",
    )


def _nothing_expected(expected: LeverEffect, worth: float) -> bool:
    """Say whether physics is sure that the lever does next to nothing; ``worth`` is per unit."""
    return expected.sign == 0 and abs(expected.mean) + 2 * expected.sd < worth


def lever_finding(moves: OwnMoves, outcomes: Sequence[OutcomeFinding]) -> Finding:
    """Judge a lever by all its outcomes."""
    if (missing := lacking(moves)) is not None:
        return missing
    told = [entry for entry in outcomes if entry.slope is not None]
    sure = _holm([entry.slope.p_value for entry in told if entry.slope is not None])
    followed = [entry for entry, is_sure in zip(told, sure, strict=True) if is_sure]
    if divided := [entry for entry in told if entry.outcome in TARGETS and entry.finding.code == "varies"]:
        names, names_zh = _names(divided)
        return Finding(
            "not_identified",
            "varies",
            f"What it does to {names} changes its sign with the cell's state: what a move is worth on one cell is not known.",
            f"其对{names_zh}的影响随槽况改变方向：单槽调整的得失无法确定。",
        )
    right = [entry for entry in followed if entry.finding.code == "follows"]
    if right:
        names, names_zh = _names(right)
        priced = [entry for entry in told if entry.outcome in TARGETS]
        if priced and not any(entry in right for entry in priced):
            return Finding(
                "weak",
                "price_unknown",
                f"Moved on its own, it visibly moved {names}; what it does to energy or carbon does not show and rests"
                " on physics.",
                f"其自主调整明显影响{names_zh}；但对电耗或碳耗的影响尚未显现，仅依据物理先验。",
            )
        return Finding(
            "identified",
            "follows",
            f"Moved on its own, it visibly moved {names}.",
            f"其自主调整明显影响{names_zh}。",
        )
    if varied := [entry for entry in followed if entry.finding.code == "varies"]:
        names, names_zh = _names(varied)
        return Finding(
            "weak",
            "varies",
            f"Moved on its own, it visibly moved {names}, but not every cell the same way.",
            f"其自主调整明显影响{names_zh}，但各槽方向不一。",
        )
    if followed:
        names, names_zh = _names(followed)
        return Finding(
            "not_identified",
            "contradicts_physics",
            f"All that seems to follow it is {names}, where physics forbids it or rules it out: it was moved because of"
            " what the cell did, and the record cannot tell cause from effect.",
            f"仅{names_zh}看似随其变化，而这与物理规律相悖：属于因槽况而调整，数据无法区分因果。",
        )
    hints = [entry for entry in told if entry.finding.code == "follows" and _as_expected(entry)]
    if hints:
        names, names_zh = _names(hints)
        return Finding(
            "weak",
            "hint",
            f"A hint only: {names} moved with it as physics expects, but not surely among so many outcomes looked at.",
            f"仅有迹象：{names_zh}随其变化且符合物理预期，但同时检验多个结果时尚不显著。",
        )
    seen = [entry for entry in told if entry.slope is not None and _would_show(entry, entry.slope)]
    if seen:
        names, names_zh = _names(seen)
        return Finding(
            "not_identified",
            "nothing_follows",
            f"It moved on its own and nothing followed, though the record would show what physics expects of {names}.",
            f"其自主调整后无任何响应，而数据足以显示物理上应有的{names_zh}变化。",
        )
    saves = (entry for entry in told if entry.outcome in TARGETS)
    if any(entry.expected is not None and entry.expected.mean for entry in saves):
        return _WEAK
    return _SILENT


def _as_expected(entry: OutcomeFinding) -> bool:
    """Say whether physics expects an effect, and this one's sign."""
    return (
        entry.slope is not None and entry.expected is not None and entry.slope.value * entry.expected.mean > 0
    )


def _would_show(entry: OutcomeFinding, slope: Slope) -> bool:
    """Say whether the record could show what physics expects, and rules out even half of it."""
    if entry.expected is None or slope.detectable > abs(entry.expected.mean):
        return False
    low, high = slope.interval()
    half = 0.5 * entry.expected.mean
    return high < half if half > 0 else low > half


def lacking(moves: OwnMoves) -> Finding | None:
    """Return what a lever lacks before any effect of it can be told."""
    if moves.moves == 0:
        return _NEVER
    if moves.effective < LEAST_MOVES or moves.moves < LEAST_MOVES:
        return _FEW
    return _RULE if moves.own_share < LEAST_OWN_SHARE else None


def _holm(p_values: Sequence[float]) -> list[bool]:
    """Say which of ``p_values`` stand when all are looked at together (Holm's step-down)."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    out = [False] * len(p_values)
    for rank, at in enumerate(order):
        if p_values[at] > SURE / (len(p_values) - rank):
            break
        out[at] = True
    return out


def _names(entries: Sequence[OutcomeFinding]) -> tuple[str, str]:
    meant = [OUTCOMES[entry.outcome] for entry in entries]
    return ", ".join(one.meaning for one in meant), "、".join(one.meaning_zh for one in meant)


_NEVER: Final = Finding(
    "not_identified", "never_moved", "It never moved in the record.", "记录中从未调整过。"
)
_FEW: Final = Finding(
    "not_identified",
    "few_moves",
    f"It moved on its own too seldom: fewer than {LEAST_MOVES} moves of weight.",
    f"自主调整过少：有效调整不足 {LEAST_MOVES} 次。",
)
_UNLABELLED: Final = Finding(
    "not_identified",
    "few_labels",
    "Too few decisions with a known outcome.",
    "已知结果的决策过少。",
)
_RULE: Final = Finding(
    "not_identified",
    "moves_by_rule",
    "Its moves follow the operators' rule almost entirely: effect and cause cannot be told apart.",
    "其调整几乎完全遵循操作规则，因果无法区分。",
)
_FOLLOWS: Final = Finding(
    "identified", "follows", "The outcome follows the lever's own moves.", "结果随自主调整而变化。"
)
_NOTHING: Final = Finding(
    "identified",
    "no_effect_of_worth",
    "Any effect is smaller than what is worth knowing.",
    "即使有影响，也小于有意义的水平。",
)
_NOISY: Final = Finding(
    "weak",
    "too_noisy",
    "The interval still holds both no effect and one of worth.",
    "区间内既含零影响，也含有意义的影响。",
)
_BLIND: Final = Finding(
    "not_identified",
    "undetectable",
    "An effect of the size that physics expects would not show in this record.",
    "物理预期大小的影响在该记录中无法显现。",
)
_FORBIDDEN: Final = Finding(
    "not_identified",
    "contradicts_physics",
    "It follows the lever the way physics forbids: the lever was moved because of the outcome.",
    "变化方向违反物理规律：属于因结果而调整。",
)
_UNEXPECTED: Final = Finding(
    "not_identified",
    "unexpected",
    "It seems to follow the lever, where physics is sure that next to nothing can: an echo of why the lever was moved.",
    "看似随其变化，但物理上几乎不可能有影响：反映的是调整的原因。",
)
_WEAK: Final = Finding(
    "weak",
    "too_noisy",
    "It moved on its own, but the record is too noisy to show what physics expects; advice on it rests on physics.",
    "有自主调整，但数据噪声过大，未能显示物理预期的影响；对其建议主要依据物理先验。",
)
_SILENT: Final = Finding(
    "not_identified",
    "nothing_follows",
    "It moved on its own and nothing followed that this record can show; physics expects no effect on energy or anode"
    " of it either.",
    "其自主调整后未见可显现的响应，物理上亦不预期其对电耗或阳极净耗有影响。",
)
