"""``report.html``: one file, both languages inside, no network."""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from experiments.report import advice, quality
from experiments.report.content import ReportContent
from experiments.report.numbers import family_words, lever_words, outcome_words
from experiments.report.words import Words

_SECTIONS: Final = (
    ("saved", Words("What would be saved", "预期节约")),
    ("levers", Words("Cells and levers", "槽与设定值")),
    ("sure", Words("How sure", "可信程度")),
    ("models", Words("Model quality", "模型质量")),
    ("response", Words("Lever response", "设定值响应")),
    ("data", Words("Data quality", "数据质量")),
    ("policy", Words("Policy view", "政策视角")),
    ("method", Words("Method", "方法与溯源")),
)

_SEVERITIES: Final = {
    "error": Words("do not trust", "不可信"),
    "warning": Words("look at it", "请核查"),
    "info": Words("good to know", "提示"),
}


def render(content: ReportContent) -> str:
    """Return the page as text."""
    environment = Environment(
        loader=PackageLoader("experiments.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(**_context(content, environment))


def write(content: ReportContent, path: Path) -> None:
    """Write the page to ``path``."""
    path.write_text(render(content), encoding="utf-8")


def _context(content: ReportContent, environment: Environment) -> dict[str, Any]:
    summary, rows = content.summary, content.recommendations
    absent = {
        name for name, there in (("response", content.responses), ("policy", content.policy)) if not there
    }
    percent = f"{summary.saving.confidence:.0%}"
    return {
        "s": summary,
        "style": Markup(environment.get_template("report.css").render()),
        "sections": [(name, words) for name, words in _SECTIONS if name not in absent],
        "tiles": advice.tiles(summary),
        "verdict": advice.verdict(summary),
        "saving_chart": advice.saving_chart(rows, summary.saving.currency),
        "saving_caption": Words(
            f"Expected saving of the moved cells with its {percent} interval (the largest first)",
            f"调整各槽的预期节约及其 {percent} 区间（由大到小）",
        ),
        "saving_rows": advice.saving_rows(summary.saving),
        "interval_words": Words(f"{percent} interval", f"{percent} 区间"),
        "moved": advice.moved(rows),
        "has_anode": summary.saving.net_anode_kg_per_t is not None,
        "hold_reasons": advice.reasons(rows, "hold"),
        "abstain_reasons": advice.reasons(rows, "abstain"),
        "support_chart": advice.support_chart(rows),
        "coverage": quality.coverage(content),
        "coverage_lead": quality.coverage_lead(content),
        "parity_text": quality.parity_text(content),
        "quality": quality.blocks(content),
        "responses": quality.responses(content),
        "tables": content.tables,
        "findings": sorted(content.findings, key=lambda finding: list(_SEVERITIES).index(finding.severity)),
        "severities": _SEVERITIES,
        "data_lead": quality.data_lead(content),
        "policy": content.policy,
        "policy_caveat": content.policy_caveat,
        "provenance": _provenance(content),
        "versions": ", ".join(f"{name} {version}" for name, version in summary.versions.items()),
        "outcome_words": outcome_words,
    }


def _provenance(content: ReportContent) -> list[tuple[Words, Words]]:
    s = content.summary
    levers = [lever_words(name) for name in s.bundle.levers]
    champions = [(outcome_words(o.name), family_words(o.champion)) for o in s.outcomes]
    same = Words.same
    return [
        (Words("plant", "工厂"), same(s.data.plant)),
        (Words("data hash", "数据哈希"), same(s.data.sha256)),
        (Words("data span", "数据范围"), same(f"{s.data.first_day} – {s.data.last_day}")),
        (Words("bundle", "模型包"), same(f"{s.bundle.name} {s.bundle.version}, {s.bundle.digest}")),
        (Words("seed", "随机种子"), same(str(s.seed))),
        (Words("horizon", "预测期"), Words(f"{s.horizon_d} days", f"{s.horizon_d} 天")),
        (Words("features", "特征数"), same(str(s.bundle.features))),
        (
            Words("levers", "设定项"),
            Words(", ".join(w.en for w in levers), "、".join(w.zh for w in levers)),
        ),
        (
            Words("champions", "优胜模型"),
            Words(
                "; ".join(f"{o.en}: {f.en}" for o, f in champions),
                "；".join(f"{o.zh}：{f.zh}" for o, f in champions),
            ),
        ),
        (Words("code revision", "代码版本"), same(s.code_revision)),
        (Words("created", "生成时间"), same(s.created)),
        (
            Words("machine", "机器"),
            same(", ".join(f"{key} {value}" for key, value in s.machine.items())),
        ),
        *((same(key), same(value)) for key, value in s.tracking.items()),
    ]
