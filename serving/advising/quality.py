"""What a line's record is worth today: what is missing, stale, stuck or out of range, by signal and by cell."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.history import History
from features.signals import SIGNALS
from serving.models.drift import DAYS

Floats = NDArray[np.float64]
STALE_D: Final = 2
STUCK_D: Final = 5
_SHOWN: Final = (
    "cell_voltage_v",
    "set_voltage_v",
    "noise_mv",
    "bath_temperature_c",
    "metal_level_mm",
    "bath_level_mm",
    "alf3_dose_kg_d",
    "alf3_fed_kg_d",
    "alumina_feed_kg_d",
    "alumina_fed_kg_d",
    "tap_mass_kg",
    "tap_target_kg",
    "anode_effects",
    "line_current_ka",
    "cell_age_d",
)
_INSTRUMENTS: Final = ("cell_voltage_v", "noise_mv", "bath_temperature_c")
"""Signals that a living cell never shows twice the same for long."""
_DAILY: Final = ("cell_voltage_v", "noise_mv", "bath_temperature_c", "metal_level_mm")
"""Signals that a cell reports every day: older ones are stale."""

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "silent": (
        "No report since {last}: {days} days before the decision.",
        "自 {last} 起无上报：距决策日 {days} 天。",
    ),
    "stale": ("{signal} was last reported on {last}.", "{signal_zh} 最近一次上报为 {last}。"),
    "stuck": (
        "{signal} has shown {value:g} {unit} for {days} days: the instrument may be stuck.",
        "{signal_zh} 连续 {days} 天为 {value:g} {unit}，仪表可能卡滞。",
    ),
    "missing": (
        "{signal} is missing on {share:.0%} of the last {days} days.",
        "{signal_zh} 在最近 {days} 天中缺失 {share:.0%}。",
    ),
}
_MUCH_MISSING: Final = 0.2


@dataclass(frozen=True)
class _Window:
    """The last days of a record: signal -> (t, c), the days, and the decision date."""

    signals: Mapping[str, Floats]
    dates: NDArray[np.datetime64]
    date: datetime.date


def quality(history: History, date: datetime.date) -> dict[str, Any]:
    """Return the worth of a line's record for a decision on ``date``, by signal and by cell."""
    end = int(np.searchsorted(history.dates, np.datetime64(date, "D")))
    shown = slice(max(end - DAYS, 0), end)
    dates = history.dates[shown]
    signals = {name: history.signals[name][shown] for name in _SHOWN if name in history.signals}
    window = _Window(signals, dates, date)
    names = history.cell_ids.tolist()
    return {
        "signals": [_of_signal(window, name) for name in signals],
        "cells": [_of_cell(window, i, name) for i, name in enumerate(names)],
    }


def _of_signal(window: _Window, name: str) -> dict[str, Any]:
    values = window.signals[name]
    known = np.isfinite(values)
    of = SIGNALS[name]
    reporting: NDArray[np.bool_] = np.logical_or.reduce(known, axis=0)
    with np.errstate(invalid="ignore"):
        outside = np.asarray(known & ((values < of.low) | (values > of.high)))
    cells = range(values.shape[1])
    return {
        "name": name,
        "unit": of.unit,
        "cells_reporting": int(reporting.sum()),
        "missing_share": float(1.0 - known.mean()) if known.size else 1.0,
        "stale_cells": sum(_age(window, name, c) > STALE_D for c in cells if reporting[c])
        if name in _DAILY
        else 0,
        "stuck_cells": sum(_stuck(values[:, c])[1] >= STUCK_D for c in cells) if name in _INSTRUMENTS else 0,
        "out_of_range": int(outside.sum()),
    }


def _age(window: _Window, name: str, cell: int) -> int:
    """Return how many days before the decision a signal was last known; days looked at plus one where never."""
    days = np.flatnonzero(np.isfinite(window.signals[name][:, cell]))
    if not days.size:
        return len(window.dates) + 1
    return int((np.datetime64(window.date, "D") - window.dates[days[-1]]).astype(np.int64))


def _stuck(column: Floats) -> tuple[float, int]:
    """Return the last known value of a column and for how many reports in a row it has stood."""
    known = column[np.isfinite(column)]
    if not known.size:
        return float("nan"), 0
    changed = np.flatnonzero(known != known[-1])
    return float(known[-1]), int(known.size - (changed[-1] + 1 if changed.size else 0))


def _of_cell(window: _Window, cell: int, cell_id: str) -> dict[str, Any]:
    daily = [name for name in _DAILY if name in window.signals]
    heard = np.zeros(len(window.dates), dtype=bool)
    for name in daily:
        heard |= np.isfinite(window.signals[name][:, cell])
    last = window.dates[np.flatnonzero(heard)[-1]].item() if heard.any() else None
    return {
        "cell_id": cell_id,
        "last_reported": None if last is None else last.isoformat(),
        "findings": _findings(window, cell, last, daily),
    }


def _findings(
    window: _Window, cell: int, last: datetime.date | None, daily: list[str]
) -> list[dict[str, str]]:
    if last is None:
        days = len(window.dates)
        first = str(window.dates[0]) if days else window.date.isoformat()
        return [_finding("silent", last=first, days=days)]
    if (window.date - last).days > STALE_D:
        return [_finding("silent", last=last.isoformat(), days=(window.date - last).days)]
    found = []
    for name in daily:
        of, values = SIGNALS[name], window.signals[name][:, cell]
        told = {"signal": of.meaning, "signal_zh": of.meaning_zh}
        age = _age(window, name, cell)
        if age > STALE_D:
            known = np.flatnonzero(np.isfinite(values))
            when = str(window.dates[known[-1]]) if known.size else "-"
            found.append(_finding("stale", **told, last=when))
        share = float(1.0 - np.isfinite(values).mean())
        if share > _MUCH_MISSING:
            found.append(_finding("missing", **told, share=share, days=len(window.dates)))
        value, stood = _stuck(values)
        if name in _INSTRUMENTS and stood >= STUCK_D:
            found.append(_finding("stuck", **told, value=value, unit=of.unit, days=stood))
    return found


def _finding(code: str, **told: object) -> dict[str, str]:
    text, text_zh = _WORDS[code]
    return {"code": code, "text": text.format(**told), "text_zh": text_zh.format(**told)}
