"""The recommendations as a page shows them: headline tiles, the table of moves, the reasons for the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report.charts import Bar, intervals
from experiments.report.names import constraint_words, reason_words
from experiments.report.numbers import figure, lever_words, money, signed, spread
from experiments.report.words import Words
from experiments.summary import Estimate, RunSummary, Saving

Row = Mapping[str, Any]
_SHOWN_CELLS = 12


def saved(row: Row, name: str) -> Estimate | None:
    """Return what a recommendation is expected to save of ``name``; None where it says nothing of it."""
    entry = (row["saving"] or {}).get(name)
    return Estimate(entry["mean"], entry["lower"], entry["upper"]) if entry else None


def by_status(recommendations: Sequence[Row], status: str) -> list[Row]:
    """Return the recommendations of ``status``, the largest saving first."""

    def gain(row: Row) -> float:
        found = saved(row, "cost_per_t")
        return found.mean if found else 0.0

    return sorted((row for row in recommendations if row["status"] == status), key=lambda row: -gain(row))


def tiles(summary: RunSummary) -> list[Row]:
    """Return the headline figures: energy, anode, money, cells."""
    saving, advice = summary.saving, summary.advice
    shown = [_tile(Words("energy saved", "节约电耗"), saving.energy_kwh_per_t, "kWh/t")]
    if saving.net_anode_kg_per_t is not None:
        shown.append(_tile(Words("net anode saved", "节约阳极净耗"), saving.net_anode_kg_per_t, "kg/t"))
    day, tonne = saving.cost_per_d, saving.cost_per_t
    shown.append(
        {
            "name": Words("money saved a day", "每日节约金额"),
            "value": money(day.mean),
            "unit": saving.currency,
            "note": Words(
                f"{money(day.lower)} – {money(day.upper)}; {money(tonne.mean)} a tonne",
                f"{money(day.lower)} – {money(day.upper)}；每吨 {money(tonne.mean)}",
            ),
            "kind": "good" if day.lower > 0 else "",
        }
    )
    shown.append(
        {
            "name": Words("cells to move", "建议调整的槽"),
            "value": f"{advice.moved}",
            "unit": Words(f"of {advice.cells}", f"/ {advice.cells}"),
            "note": Words(
                f"{advice.held} held, {advice.abstained} abstained",
                f"保持 {advice.held}，不建议 {advice.abstained}",
            ),
            "kind": "",
        }
    )
    return shown


def verdict(summary: RunSummary) -> Words:
    """Say in a sentence or two what the line would gain, and what the figures rest on."""
    advice, saving = summary.advice, summary.saving
    if advice.moved == 0:
        return Words(
            "No setpoint change has a saving that is sure enough today; every cell keeps its settings.",
            "今天没有任何调整的节约足够可靠，所有槽保持现有设定。",
        )
    energy = figure(saving.energy_kwh_per_t.mean, "kWh/t")
    percent = f"{saving.confidence:.0%}"
    return Words(
        f"Moving {advice.moved} of {advice.cells} cells is expected to save {energy} kWh per tonne over the whole"
        f" line, {money(saving.cost_per_d.mean)} {saving.currency} a day at {saving.metal_t_per_d:,.0f} tonnes a day."
        f" Ranges are {percent} intervals; each move stands only because its own lower bound is above zero.",
        f"调整 {advice.cells} 台槽中的 {advice.moved} 台，预计全系列每吨铝节约 {energy} kWh，按日产"
        f" {saving.metal_t_per_d:,.0f} 吨计每日节约 {money(saving.cost_per_d.mean)} {saving.currency}。"
        f"所示范围为 {percent} 区间；每项调整均以其下限大于零为前提。",
    )


def saving_rows(saving: Saving) -> list[Row]:
    """Return the line's savings, per tonne and per day."""
    rows = [
        (Words("energy, kWh/t", "电耗，kWh/t"), saving.energy_kwh_per_t, "kWh/t"),
        (Words("energy, kWh/d", "电量，kWh/d"), saving.energy_kwh_per_d, "kWh/d"),
        (Words("net anode, kg/t", "阳极净耗，kg/t"), saving.net_anode_kg_per_t, "kg/t"),
        (Words("net anode, kg/d", "阳极净耗，kg/d"), saving.net_anode_kg_per_d, "kg/d"),
        (Words(f"cost, {saving.currency}/t", f"成本，{saving.currency}/t"), saving.cost_per_t, "kg/t"),
        (Words(f"cost, {saving.currency}/d", f"成本，{saving.currency}/d"), saving.cost_per_d, "kg/d"),
        (
            Words("moved cells alone: energy, kWh/t", "仅调整的槽：电耗，kWh/t"),
            saving.energy_kwh_per_t_moved,
            "kWh/t",
        ),
        (
            Words("moved cells alone: net anode, kg/t", "仅调整的槽：阳极净耗，kg/t"),
            saving.net_anode_kg_per_t_moved,
            "kg/t",
        ),
    ]
    return [
        {
            "name": words,
            "mean": figure(found.mean, unit).replace("-", "−"),
            "lower": figure(found.lower, unit).replace("-", "−"),
            "upper": figure(found.upper, unit).replace("-", "−"),
        }
        for words, found, unit in rows
        if found is not None
    ]


