"""Which code is running: the revision of a checkout, the release of an installation."""

import subprocess
from importlib import metadata
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def code_revision() -> str:
    """Return the commit of the checkout that this code lies in (``+`` where it was changed since), or the release."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit:
        return f"{commit}+" if _git("status", "--porcelain", "--untracked-files=no") else commit
    return release()


def release() -> str:
    """Return the installed release, ``0`` where nothing is installed."""
    try:
        return metadata.version("superheat")
    except metadata.PackageNotFoundError:
        return "0"


def _git(*arguments: str) -> str:
    """Return what git answers, nothing where there is no git, no repository, or not this code's own."""
    try:
        top = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"],
            cwd=_HERE,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        if Path(top.stdout.strip()).resolve() != _HERE.parent:
            return ""
        done = subprocess.run(
            ["git", *arguments], cwd=_HERE.parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
