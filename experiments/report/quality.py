"""Model quality and trust as a page shows them: scores against baselines, coverage, lever response."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report.charts import Bar, Curve, curves, days, intervals, scatter
from experiments.report.content import Fit, LineDays, ReportContent, Response
from experiments.report.numbers import decimals, family_words, figure, outcome_words
from experiments.report.words import Words
from experiments.summary import Coverage, FamilyScore, OutcomeSummary

Row = Mapping[str, Any]
_REGIMES = {"young": Words("young cells", "新启动槽"), "mature": Words("mature cells", "成熟槽")}


def blocks(content: ReportContent) -> list[Row]:
    """Return one block an outcome, targets first: table, chart of errors, scatter, line by day, importance."""
    fits = {fit.name: fit for fit in content.fits}
    lines = {line.name: line for line in content.line_days}
    ordered = sorted(content.summary.outcomes, key=lambda entry: not entry.target)
    return [
        {
            "name": outcome_words(entry.name),
            "target": entry.target,
            "unit": entry.unit,
            "rows": f"{entry.test_rows:,}",
            "families": [_family(score, entry) for score in _by_error(entry)],
            "chart": _errors(entry),
            "scatter": _scatter(fits[entry.name], entry.unit) if entry.name in fits else "",
            "residuals": _residuals(fits[entry.name], entry.unit) if entry.name in fits else "",
            "days": _days(lines[entry.name], entry) if entry.target and entry.name in lines else "",
            "importance": _importance(content.importance.get(entry.name, ())) if entry.target else "",
        }
        for entry in ordered
    ]


def coverage(content: ReportContent) -> list[Row]:
    """Return one block a target: coverage by month and by regime."""
    return [
        {
            "name": outcome_words(entry.name),
            "by_month": _coverage(entry.coverage_by_month, entry.nominal_coverage),
            "by_regime": _coverage((entry.coverage, *entry.coverage_by_regime), entry.nominal_coverage),
        }
        for entry in content.summary.targets
    ]


def coverage_lead(content: ReportContent) -> Words:
    """Say how often the intervals held on time that no model saw."""
    parts_en, parts_zh = [], []
    for entry in content.summary.targets:
        words = outcome_words(entry.name)
        parts_en.append(f"{entry.coverage.share:.1%} of {words.en}")
        parts_zh.append(f"{words.zh} {entry.coverage.share:.1%}")
    nominal = f"{content.summary.targets[0].nominal_coverage:.0%}" if parts_en else "90%"
    return Words(
        f"The intervals are meant to hold {nominal} of the time. On held-out time they held for"
        f" {' and '.join(parts_en)}.",
        f"区间的名义覆盖率为 {nominal}。在留出期内实际覆盖：{'，'.join(parts_zh)}。",
    )


def responses(content: ReportContent) -> list[Row]:
    """Return one figure a lever and outcome."""
    return [{"svg": _response(entry), "caption": _response_words(entry)} for entry in content.responses]


def _by_error(entry: OutcomeSummary) -> list[FamilyScore]:
    return sorted(entry.families, key=lambda score: (score.baseline, score.mae.mean))


def _family(score: FamilyScore, entry: OutcomeSummary) -> Row:
    kind = "champion" if score.name == entry.champion else "baseline" if score.baseline else ""
    digits = _digits(entry)
    return {
        "name": family_words(score.name),
        "kind": kind,
        "mae": f"{score.mae.mean:,.{digits}f}",
        "mae_range": f"{score.mae.lower:,.{digits}f} – {score.mae.upper:,.{digits}f}",
        "r2": _r2(score.r2.mean),
        "r2_range": f"{_r2(score.r2.lower)} – {_r2(score.r2.upper)}",
    }


def _r2(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{value:.3f}".replace("-", "−")


def _digits(entry: OutcomeSummary) -> int:
    """Decimals that show three figures of the best error."""
    best = min(score.mae.mean for score in entry.families)
    return max(0, 2 - math.floor(math.log10(best))) if best > 0 else decimals(entry.unit)


def _errors(entry: OutcomeSummary) -> str:
    digits = _digits(entry)
    bars = [
        Bar(
            family_words(score.name),
            score.mae.mean,
            score.mae.lower,
            score.mae.upper,
            "champion" if score.name == entry.champion else "baseline" if score.baseline else "model",
            f"{score.mae.mean:,.{digits}f}",
        )
        for score in _by_error(entry)
    ]
    axis = Words(f"mean absolute error, {entry.unit}", f"平均绝对误差，{entry.unit}")
    return intervals(bars, axis, outcome_words(entry.name))


def _scatter(fit: Fit, unit: str) -> str:
    axes = (Words(f"measured, {unit}", f"测量值，{unit}"), Words(f"predicted, {unit}", f"预测值，{unit}"))
    return scatter(fit.measured, fit.predicted, axes, outcome_words(fit.name))


def _residuals(fit: Fit, unit: str) -> str:
    bars = [
        Bar(_group_words(group.group), group.mean, group.low, group.high, note=f"n {group.rows:,}")
        for group in fit.residuals
    ]
    if not bars:
        return ""
    axis = Words(f"predicted minus measured, {unit}", f"预测减测量，{unit}")
    return intervals(bars, axis, Words("Residuals by regime", "各状态残差"), mark=0.0, label_width=110)


def _days(line: LineDays, entry: OutcomeSummary) -> str:
    if len(line.dates) < 2:
        return ""
    x = [float(index) for index in range(len(line.dates))]
    words = outcome_words(entry.name)
    return days(
        [
            Curve(x, line.predicted, line.lower, line.upper, "champion"),
            Curve(x, line.measured, line.measured, line.measured, "measured"),
        ],
        _date_labels(line.dates),
        Words(f"{words.en}, {entry.unit}", f"{words.zh}，{entry.unit}"),
        words,
    )


def _date_labels(dates: Sequence[str]) -> list[tuple[int, str]]:
    every = max(1, len(dates) // 8)
    return [(index, dates[index]) for index in range(every // 2, len(dates) - every // 3, every)]


def _importance(ranked: Sequence[tuple[str, float]]) -> str:
    if not ranked:
        return ""
    bars = [
        Bar(Words.same(name), share * 100, note=f"{share:.1%}", filled=True) for name, share in ranked[:12]
    ]
    axis = Words("share of the error that shuffling a feature adds, %", "打乱该特征所增误差的占比，%")
    return intervals(bars, axis, Words("Feature importance", "特征重要性"), label_width=210)


def _coverage(groups: Sequence[Coverage], nominal: float) -> str:
    bars = [
        Bar(
            _group_words(group.group),
            group.share * 100,
            group.lower * 100,
            group.upper * 100,
            "champion" if abs(group.share - nominal) <= 0.03 else "model",
            f"{group.share:.1%}",
        )
        for group in groups
    ]
    if not bars:
        return ""
    axis = Words("share inside the interval, %", "落入区间的比例，%")
    return intervals(bars, axis, Words("Coverage", "覆盖率"), mark=nominal * 100, label_width=110)


def _group_words(group: str) -> Words:
    if group == "overall":
        return Words("overall", "总体")
    return _REGIMES.get(group, Words.same(group))


def _response(entry: Response) -> str:
    unit = _unit(entry.outcome)
    outcome = outcome_words(entry.outcome)
    axes = (
        Words(
            f"change of {entry.lever_words.en}, {entry.lever_unit}",
            f"{entry.lever_words.zh}变化，{entry.lever_unit}",
        ),
        Words(f"change, {unit}", f"变化，{unit}"),
    )
    curve = Curve(entry.moves, entry.change, entry.low, entry.high, "champion")
    return curves([curve], axes, outcome, mark=0.0)


def _response_words(entry: Response) -> Words:
    outcome, lever = outcome_words(entry.outcome), entry.lever_words
    return Words(f"{outcome.en} over {lever.en}", f"{outcome.zh}随{lever.zh}的变化")


def _unit(outcome: str) -> str:
    from features.outcomes import OUTCOMES

    return OUTCOMES[outcome].unit if outcome in OUTCOMES else ""


def parity_text(content: ReportContent) -> Words:
    """Say how exactly the exported graph repeats the trained estimators."""
    parity = content.summary.parity
    worst = f"{parity.worst_relative_difference:.1e}"
    return Words(
        f"{parity.rows:,} rows went through the trained estimators and through the exported ONNX graph:"
        f" {parity.beyond:,} differ by more than {parity.tolerance:g} relative; the worst difference is {worst}.",
        f"{parity.rows:,} 行数据分别经过训练模型与导出的 ONNX 图：相对差超过 {parity.tolerance:g} 的有"
        f" {parity.beyond:,} 行，最大相对差为 {worst}。",
    )


def data_lead(content: ReportContent) -> Words:
    """Say how much data there was and how much of it was set aside."""
    data = content.summary.data
    share = data.quarantined_rows / max(1, sum(data.table_rows.values()))
    rows = figure(float(data.quarantined_rows), "kg")
    return Words(
        f"{data.cells} cells over {data.days} days, {data.training_rows:,} decision rows. {rows} rows ({share:.2%})"
        f" broke the contract and were set aside; {data.findings} kinds of findings.",
        f"{data.cells} 台槽、{data.days} 天，{data.training_rows:,} 个决策行。{rows} 行（{share:.2%}）违反数据约定被隔离；"
        f"共 {data.findings} 类问题。",
    )
