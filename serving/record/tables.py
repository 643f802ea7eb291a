"""The record's tables: lines with their plant, cells, rows by key, and the mode that each cell is in."""

from pathlib import Path
from typing import Final

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text

from serving.database import Schema

NEWEST: Final = "0001"
VERSION_TABLE: Final = "record_version"
SCHEMA: Final = Schema(
    "record", Path(__file__).with_name("migrations"), NEWEST, lock=0x5348_5243, table=VERSION_TABLE
)

METADATA: Final = MetaData()
LINES: Final = Table(
    "record_lines",
    METADATA,
    Column("line_id", String(128), primary_key=True),
    Column("plant", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("first", Integer),
    Column("last", Integer),
)
"""``revision`` goes up with every post; ``first`` and ``last`` are the days of its cell days, since 1970."""
CELLS: Final = Table(
    "record_cells",
    METADATA,
    Column("line_id", String(128), primary_key=True),
    Column("cell_id", String(128), primary_key=True),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
)
ROWS: Final = Table(
    "record_rows",
    METADATA,
    Column("line_id", String(128), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("key", String(512), primary_key=True),
    Column("cell_id", String(128), nullable=False),
    Column("day", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("versions", Integer, nullable=False),
    Index("ix_record_rows_day", "line_id", "kind", "day"),
    Index("ix_record_rows_cell", "line_id", "cell_id", "day"),
)
"""``body``: the row's values in JSON, floats by their shortest exact decimal; ``versions``: how often it was posted."""
MODES: Final = Table(
    "record_modes",
    METADATA,
    Column("line_id", String(128), primary_key=True),
    Column("cell_id", String(128), primary_key=True),
    Column("mode", String(16), nullable=False),
    Column("levers", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("subject", String(320), nullable=False),
    Column("changed_at", String(32), nullable=False),
)
