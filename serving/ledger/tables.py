"""The ledger's two tables."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, String, Table, Text

METADATA: Final = MetaData()
RECORDS: Final = Table(
    "records",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", String(32), nullable=False),
    Column("kind", String(16), nullable=False, index=True),
    Column("subject", String(320), nullable=False),
    Column("about", String(64), index=True),
    Column("line_id", String(128), index=True),
    Column("cell_id", String(128)),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_records_cell", "kind", "line_id", "cell_id", "sequence"),
)
HEAD: Final = Table(
    "head",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1", name="only_one"), primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
