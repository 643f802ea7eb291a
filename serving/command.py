"""``superheat-serve``: the inference service from the command line.

Exit codes: 0 ended in order, 2 bad input (named), 1 anything else.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from features.errors import InputError, SettingsError, SuperheatError
from serving.settings import LATEST, Settings

_ABOUT: Final = (
    "Serve predictions and recommendations from a bundle. Live within seconds, ready once the bundle is verified."
    f" Without --bundle it serves the bundle of the last 'superheat run' ({LATEST}) where that is new to the repository,"
    " else what the repository has current. Every flag can be given in the environment as {PREFIX}NAME."
    " 'superheat-serve models', 'keys' and 'ledger' with --help tell of versions, API keys and the ledger."
)


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments: one flag a setting."""
    found = argparse.ArgumentParser(prog="superheat-serve", description=_ABOUT)
    hints = get_type_hints(Settings)
    for entry in fields(Settings):
        flag = "--" + entry.name.replace("_", "-")
        doc = f"{entry.metadata['doc']} (default: {entry.default})".replace("%", "%%")
        kind = next(k for k in (get_args(hints[entry.name]) or (hints[entry.name],)) if k is not type(None))
        if kind is bool:
            found.add_argument(flag, action="store_true", default=None, help=doc)
        else:
            found.add_argument(flag, type=kind, default=None, metavar=kind.__name__.upper(), help=doc)
    return found


def settings_of(arguments: Sequence[str]) -> Settings:
    """Return the settings that the command line and the environment give.

    Raises:
        SettingsError: a value is out of range, or there is nothing to serve.
        RegistryError: the registered model that is asked for was not given.
        BundleError: it is damaged.
    """
    given: dict[str, Any] = vars(parser().parse_args(arguments))
    settings = Settings.read(os.environ, given)
    if settings.model is not None:
        from serving.registered import fetch

        return replace(
            settings, model=None, bundle=fetch(settings.model, settings.tracking_uri, settings.models_dir)
        )
    if settings.bundle is None and _is_news(settings.models_dir):
        settings = Settings.read(os.environ, {**given, "bundle": LATEST})
    elif settings.bundle is None and not _has_current(settings.models_dir):
        raise SettingsError(
            f"nothing to serve: no --bundle, no current model in {settings.models_dir}, no {LATEST};"
            " run 'superheat run' first, or name a bundle"
        )
    if settings.bundle is not None and not (settings.bundle / "manifest.json").is_file():
        raise SettingsError(f"--bundle {settings.bundle} is no bundle: it has no manifest.json")
    return settings


def _is_news(models_dir: Path) -> bool:
    """Say whether the last run left a bundle that the repository has not seen: one that was, and was rolled back, stays."""
    if not (LATEST / "manifest.json").is_file():
        return False
    from features.bundle import read_manifest
    from features.errors import BundleError

    try:
        manifest = read_manifest(LATEST)
    except BundleError:
        # A broken run must not keep a service from what it served before; without that, the start says why.
        return not _has_current(models_dir)
    return not (models_dir / manifest.name / manifest.digest).is_dir()


def _has_current(models_dir: Path) -> bool:
    return models_dir.is_dir() and any(models_dir.glob("*/pointer.json"))


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run ``superheat-serve`` with ``arguments`` and return its exit code."""
    try:
        if arguments[:1] == ["models"]:
            from serving.models import command as models

            return models.run(arguments[1:])
        if arguments[:1] == ["keys"]:
            from serving.access import command as keys

            return keys.run(arguments[1:])
        if arguments[:1] == ["ledger"]:
            from serving.ledger import command as ledger

            return ledger.run(arguments[1:])
        settings = settings_of(arguments)
        # Imported late: a wrong flag is told at once, and --help needs no network stack.
        from serving.ledger import Ledger
        from serving.logs import configure
        from serving.process import serve
        from serving.record.store import RecordStore
        from serving.service import Plugged, create_app

        configure(settings.log_level)
        with Ledger(settings.ledger) as book, RecordStore(settings.record_url) as record:
            app = create_app(settings, Plugged(ledger=book, record=record))
            _say(settings)
            serve(app, app.state.service)
    except InputError as error:
        print(f"superheat-serve: bad input: {error}", file=sys.stderr)
        return 2
    except SuperheatError as error:
        print(f"superheat-serve: failed: {error}", file=sys.stderr)
        return 1
    return 0


def _say(settings: Settings) -> None:
    if settings.insecure_local:
        print("superheat-serve: no keys are asked for on this machine for one hour", file=sys.stderr)


if __name__ == "__main__":
    main()