def saving_chart(recommendations: Sequence[Row], currency: str, limit: int = 24) -> str:
    """Draw the expected saving of the moved cells, the largest first; "" where none moves."""
    bars = []
    for row in by_status(recommendations, "move")[:limit]:
        found = saved(row, "cost_per_t")
        if found is not None:
            label = Words.same(str(row["cell_id"]))
            bars.append(Bar(label, found.mean, found.lower, found.upper, "champion", money(found.mean)))
    if not bars:
        return ""
    axis = Words(f"expected saving, {currency} a tonne", f"预期节约，{currency}/吨")
    return intervals(bars, axis, Words("Saving by cell", "各槽节约"), mark=0.0, label_width=90)


def moved(recommendations: Sequence[Row]) -> list[Row]:
    """Return the moved cells with the levers that change, ready to be written down."""
    rows: list[Row] = []
    for row in by_status(recommendations, "move"):
        levers = [_lever(lever) for lever in row["levers"] if lever["recommended"] != lever["current"]]
        if levers:
            rows.append(
                {
                    "cell_id": row["cell_id"],
                    "levers": levers,
                    "energy": _saved(row, "energy_kwh_per_t", "kWh/t"),
                    "anode": _saved(row, "net_anode_kg_per_t", "kg/t"),
                    "cost": _saved(row, "cost_per_t", "kg/t"),
                    "binding": _joined([constraint_words(name) for name in row["binding"]]),
                    "reasons": [_reason(reason) for reason in row["reasons"]],
                }
            )
    return rows


def reasons(recommendations: Sequence[Row], status: str) -> list[Row]:
    """Return why cells of ``status`` are not moved: heading, count, and every cell's own sentence, the commonest first."""
    told: dict[str, list[Row]] = {}
    for row in recommendations:
        if row["status"] == status:
            for reason in row["reasons"][:1]:
                said = {"cell_id": row["cell_id"], "words": _reason(reason)}
                told.setdefault(reason["code"], []).append(said)
    ordered = sorted(told.items(), key=lambda item: (-len(item[1]), item[0]))
    return [{"words": reason_words(code), "cells": cells} for code, cells in ordered]


def support_chart(recommendations: Sequence[Row]) -> str:
    """Draw every cell's support score, sorted, with the threshold below which it abstains."""
    scored = [row for row in recommendations if row["support"] is not None]
    if not scored:
        return ""
    scored = sorted(scored, key=lambda row: row["support"]["score"])[:_SHOWN_CELLS]
    bars = [
        Bar(
            Words.same(str(row["cell_id"])),
            row["support"]["score"],
            kind="model" if row["status"] != "abstain" else "baseline",
            note=f"{row['support']['score']:.2f}",
        )
        for row in scored
    ]
    axis = Words("support, the least supported cells first", "支持度（由低到高）")
    threshold = scored[0]["support"]["threshold"]
    return intervals(bars, axis, Words("Support", "支持度"), mark=threshold, label_width=90)


def _tile(name: Words, found: Estimate, unit: str) -> Row:
    return {
        "name": name,
        "value": figure(found.mean, unit).replace("-", "−"),
        "unit": unit,
        "note": Words(f"{spread(found, unit)} over the whole line", f"全系列 {spread(found, unit)}"),
        "kind": "good" if found.lower > 0 else "",
    }


def _lever(lever: Row) -> Row:
    unit = lever["unit"]
    path = [figure(value, unit) for value in _path(lever)]
    days = len(lever.get("path") or ())
    return {
        "words": lever_words(lever["name"]),
        "unit": unit,
        "current": figure(lever["current"], unit),
        "recommended": figure(lever["recommended"], unit),
        "change": signed(lever["recommended"] - lever["current"], unit),
        "path": " → ".join(path),
        "last_day": days,
    }


def _path(lever: Row) -> list[float]:
    """Return the distinct settings of the path in order, today's among them."""
    steps = [lever["current"], *(lever.get("path") or [lever["recommended"]])]
    return [value for index, value in enumerate(steps) if index == 0 or value != steps[index - 1]]


def _saved(row: Row, name: str, unit: str) -> Row:
    found = saved(row, name)
    if found is None:
        return {"mean": "–", "range": ""}
    return {"mean": figure(found.mean, unit).replace("-", "−"), "range": spread(found, unit)}


def _reason(reason: Row) -> Words:
    return Words(reason["text"], reason["text_zh"])


def _joined(words: Sequence[Words]) -> Words | None:
    if not words:
        return None
    return Words("; ".join(each.en for each in words), "；".join(each.zh for each in words))
