"""``confounding.html``: one file, both languages inside, no network."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from experiments.confounding.content import ConfoundingReport, LeverPage, agreement
from experiments.confounding.numbers import effect_text, number, outcome_unit, scale, scaled_unit
from experiments.confounding.switchback import TestPlan
from experiments.report.charts import Bar, intervals
from experiments.report.numbers import figure, lever_words, money, outcome_words
from experiments.report.words import Words
from training.identification.verdict import OutcomeFinding

GRADES: Final = {
    "identified": Words("identified", "可识别"),
    "weak": Words("weak", "较弱"),
    "not_identified": Words("not identified", "不可识别"),
}
_CODES: Final = {
    "follows": Words("follows the lever", "随其变化"),
    "varies": Words("not every cell the same way", "各槽方向不一"),
    "no_effect_of_worth": Words("no effect worth knowing", "无有意义影响"),
    "too_noisy": Words("too noisy to say", "噪声过大"),
    "undetectable": Words("would not show", "无法显现"),
    "contradicts_physics": Words("physics forbids it", "违反物理规律"),
    "unexpected": Words("physics rules it out", "物理上不可能"),
    "never_moved": Words("never moved", "从未调整"),
    "few_moves": Words("too few own moves", "自主调整过少"),
    "few_labels": Words("too few known outcomes", "已知结果过少"),
    "moves_by_rule": Words("moves by rule alone", "完全按规则调整"),
}
_PHYSICS: Final = {
    "agrees": Words("agrees with physics", "与物理一致"),
    "contradicts": Words("against physics", "与物理相悖"),
    "silent": Words("physics is silent", "物理无定论"),
    "unsure": Words("", ""),
}
_SHOWN: Final = (
    "energy_kwh_per_t",
    "net_anode_kg_per_t",
    "current_efficiency",
    "mean_bath_temperature_c",
    "mean_noise_mv",
    "mean_superheat_c",
)


def write(report: ConfoundingReport, path: Path) -> None:
    """Write the page of ``report`` to ``path``."""
    path.write_text(render(report), encoding="utf-8")


def render(report: ConfoundingReport) -> str:
    """Return the page as text."""
    environment = Environment(
        loader=PackageLoader("experiments.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("confounding.html.j2").render(
        s=report.source,
        style=Markup(environment.get_template("report.css").render()),
        tiles=[_tile(page) for page in report.levers],
        levers=[_lever(page, report.source.currency) for page in report.levers],
        refused=[(lever_words(name), why) for name, why in report.refused.items()],
        unavailable=[(outcome_words(name), why) for name, why in report.unavailable.items()],
        versions=", ".join(f"{name} {version}" for name, version in report.source.versions.items()),
    )


def _tile(page: LeverPage) -> Mapping[str, Any]:
    told = page.assessment
    return {
        "name": lever_words(told.lever),
        "grade": GRADES[told.finding.grade],
        "note": Words(told.finding.text, told.finding.text_zh),
        "kind": told.finding.grade,
    }


def _lever(page: LeverPage, currency: str) -> Mapping[str, Any]:
    told, moves = page.assessment, page.assessment.moves
    unit = scaled_unit(told.lever, told.unit)
    return {
        "id": told.lever,
        "words": lever_words(told.lever),
        "grade": GRADES[told.finding.grade],
        "kind": told.finding.grade,
        "why": Words(told.finding.text, told.finding.text_zh),
        "per": unit,
        "moves": [
            (Words("decisions looked at", "决策数"), f"{moves.decisions:,}"),
            (Words("moves among them", "其中调整次数"), f"{moves.moves:,}"),
            (Words("own moves of weight (Kish)", "有效自主调整（Kish）"), f"{moves.effective:,.0f}"),
            (
                Words("share of the moves that the rule does not explain", "规则无法解释的调整占比"),
                f"{moves.own_share:.0%}",
            ),
            (Words("usual own move", "自主调整均方根"), f"{moves.usual:.3g} {told.unit}"),
            (Words("still in force on average over the week", "一周内平均保留比例"), f"{moves.kept:.0%}"),
            (Words("first-stage R²", "第一阶段 R²"), f"{moves.first_stage_r2:.2f}"),
        ],
        "rows": [_row(page, entry) for entry in told.outcomes],
        "charts": [
            {"svg": _chart(page, entry), "caption": outcome_words(entry.outcome)}
            for name in _SHOWN
            for entry in told.outcomes
            if entry.outcome == name and entry.slope is not None
        ],
        "plan": None if page.plan is None else _plan(page.plan, currency),
        "plan_missing": page.plan_missing,
    }


def _row(page: LeverPage, entry: OutcomeFinding) -> Mapping[str, Any]:
    record, physics, model, shown, _ = effect_text(page, entry)
    slope = entry.slope
    return {
        "name": outcome_words(entry.outcome),
        "unit": outcome_unit(entry.outcome),
        "record": record.removesuffix(outcome_unit(entry.outcome)).strip(),
        "physics": physics,
        "model": model,
        "shown": shown,
        "hidden": "–" if slope is None else f"{slope.robustness:.1%}",
        "grade": GRADES[entry.finding.grade],
        "kind": entry.finding.grade,
        "code": _CODES.get(entry.finding.code, Words.same(entry.finding.code)),
        "sign": _PHYSICS[agreement(entry)],
        "why": Words(entry.finding.text, entry.finding.text_zh),
    }


def _chart(page: LeverPage, entry: OutcomeFinding) -> Markup:
    factor = scale(page.assessment.lever, entry.outcome)
    bars = []
    if entry.slope is not None:
        low, high = (end * factor for end in entry.slope.interval())
        value = entry.slope.value * factor
        bars.append(Bar(Words("record", "数据"), value, low, high, "champion", number(value)))
    if entry.expected is not None:
        mean, sd = entry.expected.mean * factor, entry.expected.sd * factor
        bars.append(
            Bar(Words("physics", "物理"), mean, mean - 2 * sd, mean + 2 * sd, "baseline", number(mean))
        )
    model = None if page.model is None else page.model.get(entry.outcome)
    if model is not None:
        low, high = (math.nan if end is None else end * factor for end in (model.low, model.high))
        value = model.value * factor
        bars.append(Bar(Words("model", "模型"), value, low, high, "model", number(value)))
    unit, per = outcome_unit(entry.outcome), scaled_unit(page.assessment.lever, page.assessment.unit)
    axis = Words(f"{unit} per {per}", f"{unit} / {per}")
    return intervals(bars, axis, outcome_words(entry.outcome), mark=0.0, label_width=70)


def _plan(plan: TestPlan, currency: str) -> Mapping[str, Any]:
    lead = plan.expected[plan.lead]
    scaled = scale(plan.lever, plan.lead)
    unit, per = outcome_unit(plan.lead), scaled_unit(plan.lever, plan.unit)
    step, name = figure(plan.step, plan.unit), lever_words(plan.lever)
    told = outcome_words(plan.lead)
    width = number(lead.half_width * scaled).lstrip("+")
    by_cell: dict[str, list[str]] = {}
    for slot in plan.slots:
        by_cell.setdefault(slot.cell_id, []).append(figure(slot.setting, plan.unit))
    return {
        "lead": Words(
            f"{len(plan.cells)} cells, {plan.days} days: {name.en} {step} {plan.unit} above and below its present"
            f" setting, {plan.period_d} days each, order drawn at random. It would tell {told.en} to within ±{width}"
            f" {unit} per {per}" + ("." if plan.enough else ", which is not yet enough; a longer test is."),
            f"{len(plan.cells)} 台槽、{plan.days} 天：{name.zh}在现设定上下各 {step} {plan.unit}，每期 {plan.period_d}"
            f" 天，顺序随机。可将{told.zh}的影响确定到 ±{width} {unit} / {per}"
            + ("。" if plan.enough else "，仍嫌不足，需更长试验。"),
        ),
        "cost": Words(
            f"Costs at most {money(plan.cost)} {currency}: the worse of the two settings on half of the cell-days.",
            f"费用上限 {money(plan.cost)} {currency}：按较差设定占一半槽日计。",
        ),
        "widths": [
            {
                "name": outcome_words(outcome),
                "half": f"±{number(one.half_width * scale(plan.lever, outcome)).lstrip('+')}",
                "shown": number(one.detectable * scale(plan.lever, outcome)).lstrip("+"),
                "unit": f"{outcome_unit(outcome)} / {per}",
            }
            for outcome, one in plan.expected.items()
        ],
        "periods": range(1, 2 * plan.pairs + 1),
        "cells": list(by_cell.items()),
        "period_d": plan.period_d,
    }
