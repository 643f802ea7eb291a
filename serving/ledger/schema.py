"""The ledger's schema brought up to date, by one process at a time.

The migrations' own library is loaded only where there is something to migrate: a service starts without it.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from features.errors import SettingsError
from serving.ledger.tables import WRITES

_FOLDER: Final = Path(__file__).with_name("migrations")
_LOCK: Final = 0x5348_4C45
"""Number of the lock that migrating processes take on PostgreSQL."""


NEWEST: Final = "0001"
"""The revision that this code reads and writes: the last of ``migrations/versions``."""


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision.

    Raises:
        SettingsError: the database cannot be reached, or is of a revision that this code does not know.
    """
    try:
        with engine.execution_options(**{WRITES: True}).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            if _revision(connection) != NEWEST:
                _migrate(connection)
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
    if found != NEWEST:
        raise SettingsError(
            f"the ledger has schema {found}, this code reads {NEWEST}; start the service on it once"
        )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = _revision(connection)
    if found is not None and found not in known:
        raise SettingsError(
            f"the ledger has schema {found}, which this code does not know; run a newer Superheat"
        )
    command.upgrade(config, NEWEST)
