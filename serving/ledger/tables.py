"""The ledger's two tables, and an engine whose writers wait for each other."""

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from features.errors import SettingsError

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
)
HEAD: Final = Table(
    "head",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1", name="only_one"), primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
WRITES: Final = "ledger_writes"
"""Execution option of a connection that will write: it takes the database's lock at its beginning."""
_WAIT_S: Final = 30


def open_engine(url: str, must_exist: bool = False) -> Engine:
    """Return an engine for ``url``; a SQLite file is made, readable by its owner only.

    Raises:
        SettingsError: not a URL, a database that is not kept, no driver for it, or ``must_exist`` and it does not.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            _make_private(parsed, must_exist)
            engine = create_engine(parsed, connect_args={"timeout": _WAIT_S})
            _let_writers_wait(engine)
        elif parsed.get_backend_name() == "postgresql":
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            engine = create_engine(parsed, pool_pre_ping=True)
        else:
            raise SettingsError(
                f"a ledger on {parsed.get_backend_name()} is not kept; use SQLite or PostgreSQL"
            )
    except (ArgumentError, NoSuchModuleError) as error:
        # The URL may hold a password: it is not shown.
        raise SettingsError(
            "the ledger's URL cannot be read; give sqlite:///FILE or postgresql://..."
        ) from error
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"no driver for this ledger: {error.name} is missing; install superheat[postgresql]"
        ) from error
    return engine


def _make_private(url: URL, must_exist: bool) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise SettingsError("a ledger in memory is none; give sqlite:///FILE")
    path = Path(url.database)
    if must_exist and not path.is_file():
        raise SettingsError(
            f"there is no ledger {path}; name the one to look at with --ledger sqlite:///FILE"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _let_writers_wait(engine: Engine) -> None:
    def connected(connection: Any, record: object) -> None:
        # The driver's own idea of when a transaction begins is too late for a lock: we begin them.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}").close()

    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
