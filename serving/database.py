"""A database of the service: an engine whose writers wait for each other, and a schema brought up to date in order.

The migrations' own library is loaded only where there is something to migrate: a service starts without it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from features.errors import SettingsError

WRITES: Final = "superheat_writes"
"""Execution option of a connection that will write: it takes the database's lock at its beginning."""
_WAIT_S: Final = 30


def open_engine(url: str, what: str, must_exist: bool = False) -> Engine:
    """Return an engine for ``what`` at ``url``; a SQLite file is made, readable by its owner only.

    Raises:
        SettingsError: not a URL, a database that is not kept, no driver for it, or ``must_exist`` and it does not.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            _make_private(parsed, what, must_exist)
            engine = create_engine(parsed, connect_args={"timeout": _WAIT_S})
            _let_writers_wait(engine)
        elif parsed.get_backend_name() == "postgresql":
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            engine = create_engine(parsed, pool_pre_ping=True)
        else:
            raise SettingsError(
                f"a {what} on {parsed.get_backend_name()} is not kept; use SQLite or PostgreSQL"
            )
    except (ArgumentError, NoSuchModuleError) as error:
        # The URL may hold a password: it is not shown.
        raise SettingsError(
            f"the {what}'s URL cannot be read; give sqlite:///FILE or postgresql://..."
        ) from error
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"no driver for this {what}: {error.name} is missing; install superheat[postgresql]"
        ) from error
    return engine


def _make_private(url: URL, what: str, must_exist: bool) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise SettingsError(f"a {what} in memory is none; give sqlite:///FILE")
    path = Path(url.database)
    if must_exist and not path.is_file():
        raise SettingsError(f"there is no {what} {path}; name the one to look at with sqlite:///FILE")
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


@dataclass(frozen=True)
class Schema:
    """The history of one schema, and the revision that this code reads and writes.

    Attributes:
        what: what the database is, for messages. folder: of its migrations.
        newest: the last revision there. lock: number of the lock that migrating processes take on PostgreSQL.
        table: holds the revision; two schemas in one database have two.
    """

    what: str
    folder: Path
    newest: str
    lock: int
    table: str = "alembic_version"

    def upgrade(self, engine: Engine) -> None:
        """Bring the schema to the newest revision, one process at a time.

        Raises:
            SettingsError: the database cannot be reached, or is of a revision that this code does not know.
        """
        try:
            with engine.execution_options(**{WRITES: True}).begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": self.lock})
                if self._revision(connection) != self.newest:
                    self._migrate(connection)
        except SQLAlchemyError as error:
            raise SettingsError(
                f"the {self.what}'s database refuses: {type(error).__name__}; check that it is up and ours"
            ) from error

    def require_newest(self, engine: Engine) -> None:
        """Refuse a schema that is not the newest.

        Raises:
            SettingsError: as said.
        """
        try:
            with engine.connect() as connection:
                found = self._revision(connection)
        except SQLAlchemyError as error:
            raise SettingsError(f"this is no database that can be read as a {self.what}") from error
        if found != self.newest:
            raise SettingsError(
                f"the {self.what} has schema {found}, this code reads {self.newest}; start the service on it once"
            )

    def _revision(self, connection: Connection) -> str | None:
        if not inspect(connection).has_table(self.table):
            return None
        return connection.execute(text(f"SELECT version_num FROM {self.table}")).scalar_one_or_none()

    def _migrate(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        config.attributes["version_table"] = self.table
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        found = self._revision(connection)
        if found is not None and found not in known:
            raise SettingsError(
                f"the {self.what} has schema {found}, which this code does not know; run a newer Superheat"
            )
        command.upgrade(config, self.newest)
