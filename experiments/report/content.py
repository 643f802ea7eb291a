"""What the report shows beyond ``summary.json``: the evidence behind the headline figures, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.report.words import Words
from experiments.summary import RunSummary


@dataclass(frozen=True)
class Residual:
    """Predicted minus measured of one group of held-out rows: the mean, and the middle 80 %."""

    group: str
    rows: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """One outcome on held-out time, row by row (a seeded sample where there are many), residuals by regime."""

    name: str
    measured: Sequence[float]
    predicted: Sequence[float]
    residuals: Sequence[Residual]


@dataclass(frozen=True)
class LineDays:
    """The line's mean of one outcome over the held-out days: measured, predicted and the mean interval."""

    name: str
    dates: Sequence[str]
    measured: Sequence[float]
    predicted: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


@dataclass(frozen=True)
class Response:
    """How one outcome follows one lever: the mean change over the cells, and the middle 80 % of them."""

    lever: str
    lever_unit: str
    lever_words: Words
    outcome: str
    moves: Sequence[float]
    change: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True)
class TableView:
    """One table of the record: how much of it there is."""

    name: str
    rows: int
    set_aside: int
    first: str
    last: str


@dataclass(frozen=True)
class FindingView:
    """One thing that a person should know about the record."""

    table: str
    severity: str
    words: Words


@dataclass(frozen=True)
class PolicyLine:
    """One rule's answer for the line: what, today, with the recommendations, how sure the rule itself is."""

    words: Words
    today: Words
    after: Words
    source: Words
    tag: str


@dataclass(frozen=True)
class ReportContent:
    """Everything that ``report.html`` is drawn from; recommendations are the very objects of the JSON lines."""

    summary: RunSummary
    recommendations: Sequence[Mapping[str, Any]]
    fits: Sequence[Fit]
    line_days: Sequence[LineDays]
    responses: Sequence[Response]
    tables: Sequence[TableView]
    findings: Sequence[FindingView]
    policy: Sequence[PolicyLine]
    policy_caveat: Words
    importance: Mapping[str, Sequence[tuple[str, float]]]
