"""``superheat-serve keys``: make, list and revoke API keys."""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from serving.access.keys import KeyRecord, KeyStore, Wanted
from serving.access.roles import Role
from serving.ledger import Ledger
from serving.ports import Named
from serving.settings import Settings


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    found = argparse.ArgumentParser(
        prog="superheat-serve keys", description="Make, list and revoke the API keys of the service."
    )
    actions = found.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key and show it, once")
    create.add_argument("--role", required=True, choices=[role.name.lower() for role in Role])
    create.add_argument("--name", default=None, help="whose key (default: the role)")
    create.add_argument(
        "--line", action="append", default=[], help="a line it may see; again for more; none = all"
    )
    create.add_argument("--days", type=int, default=365, help="days until it expires (default: 365)")
    revoke = actions.add_parser("revoke", help="end a key; a running service refuses it from then on")
    revoke.add_argument("id", help="the key's id, as list shows it")
    actions.add_parser("list", help="show every key, without secrets")
    for action in actions.choices.values():
        action.add_argument(
            "--ledger", default=None, help="where it is written down; else SUPERHEAT_LEDGER or its default"
        )
        action.add_argument(
            "--keys-file", type=Path, default=None, help="else SUPERHEAT_KEYS_FILE or its default"
        )
    return found


def run(arguments: Sequence[str]) -> int:
    """Run ``superheat-serve keys`` with ``arguments`` and return its exit code.

    Raises:
        InputError: a value is refused, or the file cannot be used.
    """
    given = parser().parse_args(arguments)
    settings = Settings.read(os.environ, {"keys_file": given.keys_file, "ledger": given.ledger})
    store = KeyStore(settings.keys_file)
    if given.action == "list":
        _show(store.records())
        return 0
    # Opened first: where the change could not be written down, it is not made.
    with Ledger(settings.ledger) as ledger:
        if given.action == "create":
            wanted = Wanted(given.name or given.role, Role.named(given.role), tuple(given.line), given.days)
            key, record = store.create(wanted)
            _write_down(ledger, "create key", record)
            until = f"key {record.id} for {record.role} until {record.expires}; it is not shown again:"
            print(until, file=sys.stderr)
            print(key)
        else:
            record = store.revoke(given.id)
            _write_down(ledger, "revoke key", record)
            print(f"key {record.id} ({record.name}) is revoked since {record.revoked}")
    return 0


def _write_down(ledger: Ledger, action: str, record: KeyRecord) -> None:
    told = {
        "key": record.id,
        "name": record.name,
        "role": record.role,
        "lines": list(record.lines),
        "expires": record.expires,
    }
    entry = {"category": "access control", "action": action, "target": told}
    ledger.append("audit", entry, Named(f"command line/{os.getuid()}"))


def _show(records: Sequence[KeyRecord]) -> None:
    if not records:
        print("there is no key; make one: superheat-serve keys create --role operator")
        return
    now = datetime.now(UTC)
    rows = [("id", "name", "role", "lines", "expires", "state")]
    rows += [
        (r.id, r.name, r.role, ",".join(r.lines) or "all", r.expires[:10], r.state(now)) for r in records
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
