"""Plant files as cells of text and numbers: CSV, Excel, Parquet, each in the dialect it is really in.

What a mapping declares is taken strictly; what it leaves open is detected where the bytes prove it and refused
where they do not. Nothing is converted here: a CSV cell stays text, an Excel cell stays what Excel stored.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from python_calamine import CalamineError

from features.errors import ContractError, InputError, MappingError
from features.tables.delimited import decode, delimiter_of, header_name, rows_of
from features.tables.findings import Fault, Finding

_TEXT = (".csv", ".txt", ".tsv")
_EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
_PARQUET = (".parquet", ".pq")
_MAGIC: Mapping[bytes, str] = {b"PK\x03\x04": "excel", b"\xd0\xcf\x11\xe0": "excel", b"PAR1": "parquet"}
_HEADER_SEARCH = 20


@dataclass(frozen=True)
class Dialect:
    """How a file is written; None = find out. ``missing`` are further cell values that mean "not known"."""

    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse marks that contradict each other."""
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"decimal is {self.decimal!r}; give '.' or ','")
        if self.thousands not in (None, "", ".", ",", " ", "'"):
            raise ValueError(f"thousands is {self.thousands!r}; give '', '.', ',', ' ' or \"'\"")
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")
        if self.header_row is not None and self.header_row < 1:
            raise ValueError(f"header_row is {self.header_row}; rows count from 1")


@dataclass(frozen=True)
class RawTable:
    """A file's cells: columns by position, the row of each in the file, rows that could not be split, remarks.

    Attributes:
        source: file name, with the sheet if there is one.
        headers: normalised header -> position; a header that occurs twice is in ``repeated`` instead.
        cells: (n rows, columns) of str, numbers, datetimes or None.
        rows: (n,) row in the file, from 1.
    """

    source: str
    headers: Mapping[str, int]
    repeated: frozenset[str]
    cells: pd.DataFrame
    rows: NDArray[np.int64]
    faults: tuple[Fault, ...] = ()
    notes: tuple[Finding, ...] = ()
    textual: bool = True


def is_readable(file: Path) -> bool:
    """Say whether a file of this name is one of the kinds that are read."""
    return file.suffix.lower() in (*_TEXT, *_EXCEL, *_PARQUET) and not file.name.startswith(("~$", "."))


def read_raw(path: str | Path, dialect: Dialect, expected: Collection[str]) -> RawTable:
    """Read ``path`` as cells; ``expected`` are the headers to look for (normalised).

    Raises:
        InputError: the file is missing, of an unknown kind, or not what its name says.
        MappingError: the encoding, delimiter, sheet or header row cannot be found out, or is declared wrongly.
        ContractError: the file is empty or most of its rows do not split like its header.
    """
    file = Path(path)
    kind = _kind(file)
    if kind == "parquet":
        return _read_parquet(file)
    if kind == "excel":
        return _read_excel(file, dialect, expected)
    return _read_text(file, dialect, expected)


def _kind(file: Path) -> str:
    suffix = file.suffix.lower()
    named = (
        "text"
        if suffix in _TEXT
        else "excel"
        if suffix in _EXCEL
        else "parquet"
        if suffix in _PARQUET
        else None
    )
    if named is None:
        known = ", ".join((*_TEXT, *_EXCEL, *_PARQUET))
        raise InputError(f"{file.name}: files of kind {suffix!r} are not read; known are {known}")
    try:
        with file.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise InputError(f"{file.name} cannot be opened: {error.strerror}; check the path") from error
    if not start:
        raise ContractError(f"{file.name} is empty; export it again")
    found = _MAGIC.get(start, "text")
    if found != named:
        raise InputError(f"{file.name} is named {suffix} but holds {found}; rename it or export it again")
    return named


def _read_parquet(file: Path) -> RawTable:
    try:
        frame = pd.read_parquet(file, engine="pyarrow")
    except (OSError, ValueError) as error:
        raise InputError(f"{file.name} cannot be read as Parquet: {error}; export it again") from error
    headers, repeated = _headers([str(name) for name in frame.columns])
    cells = frame.astype(object).set_axis(range(frame.shape[1]), axis=1)
    cells = cells.where(frame.notna().to_numpy(), None)
    return _not_empty(
        RawTable(file.name, headers, repeated, cells, np.arange(1, len(frame) + 1), textual=False)
    )


