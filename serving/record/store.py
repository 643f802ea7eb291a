"""The rows of every line: put in by their key, read back as columns. The same row again replaces itself."""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import orjson
from sqlalchemy import Connection, Table, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError

from features.errors import SuperheatError
from features.layout import TABLES
from features.plant import Plant
from serving.database import WRITES, open_engine
from serving.record.plants import plant_from, plant_values
from serving.record.reading import Row, day_number
from serving.record.tables import CELLS, LINES, MODES, ROWS, SCHEMA
from serving.refusals import UnavailableError, refused

_CHUNK: Final = 400
_SEPARATOR: Final = "\x1f"
_EPOCH = datetime.date(1970, 1, 1)


class RecordError(UnavailableError):
    """The record's database does not do what it is asked: nothing was written."""


@dataclass(frozen=True)
class Line:
    """One line of the record: its plant, how often it was posted to, its first and last day with a cell's report."""

    line_id: str
    plant: Plant
    revision: int
    first: datetime.date | None
    last: datetime.date | None


@dataclass(frozen=True)
class Mode:
    """What advice may do at a cell: nothing, advise, or be accepted by itself for ``levers``."""

    mode: str = "advise"
    levers: tuple[str, ...] = ()
    reason: str = ""
    subject: str = ""
    changed_at: str = ""


@dataclass(frozen=True)
class Stored:
    """What became of a post: rows that entered by table, those among them that replaced one, and the cells."""

    accepted: Mapping[str, int]
    replaced: Mapping[str, int]


