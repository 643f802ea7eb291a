"""Ledgers for tests: on SQLite always, on PostgreSQL too where it is installed.

``SUPERHEAT_TEST_POSTGRESQL`` names another database to empty, instead of a server that the tests start themselves.
"""

import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.fakes.postgresql import programs, server_url

_GIVEN = os.environ.get("SUPERHEAT_TEST_POSTGRESQL", "")
DATABASES = [
    "sqlite",
    pytest.param(
        "postgresql",
        marks=pytest.mark.skipif(
            not _GIVEN and programs() is None, reason="PostgreSQL's programs are not installed"
        ),
    ),
]


def url_of(database: str, folder: Path) -> str:
    """The URL of an empty ledger."""
    if database == "sqlite":
        return f"sqlite:///{folder / 'ledger.db'}"
    url = _GIVEN or server_url()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


class Tamper:
    """Somebody with the database's own password: the triggers are no hindrance."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        self._sqlite = self._engine.dialect.name == "sqlite"

    def run(self, *statements: str, **values: object) -> None:
        drop = (
            [f"DROP TRIGGER IF EXISTS records_keep_{what}" for what in ("UPDATE", "DELETE")]
            if self._sqlite
            else [
                f"DROP TRIGGER IF EXISTS {name} ON records" for name in ("records_keep", "records_keep_all")
            ]
        )
        with self._engine.begin() as connection:
            for statement in (*drop, *statements):
                connection.execute(text(statement), values if ":" in statement else {})

    def politely(self, statement: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement))

    def close(self) -> None:
        self._engine.dispose()
