"""The service with keys, a planted bundle and a short record: what the routes of advice are tried on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from serving.access import KeyStore, Role, Wanted
from serving.ledger import Ledger
from serving.record.store import RecordStore
from tests.fakes.advising import advising_bundle
from tests.fakes.posted import posted, rows_of, samples
from tests.fakes.service_process import Running, serving

CELLS, DAYS = 6, 45
DAY = "2024-02-15"
"""The day after the record ends."""


@dataclass
class Advising:
    """A running service, its keys by role (and one that sees another line), and where its books lie."""

    running: Running
    keys: dict[str, str]
    folder: Path

    def ask(
        self, method: str, path: str, body: object = None, who: str = "operator", **headers: str
    ) -> tuple[int, Any]:
        content = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        told = {"authorization": f"Bearer {self.keys[who]}", **headers}
        status, _, answer = self.running.get(path, method, content, told)
        return status, orjson.loads(answer)

    def lines(self, body: object, who: str = "operator") -> list[Any]:
        """The lines of a streamed answer."""
        told = {"authorization": f"Bearer {self.keys[who]}", "accept": "application/x-ndjson"}
        status, headers, answer = self.running.get("/v1/recommendations", "POST", orjson.dumps(body), told)
        assert status == 200, answer
        assert headers["content-type"] == "application/x-ndjson"
        return [orjson.loads(line) for line in answer.splitlines()]

    def one(self, cell: str, **more: Any) -> Any:
        """The recommendation for one cell of the record."""
        status, told = self.ask("POST", "/v1/recommendations", {"line_id": "L1", "cells": [cell], **more})
        assert status == 200, told
        return told["recommendations"][0]

    @property
    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.folder / 'ledger.db'}", create=False)

    @property
    def record(self) -> RecordStore:
        return RecordStore(f"sqlite:///{self.folder / 'record.db'}")


@contextmanager
def advising(
    folder: Path, *flags: str, fill: bool = True, program: str = "", bundle: Path | None = None
) -> Iterator[Advising]:
    """Run the service over ``folder``, with the first days of the sample posted."""
    store = KeyStore(folder / "keys.json")
    keys = {role.name.lower(): store.create(Wanted(role.name.lower(), role))[0] for role in Role}
    keys["stranger"] = store.create(Wanted("stranger", Role.ENGINEER, ("L2",)))[0]
    keys["own"] = store.create(Wanted("own", Role.OPERATOR, ("L1",)))[0]
    books = ("--ledger", f"sqlite:///{folder / 'ledger.db'}", "--keys-file", str(folder / "keys.json"))
    where = (
        "--bundle",
        str(bundle or advising_bundle()),
        "--models-dir",
        str(folder / "models"),
        "--drain-s",
        "0",
    )
    with serving(*books, *where, "--advice-workers", "2", *flags, program=program) as running:
        found = Advising(running, keys, folder)
        if fill:
            body = posted(rows_of(samples(), cells=CELLS, days=DAYS))
            status, told = found.ask("POST", "/v1/history", body)
            assert status == 200, told
        yield found
