"""Where a run leaves its results: written beside the target, swapped in whole at the end.

A run that is killed at any moment leaves the previous result as it was. Its half-written directory is locked only
while its process lives, so the next run knows it for dead and removes it.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from features.errors import InputError

MARK: Final = "summary.json"
"""A directory that holds this file is a run's result, and may be replaced by the next one."""
_LOCK: Final = ".lock"
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of renameat2(2)
_HERE: Final = -100  # AT_FDCWD


@contextmanager
def fresh_result(target: Path, mark: str = MARK) -> Iterator[Path]:
    """Yield an empty directory beside ``target``; when the body ends well, it takes the target's place at once.

    When the body raises, the directory goes away and ``target`` stays untouched. ``mark`` is the file by which a
    directory is known to be such a result.

    Raises:
        InputError: ``target`` is a file, or a directory that holds something other than such a result.
    """
    target = target.absolute()
    check_replaceable(target, mark)
    target.parent.mkdir(parents=True, exist_ok=True)
    recover(target)
    staging = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    staging.chmod(0o755)
    with (staging / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield staging
            (staging / _LOCK).unlink()
            _sync(staging)
            _take_place(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def check_replaceable(target: Path, mark: str = MARK) -> None:
    """Refuse a target that is no run's result, so that a mistyped ``--out`` never costs anybody's files.

    Raises:
        InputError: naming the target and what it holds.
    """
    if target.is_file():
        raise InputError(f"--out {target} is a file; name a directory")
    if not target.is_dir():
        return
    held = sorted(item.name for item in target.iterdir())
    if held and mark not in held:
        raise InputError(
            f"--out {target} holds {', '.join(held[:3])} and no {mark}, so it is no earlier result;"
            " name an empty or a new directory"
        )


def recover(target: Path) -> None:
    """Remove what dead runs left beside ``target``, and put back a result that was moved aside, if one was."""
    aside = _aside(target)
    if aside.exists():
        if target.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(target)
    for left in target.parent.glob(f"{_prefix(target)}*"):
        if _is_dead(left):
            shutil.rmtree(left, ignore_errors=True)


def _is_dead(staging: Path) -> bool:
    try:
        with (staging / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        # Between its creation and its lock, and between its lock's removal and the swap, a living run's directory
        # has none: only one that has been so for a while is left over.
        return _older_than_a_minute(staging)
    return True


def _older_than_a_minute(path: Path) -> bool:
    import time

    try:
        return time.time() - path.stat().st_mtime > 60.0
    except FileNotFoundError:
        return False


def _take_place(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    if _exchange(staging, target):
        return
    # Where the system cannot exchange two directories, a kill between these two renames is mended by `recover`.
    aside = _aside(target)
    target.rename(aside)
    staging.rename(target)
    shutil.rmtree(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two directories in one step; False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None, use_errno=True)
    rename = getattr(library, "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _sync(directory: Path) -> None:
    """Bring every file to the disk before the swap, so that a power cut finds whole files behind the new name."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())


def _prefix(target: Path) -> str:
    return f".{target.name}.part-"


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")
