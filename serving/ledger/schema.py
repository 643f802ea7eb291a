"""The ledger's schema brought up to date, by one process at a time."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from features.errors import SettingsError
from serving.ledger.tables import WRITES

_FOLDER: Final = Path(__file__).with_name("migrations")
_LOCK: Final = 0x5348_4C45
"""Number of the lock that migrating processes take on PostgreSQL."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """Return the revision that this code writes."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision.

    Raises:
        SettingsError: the database cannot be reached, or is of a revision that this code does not know.
    """
    try:
        with engine.execution_options(**{WRITES: True}).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            if _revision(connection) != newest():
                _require_known(connection)
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise SettingsError(
            f"the ledger's database refuses: {type(error).__name__}; check that it is up and ours"
        ) from error


def require_newest(engine: Engine) -> None:
    """Refuse a schema that is not the newest.

    Raises:
        SettingsError: as said.
    """
    try:
        with engine.connect() as connection:
            found = _revision(connection)
    except SQLAlchemyError as error:
        raise SettingsError("this is no database that can be read as a ledger") from error
    if found != newest():
        raise SettingsError(
            f"the ledger has schema {found}, this code reads {newest()}; start the service on it once"
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _require_known(connection: Connection) -> None:
    found = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise SettingsError(
            f"the ledger has schema {found}, which this code does not know; run a newer Superheat"
        )
