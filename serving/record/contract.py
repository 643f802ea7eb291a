"""The rows of one post together: what a row must be to enter, and what becomes of one that is not.

The same rules as those of the batch way in (``features.tables.contract``), without a table library. A row that breaks
a rule is set aside with the reason. A cell out of operation is no fault: its voltage of zero is no measurement of a
running cell, so what such a row "measures" becomes "not known" and the row stays. An event that is set aside happened
all the same: its key stays, with every signal unknown, unless the record knows it already.
"""

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from features.layout import TABLES, Layout
from features.plant import Plant
from features.signals import SIGNALS, Signal
from serving.record.reading import Fault, Row, day_number, fault, read_row, stamps

ISOLATED_DAYS: Final = 366
_BULK: Final = 0.9
_WEIGHING: Final = 1.03
"""An anode taken out on the day it was set weighs what it weighed, give or take the scale."""


@dataclass(frozen=True)
class Around:
    """What the checks need beyond the rows.

    Attributes:
        plants: line -> its plant. sensors: the plant's own signals that a model in operation reads.
        now: the present moment, UTC. spans: line -> first and last day of its record, in days since 1970.
        line: the line of lots that are posted alone.
    """

    plants: Mapping[str, Plant]
    now: datetime.datetime
    sensors: Mapping[str, Signal] = field(default_factory=dict)
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    line: str = ""


@dataclass(frozen=True)
class Checked:
    """What of a post enters the record, by table; ``unknown`` events enter only where nothing is known of them."""

    rows: Mapping[str, list[Row]]
    unknown: Mapping[str, list[Row]]
    faults: tuple[Fault, ...]
    set_aside: Mapping[str, int]


def check(posted: Mapping[str, list[Any]], around: Around) -> Checked:
    """Return what of ``posted`` (table -> rows) keeps the contract."""
    read = {
        name: [read_row(row, place, TABLES[name], around.sensors) for place, row in enumerate(rows)]
        for name, rows in posted.items()
    }
    good: dict[str, list[Row]] = {}
    unknown: dict[str, list[Row]] = {}
    for name, rows in read.items():
        layout = TABLES[name]
        for row in rows:
            _judge(row, layout, around)
        _isolated(rows, layout, around)
        _repeated(rows, layout)
        good[name] = [row for row in rows if not row.faults]
        if layout.event:
            unknown[name] = _unknown_events(rows, good[name], layout)
    faults = tuple(found for rows in read.values() for row in rows for found in row.faults)
    aside = {name: sum(bool(row.faults) for row in rows) for name, rows in read.items()}
    return Checked(good, unknown, faults, {name: count for name, count in aside.items() if count})


def lines_of(posted: Mapping[str, list[Any]]) -> list[str]:
    """Return the lines that the rows of ``posted`` name, sorted."""
    rows = (row for given in posted.values() for row in given)
    named = (row.get("line_id") for row in rows if isinstance(row, dict))
    return sorted({line for line in named if isinstance(line, str)})


def commonest(faults: Iterable[Fault]) -> str:
    """Return the most frequent fault in words."""
    counted = Counter(f"{found.table}.{found.column}: {found.reason}" for found in faults)
    return counted.most_common(1)[0][0] if counted else "no row was given"


def _judge(row: Row, layout: Layout, around: Around) -> None:
    """Add to ``row`` the faults that its values show together."""
    values = row.values
    stopped = layout.name == "cell_days" and _stopped(row)
    if stopped:
        _forget(row, layout, around.sensors)
    told = {found.column for found in row.faults}
    if stopped or layout.event:
        pass  # an event with unknown values happened all the same
    elif layout.signals and not told and not _knows_any(values, layout):
        row.faults.append(fault(row, "", "empty_row"))
    else:
        lacking = [name for name in layout.essential if values.get(name) is None and name not in told]
        row.faults += [fault(row, name, "missing") for name in lacking]
    _order(row)
    plant = around.plants.get(str(values.get("line_id", around.line)))
    if plant is not None and not plant.simulated:
        local = around.now.astimezone(ZoneInfo(plant.timezone)).replace(tzinfo=None)
        utc = around.now.astimezone(datetime.UTC).replace(tzinfo=None)
        for column, stamp in stamps(row, layout):
            if stamp > (local if column in layout.days else utc):
                row.faults.append(fault(row, column, "future", values[column]))


def _knows_any(values: Mapping[str, Any], layout: Layout) -> bool:
    return any(value is not None and layout.kind(name) == "signal" for name, value in values.items())


