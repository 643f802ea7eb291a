"""Columns of a plant's file that are looked at but not used: why not, and what is to be seen in them."""

import numpy as np
from numpy.typing import NDArray

from features.tables.findings import Finding
from features.tables.instruments import most_common, pile_ups
from features.tables.mapping import Watched

_CONSTANT = 0.9
_FEW = 20
_ALIKE = 0.99


def watched_findings(
    watched: Watched, values: NDArray[np.float64], ratio: NDArray[np.float64] | None = None
) -> list[Finding]:
    """Return what the unused column ``values`` (n,) shows: clipping, one value throughout, a mere ratio of others.

    ``ratio`` (n,) is the ratio of two other columns that the mapping suspects behind it, in any scale of 1 or 100.
    """
    known = int(np.isfinite(values).sum())
    findings = [_unused(watched, known)]
    for pile in pile_ups(values):
        side_zh = "下限" if pile.end == "low" else "上限"
        text = (
            f"column {watched.name} (not used) is clipped at its {pile.end} end: {pile.rows} rows"
            f" ({pile.share:.1%}) are exactly {pile.value:g}"
        )
        zh = f"列「{watched.name}」（未采用）在{side_zh} {pile.value:g} 处被截断：{pile.rows} 行（{pile.share:.1%}）"
        findings.append(
            _finding(
                "clipped", watched, text, zh, {"value": pile.value, "share": pile.share, "end": pile.end}
            )
        )
    value, share = most_common(values)
    if share >= _CONSTANT and known >= _FEW:
        text = (
            f"column {watched.name} (not used) is {value:g} on {share:.1%} of its rows: it measures nothing"
        )
        zh = f"列「{watched.name}」（未采用）有 {share:.1%} 的行恒为 {value:g}，不是测量值"
        findings.append(_finding("constant", watched, text, zh, {"value": value, "share": share}))
    if ratio is not None:
        findings += _mere_ratio(watched, values, ratio)
    return findings


def _mere_ratio(watched: Watched, values: NDArray[np.float64], ratio: NDArray[np.float64]) -> list[Finding]:
    both = np.isfinite(values) & np.isfinite(ratio)
    for scale in (1.0, 100.0):
        alike = np.isclose(values[both], scale * ratio[both], rtol=2e-3)
        if both.any() and alike.mean() >= _ALIKE:
            above, below = watched.equals_ratio
            text = f"column {watched.name} is nothing but {above} / {below} on {alike.mean():.1%} of its rows: not used"
            zh = f"列「{watched.name}」在 {alike.mean():.1%} 的行上等于 {above}/{below}，不是其名称所指的量，未采用"
            return [_finding("mere_ratio", watched, text, zh, {"share": float(alike.mean())})]
    return []


def _unused(watched: Watched, known: int) -> Finding:
    zh = f"列「{watched.name}」未采用：{watched.reason_zh or watched.reason}"
    text = f"column {watched.name} is not used: {watched.reason}"
    return Finding("unused_column", "info", "", watched.name, text, zh, {"known": known})


def _finding(code: str, watched: Watched, text: str, zh: str, evidence: dict[str, object]) -> Finding:
    return Finding(code, "warning", "", watched.name, text, zh, evidence)
