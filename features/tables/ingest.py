"""From a plant's files, or a canonical directory, to a checked record: tables, rows set aside, quality report."""

import functools
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from features.errors import ContractError, InputError, MappingError
from features.layout import REQUIRED_TABLES, TABLES, Layout
from features.tables.contract import ASIDE, CARRIED, ROW, SOURCE, Checked, Circumstances, check
from features.tables.delimited import header_name
from features.tables.findings import Fault, Finding, quarantine_frame
from features.tables.intake import Taken, take_in
from features.tables.mapping import PlantMapping, SourceMapping, read_mapping, shipped_mappings
from features.tables.plausible import refuse_wrong_units
from features.tables.quality import QualityReport, quality_report
from features.tables.reading import Dialect, RawTable, is_readable, read_raw
from features.tables.record_checks import arrival_findings
from features.tables.store import Tables, is_canonical, publish, read_frames, typed_frame, write_tables
from features.tables.values import Marks, parse_numbers

Reader = Callable[[Path, Dialect, frozenset[str]], RawTable]

QUALITY_FILE, QUARANTINE_FILE = "quality.json", "quarantine.csv"
_FEW = 8
_STRANGE = 0.5


@dataclass(frozen=True)
class IngestResult:
    """A checked record: what was kept, what was set aside and why, and what a person should know."""

    tables: Tables
    quarantine: pd.DataFrame
    quality: QualityReport


def ingest(
    mapping: PlantMapping | str | Path | None,
    source: str | Path,
    out_dir: str | Path,
    as_of: datetime | None = None,
) -> IngestResult:
    """Read ``source`` through ``mapping`` and write the canonical directory, ``quality.json`` and ``quarantine.csv``.

    All files are staged first: on any error ``out_dir`` stays as it was.

    Raises:
        InputError: as ``examine``.
    """
    result = examine(source, mapping, as_of)
    folder = Path(out_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as staging:
        stage = write_tables(result.tables, Path(staging) / "tables")
        report = json.dumps(result.quality.as_json(), ensure_ascii=False, indent=1, allow_nan=False)
        (stage / QUALITY_FILE).write_text(report + "\n", encoding="utf-8")
        result.quarantine.to_csv(stage / QUARANTINE_FILE, index=False, encoding="utf-8", lineterminator="\n")
        publish(stage, folder, stale=[f"{name}.parquet" for name in TABLES])
    return result


def load(
    path: str | Path, mapping: PlantMapping | str | Path | None = None, as_of: datetime | None = None
) -> Tables:
    """Return the checked tables of ``path``: ``examine`` without its report.

    Raises:
        InputError: as ``examine``.
    """
    return examine(path, mapping, as_of).tables


def examine(
    path: str | Path, mapping: PlantMapping | str | Path | None = None, as_of: datetime | None = None
) -> IngestResult:
    """Read and check ``path``: a canonical directory, or a plant's file or folder with its mapping.

    Without a mapping, the shipped one whose columns the file has is taken, and the report names it. ``as_of``
    (default now) is the moment after which nothing can have been measured.

    Raises:
        InputError: there is nothing to read at ``path``.
        MappingError: no mapping fits, or the one given does not fit the files.
        UnitError: a column is in another unit than stated.
        ContractError: a table breaks the contract as a whole.
    """
    place = Path(path)
    if not place.exists():
        raise InputError(f"{place} does not exist; give a canonical directory, or a plant's file or folder")
    if mapping is None and place.is_dir() and is_canonical(place):
        return _canonical(place, as_of)
    files = (
        [place] if place.is_file() else sorted(f for f in place.iterdir() if f.is_file() and is_readable(f))
    )
    if not files:
        raise InputError(f"{place} holds no file that can be read and is no canonical directory")
    reader = functools.cache(read_raw)  # choosing a mapping and reading through it look at the same cells
    chosen = _chosen(mapping, files, reader)
    taken = list(_taken(chosen, place, files, reader))
    return _through(chosen, place, taken, as_of)


def _canonical(folder: Path, as_of: datetime | None) -> IngestResult:
    plant, sensors, frames = read_frames(folder)
    around = Circumstances(plant, sensors, as_of, canonical=True)
    kept: dict[str, pd.DataFrame] = {}
    faults: list[Fault] = []
    notes: list[Finding] = []
    for name, frame in frames.items():
        layout = TABLES[name]
        numbers, unread = _read_as_numbers(frame, layout)
        typed = typed_frame(numbers, layout, sensors, carried=CARRIED)
        checked = _checked(typed, layout, around, unread)
        kept[name] = _bare(checked.frame)
        faults += [*unread, *checked.faults]
        notes += _stopped_note(checked, layout)
    tables = Tables(plant=plant, sensors=sensors, **kept)
    quarantine = quarantine_frame(faults)
    return IngestResult(tables, quarantine, quality_report(tables, quarantine, tuple(notes), folder.name))


def _read_as_numbers(frame: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, list[Fault]]:
    """Return a stored table whose signal columns are numbers; a cell of text that is none is a fault of its row."""
    frame = frame.copy()
    frame[SOURCE], frame[ROW], frame[ASIDE] = f"{layout.name}.parquet", range(1, len(frame) + 1), False
    faults: list[Fault] = []
    for name in sorted(_signals(frame, layout)):
        if pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name]):
            continue
        cells = frame[name].tolist()
        parsed = parse_numbers(cells, Marks())
        for place in np.flatnonzero(parsed.problem != ""):
            shown, reason = str(cells[place])[:80], str(parsed.problem[place])
            row = int(place) + 1
            faults.append(
                Fault(f"{layout.name}.parquet", layout.name, row, name, shown, "text in number", reason)
            )
        frame[name] = parsed.values
        frame[ASIDE] |= parsed.problem != ""
    return frame, faults


