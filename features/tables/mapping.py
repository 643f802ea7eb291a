"""A plant's own files in the canonical names: what a mapping (TOML) may say, checked when it is read.

    protocol = 1
    name = "..."                    description = "..."
    [plant]                         name, timezone, line_current_ka, anodes_per_cell, metal_pad_area_m2, simulated, ...
    [[sensors]]                     name, unit, meaning, low, high: a signal beyond the dictionary
    [[sources]]                     files (glob), sheet, header_row, encoding, delimiter, decimal, thousands, missing
    [[sources.watch]]               column, reason, equals_ratio: looked at, reported, but not used
    [[sources.tables]]              table, skip_without
    [sources.tables.constants]      canonical column = value
    [sources.tables.columns]        canonical column = {column, unit, scale, offset, transform, formats, ...}

What a mapping does not say about a dialect is detected, or refused where the bytes leave a doubt.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from features.errors import InputError, MappingError, UnitError
from features.layout import REQUIRED_TABLES, Layout, layout_of
from features.plant import Plant
from features.signals import SIGNALS, Signal
from features.tables.delimited import header_name
from features.tables.reading import Dialect
from features.tables.store import plant_from, sensor_from
from features.tables.units import convert, unit

PROTOCOL = 1
TRANSFORMS = ("none", "excess_alf3_from_ratio")
_RATIO_KIND = "bath ratio"


@dataclass(frozen=True)
class Column:
    """One canonical column and the file's column that fills it.

    Attributes:
        target: canonical name, or a declared sensor's.
        names: the file's column; several are alternatives, of which a file must have exactly one.
        unit: of the file's values after ``scale`` and ``offset``; needed for signals only.
        transform: "none", or "excess_alf3_from_ratio" with ``others_wt_pct`` = Al2O3 + CaF2 + LiF + MgF2 [wt%].
        formats: strptime formats of days and times; without them only ISO-like dates are read.
        time_of_day: added to a date that stands for an instant, "HH:MM" in the column's zone.
        timezone: zone of stamps without an offset; the plant's where empty.
        shift_hours: added to a day or time, for example 24 where a report is dated the day before it is known.
        optional: a file without the column is accepted.
    """

    target: str
    names: tuple[str, ...]
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    transform: str = "none"
    others_wt_pct: float = 10.0
    formats: tuple[str, ...] = ()
    time_of_day: str = ""
    timezone: str = ""
    shift_hours: float = 0.0
    optional: bool = False


@dataclass(frozen=True)
class Watched:
    """A column of the file that is looked at and reported but not used, and why not."""

    name: str
    reason: str
    reason_zh: str = ""
    equals_ratio: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableMapping:
    """How one file feeds one canonical table; rows without the values of ``skip_without`` are no events."""

    table: str
    columns: tuple[Column, ...]
    constants: Mapping[str, str | float] = field(default_factory=dict)
    skip_without: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceMapping:
    """One kind of file: which files, in which dialect, and the canonical tables it feeds."""

    files: str
    dialect: Dialect
    tables: tuple[TableMapping, ...]
    watch: tuple[Watched, ...] = ()

    def needed(self) -> tuple[tuple[str, ...], ...]:
        """Return the file's columns that must be there, each with its alternatives."""
        return tuple({c.names: None for t in self.tables for c in t.columns if not c.optional})

    def missing_in(self, headers: Mapping[str, int]) -> list[str]:
        """Return the needed columns that ``headers`` (normalised name to position) lacks."""
        return [
            " or ".join(names)
            for names in self.needed()
            if not any(header_name(name) in headers for name in names)
        ]


@dataclass(frozen=True)
class PlantMapping:
    """A plant, its declared sensors and its files."""

    name: str
    description: str
    plant: Plant
    sensors: tuple[Signal, ...]
    sources: tuple[SourceMapping, ...]

    def signal(self, name: str) -> Signal:
        """Return the dictionary's signal or the declared sensor called ``name``."""
        return next((sensor for sensor in self.sensors if sensor.name == name), None) or SIGNALS[name]


