"""What other rooms know, in the report's own words: tables and findings of the record, policy of the line."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report.content import FindingView, PolicyLine, TableView
from experiments.report.policy import LineState, policy_lines
from experiments.report.words import Words
from experiments.savings import line_energy
from features.plant import Plant
from features.tables.quality import QualityReport


def tables(report: QualityReport) -> list[TableView]:
    """Return how much of each table there is."""
    return [
        TableView(entry.table, entry.rows, entry.set_aside, entry.first[:10], entry.last[:10])
        for entry in report.tables
    ]


def findings(report: QualityReport) -> list[FindingView]:
    """Return what a person should know about the record, the gravest first."""
    return [
        FindingView(entry.table, entry.severity, Words(entry.text, entry.text_zh))
        for entry in report.findings
    ]


def policy_view(rows: Sequence[Mapping[str, Any]], plant: Plant, date: str) -> list[PolicyLine]:
    """Return the line as policy sees it; nothing where no cell has a prediction."""
    line = line_energy(rows, plant)
    if line is None:
        return []
    today = LineState(line.energy_today, line.anode_today)
    after = LineState(line.energy_after, line.anode_after)
    return policy_lines(today, after, plant, datetime.date.fromisoformat(date))
