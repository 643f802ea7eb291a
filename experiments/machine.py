"""What a figure was measured on: installed versions, cores, system. It names no host."""

import os
import platform
from collections.abc import Iterable
from importlib import metadata


def installed_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution, "absent" where it is not installed."""
    found: dict[str, str] = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def this_machine() -> dict[str, str | int]:
    """Return the machine in words that name no host: usable cores, architecture, system."""
    return {"cores": usable_cores(), "architecture": platform.machine(), "system": platform.system()}


def usable_cores() -> int:
    """Return the cores that this process may use, which in a container is fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
