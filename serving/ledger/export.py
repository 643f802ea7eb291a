"""The ledger as a file of JSON lines that can be verified without its database: a head, then every record."""

import json
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from features.errors import InputError
from serving.ledger.book import Ledger
from serving.ledger.chain import PROTOCOL, Anchor, Content, Record, Verdict, verify_chain

_MARK: Final = "superheat_ledger"


def write_export(ledger: Ledger, path: Path) -> Anchor:
    """Write every record of ``ledger`` to ``path`` and return the head that they end at."""
    records = ledger.records()
    head = records[-1].anchor if records else Anchor(0, "0" * 64)
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(_line({_MARK: PROTOCOL, "head": asdict(head)}))
        for record in records:
            file.write(_line(asdict(record)))
    return head


def verify_export(path: Path, noted: Anchor | None = None) -> Verdict:
    """Return what is wrong with the export ``path``; see :func:`serving.ledger.chain.verify_chain`.

    Raises:
        InputError: it is no export.
    """
    lines = _lines(path)
    try:
        first = next(lines, {})
    finally:
        lines.close()
    if first.get(_MARK) != PROTOCOL:
        raise InputError(f"{path.name} is no export of a ledger of version {PROTOCOL}")
    return verify_chain(lambda: _records(path), Anchor(**first["head"]), noted)


def _records(path: Path) -> Iterator[Record]:
    for number, value in enumerate(_lines(path), start=1):
        if number == 1:
            continue
        try:
            content = Content(**value["content"])
            yield Record(value["sequence"], content, value["previous"], value["hash"])
        except (KeyError, TypeError) as error:
            raise InputError(f"{path.name} line {number} is no record") from error


def _lines(path: Path) -> Generator[dict[str, Any]]:
    with path.open(encoding="ascii") as file:
        for number, line in enumerate(file, start=1):
            try:
                value = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path.name} line {number} is no JSON") from error
            if not isinstance(value, dict):
                raise InputError(f"{path.name} line {number} is no record")
            yield value


def _line(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n"
