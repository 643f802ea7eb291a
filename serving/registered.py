"""A registered model as a bundle on this disk: fetched once, by another process, before the service starts.

The service imports no tracking library and opens no connection. ``superheat export`` does both in a process of its
own, verifies what it got and ends; what it leaves behind is a bundle like any other, and is read and hashed again.
"""

import hashlib
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from features.bundle import read_bundle
from features.errors import SettingsError, SuperheatError

FOLDER: Final = ".registered"
"""Where copies lie, below the model repository; the repository admits from there."""
_URI: Final = re.compile(r"models:/[A-Za-z0-9._-]{1,128}(@[A-Za-z0-9._-]{1,128}|/[0-9]{1,9})")
PATIENCE_S: Final = 600.0
_REMEDY: Final = (
    "fetch it on a machine that has it, with 'superheat export {model} --out DIR', and start with --bundle DIR;"
    " or pip install 'superheat[training,experiments]' here"
)


class RegistryError(SuperheatError):
    """The registry did not give the model."""


def fetch(model: str, tracking_uri: str | None, models_dir: Path) -> Path:
    """Return the directory of the bundle that ``model`` is now, verified.

    Args:
        model: ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        tracking_uri: of the registry; None = the SQLite file beside the runs.
        models_dir: the service's model repository.

    Raises:
        SettingsError: no such form, what fetches it is not installed, or there is no such model.
        RegistryError: the registry failed, or took too long.
        BundleError: what it gave is damaged, or not ours.
    """
    if _URI.fullmatch(model) is None:
        raise SettingsError(f"--model is {model[:80]!r}; give models:/NAME@champion or models:/NAME/3")
    command = Path(sys.executable).with_name("superheat")
    # Looked for, never imported.
    if find_spec("mlflow") is None or not command.is_file():
        raise SettingsError(f"--model {model} needs the training extra; {_REMEDY.format(model=model)}")
    copy = models_dir / FOLDER / hashlib.sha256(model.encode()).hexdigest()[:16]
    copy.parent.mkdir(parents=True, exist_ok=True)
    _export(command, model, tracking_uri, copy)
    read_bundle(copy)
    return copy


def _export(command: Path, model: str, tracking_uri: str | None, copy: Path) -> None:
    # By environment: an address may hold a password, and arguments are for every process to see.
    environment = dict(os.environ)
    if tracking_uri is not None:
        environment["SUPERHEAT_TRACKING_URI"] = tracking_uri
    try:
        done = subprocess.run(
            [str(command), "export", model, "--out", str(copy)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RegistryError(
            f"{model} was not there after {PATIENCE_S:.0f} s; look at the registry"
        ) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("superheat: ")]
        words = (
            said[-1].removeprefix("superheat: ") if said else f"superheat export ended with {done.returncode}"
        )
        kind = SettingsError if done.returncode == 2 else RegistryError
        raise kind(f"--model {model}: {words}; without --model the service goes on with what it has")
