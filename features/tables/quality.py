"""The quality report: what each table and signal holds, what was set aside, and findings in words.

The report judges; it changes nothing. Process events are told from faults by ``features.tables.events``.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.layout import TABLES
from features.signals import SIGNALS, Signal
from features.tables.balance_checks import balance_findings
from features.tables.events import Events
from features.tables.findings import SEVERITIES, Finding, Severity, quarantine_frame
from features.tables.history import history as history_of
from features.tables.instrument_checks import instrument_findings
from features.tables.instruments import most_common, resolution
from features.tables.record_checks import (
    gap_findings,
    late_findings,
    quarantine_findings,
    unknown_tap_findings,
)
from features.tables.store import Tables

PROTOCOL = 1


@dataclass(frozen=True)
class TableQuality:
    """One table: rows kept and set aside, cells, first and last day or time."""

    table: str
    rows: int
    set_aside: int
    cells: int
    first: str
    last: str


@dataclass(frozen=True)
class SignalQuality:
    """One signal of one table: how complete it is, where it lies, how finely it is recorded."""

    table: str
    signal: str
    unit: str
    rows: int
    known: int
    completeness: float
    low: float | None
    p05: float | None
    median: float | None
    p95: float | None
    high: float | None
    distinct: int
    step: float | None
    most_common: float | None
    most_common_share: float


@dataclass(frozen=True)
class QualityReport:
    """All of it: the tables, the signals, the rows set aside by table and rule, and the findings, gravest first."""

    source: str
    mapping: str
    tables: tuple[TableQuality, ...]
    signals: tuple[SignalQuality, ...]
    set_aside: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Severity | None:
        """The gravest severity found, None where there is no finding."""
        grades = {finding.severity for finding in self.findings}
        return next((grade for grade in reversed(SEVERITIES) if grade in grades), None)

    def of(self, code: str, signal: str | None = None) -> tuple[Finding, ...]:
        """Return the findings called ``code``, those of ``signal`` where it is given."""
        return tuple(f for f in self.findings if f.code == code and signal in (None, f.signal))

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values (no NaN)."""
        return {
            "protocol": PROTOCOL,
            "source": self.source,
            "mapping": self.mapping,
            "worst": self.worst,
            "tables": [asdict(table) for table in self.tables],
            "signals": [asdict(signal) for signal in self.signals],
            "set_aside": dict(self.set_aside),
            "findings": [finding.as_json() for finding in self.findings],
        }


def quality_report(
    tables: Tables,
    quarantine: pd.DataFrame | None = None,
    notes: tuple[Finding, ...] = (),
    source: str = "",
    mapping: str = "",
) -> QualityReport:
    """Return the quality report of ``tables``.

    Args:
        tables: the record as it was kept.
        quarantine: the rows set aside, as ``quarantine_frame`` lays them out.
        notes: findings of the reading itself (dialect, order of arrival, unused columns).
        source: where the record comes from.
        mapping: the mapping that read it, empty for a canonical directory.
    """
    aside = quarantine_frame(()) if quarantine is None else quarantine
    history = history_of(tables)
    signals = tuple(_signals(tables))
    findings = [
        *notes,
        *quarantine_findings(tables, aside),
        *gap_findings(history, tables),
        *unknown_tap_findings(tables),
        *late_findings(tables),
        *_incomplete(signals, tables.sensors),
        *instrument_findings(history, Events.of(history)),
        *balance_findings(history),
    ]
    order = {grade: place for place, grade in enumerate(reversed(SEVERITIES))}
    counted = Counter(f"{table}: {rule}" for table, rule in zip(aside["table"], aside["rule"], strict=True))
    return QualityReport(
        source=source,
        mapping=mapping,
        tables=tuple(_table(name, frame, aside) for name, frame in tables.present()),
        signals=signals,
        set_aside=dict(sorted(counted.items())),
        findings=tuple(sorted(findings, key=lambda f: order[f.severity])),
    )


def _table(name: str, frame: pd.DataFrame, aside: pd.DataFrame) -> TableQuality:
    layout = TABLES[name]
    mine = aside[aside["table"] == name]
    stamps = next(iter((*layout.days, *layout.times)))
    keys = [column for column in ("line_id", "cell_id") if column in frame]
    cells = len(frame[keys].drop_duplicates()) if "cell_id" in keys else 0
    known = frame[stamps].dropna()
    first, last = (str(known.min()), str(known.max())) if len(known) else ("", "")
    return TableQuality(name, len(frame), len(mine[["source", "row"]].drop_duplicates()), cells, first, last)


def _signals(tables: Tables) -> list[SignalQuality]:
    return [
        _signal(name, column, frame[column].to_numpy(), tables.sensors)
        for name, frame in tables.present()
        for column in frame.columns
        if TABLES[name].kind(column) == "signal"
    ]


def _signal(table: str, name: str, values: Any, sensors: tuple[Signal, ...]) -> SignalQuality:
    of = next((sensor for sensor in sensors if sensor.name == name), None) or SIGNALS[name]
    known = values[np.isfinite(values)]
    low, p05, middle, p95, high = (
        (float(v) for v in np.quantile(known, [0.0, 0.05, 0.5, 0.95, 1.0])) if known.size else (None,) * 5
    )
    common, share = most_common(values)
    return SignalQuality(
        table=table,
        signal=name,
        unit=of.unit,
        rows=len(values),
        known=int(known.size),
        completeness=float(known.size / max(1, len(values))),
        low=low,
        p05=p05,
        median=middle,
        p95=p95,
        high=high,
        distinct=int(np.unique(known).size),
        step=_or_none(resolution(values)),
        most_common=_or_none(common),
        most_common_share=share,
    )


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _incomplete(signals: tuple[SignalQuality, ...], sensors: tuple[Signal, ...]) -> list[Finding]:
    """Return a finding for each signal of the daily record that is often, or always, unknown."""
    findings = []
    for signal in signals:
        if signal.table not in ("cell_days", "taps") or signal.completeness >= 0.95:
            continue
        zh_name = next((s.meaning_zh for s in (*sensors, *SIGNALS.values()) if s.name == signal.signal), "")
        text = f"{signal.signal} is known on {signal.completeness:.1%} of the rows of {signal.table}"
        zh = f"{zh_name}在 {signal.table} 中仅 {signal.completeness:.1%} 的行有值"
        grade: Severity = "warning" if signal.completeness < 0.5 else "info"
        evidence = {"completeness": signal.completeness}
        findings.append(Finding("incomplete", grade, signal.table, signal.signal, text, zh, evidence))
    return findings