def read_mapping(path: str | Path) -> PlantMapping:
    """Read and check a mapping file.

    Raises:
        MappingError: it is not TOML, says something unknown, or leaves a required column unmapped.
        UnitError: a unit is unknown or is of another kind than the signal's.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(
            f"mapping {file.name} cannot be read: {error}; give a TOML file in UTF-8"
        ) from error
    return parse_mapping(text, file.name)


def shipped_mappings() -> tuple[PlantMapping, ...]:
    """Return the mappings that come with the package, by name."""
    folder = resources.files("features.tables") / "mappings"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(parse_mapping(f.read_text(encoding="utf-8"), f.name) for f in files)


def parse_mapping(text: str, where: str) -> PlantMapping:
    """Return the mapping that ``text`` holds; ``where`` names it in errors.

    Raises:
        MappingError: as ``read_mapping``.
        UnitError: as ``read_mapping``.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"mapping {where} is not TOML: {error}") from error
    _known(document, {"protocol", "name", "description", "plant", "sensors", "sources"}, where)
    if document.get("protocol") != PROTOCOL:
        raise MappingError(
            f"mapping {where}: protocol is {document.get('protocol')!r}; this version reads {PROTOCOL}"
        )
    try:
        plant = plant_from(document.get("plant", {}), where)
        sensors = tuple(sensor_from(entry, where) for entry in document.get("sensors", []))
    except InputError as error:
        raise MappingError(str(error)) from error
    for sensor in sensors:
        unit(sensor.unit)
    sources = tuple(_source(entry, sensors, where) for entry in document.get("sources", []))
    mapping = PlantMapping(
        str(document.get("name") or where), str(document.get("description", "")), plant, sensors, sources
    )
    _refuse_incomplete(mapping, where)
    return mapping


def _source(entry: Mapping[str, Any], sensors: tuple[Signal, ...], where: str) -> SourceMapping:
    dialect_names = {f.name for f in fields(Dialect)}
    _known(entry, {"files", "tables", "watch"} | dialect_names, f"{where}: source {entry.get('files')!r}")
    given = {name: entry[name] for name in dialect_names & set(entry)}
    if "missing" in given:
        given["missing"] = tuple(str(value) for value in given["missing"])
    try:
        dialect = Dialect(**given)
    except (TypeError, ValueError) as error:
        raise MappingError(f"{where}: source {entry.get('files')!r}: {error}") from error
    tables = tuple(_table(table, sensors, where) for table in entry.get("tables", []))
    watch = tuple(_watched(item, where) for item in entry.get("watch", []))
    return SourceMapping(str(entry.get("files", "*")), dialect, tables, watch)


def _watched(item: Mapping[str, Any], where: str) -> Watched:
    _known(item, {"column", "reason", "reason_zh", "equals_ratio"}, f"{where}: watch")
    if "column" not in item or "reason" not in item:
        raise MappingError(f"{where}: a watched column needs column and reason; it has {sorted(item)}")
    return Watched(
        str(item["column"]),
        str(item["reason"]),
        str(item.get("reason_zh", "")),
        tuple(str(name) for name in item.get("equals_ratio", ())),
    )


def _table(entry: Mapping[str, Any], sensors: tuple[Signal, ...], where: str) -> TableMapping:
    _known(entry, {"table", "columns", "constants", "skip_without"}, f"{where}: table {entry.get('table')!r}")
    try:
        layout = layout_of(str(entry.get("table")))
    except InputError as error:
        raise MappingError(f"{where}: {error}") from error
    place = f"{where}: {layout.name}"
    columns = tuple(
        _column(target, value, layout, sensors, place) for target, value in entry.get("columns", {}).items()
    )
    constants = dict(entry.get("constants", {}))
    for name, value in constants.items():
        wanted = str if layout.kind(_target(name, layout, sensors, place)) == "text" else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool) or name in (c.target for c in columns):
            raise MappingError(f"{place}: constant {name} = {value!r} is of the wrong type or mapped twice")
    skip = tuple(str(name) for name in entry.get("skip_without", ()))
    loose = sorted(set(skip) - {c.target for c in columns})
    if loose:
        raise MappingError(
            f"{place}: skip_without names {loose}, which no column fills; map them or drop them"
        )
    unfilled = [key for key in layout.key if key not in constants and key not in (c.target for c in columns)]
    if unfilled:
        raise MappingError(f"{place}: nothing fills the key {unfilled}; map a column or give a constant")
    return TableMapping(layout.name, columns, constants, skip)


