"""``superheat-serve ledger``: verify the chain, and export it."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.ledger.book import Ledger
from serving.ledger.chain import Anchor
from serving.ledger.export import verify_export, write_export
from serving.settings import Settings


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    found = argparse.ArgumentParser(
        prog="superheat-serve ledger",
        description="Verify and export the ledger of recommendations and decisions.",
    )
    actions = found.add_subparsers(dest="action", required=True)
    verify = actions.add_parser(
        "verify", help="name the first record that was changed, removed, moved or added"
    )
    verify.add_argument("--anchor", default=None, help="SEQUENCE:HASH as an earlier verify printed it")
    verify.add_argument("--file", type=Path, default=None, help="verify this export instead of the database")
    export = actions.add_parser("export", help="write every record as JSON lines; verify --file reads them")
    export.add_argument("--out", type=Path, required=True, help="the file to write")
    for action in actions.choices.values():
        action.add_argument(
            "--ledger", default=None, help="URL of the database; else SUPERHEAT_LEDGER or its default"
        )
    return found


def run(arguments: Sequence[str]) -> int:
    """Run ``superheat-serve ledger`` with ``arguments``; return 0, or 1 where the ledger is not intact.

    Raises:
        InputError: there is no ledger there, or a value is refused.
    """
    given = parser().parse_args(arguments)
    url = Settings.read(os.environ, {"ledger": given.ledger}).ledger
    if given.action == "export":
        with Ledger(url, create=False) as ledger:
            head = write_export(ledger, given.out)
        print(f"{head.sequence} records written to {given.out}")
        return 0
    noted = None if given.anchor is None else Anchor.parse(given.anchor)
    if given.file is not None:
        verdict = verify_export(given.file, noted)
    else:
        with Ledger(url, create=False) as ledger:
            verdict = ledger.verify(noted)
    if verdict.fault is None:
        print(
            f"intact: {verdict.records} records; note the anchor down elsewhere, to verify against it later:"
        )
        print(verdict.head)
        return 0
    print(f"superheat-serve: NOT INTACT: {verdict.fault.message}", file=sys.stderr)
    print(f"the {verdict.records} records before it are as they were written", file=sys.stderr)
    return 1
