"""A post of canonical rows from its bytes into the record: parsed, judged, written, and told what became of it."""

import datetime
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from features.errors import InputError
from features.layout import TABLES
from features.plant import Plant
from features.signals import Signal
from serving.record.contract import Around, Checked, check, commonest, lines_of
from serving.record.plants import plant_from, same_plant
from serving.record.reading import LONGEST_TEXT
from serving.record.store import Line, RecordStore, Stored
from serving.refusals import RefusedError, of_status

TOLD: Final = 1000
"""Faults that an answer lists; how many rows were set aside is told whatever their number."""
_EPOCH = datetime.date(1970, 1, 1)


def take(
    content: bytes,
    store: RecordStore,
    lines: Collection[str] | None,
    sensors: Iterable[Signal],
    now: datetime.datetime,
) -> dict[str, Any]:
    """Put the rows that ``content`` (JSON) posts into ``store`` and return what became of them.

    ``lines``: those that the sender may write to; None = every one.

    Raises:
        RefusedError: 400 no JSON of the agreed form; 404 a line that is not the sender's; 409 another plant.
        InputError: a line without a plant, a plant that is none, or no row is usable.
    """
    posted, plant, line = _parsed(content)
    named = lines_of(posted) or ([line] if line else [])
    for name in named:
        if lines is not None and name not in lines:
            raise RefusedError(404, "unknown_name", "there is no such line, or it is not yours")
    kept = {found.line_id: found for found in store.lines()}
    plants = {name: _plant(name, kept.get(name), plant) for name in named if _is_name(name)}
    spans = {name: _span(kept[name]) for name in plants if name in kept and kept[name].first}
    known = {sensor.name: sensor for sensor in sensors}
    checked = check(posted, Around(plants, now, known, spans, line or (named[0] if named else "")))
    if not any(checked.rows.values()) or not plants:
        count = sum(len(rows) for rows in posted.values())
        raise InputError(f"none of {count} rows keeps the contract; most often {commonest(checked.faults)}")
    # A line that none of the rows that stay is of must not come into being.
    stay = {str(row.values.get("line_id", "")) for rows in checked.rows.values() for row in rows}
    fresh = {name: found for name, found in plants.items() if name in stay or name in kept}
    return _answer(checked, store.put(checked.rows, checked.unknown, fresh), store, sorted(fresh))


def _parsed(content: bytes) -> tuple[dict[str, list[Any]], Plant | None, str]:
    try:
        value = json.loads(content, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        told = str(error) if isinstance(error, _TwiceError) else "the body is no JSON"
        raise of_status(400, told) from error
    if not isinstance(value, dict):
        raise of_status(400, "the body is no JSON object of tables and rows")
    if unknown := sorted(set(value) - {*TABLES, "plant", "line_id"}):
        raise RefusedError(
            400,
            "unknown_key",
            f"the post holds the unknown table {unknown[0][:64]!r}; tables are {', '.join(TABLES)}",
        )
    tables: dict[str, list[Any]] = {}
    for name in TABLES:
        rows = value.get(name)
        if rows is not None and not isinstance(rows, list):
            raise of_status(400, f"table {name} must be an array of rows")
        if rows:
            tables[name] = rows
    line = value.get("line_id") or ""
    if not isinstance(line, str) or len(line) > LONGEST_TEXT:
        raise of_status(400, "line_id must be text")
    given = value.get("plant")
    if given is not None and not isinstance(given, dict):
        raise of_status(400, "plant must be an object of plant.toml's fields")
    return tables, None if given is None else plant_from(given), line


class _TwiceError(ValueError):
    """A key stands twice in one object."""


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwiceError("a key stands twice in one object of the body; which one counts would be a guess")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _is_name(line: str) -> bool:
    return 0 < len(line) <= LONGEST_TEXT and line.isprintable() and line == line.strip()


def _plant(line_id: str, kept: Line | None, posted: Plant | None) -> Plant:
    if kept is None and posted is None:
        raise InputError(
            f"line {line_id[:64]!r} is new here: give its plant (the fields of plant.toml) with its first rows"
        )
    if kept is None or posted is None:
        return posted or kept.plant  # type: ignore[union-attr]
    same_plant(line_id, kept.plant, posted)
    return posted


def _span(line: Line) -> tuple[int, int]:
    first, last = line.first or _EPOCH, line.last or _EPOCH
    return (first - _EPOCH).days, (last - _EPOCH).days


def _answer(checked: Checked, stored: Stored, store: RecordStore, lines: list[str]) -> dict[str, Any]:
    found = [store.line(line) for line in lines]
    firsts = [line.first for line in found if line.first is not None]
    lasts = [line.last for line in found if line.last is not None]
    told: Mapping[str, Any] = {
        "lines": lines,
        "accepted": dict(stored.accepted),
        "replaced": dict(stored.replaced),
        "set_aside": dict(checked.set_aside),
        "quarantined": [asdict(found) for found in checked.faults[:TOLD]],
        "cells": sum(len(store.cells(line)) for line in lines),
        "first": min(firsts).isoformat() if firsts else None,
        "last": max(lasts).isoformat() if lasts else None,
    }
    return dict(told)
