"""The report's charts one by one, each a picture that stands alone: for a tracking store, which shows files."""

from importlib import resources
from typing import Final

from markupsafe import Markup

from experiments.report import quality
from experiments.report.content import ReportContent

_NAMESPACE: Final = 'xmlns="http://www.w3.org/2000/svg"'


def gallery(content: ReportContent) -> dict[str, Markup]:
    """Return file stem -> picture: predicted over measured, errors, the line by day, coverage, response, importance."""
    pictures: dict[str, Markup] = {}
    for block in quality.blocks(content):
        for part in ("scatter", "chart", "days", "importance", "residuals"):
            if block[part]:
                pictures[f"{block['key']}.{_NAMES[part]}"] = block[part]
    for block in quality.coverage(content):
        pictures[f"{block['key']}.coverage_by_month"] = block["by_month"]
        pictures[f"{block['key']}.coverage_by_regime"] = block["by_regime"]
    for entry, drawn in zip(content.responses, quality.responses(content), strict=True):
        pictures[f"{entry.outcome}.response_to_{entry.lever}"] = drawn["svg"]
    style = _style()
    return {name: _alone(picture, style) for name, picture in pictures.items() if picture}


_NAMES: Final = {
    "scatter": "predicted_over_measured",
    "chart": "errors",
    "days": "line_by_day",
    "importance": "importance",
    "residuals": "residuals_by_regime",
}


def _style() -> str:
    """Return the page's style with the English texts chosen: a picture has no switch."""
    css = (
        resources.files("experiments.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    )
    return f"{css.replace(':root', 'svg')}\n.zh {{ display: none; }} svg {{ background: #fff; }}"


def _alone(picture: Markup, style: str) -> Markup:
    head, sep, rest = str(picture).partition(">")
    return Markup(f"{head} {_NAMESPACE}{sep}<style><![CDATA[{style}]]></style>{rest}")
