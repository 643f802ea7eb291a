"""Findings about the record as such: what was set aside, gaps, arrival out of order, late results."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.history import History
from features.layout import Layout
from features.tables.contract import ROW, SOURCE
from features.tables.findings import Finding, Severity
from features.tables.store import Tables

_MANY, _SOME = 0.2, 0.01
_LATE_HOURS = 72.0
_JUMP_DAYS = 2.0
_RUN = 3
_SHOWN = 5

_RULES_ZH: Mapping[str, str] = {
    "range": "超出合理范围",
    "missing": "缺少必需值",
    "missing key": "缺少主键",
    "empty row": "整行无值",
    "text in number": "数值列中有文本",
    "unreadable date": "日期无法识别",
    "duplicate": "重复行",
    "conflict": "同键不同值",
    "order": "先后次序错误",
    "future": "时间在未来",
    "isolated date": "日期远离其余记录",
    "vocabulary": "非约定取值",
    "truncated": "末行被截断",
    "ragged": "列数与表头不符",
    "nul": "含 NUL 字节",
}


def quarantine_findings(tables: Tables, quarantine: pd.DataFrame) -> list[Finding]:
    """Return one finding for each table and rule under which rows were set aside."""
    findings = []
    kept = {name: len(frame) for name, frame in tables.present()}
    for (table, rule), group in quarantine.groupby(["table", "rule"], sort=True):
        rows = len(group[["source", "row"]].drop_duplicates())
        share = rows / max(1, rows + kept.get(str(table), 0))
        grade: Severity = "error" if share > _MANY else "warning" if share > _SOME else "info"
        columns = ", ".join(
            f"{name} {count}x" for name, count in Counter(group["column"]).most_common(4) if name
        )
        first = group.iloc[0]
        text = (
            f"{table}: {rows} rows ({share:.1%}) set aside by the rule {str(rule)!r}"
            f"{f' ({columns})' if columns else ''}; the first is row {first['row']}"
            f" of {first['source']}: {first['reason']}"
        )
        zh = f"{table}：{rows} 行（{share:.1%}）因「{_RULES_ZH.get(str(rule), str(rule))}」被隔离"
        evidence = {"rule": str(rule), "rows": rows, "share": share}
        findings.append(Finding("set_aside", grade, str(table), "", text, zh, evidence))
    return findings


def gap_findings(history: History, tables: Tables) -> list[Finding]:
    """Return findings about missing days: of single cells, of a whole line, and what was not collected at all."""
    seen = np.zeros((len(history.dates), len(history.cell_ids)), dtype=np.bool_)
    places = {key: i for i, key in enumerate(zip(history.line_ids, history.cell_ids, strict=True))}
    frame = tables.cell_days
    cells = [places[key] for key in zip(frame["line_id"], frame["cell_id"], strict=True)]
    days = (np.asarray(frame["date"], dtype="datetime64[D]") - history.dates[0]).astype(np.int64)
    seen[days, cells] = True
    silent = np.flatnonzero(~seen.any(axis=1))
    findings = []
    if silent.size:
        shown = ", ".join(str(history.dates[day]) for day in silent[:_SHOWN])
        text = f"no cell reports on {silent.size} days ({shown}{' ...' if silent.size > _SHOWN else ''})"
        zh = f"有 {silent.size} 天全系列无记录（{shown}）"
        findings.append(Finding("line_gap", "warning", "cell_days", "", text, zh, {"days": int(silent.size)}))
    return [*findings, *_cell_gaps(history, seen)]


def _cell_gaps(history: History, seen: NDArray[np.bool_]) -> list[Finding]:
    """Return the days that are missing inside the cells' records, stops apart: after a stop the age begins anew."""
    age = history.signals.get("cell_age_d", np.full(seen.shape, np.nan))
    gaps: dict[str, int] = {}
    stops: dict[str, int] = {}
    expected = 0
    for cell, name in enumerate(history.cell_ids):
        there = np.flatnonzero(seen[:, cell])
        expected += int(there[-1] - there[0] + 1)
        for before, after in pairwise(there):
            if after - before > 1:
                kind = stops if age[after, cell] < age[before, cell] else gaps
                kind[str(name)] = kind.get(str(name), 0) + int(after - before - 1)
    findings = []
    if gaps:
        total, share = sum(gaps.values()), sum(gaps.values()) / expected
        worst = ", ".join(
            f"{name} ({days} d)" for name, days in sorted(gaps.items(), key=lambda g: -g[1])[:_SHOWN]
        )
        text = f"{total} cell days ({share:.1%}) are missing between a cell's first and last, most in {worst}"
        zh = f"共缺 {total} 个槽日（{share:.1%}），最多的槽：{worst}"
        grade: Severity = "warning" if share > _SOME else "info"
        findings.append(Finding("gaps", grade, "cell_days", "", text, zh, {"days": total, "share": share}))
    if stops:
        named = ", ".join(f"{name} ({days} d)" for name, days in list(stops.items())[:_SHOWN])
        text = f"{len(stops)} cells were stopped and started anew: {named}"
        zh = f"{len(stops)} 台槽曾停槽并重新启动：{named}"
        findings.append(Finding("stops", "info", "cell_days", "", text, zh, {"cells": len(stops)}))
    return findings


