"""Recommendations for every cell of a line on its next day, and the files that carry them."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.progress import Meter
from experiments.report.advice import by_status, saved
from experiments.report.numbers import figure, lever_words, money
from features.history import History
from serving.context import contexts_today
from serving.predictor import Predictor
from serving.recommend import AdviceSettings, recommend
from serving.schemas import Recommendation

Row = Mapping[str, Any]
JSONL: Final = "recommendations.jsonl"
CSV: Final = "recommendations.csv"
_COLUMNS: Final = (
    "recommendation_id",
    "line_id",
    "cell_id",
    "date",
    "expires_at",
    "bundle_digest",
    "status",
    "lever",
    "unit",
    "current",
    "recommended",
    "lower",
    "upper",
    "step",
    "path",
    "energy_saving_kwh_per_t",
    "energy_saving_lower",
    "energy_saving_upper",
    "net_anode_saving_kg_per_t",
    "net_anode_saving_lower",
    "net_anode_saving_upper",
    "cost_saving_per_t",
    "cost_saving_lower",
    "cost_saving_upper",
    "currency",
    "support",
    "reasons",
)
_SAVINGS: Final = ("energy_kwh_per_t", "net_anode_kg_per_t", "cost_per_t")


def advise_all(
    predictor: Predictor, history: History, settings: AdviceSettings, meter: Meter
) -> list[Recommendation]:
    """Return one recommendation a cell for the day after ``history`` ends, in the history's order."""
    total = len(history.cell_ids)
    found: list[Recommendation] = []
    for advice in recommend(predictor, contexts_today(history, predictor.recipe), settings):
        found.append(advice)
        meter(len(found), total, f"cell {advice.cell_id}: {advice.status}")
    return found


def write_recommendations(recommendations: Sequence[Recommendation], folder: Path) -> None:
    """Write one JSON object a cell, and one CSV row a cell and lever."""
    rows = as_rows(recommendations)
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    (folder / JSONL).write_text("\n".join(lines) + "\n", encoding="utf-8")
    # The BOM is for spreadsheets, which take a file without it for the local code page.
    with (folder / CSV).open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(_csv_rows(rows))


def as_rows(recommendations: Iterable[Recommendation]) -> list[Row]:
    """Return the recommendations as plain JSON values, the schema's own."""
    return [advice.model_dump(mode="json") for advice in recommendations]


def _csv_rows(rows: Sequence[Row]) -> Iterable[Row]:
    for row in rows:
        about = {name: row[name] for name in _COLUMNS[:7]}
        about |= {
            "currency": (row["saving"] or {}).get("currency"),
            "support": row["support"]["score"] if row["support"] else None,
            "reasons": " ".join(reason["code"] for reason in row["reasons"]),
        }
        for name, stem in zip(_SAVINGS, ("energy_saving", "net_anode_saving", "cost_saving"), strict=True):
            found = saved(row, name)
            ends = (found.mean, found.lower, found.upper) if found else (None, None, None)
            unit = name.removeprefix("energy").removeprefix("net_anode").removeprefix("cost")
            about |= dict(zip((f"{stem}{unit}", f"{stem}_lower", f"{stem}_upper"), ends, strict=True))
        for lever in row["levers"]:
            own = {key: lever[key] for key in ("unit", "current", "recommended", "lower", "upper", "step")}
            yield {
                **about,
                **own,
                "lever": lever["name"],
                "path": " ".join(str(value) for value in lever["path"]),
            }
        if not row["levers"]:
            yield about


def show(rows: Sequence[Row], console: Console, simulated: bool, limit: int = 40) -> None:
    """Print the recommendation table: every cell to move, then why the others are not."""
    title = "Recommendations (SIMULATED data)" if simulated else "Recommendations"
    currency = next((row["saving"]["currency"] for row in rows if row["saving"]), "")
    table = Table(title=Text(title), title_justify="left")
    for heading in ("cell", "setpoints"):
        table.add_column(heading)
    for heading in ("energy kWh/t", "net anode kg/t", f"{currency}/t"):
        table.add_column(Text(f"saves {heading}"), justify="right")
    moved = by_status(rows, "move")
    for row in moved[:limit]:
        table.add_row(
            Text(row["cell_id"]), Text(_levers(row)), *(Text(_saves(row, name)) for name in _SAVINGS)
        )
    if moved:
        console.print(table)
    if len(moved) > limit:
        console.print(f"... and {len(moved) - limit} more, in {CSV}", style="dim", markup=False)
    for status, verb in (("hold", "held"), ("abstain", "abstained")):
        codes: dict[str, list[str]] = {}
        for row in by_status(rows, status):
            codes.setdefault(row["reasons"][0]["code"], []).append(row["cell_id"])
        for code, cells in sorted(codes.items(), key=lambda item: -len(item[1])):
            names = ", ".join(cells[:8]) + (" ..." if len(cells) > 8 else "")
            console.print(f"{len(cells):>4} {verb}, {code}: {names}", markup=False, highlight=False)


def _levers(row: Row) -> str:
    changed = [lever for lever in row["levers"] if lever["recommended"] != lever["current"]]
    return "\n".join(
        f"{lever_words(lever['name']).en} {figure(lever['current'], lever['unit'])} ->"
        f" {figure(lever['recommended'], lever['unit'])} {lever['unit']}"
        for lever in changed
    )


def _saves(row: Row, name: str) -> str:
    found = saved(row, name)
    if found is None:
        return "-"
    if name == "cost_per_t":
        return f"{money(found.mean)} ({money(found.lower)} to {money(found.upper)})"
    unit = "kWh/t" if name == "energy_kwh_per_t" else "kg/t"
    return f"{figure(found.mean, unit)} ({figure(found.lower, unit)} to {figure(found.upper, unit)})"
