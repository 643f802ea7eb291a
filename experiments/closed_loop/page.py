"""``closed_loop.html``: one file, both languages inside, no network."""

import math
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from experiments.closed_loop.compare import ArmRow, Interval
from experiments.closed_loop.definition import Definition
from experiments.closed_loop.run import Ran
from experiments.report.charts import Bar, intervals
from experiments.report.numbers import figure
from experiments.report.words import Words

_KINDS: Final = {
    "operators": Words("the plant's own operators", "现场操作员"),
    "hold": Words("setpoints frozen", "设定值冻结"),
    "naive": Words("naive optimum", "朴素最优"),
    "oracle": Words("oracle, searches on the truth", "全知基准（在真值上搜索）"),
    "advised": Words("advice of this platform", "本平台建议"),
}


def page(definition: Definition, ran: Ran, currency: str) -> str:
    """Return the page as text."""
    environment = Environment(
        loader=PackageLoader("experiments.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    safety = definition.safety or definition.reference
    lines = list(dict.fromkeys(row.line for row in ran.compared.arms))
    return environment.get_template("closed_loop.html.j2").render(
        style=Markup(environment.get_template("report.css").render()),
        definition=definition,
        ran=ran,
        currency=currency,
        safety=safety,
        kinds=_KINDS,
        lines=[
            _line(line, [r for r in ran.compared.arms if r.line == line], currency, safety) for line in lines
        ],
        figure=figure,
    )


def _line(name: str, rows: list[ArmRow], currency: str, safety: str) -> dict[str, Any]:
    """Return what the page shows of one line."""
    return {
        "name": name,
        "rows": rows,
        "saving": _chart(
            rows, lambda r: r.change["cost_per_t"], Words(f"saves {currency}/t", f"节约 {currency}/t")
        ),
        "share": _chart(
            rows,
            lambda r: _hundred(r.share),
            Words("share of the oracle's saving, %", "占全知基准节约的比例 %"),
        ),
        "cold": _chart(
            rows,
            lambda r: r.harm["superheat_outside_h"],
            Words(
                f"hours a day outside the superheat window, beyond {safety}",
                f"过热度越限小时/日（相对 {safety}）",
            ),
        ),
        "effects": _chart(
            rows,
            lambda r: r.harm["anode_effects"],
            Words(f"anode effects a day, beyond {safety}", f"阳极效应次/日（相对 {safety}）"),
        ),
    }


def _chart(rows: list[ArmRow], pick: Any, axis: Words) -> Markup | None:
    found = [(row.arm, pick(row)) for row in rows]
    bars = [
        Bar(Words.same(arm), value.mean, value.lower, value.upper)
        for arm, value in found
        if math.isfinite(value.mean)
    ]
    return intervals(bars, axis, axis, mark=0.0) if bars else None


def _hundred(value: Interval) -> Interval:
    return Interval(100.0 * value.mean, 100.0 * value.lower, 100.0 * value.upper)