def _stopped(row: Row) -> bool:
    """Say whether the cell was out of operation: no run time, or where that is not collected, neither volt nor alumina."""
    run, voltage = row.values.get("run_minutes"), row.values.get("cell_voltage_v")
    alumina = row.values.get("alumina_fed_kg_d")
    return run == 0 or (run is None and voltage == 0 and (alumina is None or alumina == 0))


def _forget(row: Row, layout: Layout, sensors: Mapping[str, Signal]) -> None:
    """Turn what a stopped cell "measures", and what no cell can show, into not known."""
    for name in [name for name in row.values if layout.kind(name) == "signal"]:
        of, value = sensors.get(name) or SIGNALS[name], row.values[name]
        inside = isinstance(value, float) and of.low <= value <= of.high
        if of.role == "measured" or not inside:
            row.values[name] = None
    row.faults = [found for found in row.faults if found.code != "range"]


def _order(row: Row) -> None:
    """Add the faults of times and weights that stand in an order that cannot be."""
    values = row.values
    if row.table == "bath_samples" and _less(values, "reported_at", "sampled_at"):
        row.faults.append(fault(row, "reported_at", "reported_early", values["reported_at"]))
    if row.table != "anode_changes":
        return
    new, butt = values.get("new_mass_kg"), values.get("butt_mass_kg")
    if isinstance(new, float) and isinstance(butt, float) and butt > _WEIGHING * new:
        row.faults.append(fault(row, "butt_mass_kg", "heavy_butt", butt))
    if _less(values, "removed_at", "set_at"):
        row.faults.append(fault(row, "removed_at", "removed_early", values["removed_at"]))


def _less(values: Mapping[str, Any], one: str, other: str) -> bool:
    first, second = values.get(one), values.get(other)
    return isinstance(first, str) and isinstance(second, str) and first < second


def _isolated(rows: list[Row], layout: Layout, around: Around) -> None:
    """Set aside what a gap of over a year parts from the line's record, or from the bulk of a first post."""
    column = next((name for name in (*layout.days, *layout.times) if name in layout.key), None)
    if column is None:
        return
    fresh: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for row in rows:
        day = day_number(row, layout) if row.keyed else None
        if day is None:
            continue
        line = str(row.values["line_id"])
        if line not in around.spans:
            fresh[line].append((day, row))
            continue
        first, last = around.spans[line]
        if not first - ISOLATED_DAYS <= day <= last + ISOLATED_DAYS:
            row.faults.append(fault(row, column, "isolated", row.values[column], days=ISOLATED_DAYS))
    for days in fresh.values():
        for row in _strays(days):
            row.faults.append(fault(row, column, "isolated", row.values[column], days=ISOLATED_DAYS))


def _strays(days: list[tuple[int, Row]]) -> list[Row]:
    ordered = sorted(days, key=lambda entry: entry[0])
    blocks: list[list[Row]] = []
    before: int | None = None
    for day, row in ordered:
        if before is None or day - before > ISOLATED_DAYS:
            blocks.append([])
        blocks[-1].append(row)
        before = day
    bulk = max(blocks, key=len)
    if len(bulk) < _BULK * len(ordered):
        return []
    return [row for block in blocks if block is not bulk for row in block]


def _repeated(rows: list[Row], layout: Layout) -> None:
    """Set aside every row that repeats a key: the later ones where they are equal, all where they contradict."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if not row.faults:
            groups[row.key(layout)].append(row)
    key = ", ".join(layout.key)
    for group in groups.values():
        alike = all(row.values == group[0].values for row in group)
        for at, row in enumerate(group if len(group) > 1 else ()):
            if not alike:
                row.faults.append(fault(row, layout.key[-1], "conflict", row.values[layout.key[-1]], key=key))
            elif at:
                row.faults.append(fault(row, layout.key[-1], "duplicate", row.values[layout.key[-1]]))


def _unknown_events(rows: list[Row], good: list[Row], layout: Layout) -> list[Row]:
    """Return, once each, the keys of events that were set aside and that no good row stands for."""
    standing = {row.key(layout) for row in good}
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        unplaced = any(entry.column in layout.key and entry.code != "conflict" for entry in row.faults)
        if row.faults and row.keyed and not unplaced and row.key(layout) not in standing:
            values = {name: row.values[name] for name in layout.key}
            found.setdefault(row.key(layout), Row(row.table, row.place, dict(values)))
    return list(found.values())
