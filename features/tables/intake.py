"""One file's cells become rows of canonical tables: columns found, cells read, units brought over, faults kept."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.electrolysis.bath import excess_alf3_from_ratio
from features.errors import MappingError
from features.layout import TABLES, Layout
from features.tables.contract import ASIDE, ROW, SOURCE
from features.tables.delimited import header_name
from features.tables.findings import Fault, Finding
from features.tables.mapping import Column, PlantMapping, SourceMapping, TableMapping, Watched
from features.tables.plausible import refuse_wrong_units
from features.tables.reading import RawTable
from features.tables.units import convert
from features.tables.values import (
    Clock,
    Marks,
    Parsed,
    is_missing,
    parse_days,
    parse_numbers,
    parse_text,
    parse_times,
    settle_marks,
)
from features.tables.watching import watched_findings

_FEW = 8


@dataclass(frozen=True)
class Taken:
    """What one file gave: a frame a canonical table, rows set aside, remarks."""

    frames: Mapping[str, pd.DataFrame]
    faults: tuple[Fault, ...]
    notes: tuple[Finding, ...]


def take_in(raw: RawTable, source: SourceMapping, mapping: PlantMapping) -> Taken:
    """Return the canonical rows of ``raw``, one frame for each table that ``source`` feeds.

    A frame has canonical names, units and dtypes, and the columns that say where a row comes from. It is not yet
    checked against the contract.

    Raises:
        MappingError: a needed column is missing or occurs twice, or the number marks cannot be settled.
        UnitError: a column is in another unit than the mapping says.
    """
    _refuse_missing(raw, source)
    marks = _marks(raw, source)
    frames: dict[str, pd.DataFrame] = {}
    faults: list[Fault] = []
    notes: list[Finding] = list(raw.notes)
    for table in source.tables:
        frame, found, said = _table(raw, table, source, mapping, marks)
        frames[table.table] = frame
        faults += found
        faults += [replace(fault, table=table.table) for fault in raw.faults]
        notes += said
    for watched in source.watch:
        notes += _watch(raw, watched, marks, source)
    return Taken(frames, tuple(faults), tuple(notes))


def _refuse_missing(raw: RawTable, source: SourceMapping) -> None:
    missing = source.missing_in({**raw.headers, **dict.fromkeys(raw.repeated, -1)})
    if not missing:
        return
    headers = [*raw.headers]
    near = {name: difflib.get_close_matches(header_name(name), headers, n=1) for name in missing}
    hints = [f"{name!r} (nearest is {close[0]!r})" if close else repr(name) for name, close in near.items()]
    raise MappingError(
        f"{raw.source}: columns missing: {', '.join(hints)}; it has {headers}. A renamed column is mapped by giving"
        " its new name beside the old one: column = [old, new]"
    )


def _place(raw: RawTable, names: Sequence[str]) -> int | None:
    """Return the position of the one column among ``names`` that the file has, None if it has none."""
    wanted = list(dict.fromkeys(header_name(name) for name in names))
    twice = [name for name in wanted if name in raw.repeated]
    if twice:
        raise MappingError(
            f"{raw.source}: the header {twice[0]!r} occurs more than once; rename or drop one of them"
        )
    there = [name for name in wanted if name in raw.headers]
    if len(there) > 1:
        raise MappingError(
            f"{raw.source}: {there} are alternatives of one column but both are there; keep one"
        )
    return raw.headers[there[0]] if there else None


def _cells(raw: RawTable, place: int) -> list[object]:
    return raw.cells.iloc[:, place].tolist()


def _marks(raw: RawTable, source: SourceMapping) -> Marks:
    dialect = source.dialect
    numeric = {
        place
        for table in source.tables
        for column in table.columns
        if TABLES[table.table].kind(column.target) == "signal"
        and (place := _place(raw, column.names)) is not None
    }
    texts = (cell for place in sorted(numeric) for cell in _cells(raw, place))
    return settle_marks(texts, dialect.decimal, dialect.thousands, raw.source)


def _table(
    raw: RawTable, table: TableMapping, source: SourceMapping, mapping: PlantMapping, marks: Marks
) -> tuple[pd.DataFrame, list[Fault], list[Finding]]:
    layout = TABLES[table.table]
    parsed: dict[str, Parsed] = {}
    shown: dict[str, list[object]] = {}
    notes: list[Finding] = []
    for column in table.columns:
        place = _place(raw, column.names)
        if place is not None:
            shown[column.target] = _cells(raw, place)
            parsed[column.target] = _parse(shown[column.target], column, layout, source, mapping, marks)
            notes += _missing_states(shown[column.target], column.target, raw, layout)
        else:
            notes.append(_absent(column, raw, layout))
    notes += _odd_levels(raw, table, parsed, layout, mapping)
    values: dict[str, Any] = {
        name: _canonical(name, one, table, layout, mapping) for name, one in parsed.items()
    }
    count = len(raw.rows)
    for name, constant in table.constants.items():
        values[name] = pd.Series([constant] * count, dtype="str" if isinstance(constant, str) else "float64")
    frame = pd.DataFrame({SOURCE: [raw.source] * count, ROW: raw.rows, **values})
    faults, bad = _problems(raw, parsed, shown, layout)
    skipped = _no_event(parsed, table, count)
    if skipped.any():
        said = f"{layout.name}: {int(skipped.sum())} rows of {raw.source} hold no {' and no '.join(table.skip_without)}"
        zh = (
            f"{layout.name}：{raw.source} 中 {int(skipped.sum())} 行无{'、'.join(table.skip_without)}，未计入"
        )
        notes.append(Finding("no_event", "info", layout.name, "", said, zh, {"rows": int(skipped.sum())}))
    frame[ASIDE] = bad
    return frame[~skipped].reset_index(drop=True), faults, notes


def _parse(
    cells: list[object],
    column: Column,
    layout: Layout,
    source: SourceMapping,
    mapping: PlantMapping,
    marks: Marks,
) -> Parsed:
    further = source.dialect.missing
    kind = layout.kind(column.target)
    if kind == "text":
        return parse_text(cells, further)
    if kind == "signal":
        read = parse_numbers(cells, marks, further)
        return replace(read, values=read.values * column.scale + column.offset)
    zone = column.timezone or mapping.plant.timezone
    clock = Clock(zone, column.formats, column.time_of_day, column.shift_hours)
    return parse_days(cells, clock, further) if kind == "day" else parse_times(cells, clock, further)


def _canonical(name: str, parsed: Parsed, table: TableMapping, layout: Layout, mapping: PlantMapping) -> Any:
    kind = layout.kind(name)
    if kind == "text":
        text = pd.Series(parsed.values, dtype="str")
        return text if name in layout.key else text.where(~parsed.missing, None)
    if kind != "signal":
        return parsed.values
    column = next(c for c in table.columns if c.target == name)
    if column.transform == "excess_alf3_from_ratio":
        return excess_alf3_from_ratio(
            convert(parsed.values, column.unit, "molar ratio"), column.others_wt_pct
        )
    return convert(parsed.values, column.unit, mapping.signal(name).unit)


def _odd_levels(
    raw: RawTable, table: TableMapping, parsed: Mapping[str, Parsed], layout: Layout, mapping: PlantMapping
) -> list[Finding]:
    """Refuse wrong units; return a finding for each column whose level nothing explains."""
    columns = [
        (parsed[c.target].values, c.unit, mapping.signal(c.target))
        for c in table.columns
        if c.target in parsed
        and layout.kind(c.target) == "signal"
        and c.transform == "none"
        and np.isfinite(parsed[c.target].values).sum() >= _FEW
    ]
    odd = refuse_wrong_units(columns, mapping.plant.line_current_ka, raw.source)
    return [
        Finding(
            "odd_level",
            "warning",
            layout.name,
            m.signal.name,
            m.sentence(),
            f"{m.signal.meaning_zh}的中位数为 {m.middle:.6g} {m.claimed}，不在常见范围 {m.typical[0]:g}–{m.typical[1]:g} {m.signal.unit}，请核对列",
            {"middle": m.middle, "low": m.typical[0], "high": m.typical[1]},
        )
        for m in odd
    ]


def _missing_states(cells: list[object], name: str, raw: RawTable, layout: Layout) -> list[Finding]:
    """Return a finding that counts the texts which stand where a value should."""
    written = {c: count for c, count in Counter(cells).items() if isinstance(c, str) and c.strip()}
    texts = Counter({text.strip(): count for text, count in written.items() if is_missing(text)})
    if not texts:
        return []
    count = sum(texts.values())
    common = ", ".join(f"{text!r} {times}x" for text, times in texts.most_common(3))
    said = f"{name}: {count} cells of {raw.source} hold a text for no value ({common})"
    zh = f"{name}：{raw.source} 中 {count} 个单元格为无值文本（{common}）"
    return [Finding("missing_states", "info", layout.name, name, said, zh, dict(texts.most_common(3)))]


def _absent(column: Column, raw: RawTable, layout: Layout) -> Finding:
    names = " or ".join(column.names)
    text = f"{column.target} is not collected: {raw.source} has no column {names}"
    zh = f"未采集 {column.target}：{raw.source} 无列 {names}"
    return Finding("absent_column", "warning", layout.name, column.target, text, zh, {"column": names})


def _problems(
    raw: RawTable, parsed: Mapping[str, Parsed], shown: Mapping[str, list[object]], layout: Layout
) -> tuple[list[Fault], NDArray[np.bool_]]:
    faults: list[Fault] = []
    bad = np.zeros(len(raw.rows), dtype=np.bool_)
    for name, one in parsed.items():
        for place in np.flatnonzero(one.problem != ""):
            reason, cell = str(one.problem[place]), str(shown[name][place])[:80]
            rule = "text in number" if layout.kind(name) == "signal" else "unreadable date"
            faults.append(Fault(raw.source, layout.name, int(raw.rows[place]), name, cell, rule, reason))
            bad[place] = True
    return faults, bad


def _no_event(parsed: Mapping[str, Parsed], table: TableMapping, count: int) -> NDArray[np.bool_]:
    """Say which rows hold none of the values that would make them an event."""
    wanted = [parsed[name].missing for name in table.skip_without if name in parsed]
    return np.logical_and.reduce(wanted) if wanted else np.zeros(count, dtype=np.bool_)


def _watch(raw: RawTable, watched: Watched, marks: Marks, source: SourceMapping) -> list[Finding]:
    place = _place(raw, [watched.name])
    if place is None:
        return []
    further = source.dialect.missing
    values = parse_numbers(_cells(raw, place), marks, further).values
    parts = [_place(raw, [name]) for name in watched.equals_ratio]
    ratio = None
    if len(parts) == 2 and None not in parts:
        above, below = (parse_numbers(_cells(raw, p), marks, further).values for p in parts if p is not None)
        ratio = above / np.where(below == 0.0, np.nan, below)
    return watched_findings(watched, values, ratio)