def _read_excel(file: Path, dialect: Dialect, expected: Collection[str]) -> RawTable:
    try:
        with pd.ExcelFile(file, engine="calamine") as book:
            names = [str(name) for name in book.sheet_names]
            wanted = names if dialect.sheet is None else [dialect.sheet]
            if dialect.sheet is not None and dialect.sheet not in names:
                raise MappingError(f"{file.name}: no sheet {dialect.sheet!r}; it has {names}")
            grids = {name: _sheet(book, name) for name in wanted}
    except (OSError, ValueError, KeyError, CalamineError) as error:
        raise InputError(f"{file.name} cannot be read as Excel: {error}; export it again") from error
    ranked = {name: _header_row(grid, dialect, expected) for name, grid in grids.items()}
    best = max(found for _, found in ranked.values())
    chosen = [name for name, (_, found) in ranked.items() if found == best]
    if len(chosen) > 1 and best > 0:
        raise MappingError(f"{file.name}: sheets {chosen} carry the same headers; name one with sheet = ...")
    name = chosen[0]
    grid, (top, _) = grids[name], ranked[name]
    return _from_grid(f"{file.name}[{name}]", grid, top)


def _sheet(book: pd.ExcelFile, name: str) -> pd.DataFrame:
    # header=None keeps duplicate headers apart, dtype=object keeps "001" text, and no text becomes NaN by itself.
    grid = pd.read_excel(
        book, sheet_name=name, header=None, dtype=object, keep_default_na=False, na_values=[]
    )
    return grid.where(grid != "", None)


def _header_row(grid: pd.DataFrame, dialect: Dialect, expected: Collection[str]) -> tuple[int, int]:
    """Return the header's position in ``grid`` and how many of the expected names it holds."""
    if dialect.header_row is not None:
        top = dialect.header_row - 1
        if top >= len(grid):
            return 0, 0
        return top, _found(grid.iloc[top].tolist(), expected)
    counts = [_found(grid.iloc[i].tolist(), expected) for i in range(min(_HEADER_SEARCH, len(grid)))]
    best = int(np.argmax(counts)) if counts else 0
    return best, counts[best] if counts else 0


def _found(names: list[object], expected: Collection[str]) -> int:
    return len({header_name(name) for name in names if name is not None} & set(expected))


def _from_grid(source: str, grid: pd.DataFrame, top: int) -> RawTable:
    if grid.empty:
        raise ContractError(f"{source} is empty; export it again")
    headers, repeated = _headers(["" if name is None else str(name) for name in grid.iloc[top].tolist()])
    body = grid.iloc[top + 1 :]
    blank = body.isna().to_numpy().all(axis=1)
    rows = np.arange(top + 2, len(grid) + 1)[~blank]
    notes = _blank_note(source, int(blank.sum()))
    cells = body.iloc[np.flatnonzero(~blank)].reset_index(drop=True)
    return _not_empty(RawTable(source, headers, repeated, cells, rows, notes=notes, textual=False))


def _read_text(file: Path, dialect: Dialect, expected: Collection[str]) -> RawTable:
    text, encoding, notes = decode(file.read_bytes(), dialect.encoding, file.name)
    delimiter = dialect.delimiter or delimiter_of(text, expected, file.name)
    lines, faults, more = rows_of(text, delimiter, file.name, dialect.header_row, expected)
    headers, repeated = _headers(lines[0][1])
    width = len(lines[0][1])
    blank = [not any(cell.strip() for cell in cells) for _, cells in lines[1:]]
    kept = [line for line, empty in zip(lines[1:], blank, strict=True) if not empty]
    cells = pd.DataFrame([row for _, row in kept], columns=range(width), dtype=object)
    said = Finding(
        "dialect",
        "info",
        "",
        "",
        f"{file.name}: read as {encoding}, separated by {delimiter!r}",
        f"{file.name}：编码 {encoding}，分隔符 {delimiter!r}",
        {"encoding": encoding, "delimiter": delimiter},
    )
    rows = np.array([number for number, _ in kept], dtype=np.int64)
    all_notes = (said, *notes, *more, *_blank_note(file.name, sum(blank)))
    return _not_empty(RawTable(file.name, headers, repeated, cells, rows, tuple(faults), all_notes))


def _headers(names: list[str]) -> tuple[dict[str, int], frozenset[str]]:
    places: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        if header_name(name):
            places.setdefault(header_name(name), []).append(position)
    repeated = frozenset(name for name, where in places.items() if len(where) > 1)
    return {name: where[0] for name, where in places.items() if name not in repeated}, repeated


def _blank_note(source: str, count: int) -> tuple[Finding, ...]:
    if not count:
        return ()
    text = f"{source}: {count} blank rows were passed over"
    return (Finding("blank_rows", "info", "", "", text, f"{source}：跳过 {count} 个空行", {"rows": count}),)


def _not_empty(raw: RawTable) -> RawTable:
    if raw.cells.empty:
        raise ContractError(f"{raw.source} has a header but no rows; export it again")
    return raw