def _column(
    target: str, entry: Mapping[str, Any], layout: Layout, sensors: tuple[Signal, ...], place: str
) -> Column:
    where = f"{place}.{target}"
    kind = layout.kind(_target(target, layout, sensors, place))
    if not isinstance(entry, Mapping):
        raise MappingError(f'{where} is {entry!r}; write a table such as {{ column = "...", unit = "..." }}')
    _known(entry, {f.name for f in fields(Column)} - {"target", "names"} | {"column"}, where)
    names = entry.get("column")
    names = tuple(names) if isinstance(names, list) else (names,)
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise MappingError(f"{where}: column is {entry.get('column')!r}; name the file's column")
    rest: dict[str, Any] = {key: _value(key, given, where) for key, given in entry.items() if key != "column"}
    column = Column(target, names, **rest)
    if column.transform not in TRANSFORMS:
        raise MappingError(
            f"{where}: transform {column.transform!r} is unknown; known are {', '.join(TRANSFORMS)}"
        )
    if kind == "signal":
        _check_unit(column, _signal(target, sensors), where)
    return column


def _value(name: str, given: Any, where: str) -> Any:
    """Return ``given`` as the field ``name`` of a Column holds it, refused where it is of another type."""
    wanted = type(getattr(Column, name))
    value = tuple(given) if isinstance(given, list) else float(given) if _is_whole(given) else given
    if not isinstance(value, wanted):
        raise MappingError(f"{where}: {name} is {given!r}; give a {wanted.__name__}")
    return value


def _is_whole(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)


def _check_unit(column: Column, of: Signal, where: str) -> None:
    if not column.unit:
        raise MappingError(f"{where}: no unit; name the unit of the file's values (canonical is {of.unit!r})")
    try:
        if column.transform == "excess_alf3_from_ratio":
            if unit(column.unit).kind != _RATIO_KIND or of.name != "excess_alf3_wt_pct":
                raise UnitError(
                    "excess_alf3_from_ratio turns a molar or weight ratio into excess_alf3_wt_pct only"
                )
        else:
            convert(0.0, column.unit, of.unit)
    except UnitError as error:
        raise UnitError(f"{where}: {error}") from error


def _signal(name: str, sensors: tuple[Signal, ...]) -> Signal:
    return next((sensor for sensor in sensors if sensor.name == name), None) or SIGNALS[name]


def _target(name: str, layout: Layout, sensors: tuple[Signal, ...], place: str) -> str:
    known = (*layout.columns, *(sensor.name for sensor in sensors))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or sorted(known)
        raise MappingError(f"{place}: unknown canonical column {name!r}; nearest are {', '.join(near)}")
    return name


def _known(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise MappingError(f"{where}: unknown keys {unknown}; known are {sorted(known)}")


def _refuse_incomplete(mapping: PlantMapping, where: str) -> None:
    """Refuse a mapping that cannot yield the required tables and their required signals."""
    filled: dict[str, set[str]] = {}
    for table in (t for source in mapping.sources for t in source.tables):
        filled.setdefault(table.table, set()).update(table.constants, (c.target for c in table.columns))
    for name in {*REQUIRED_TABLES, *filled}:
        lacking = [s for s in layout_of(name).required if s not in filled.get(name, set())]
        if name not in filled or lacking:
            raise MappingError(
                f"mapping {where}: table {name} needs {lacking or 'at least its key columns'}; map the file's columns"
            )
