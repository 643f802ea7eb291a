"""``superheat-serve models``: admit a bundle as a version for a running service to load, and list what is there."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from serving.models.repository import Repository
from serving.settings import Settings


def run(arguments: Sequence[str]) -> int:
    """Run ``superheat-serve models`` with ``arguments`` and return its exit code.

    Raises:
        BundleError: the bundle is refused.
        SettingsError: a setting in the environment is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="superheat-serve models", description="The versions that can be served."
    )
    parser.add_argument("--models-dir", type=Path, default=None, help="the repository (SUPERHEAT_MODELS_DIR)")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("add", help="verify a bundle and admit it").add_argument("bundle", type=Path)
    actions.add_parser("list", help="name, digest, and whether it is current")
    given = parser.parse_args(arguments)
    repository = Repository(Settings.read(os.environ, {"models_dir": given.models_dir}).models_dir)
    if given.action == "add":
        manifest = repository.admit(given.bundle)
        print(f"{manifest.name} {manifest.digest}")
    else:
        _list(repository)
    return 0


def _list(repository: Repository) -> None:
    for name in repository.names():
        pointer = repository.pointer(name)
        for digest in repository.versions(name):
            mark = " current" if pointer is not None and pointer.current == digest else ""
            print(f"{name} {digest}{mark}")
