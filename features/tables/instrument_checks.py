"""Findings about instruments: which signal of which cell is not to be trusted, and what its numbers show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.held import MOVES_DAILY
from features.history import History
from features.signals import SIGNALS, Signal
from features.tables.events import Events
from features.tables.findings import Finding, Severity
from features.tables.instruments import (
    Floats,
    Place,
    against_line,
    drifts,
    frozen,
    held,
    most_common,
    noisier,
    pile_ups,
    ramps,
    resolution,
    scale_jumps,
    shifts,
    spikes,
    within_cell_spread,
)


@dataclass(frozen=True)
class Instrument:
    """How one signal is judged: its table, and the smallest spike and lasting change worth a word, in its unit."""

    table: str
    spike: float
    change: float
    never_zero: bool = False


_INSTRUMENTS: Mapping[str, Instrument] = {
    "cell_voltage_v": Instrument("cell_days", 0.06, 0.03),
    "noise_mv": Instrument("cell_days", 20.0, 10.0, never_zero=True),
    "bath_temperature_c": Instrument("cell_days", 15.0, 12.0),
    "metal_level_mm": Instrument("cell_days", 60.0, 40.0),
    "bath_level_mm": Instrument("cell_days", 60.0, 30.0),
    "alumina_fed_kg_d": Instrument("cell_days", 2500.0, 500.0, never_zero=True),
    "fe_wt_pct": Instrument("taps", 0.05, 0.04, never_zero=True),
    "si_wt_pct": Instrument("taps", 0.04, 0.03),
}
_ALSO_CLIPPED: Mapping[str, str] = {
    "alf3_fed_kg_d": "cell_days",
    "beam_travel_mm": "cell_days",
    "cell_age_d": "cell_days",
    "tap_mass_kg": "taps",
}
_FILLED = ("alf3_dose_kg_d", "alf3_fed_kg_d", "set_voltage_v", "beam_travel_mm", "tap_mass_kg")
_PAIRS = (
    ("set_voltage_v", "cell_voltage_v"),
    ("alf3_dose_kg_d", "alf3_fed_kg_d"),
    ("tap_target_kg", "tap_mass_kg"),
    ("alumina_feed_kg_d", "alumina_fed_kg_d"),
)
_CONSTANT = 0.9
_FEW = 20
_COARSE = 1.5
_SWAPPED = 0.2
_OTHER_SCALE = 8.0
_SHOWN = 6


def instrument_findings(history: History, events: Events) -> list[Finding]:
    """Return the findings about every measured signal of ``history``, the declared sensors among them."""
    history = _in_operation(history)
    findings: list[Finding] = []
    for name, instrument in _judged(history).items():
        values = history.signals.get(name)
        if values is None or not np.isfinite(values).any():
            continue
        findings += _range_ends(history, name, instrument.table)
        findings += _standing(history, name, instrument)
        findings += _moving(history, name, instrument, events)
    for name, table in _ALSO_CLIPPED.items():
        if name in history.signals:
            findings += _range_ends(history, name, table)
    return [*findings, *_filled_in(history), *_held(history), *_swapped(history), *_other_scales(history)]


def _in_operation(history: History) -> History:
    """Return ``history`` without what stopped cells report."""
    run = history.signals.get("run_minutes")
    if run is None or not (run == 0.0).any():
        return history
    return replace(history, signals={n: np.where(run == 0.0, np.nan, v) for n, v in history.signals.items()})


def _judged(history: History) -> Mapping[str, Instrument]:
    sensors = {
        s.name: Instrument("cell_days", 0.05 * (s.high - s.low), 0.02 * (s.high - s.low))
        for s in history.sensors
    }
    return {**_INSTRUMENTS, **sensors}


def _signal(history: History, name: str) -> Signal:
    return next((s for s in history.sensors if s.name == name), None) or SIGNALS[name]


def _range_ends(history: History, name: str, table: str) -> list[Finding]:
    of = _signal(history, name)
    findings = []
    for pile in pile_ups(history.signals[name]):
        if pile.value == 0.0 and (of.role == "fed" or name in ("swing_minutes", "anode_effect_minutes")):
            continue  # nothing fed, nothing tapped: a decision, not the end of an instrument's range
        floored = pile.end == "low"
        text = (
            f"{name} is {'floored' if floored else 'clipped'} at {pile.value:g} {of.unit}: {pile.rows} rows"
            f" ({pile.share:.1%}) lie exactly there; the true value may be {'lower' if floored else 'higher'}"
        )
        zh = (
            f"{of.meaning_zh}在{'下限' if floored else '上限'} {pile.value:g} {of.unit} 处被截断："
            f"{pile.rows} 行（{pile.share:.1%}）"
        )
        evidence = {"value": pile.value, "rows": pile.rows, "share": pile.share, "end": pile.end}
        findings.append(Finding("clipped", "warning", table, name, text, zh, evidence))
    return findings


def _standing(history: History, name: str, instrument: Instrument) -> list[Finding]:
    """Return what is wrong while nothing moves: frozen, constant, zero, coarse."""
    values, of, table = history.signals[name], _signal(history, name), instrument.table
    findings = []
    stuck = frozen(values)
    if stuck:
        text = f"{name} repeats one value too long to be measured in {_cells(history, stuck)}"
        zh = f"{of.meaning_zh}长时间不变，疑似冻结：{_cells(history, stuck)}"
        evidence = _evidence(history, stuck, "days")
        findings.append(Finding("frozen", "warning", table, name, text, zh, evidence))
    value, share = most_common(values)
    if share >= _CONSTANT and np.isfinite(values).sum() >= _FEW:
        text = f"{name} is {value:g} {of.unit} on {share:.1%} of its rows: it carries no information"
        zh = f"{of.meaning_zh}有 {share:.1%} 的行恒为 {value:g} {of.unit}，无信息"
        findings.append(
            Finding("constant", "warning", table, name, text, zh, {"value": value, "share": share})
        )
    zeros = int((values == 0.0).sum())
    if instrument.never_zero and zeros:
        text = f"{name} is exactly 0 on {zeros} cell days; a running cell is never at 0, so this means no reading"
        zh = f"{of.meaning_zh}有 {zeros} 个槽日恰为 0，运行槽不可能为 0，应为无读数"
        findings.append(Finding("zeros", "warning", table, name, text, zh, {"rows": zeros}))
    grid, scatter = resolution(values), within_cell_spread(values)
    if share < _CONSTANT and grid > _COARSE * scatter:
        text = f"{name} is recorded in steps of {grid:g} {of.unit}, coarser than it moves from day to day ({scatter:.3g})"
        zh = f"{of.meaning_zh}的分辨率为 {grid:g} {of.unit}，粗于其日间波动（{scatter:.3g}）"
        findings.append(Finding("coarse", "info", table, name, text, zh, {"step": grid, "scatter": scatter}))
    return findings


def _moving(history: History, name: str, instrument: Instrument, events: Events) -> list[Finding]:
    """Return what is wrong in how a signal moves: spikes, shifts, other scale, drift, more noise."""
    values = history.signals[name]
    scaled = scale_jumps(values)
    if scaled:
        return [_moved(history, name, instrument, "scale_jump", "error", scaled)]
    own = _own_course(history, name)
    least = np.where(events.handled, 3.0 * instrument.spike, instrument.spike)
    jumps = spikes(own, events.unsettled | events.explains(history, name), least)
    checks: Sequence[tuple[str, Severity, Sequence[Place]]] = (
        ("spikes", "warning", jumps),
        ("shift", "warning", shifts(own, events.unsettled, instrument.change)),
        ("drift", "warning", drifts(own, instrument.change)),
        ("noisier", "warning", noisier(np.where(events.unsettled, np.nan, values))),
    )
    return [
        _moved(history, name, instrument, code, grade, places) for code, grade, places in checks if places
    ]


def _own_course(history: History, name: str) -> Floats:
    """Return the signal (t, c) less what moves it on purpose: a voltage follows its setpoint, a level its line."""
    values = history.signals[name]
    if name == "cell_voltage_v":
        target = history.signals.get("applied_set_voltage_v", history.signals.get("set_voltage_v"))
        if target is not None:
            return values - target
    return against_line(values)


_WORDS: Mapping[str, tuple[str, str, Callable[[Place, Signal], str]]] = {
    "spikes": (
        "jumps for a single day without anything in the process to explain it, in",
        "出现无工艺原因的单日尖峰",
        lambda place, of: f"{place.size:+.4g} {of.unit}",
    ),
    "shift": (
        "changes its level at once and for good, as after a recalibration, in",
        "水平突变且持续（疑似重新标定）",
        lambda place, of: f"{place.size:+.4g} {of.unit}",
    ),
    "scale_jump": (
        "is from some day on several times what it was, as in another unit, in",
        "自某日起为此前的数倍（疑似单位或量程变化）",
        lambda place, of: f"x{place.size:.4g}",
    ),
    "drift": (
        "drifts away from the rest of the line, in",
        "相对全系列持续漂移",
        lambda place, of: f"{place.size:+.4g} {of.unit}",
    ),
    "noisier": (
        "scatters several times more at the end of the record than at its start, in",
        "末期波动为初期的数倍",
        lambda place, of: f"x{place.size:.3g}",
    ),
}


def _moved(
    history: History, name: str, instrument: Instrument, code: str, grade: Severity, places: Sequence[Place]
) -> Finding:
    of = _signal(history, name)
    said, said_zh, show = _WORDS[code]
    listed = ", ".join(
        f"cell {history.cell_ids[p.cell]} on {history.dates[p.day]} ({show(p, of)})" for p in _largest(places)
    )
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    listed_zh = "、".join(
        f"槽 {history.cell_ids[p.cell]} {history.dates[p.day]}（{show(p, of)}）" for p in _largest(places)
    )
    more_zh = f" 等 {len(places)} 处" if more else ""
    return Finding(
        code,
        grade,
        instrument.table,
        name,
        f"{name} {said} {listed}{more}",
        f"{of.meaning_zh}{said_zh}：{listed_zh}{more_zh}",
        _evidence(history, places, "size"),
    )


def _largest(places: Sequence[Place]) -> Sequence[Place]:
    return sorted(places, key=lambda place: -abs(place.size))[:_SHOWN]


def _cells(history: History, places: Sequence[Place]) -> str:
    listed = ", ".join(
        f"{history.cell_ids[p.cell]} ({p.size:g} d from {history.dates[p.day]})" for p in _largest(places)
    )
    return listed + (f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else "")


def _evidence(history: History, places: Sequence[Place], measure: str) -> dict[str, object]:
    return {
        "count": len(places),
        "places": [
            {"cell": str(history.cell_ids[p.cell]), "date": str(history.dates[p.day]), measure: p.size}
            for p in _largest(places)
        ],
    }


def _filled_in(history: History) -> list[Finding]:
    """Return signals with values that somebody interpolated before the file was exported."""
    findings = []
    for name in (*_judged(history), *_FILLED):
        values = history.signals.get(name)
        filled = () if values is None else ramps(values)
        if filled:
            of = _signal(history, name)
            text = f"{name} runs on a straight slope to the last digit in {_cells(history, filled)}: filled in, not measured"
            zh = f"{of.meaning_zh}严格线性变化，为插值而非测量：{_cells(history, filled)}"
            table = "taps" if name in ("tap_mass_kg", "tap_target_kg") else "cell_days"
            findings.append(
                Finding("interpolated", "warning", table, name, text, zh, _evidence(history, filled, "days"))
            )
    return findings


def _held(history: History) -> list[Finding]:
    """Return cells whose record repeats day after day: nobody measured, values were written again."""
    stood = held([history.signals[name] for name in MOVES_DAILY if name in history.signals])
    if not stood:
        return []
    text = f"voltage, noise and feed repeat day after day in {_cells(history, stood)}: held or filled in, not measured; such days count as not reported"
    zh = f"电压、噪声、加料等逐日重复（保持或填补值，并非测量，按未报告处理）：{_cells(history, stood)}"
    return [Finding("record_held", "error", "cell_days", "", text, zh, _evidence(history, stood, "days"))]


def _swapped(history: History) -> list[Finding]:
    """Return pairs of setpoint and measurement that look exchanged: the setpoint moves more often than its outcome."""
    findings = []
    for target, actual in _PAIRS:
        if target not in history.signals or actual not in history.signals:
            continue
        held, repeated = (_unchanged(history.signals[name]) for name in (target, actual))
        if held < repeated - _SWAPPED:
            text = (
                f"{target} changes on more days ({1 - held:.0%}) than {actual} ({1 - repeated:.0%}):"
                " the two columns look swapped"
            )
            zh = f"{SIGNALS[target].meaning_zh}比{SIGNALS[actual].meaning_zh}变化更频繁，两列疑似互换"
            evidence = {"held": held, "repeated": repeated, "other": actual}
            findings.append(Finding("swapped", "error", "cell_days", target, text, zh, evidence))
    return findings


def _unchanged(values: Floats) -> float:
    both = np.isfinite(values[1:]) & np.isfinite(values[:-1])
    return float((np.diff(values, axis=0)[both] == 0.0).mean()) if both.any() else 0.0


def _other_scales(history: History) -> list[Finding]:
    """Return signals that a cell reports on quite another scale than the rest of its line."""
    findings = []
    for name, instrument in _INSTRUMENTS.items():
        values = history.signals.get(name)
        if values is None or values.shape[1] < 3 or instrument.table == "taps":
            continue
        levels = np.array(
            [np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else np.nan for c in values.T]
        )
        middle = float(np.median(levels[np.isfinite(levels)])) if np.isfinite(levels).any() else np.nan
        ratio = np.abs(levels) / abs(middle) if middle else np.full(len(levels), np.nan)
        odd = np.flatnonzero((ratio > _OTHER_SCALE) | (ratio < 1.0 / _OTHER_SCALE))
        if odd.size and odd.size < 0.5 * len(levels):
            places = [Place(int(c), 0, float(ratio[c])) for c in odd]
            shown = ", ".join(f"{history.cell_ids[p.cell]} (x{p.size:.3g})" for p in _largest(places))
            text = f"{name} is on another scale than the rest of the line in {shown}: another unit?"
            zh = f"{SIGNALS[name].meaning_zh}与全系列量级不同：{shown}，疑似单位不一致"
            evidence = _evidence(history, places, "ratio")
            findings.append(Finding("other_scale", "error", instrument.table, name, text, zh, evidence))
    return findings