class RecordStore:
    """The record in one database. Safe to share between threads and processes."""

    def __init__(self, url: str) -> None:
        """Open the record at ``url`` (``sqlite:///FILE`` or ``postgresql://...``), its schema brought up to date.

        Raises:
            SettingsError: the URL or the database cannot be used.
        """
        self._engine = open_engine(url, "record")
        try:
            SCHEMA.upgrade(self._engine)
        except SuperheatError:
            self._engine.dispose()
            raise

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    def put(
        self,
        rows: Mapping[str, Sequence[Row]],
        unknown: Mapping[str, Sequence[Row]],
        plants: Mapping[str, Plant],
    ) -> Stored:
        """Write ``rows`` by key, and of ``unknown`` events those that the record does not know; all or none.

        ``plants``: every line that is written to; lots enter each of them.

        Raises:
            RecordError: the database refuses.
        """
        with self._writing() as connection:
            accepted: dict[str, int] = {}
            replaced: dict[str, int] = {}
            for line in sorted(plants):
                _begin_line(connection, line, plants[line])
                for table in rows:
                    entries = [_entry(row, line) for row in rows[table] if _is_of(row, line)]
                    known = _upsert(connection, line, table, entries)
                    if entries:
                        accepted[table] = accepted.get(table, 0) + len(entries)
                        replaced[table] = replaced.get(table, 0) + known
                    further = [_entry(row, line) for row in unknown.get(table, ()) if _is_of(row, line)]
                    _insert_missing(connection, line, table, further)
                _end_line(connection, line)
        return Stored(accepted, {table: count for table, count in replaced.items() if count})

    def lines(self) -> list[Line]:
        """Return every line, by name."""
        with self._reading() as connection:
            return [_line(row) for row in connection.execute(select(LINES).order_by(LINES.c.line_id))]

    def line(self, line_id: str) -> Line:
        """Return one line.

        Raises:
            UnknownNameError: nothing was ever posted for it.
        """
        with self._reading() as connection:
            row = connection.execute(select(LINES).where(LINES.c.line_id == line_id)).first()
        if row is None:
            raise refused(404, "unknown_name.line", line=line_id[:64])
        return _line(row)

    def cells(self, line_id: str) -> dict[str, tuple[datetime.date, datetime.date]]:
        """Return each cell of a line with its first and last day."""
        asked = select(CELLS).where(CELLS.c.line_id == line_id).order_by(CELLS.c.cell_id)
        with self._reading() as connection:
            return {row.cell_id: (_date(row.first), _date(row.last)) for row in connection.execute(asked)}

    def values(
        self, line_id: str, tables: Iterable[str], since: int | None = None, cell_id: str | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of ``tables`` as values, in the order of their keys; from day ``since``, of one cell."""
        found: dict[str, list[dict[str, Any]]] = {}
        with self._reading() as connection:
            for table in tables:
                asked = select(ROWS.c.body).where(ROWS.c.line_id == line_id, ROWS.c.kind == table)
                if since is not None:
                    asked = asked.where(ROWS.c.day >= since)
                if cell_id is not None:
                    asked = asked.where(ROWS.c.cell_id == cell_id)
                found[table] = _in_order(connection.execute(asked).scalars(), TABLES[table].key)
        return found

    def versions(self, line_id: str, table: str) -> dict[str, int]:
        """Return how often each key of a line's table was posted."""
        asked = select(ROWS.c.key, ROWS.c.versions).where(ROWS.c.line_id == line_id, ROWS.c.kind == table)
        with self._reading() as connection:
            return {row.key.replace(_SEPARATOR, "/"): row.versions for row in connection.execute(asked)}

    def modes(self, line_id: str) -> dict[str, Mode]:
        """Return the mode of each cell of a line whose mode was ever set."""
        asked = select(MODES).where(MODES.c.line_id == line_id)
        with self._reading() as connection:
            return {
                row.cell_id: Mode(
                    row.mode, tuple(json.loads(row.levers)), row.reason, row.subject, row.changed_at
                )
                for row in connection.execute(asked)
            }

    def set_mode(self, line_id: str, cell_id: str, mode: Mode) -> None:
        """Put a cell into ``mode``."""
        values = {**asdict(mode), "levers": json.dumps(mode.levers), "line_id": line_id, "cell_id": cell_id}
        with self._writing() as connection:
            _put(connection, MODES, [values], ("line_id", "cell_id"), dict.fromkeys(asdict(mode)))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._told(), self._engine.execution_options(**{WRITES: True}).begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._told(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise RecordError(f"the record's database refuses: {type(error).__name__}") from error


def _in_order(bodies: Iterable[str], key: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows in the order of their keys, whatever a database takes for the order of two texts."""
    rows: list[dict[str, Any]] = [orjson.loads(body) for body in bodies]
    return sorted(rows, key=lambda row: tuple(row[name] for name in key))


def _date(day: int) -> datetime.date:
    return _EPOCH + datetime.timedelta(days=day)


def _line(row: Any) -> Line:
    return Line(
        row.line_id,
        plant_from(json.loads(row.plant)),
        row.revision,
        None if row.first is None else _date(row.first),
        None if row.last is None else _date(row.last),
    )


def _is_of(row: Row, line: str) -> bool:
    return row.values.get("line_id", line) == line


def _entry(row: Row, line: str) -> dict[str, Any]:
    layout = TABLES[row.table]
    return {
        "line_id": line,
        "kind": row.table,
        "key": _SEPARATOR.join(row.key(layout)),
        "cell_id": str(row.values.get("cell_id", "")),
        "day": day_number(row, layout) or 0,
        "body": orjson.dumps(row.values).decode(),
        "versions": 1,
    }


def _known(connection: Connection, line: str, table: str, keys: Sequence[str]) -> set[str]:
    asked = select(ROWS.c.key).where(ROWS.c.line_id == line, ROWS.c.kind == table, ROWS.c.key.in_(keys))
    return set(connection.execute(asked).scalars())


def _upsert(connection: Connection, line: str, table: str, entries: Sequence[Mapping[str, Any]]) -> int:
    """Write ``entries`` and return how many of their keys were there."""
    known = 0
    for at in range(0, len(entries), _CHUNK):
        chunk = entries[at : at + _CHUNK]
        known += len(_known(connection, line, table, [entry["key"] for entry in chunk]))
        _put(
            connection,
            ROWS,
            chunk,
            ("line_id", "kind", "key"),
            {"body": None, "day": None, "versions": ROWS.c.versions + 1},
        )
    return known


def _insert_missing(
    connection: Connection, line: str, table: str, entries: Sequence[Mapping[str, Any]]
) -> None:
    for at in range(0, len(entries), _CHUNK):
        chunk = entries[at : at + _CHUNK]
        known = _known(connection, line, table, [entry["key"] for entry in chunk])
        fresh = [dict(entry) for entry in chunk if entry["key"] not in known]
        if fresh:
            connection.execute(insert(ROWS), fresh)


def _put(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    key: tuple[str, ...],
    replaced: Mapping[str, Any],
) -> None:
    """Insert ``rows``; where ``key`` is there, set what ``replaced`` names (None = to the new value)."""
    if not rows:
        return
    made = postgresql_insert(table) if connection.dialect.name == "postgresql" else sqlite_insert(table)
    new = {name: getattr(made.excluded, name) if how is None else how for name, how in replaced.items()}
    connection.execute(made.on_conflict_do_update(index_elements=key, set_=new), [dict(row) for row in rows])


def _begin_line(connection: Connection, line: str, plant: Plant) -> None:
    text = json.dumps(plant_values(plant), sort_keys=True, allow_nan=False)
    values = {"line_id": line, "plant": text, "revision": 1}
    _put(connection, LINES, [values], ("line_id",), {"plant": None, "revision": LINES.c.revision + 1})


def _end_line(connection: Connection, line: str) -> None:
    """Bring the cells and the days of ``line`` in line with its rows."""
    asked = (
        select(ROWS.c.cell_id, func.min(ROWS.c.day), func.max(ROWS.c.day))
        .where(ROWS.c.line_id == line, ROWS.c.kind == "cell_days")
        .group_by(ROWS.c.cell_id)
    )
    cells = [
        {"line_id": line, "cell_id": cell, "first": first, "last": last}
        for cell, first, last in connection.execute(asked)
    ]
    _put(connection, CELLS, cells, ("line_id", "cell_id"), {"first": None, "last": None})
    if cells:
        days = {"first": min(c["first"] for c in cells), "last": max(c["last"] for c in cells)}
        connection.execute(update(LINES).where(LINES.c.line_id == line).values(**days))