def _checked(
    frame: pd.DataFrame, layout: Layout, around: Circumstances, earlier: Sequence[Fault] = ()
) -> Checked:
    """Refuse a frame in wrong units as a whole, then check it row by row."""
    columns = [
        (frame[name].to_numpy(), around.signal(name).unit, around.signal(name))
        for name in sorted(_signals(frame, layout))
        if frame[name].notna().sum() >= _FEW
    ]
    refuse_wrong_units(columns, around.plant.line_current_ka, f"table {layout.name}")
    return check(frame, layout, around, tuple(earlier))


def _chosen(mapping: PlantMapping | str | Path | None, files: Sequence[Path], reader: Reader) -> PlantMapping:
    """Return the mapping given (itself, a file, a shipped one's name), or the shipped one that the first file fits."""
    if isinstance(mapping, PlantMapping):
        return mapping
    if mapping is not None:
        return next((m for m in shipped_mappings() if m.name == mapping), None) or read_mapping(mapping)
    nearest: tuple[float, PlantMapping] | None = None
    for shipped in shipped_mappings():
        for source in shipped.sources:
            missing = len(source.missing_in(_headers(_read(files[0], source, reader)))) / len(source.needed())
            if nearest is None or missing < nearest[0]:
                nearest = missing, shipped
    if nearest is None or nearest[0] > _STRANGE:
        known = [shipped.name for shipped in shipped_mappings()]
        raise MappingError(
            f"{files[0].name} has the columns of no shipped mapping ({', '.join(known)}); give a mapping (TOML)"
        )
    return nearest[1]  # where single columns are missing, the reading names them


def _read(file: Path, source: SourceMapping, reader: Reader) -> RawTable:
    expected = frozenset(header_name(name) for names in source.needed() for name in names)
    return reader(file, source.dialect, expected)


def _headers(raw: RawTable) -> dict[str, int]:
    return {**raw.headers, **dict.fromkeys(raw.repeated, -1)}


