"""Findings about what physics forbids: energy that does not add up, more metal or less carbon than Faraday allows."""

import numpy as np

from features.electrolysis.distance import metal_rise_rate
from features.electrolysis.faraday import CARBON_KG_PER_T, current_efficiency_from_metal
from features.history import History
from features.tables.findings import Finding
from features.tables.instruments import Floats

_BLOCK_D, _LEAST_D = 60, 28
_LOW_EFFICIENCY = 0.80
_YOUNG_D = 120.0
_METER_LOW, _METER_HIGH, _METER_DAY = 0.97, 1.08, 0.05
_CURRENT_SHARE = 0.01
_LEAST_ANODES = 20
_COVERAGE = 0.9
_SHOWN = 6


def balance_findings(history: History) -> list[Finding]:
    """Return the findings of every balance that the record allows to be drawn."""
    return [*_energy(history), *_current(history), *_efficiency(history), *_carbon(history)]


def _energy(history: History) -> list[Finding]:
    """Compare each line's DC meter with the sum of V times I of its cells, day by day."""
    meter, voltage = history.signals.get("dc_energy_kwh"), history.signals.get("cell_voltage_v")
    current = history.signals.get("line_current_ka")
    if meter is None or voltage is None or current is None:
        return []
    findings = []
    for line in np.unique(history.line_ids):
        mine = np.flatnonzero(history.line_ids == line)
        power = voltage[:, mine] * current[:, mine] * 24.0 * _run_share(history)[:, mine]
        findings += _energy_of_line(str(line), meter[:, mine[0]], power, history)
    return findings


def _run_share(history: History) -> Floats:
    run = history.signals.get("run_minutes")
    if run is None:
        return np.ones((len(history.dates), len(history.cell_ids)))
    return np.clip(np.nan_to_num(run, nan=1440.0) / 1440.0, 0.0, 1.0)


def _energy_of_line(line: str, meter: Floats, power: Floats, history: History) -> list[Finding]:
    """Compare a line's meter (t,) with the energy of its cells (t, c).

    A cell without a row may be stopped or merely unrecorded, so the sum is known only as a range.
    """
    known = np.isfinite(power)
    least = np.where(known, power, 0.0).sum(axis=1)
    most = least * np.divide(
        power.shape[1], known.sum(axis=1), out=np.full(len(power), np.nan), where=known.any(axis=1)
    )
    usable = (known.mean(axis=1) >= _COVERAGE) & np.isfinite(meter)
    if not usable.any():
        return []
    middle = float(np.median((meter / np.where(least > 0.0, 0.5 * (least + most), np.nan))[usable]))
    findings = []
    if not _METER_LOW <= middle <= _METER_HIGH:
        text = (
            f"line {line}: the DC meter reads {middle:.3f} times the sum of V x I of its cells; 1.00 to 1.06 is"
            " normal. Are these all its cells, is the meter's factor right, is the current right?"
        )
        zh = f"系列 {line}：直流电表为各槽 V×I 之和的 {middle:.3f} 倍（正常 1.00–1.06），请核对槽数、倍率和电流"
        findings.append(
            Finding("energy_level", "warning", "meters", "dc_energy_kwh", text, zh, {"ratio": middle})
        )
    over, under = meter > middle * most * (1.0 + _METER_DAY), meter < middle * least * (1.0 - _METER_DAY)
    off = np.flatnonzero(usable & (over | under))
    if off.size:
        days = ", ".join(str(history.dates[day]) for day in off[:_SHOWN])
        text = (
            f"line {line}: on {off.size} days the DC meter and the sum of V x I of its cells part by more than"
            f" {_METER_DAY:.0%} ({days}): a meter reset, or a wrong voltage or current"
        )
        zh = f"系列 {line}：有 {off.size} 天电表与各槽 V×I 之和相差超过 {_METER_DAY:.0%}（{days}）"
        evidence = {"days": int(off.size)}
        findings.append(Finding("energy_days", "warning", "meters", "dc_energy_kwh", text, zh, evidence))
    return findings


def _current(history: History) -> list[Finding]:
    """Compare the cells' own current with the meter's."""
    nominal = history.plant.line_current_ka
    current = history.signals.get("line_current_ka")
    if current is None or not np.isfinite(current).any():
        return []
    middle = float(np.median(current[np.isfinite(current)]))
    spread_between = (
        current
        - np.array([np.median(r[np.isfinite(r)]) if np.isfinite(r).any() else np.nan for r in current])[
            :, None
        ]
    )
    findings = []
    if len(np.unique(history.line_ids)) == 1:
        odd = float(np.mean(np.abs(spread_between[np.isfinite(spread_between)]) > _CURRENT_SHARE * middle))
        if odd > 0.0:
            text = (
                f"cells in series report different currents on {odd:.1%} of cell days: they share one current"
            )
            zh = f"串联各槽电流不一致（{odd:.1%} 的槽日），同一系列只有一个电流"
            findings.append(
                Finding(
                    "current_differs", "warning", "cell_days", "line_current_ka", text, zh, {"share": odd}
                )
            )
    if abs(middle / nominal - 1.0) > 0.1:
        text = f"the reported current is {middle:.1f} kA, the plant's nominal {nominal:.1f} kA: is one of them wrong?"
        zh = f"上报电流 {middle:.1f} kA 与额定 {nominal:.1f} kA 不符"
        evidence = {"reported": middle, "nominal": nominal}
        findings.append(
            Finding("current_nominal", "warning", "cell_days", "line_current_ka", text, zh, evidence)
        )
    return findings


