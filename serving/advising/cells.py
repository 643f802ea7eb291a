"""What stands for each cell of a line: its recommendation and decision, its mode, what it last measured."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, Final

from features.signals import SIGNALS
from serving.advising.books import Books
from serving.ledger.book import Advised, Decided
from serving.record.store import Line, Mode

MEASURED: Final = (
    "cell_voltage_v",
    "set_voltage_v",
    "bath_temperature_c",
    "noise_mv",
    "metal_level_mm",
    "bath_level_mm",
    "alf3_dose_kg_d",
    "alf3_fed_kg_d",
    "alumina_feed_kg_d",
    "alumina_fed_kg_d",
    "anode_effects",
    "excess_alf3_wt_pct",
    "tap_mass_kg",
    "tap_target_kg",
)
"""Signals whose last known values a cell's card shows."""
_TABLES: Final = ("cell_days", "taps", "bath_samples")
_RECENT_D: Final = 14
_EPOCH = datetime.date(1970, 1, 1)


def day_of(row: Mapping[str, Any]) -> str:
    """Return the day of a row of cell days, taps or bath samples (instants by their day in UTC)."""
    return str(row.get("date") or row.get("time") or row.get("sampled_at"))[:10]


def recent(
    books: Books, line: Line, days: int = _RECENT_D, cell_id: str | None = None
) -> dict[str, list[Any]]:
    """Return the rows of the last ``days`` of a line's record, by table."""
    if line.last is None:
        return {name: [] for name in _TABLES}
    since = (line.last - _EPOCH).days - days + 1
    return books.record.values(line.line_id, _TABLES, since, cell_id)


def overview(books: Books, line_id: str, cell_id: str | None = None) -> list[dict[str, Any]]:
    """Return the cells of a line as its map shows them, by name; of one cell where it is named."""
    line = books.line_or_none(line_id)
    known = books.record.cells(line_id) if line is not None else {}
    latest = {found.recommendation.cell_id: found for found in books.ledger.latest(line_id, cell_id)}
    modes = books.record.modes(line_id)
    rows = recent(books, line, cell_id=cell_id) if line is not None else {}
    by_cell: dict[str, list[Mapping[str, Any]]] = {}
    for table in rows.values():
        for row in table:
            by_cell.setdefault(row["cell_id"], []).append(row)
    now = books.time_at(line)
    decided = books.ledger.decided(found.recommendation.recommendation_id for found in latest.values())
    names = sorted({*known, *latest}) if cell_id is None else [cell_id]
    return [
        {
            "line_id": line_id,
            "cell_id": name,
            "last_reported": known[name][1].isoformat() if name in known else None,
            "mode": modes.get(name, Mode()).mode,
            "mode_levers": list(modes.get(name, Mode()).levers),
            **standing(latest.get(name), decided, now),
            **_measured(by_cell.get(name, ())),
        }
        for name in names
        if name in known or name in latest
    ]


def standing(
    advised: Advised | None, decided: Mapping[str, Decided], now: datetime.datetime
) -> dict[str, Any]:
    """Return a recommendation, whether it has expired on the line's clock, and what was decided."""
    if advised is None:
        return {"advice": None, "expired": False, "decision": None}
    advice = advised.recommendation
    decision = decided.get(advice.recommendation_id)
    return {
        "advice": advice.model_dump(mode="json"),
        "expired": advice.expired(now),
        "decision": decision_values(decision) if decision else None,
    }


def decision_values(decided: Decided) -> dict[str, Any]:
    """Return a decision with who took it and when."""
    found = decided.decision
    return {
        "recommendation_id": found.recommendation_id,
        "action": found.action,
        "levers": found.levers,
        "reason": found.reason,
        "subject": decided.record.content.subject,
        "decided_at": decided.record.content.recorded_at,
    }


def _measured(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the last known value of each signal of a cell's ``rows``, and its age."""
    found: dict[str, dict[str, Any]] = {}
    age: tuple[str, float] | None = None
    for row in rows:
        day = day_of(row)
        for name in MEASURED:
            value = row.get(name)
            if value is not None and (name not in found or found[name]["date"] <= day):
                found[name] = {"value": value, "unit": SIGNALS[name].unit, "date": day}
        if row.get("cell_age_d") is not None and (age is None or age[0] <= day):
            age = (day, row["cell_age_d"])
    return {"age_d": age[1] if age else None, "measured": {n: found[n] for n in MEASURED if n in found}}
