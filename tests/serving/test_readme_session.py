"""The session that the room's README shows is run line by line against a running service."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from serving.command import run
from tests.fakes.advising import advising_bundle
from tests.fakes.posted import posted, rows_of, samples
from tests.fakes.service_process import ROOT, Running, serving

README = ROOT / "serving" / "README.md"
CELLS, DAYS = 4, 40


def shown() -> list[str]:
    """The lines of the session."""
    text = README.read_text(encoding="utf-8")
    block = re.search(r"## Advice for a twin.*?```sh\n(.*?)```", text, re.S)
    assert block is not None
    return block[1].splitlines()


@dataclass
class Shell:
    """As much of a shell as the session needs: variables, and curl over one running service."""

    running: Running
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[str, Any]] = field(default_factory=list)

    def curl(self, line: str) -> None:
        for name, value in self.variables.items():
            line = line.replace(f"${name}", value)
        words = iter(shlex.split(line)[1:])
        headers, url, content = {}, "", None
        for word in words:
            if word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            elif word == "-d":
                content = next(words).encode()
            elif word == "--data-binary":
                content = (self.folder / next(words).removeprefix("@")).read_bytes()
            elif word != "-N":
                url = word
        path = url.removeprefix(self.variables["URL"])
        status, _, answer = self.running.get(path, "GET" if content is None else "POST", content, headers)
        assert status == 200, (line, answer)
        streamed = headers.get("accept") == "application/x-ndjson"
        told = [orjson.loads(part) for part in answer.splitlines()] if streamed else orjson.loads(answer)
        self.answers.append((path, told))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    rows = rows_of(samples(), cells=CELLS, days=DAYS + 1)
    last = max(row["date"] for row in rows["cell_days"])
    later = {name: [row for row in rows[name] if row.get("date") == last] for name in ("cell_days", "meters")}
    (tmp_path / "history.json").write_text(json.dumps(posted(rows_of(samples(), CELLS, DAYS))))
    (tmp_path / "next_day.json").write_text(json.dumps(later))
    books = ("--ledger", f"sqlite:///{tmp_path / 'ledger.db'}", "--keys-file", str(tmp_path / "keys.json"))
    made = next(line for line in shown() if "superheat-serve keys create" in line)
    command = shlex.split(re.sub(r'^.*\$\(superheat-serve (.*?)\)".*$', r"\1", made))
    assert run([*command, *books]) == 0
    key = capsys.readouterr().out.strip()
    where = ("--bundle", str(advising_bundle()), "--models-dir", str(tmp_path / "models"), "--drain-s", "0")
    with serving(*books, *where, "--advice-workers", "1") as running:
        variables = {"URL": f"http://127.0.0.1:{running.port}", "KEY": f"authorization: Bearer {key}"}
        yield Shell(running, tmp_path, variables)


def test_the_readmes_session_works_as_it_is_shown(shell: Shell) -> None:
    for line in shown():
        if line.startswith("ID="):
            shell.variables["ID"] = shell.answers[-1][1]["recommendations"][0]["recommendation_id"]
        elif line.startswith("curl "):
            shell.curl(line)
    told = dict(shell.answers)
    assert len(shell.answers) == sum(line.startswith("curl ") for line in shown()) >= 9
    stream = next(answer for path, answer in shell.answers if isinstance(answer, list))
    assert [line["done"] for line in stream] == [1, 2, 3, 4, 4]
    followed = told[f"/v1/recommendations/{shell.variables['ID']}"]
    assert followed["decision"]["subject"].startswith("twin/")
    assert followed["decision"]["action"] == "accept"
    card = told["/v1/cells/L1-001?days=30"]
    assert card["expired"] is True, "the next day's rows have come"
    assert card["last_reported"] == "2024-02-10"