def unknown_tap_findings(tables: Tables) -> list[Finding]:
    """Return a finding about taps whose mass is not known: their days carry no metal balance."""
    unknown = int(tables.taps["tap_mass_kg"].isna().sum())
    if not unknown:
        return []
    text = f"{unknown} taps have no known mass: the metal of those days is unknown, not zero"
    zh = f"{unknown} 次出铝无可信质量：当日产量按未知处理，而不是零"
    return [Finding("unknown_taps", "info", "taps", "tap_mass_kg", text, zh, {"taps": unknown})]


def late_findings(tables: Tables) -> list[Finding]:
    """Return a finding about laboratory results that come too late to act on."""
    samples = tables.bath_samples
    if samples is None:
        return []
    hours = (samples["reported_at"] - samples["sampled_at"]).dt.total_seconds().to_numpy() / 3600.0
    known = hours[np.isfinite(hours)]
    if known.size == 0:
        return []
    late = float((known > _LATE_HOURS).mean())
    text = f"bath samples are reported {np.median(known):.0f} h after sampling (median), {late:.1%} later than 72 h"
    zh = f"电解质分析结果中位滞后 {np.median(known):.0f} 小时，{late:.1%} 超过 72 小时"
    grade: Severity = "warning" if late > 0.05 else "info"
    return [
        Finding(
            "late_results",
            grade,
            "bath_samples",
            "",
            text,
            zh,
            {"median_h": float(np.median(known)), "late": late},
        )
    ]


def arrival_findings(frame: pd.DataFrame, layout: Layout) -> list[Finding]:
    """Return findings about the order in which a file's rows came, while ``SOURCE`` and ``ROW`` are still there.

    A cell's rows that run forward or backward throughout are in order. Single rows that step back came late; a
    clock that jumped leaves a whole run of rows behind.
    """
    stamp = layout.key[-1]
    late: Counter[str] = Counter()
    jumped: dict[str, str] = {}
    grouping = [SOURCE, *(name for name in layout.key[:-1] if name in frame)]
    ordered = frame.sort_values([SOURCE, ROW], kind="stable").drop_duplicates(list(layout.key))
    for key, group in ordered.groupby(grouping, sort=True, dropna=True):
        days = _days(group[stamp])
        steps = np.diff(days)
        back = np.flatnonzero(steps < 0.0)
        if back.size == 0 or back.size == steps.size:
            continue
        name = str(key[-1] if isinstance(key, tuple) else key)
        if back.size <= 2 and _left_behind(days, int(back[0])) >= _RUN and abs(steps[back[0]]) >= _JUMP_DAYS:
            jumped[name] = str(group[stamp].iloc[int(back[0])])[:10]
        else:
            late[name] += int(back.size)
    return [*_late(late, layout), *_jumped(jumped, layout)]


def _days(stamps: "pd.Series[pd.Timestamp]") -> NDArray[np.float64]:
    known = stamps.dropna()
    return np.asarray(known.to_numpy(dtype="datetime64[s]").astype(np.int64) / 86400.0, dtype=np.float64)


def _left_behind(days: NDArray[np.float64], place: int) -> int:
    """Return how many rows after the step back at ``place`` lie before the row that stepped."""
    return int((days[place + 1 :] < days[place]).sum())


def _late(late: Mapping[str, int], layout: Layout) -> Iterable[Finding]:
    if not late:
        return []
    total = sum(late.values())
    cells = ", ".join(list(late)[:_SHOWN])
    text = f"{layout.name}: {total} rows came out of order ({cells}); they are sorted by {layout.key[-1]}"
    zh = f"{layout.name}：{total} 行次序颠倒（{cells}），已按时间排序"
    return [Finding("out_of_order", "info", layout.name, "", text, zh, {"rows": total})]


def _jumped(jumped: Mapping[str, str], layout: Layout) -> Iterable[Finding]:
    if not jumped:
        return []
    cells = ", ".join(f"{name} at {stamp}" for name, stamp in list(jumped.items())[:_SHOWN])
    text = f"{layout.name}: the clock jumps back, and rows of two times follow each other, in {cells}"
    zh = f"{layout.name}：时钟回跳，前后时间交错：{cells}"
    return [Finding("clock_jump", "warning", layout.name, "", text, zh, {"cells": dict(jumped)})]