def _through(
    mapping: PlantMapping, place: Path, taken: Sequence[Taken], as_of: datetime | None
) -> IngestResult:
    around = Circumstances(mapping.plant, mapping.sensors, as_of)
    faults = [fault for one in taken for fault in one.faults]
    notes = [note for one in taken for note in one.notes]
    kept: dict[str, pd.DataFrame] = {}
    for name, layout in TABLES.items():
        frames = [one.frames[name] for one in taken if name in one.frames]
        if frames:
            checked = _combined(frames, layout, around, faults)
            kept[name] = _bare(checked.frame)
            faults += checked.faults
            notes += [
                *_stopped_note(checked, layout),
                *(n for f in frames for n in arrival_findings(f, layout)),
            ]
    lacking = [name for name in REQUIRED_TABLES if name not in kept]
    if lacking:
        raise ContractError(
            f"{place.name}: no file feeds the required tables {lacking}; check files = ... in the mapping"
        )
    tables = Tables(plant=mapping.plant, sensors=mapping.sensors, **kept)
    quarantine = quarantine_frame(faults)
    report = quality_report(tables, quarantine, tuple(notes), place.name, mapping.name)
    return IngestResult(tables, quarantine, report)


def _taken(mapping: PlantMapping, place: Path, files: Sequence[Path], reader: Reader) -> Iterable[Taken]:
    """Yield what each file gives; a single file goes to the one kind of source whose columns it has."""
    if place.is_file():
        yield take_in(*_best(mapping, files[0], reader), mapping)
        return
    for source in mapping.sources:
        mine = [file for file in files if file.match(source.files)]
        if not mine and not any(table.table in REQUIRED_TABLES for table in source.tables):
            continue
        if not mine:
            raise MappingError(
                f"{place.name}: no file matches {source.files!r}; it holds {[f.name for f in files]}"
            )
        for file in mine:
            yield take_in(_read(file, source, reader), source, mapping)


def _best(mapping: PlantMapping, file: Path, reader: Reader) -> tuple[RawTable, SourceMapping]:
    ranked = [
        (len(s.missing_in(_headers(raw))), i, raw, s)
        for i, s in enumerate(mapping.sources)
        for raw in [_read(file, s, reader)]
    ]
    _, _, raw, source = min(ranked, key=lambda entry: entry[:2])
    return raw, source


def _combined(
    frames: Sequence[pd.DataFrame], layout: Layout, around: Circumstances, faults: Sequence[Fault]
) -> Checked:
    """Check the rows that several files give one table: files of one kind are stacked, others joined by key."""
    kinds: list[list[pd.DataFrame]] = []
    for frame in frames:
        alike = next((kind for kind in kinds if _signals(kind[0], layout) & _signals(frame, layout)), None)
        if alike is None:
            kinds.append([frame])
        else:
            alike.append(frame)
    stacked = [pd.concat(kind, ignore_index=True) for kind in kinds]
    if len(stacked) == 1:
        return _checked(stacked[0], layout, around, faults)
    parts = [check(frame, layout, around, tuple(faults), part=True) for frame in stacked]
    keys = list(layout.key)
    joined = parts[0].frame
    for part in parts[1:]:
        joined = joined.merge(part.frame, on=keys, how="outer", suffixes=("", " of the other"))
        for carried in (SOURCE, ROW):
            other = f"{carried} of the other"
            joined[carried] = joined[carried].fillna(joined[other])
            joined = joined.drop(columns=other)
    whole = _checked(joined, layout, around, faults)
    return replace(whole, faults=(*(fault for part in parts for fault in part.faults), *whole.faults))


def _signals(frame: pd.DataFrame, layout: Layout) -> set[str]:
    return {name for name in frame.columns if name not in CARRIED and layout.kind(name) == "signal"}


def _bare(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=[SOURCE, ROW])


def _stopped_note(checked: Checked, layout: Layout) -> list[Finding]:
    if not checked.stopped_rows:
        return []
    rows = checked.stopped_rows
    text = f"{rows} cell days are of cells out of operation: what they measure counts as not known"
    zh = f"{rows} 个槽日处于停槽状态，其测量值按未知处理"
    return [Finding("stopped_cells", "info", layout.name, "", text, zh, {"rows": rows})]