def block_efficiency(history: History) -> Floats:
    """Return current efficiency (b, c) of blocks of about 60 days from taps and metal level.

    NaN where a block has too few known days, or the cell stopped or was young: metal is poured in at a start-up.
    Metal in the cell counts: what the pad gained was made too.
    """
    mass, level = history.signals.get("tap_mass_kg"), history.signals.get("metal_level_mm")
    current = history.signals["line_current_ka"]
    days, cells = len(history.dates), len(history.cell_ids)
    if mass is None or days < _LEAST_D:
        return np.zeros((0, cells))
    blocks = np.array_split(np.arange(days), max(1, days // _BLOCK_D))
    age = history.signals.get("cell_age_d", np.full((days, cells), np.nan))
    run = _run_share(history)
    voltage = history.signals["cell_voltage_v"]
    efficiency = np.full((len(blocks), cells), np.nan)
    rise = float(metal_rise_rate(1.0, history.plant.metal_pad_area_m2))
    for b, block in enumerate(blocks):
        for c in range(cells):
            tapped = mass[block, c]
            good = np.isfinite(tapped) & np.isfinite(voltage[block, c])
            if good.mean() < _COVERAGE or good.sum() < _LEAST_D:
                continue
            gained = _gained(level[block, c]) / rise if level is not None else 0.0
            metal = float(tapped[good].mean()) + gained / len(block)
            amperes = current[block, c][np.isfinite(current[block, c])]
            if amperes.size and run[block, c].all() and not (age[block, c] < _YOUNG_D).any():
                amperage = float(amperes.mean()) * float(run[block, c].mean())
                efficiency[b, c] = current_efficiency_from_metal(metal, amperage)
    return efficiency


def _gained(level: Floats) -> float:
    """Return by how much a level (t,) [mm] rose, from the medians of its first and last seven known days."""
    known = level[np.isfinite(level)]
    return float(np.median(known[-7:]) - np.median(known[:7])) if known.size >= 14 else 0.0


def _efficiency(history: History) -> list[Finding]:
    efficiency = block_efficiency(history)
    if efficiency.size == 0 or not np.isfinite(efficiency).any():
        return []
    middle = float(np.median(efficiency[np.isfinite(efficiency)]))
    if middle > 1.0 or middle < _LOW_EFFICIENCY:
        text = (
            f"current efficiency from tapped metal is {middle:.1%} on the whole record at the stated current:"
            " the current, the tap scale or the set of taps is wrong"
        )
        zh = f"按出铝量与电流计算的电流效率为 {middle:.1%}，电流、出铝秤或出铝记录有误"
        return [
            Finding("efficiency", "error", "taps", "tap_mass_kg", text, zh, {"current_efficiency": middle})
        ]
    findings = []
    over = np.flatnonzero((efficiency > 1.0).any(axis=0))
    under = np.flatnonzero((efficiency < _LOW_EFFICIENCY).any(axis=0))
    for code, cells, said, zh in (
        ("efficiency_over_one", over, "more metal than Faraday's law allows", "出铝量超过法拉第定律上限"),
        ("efficiency_low", under, "far less metal than its current makes", "出铝量远低于电流应产量"),
    ):
        if cells.size:
            peak = {
                str(history.cell_ids[c]): round(float(_worst(efficiency[:, c], code)), 3)
                for c in cells[:_SHOWN]
            }
            shown = ", ".join(f"{cell} ({value:.1%})" for cell, value in peak.items())
            text = f"{cells.size} cells are tapped {said} over two months: {shown}"
            evidence = {"cells": peak, "count": int(cells.size)}
            findings.append(Finding(code, "warning", "taps", "tap_mass_kg", text, f"{zh}：{shown}", evidence))
    return findings


def _worst(column: Floats, code: str) -> float:
    return float(np.nanmax(column) if code == "efficiency_over_one" else np.nanmin(column))


def _carbon(history: History) -> list[Finding]:
    """Compare the carbon that left as net anode with the least that Faraday's law needs for the metal tapped."""
    net, mass = history.signals.get("anode_net_kg_removed"), history.signals.get("tap_mass_kg")
    counts = history.signals.get("anodes_removed")
    if net is None or mass is None or counts is None:
        return []
    ratio: dict[str, float] = {}
    for c, name in enumerate(history.cell_ids):
        days = np.flatnonzero(counts[:, c] > 0.0)
        if counts[:, c].sum() < _LEAST_ANODES or days.size < 2:
            continue
        span = slice(days[0] + 1, days[-1] + 1)
        metal = mass[span, c]
        if np.isfinite(metal).mean() >= _COVERAGE and np.nanmean(metal) > 0.0:
            ratio[str(name)] = 1000.0 * float(net[span, c].sum()) / (float(np.nanmean(metal)) * len(metal))
    low = {name: value for name, value in ratio.items() if value < CARBON_KG_PER_T}
    if not low:
        return []
    shown = ", ".join(f"{name} ({value:.0f} kg/t)" for name, value in list(low.items())[:_SHOWN])
    text = (
        f"{len(low)} of {len(ratio)} cells use less net anode than the {CARBON_KG_PER_T:.0f} kg/t that making"
        f" aluminium takes: {shown}. Weights, missing anodes or missing taps?"
    )
    zh = f"{len(low)} 台槽净耗炭低于理论值 {CARBON_KG_PER_T:.0f} kg/t：{shown}，请核对称重与换极记录"
    evidence = {
        "cells": {name: round(value, 1) for name, value in list(low.items())[:_SHOWN]},
        "count": len(low),
    }
    return [
        Finding("carbon_below_stoichiometric", "error", "anode_changes", "butt_mass_kg", text, zh, evidence)
    ]
