"""How a command ends: 0 done, 2 bad input (named), 1 anything else. The one place that knows these numbers.

A failure that Superheat raises on purpose is one clear line on standard error. Anything else is a defect of ours and
keeps its traceback, which Python prints before it exits with 1.
"""

import sys
from collections.abc import Callable
from typing import Final, TextIO

from features.errors import InputError, SuperheatError

DONE: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2

EXTRA_OF_MODULE: Final = {
    "cmaes": "search",
    "highspy": "search",
    "jinja2": "experiments",
    "lightgbm": "training",
    "markupsafe": "experiments",
    "matplotlib": "training",
    "mlflow": "training",
    "onnx": "training",
    "onnxmltools": "experiments",
    "onnxruntime": "serving",
    "openpyxl": "training",
    "optuna": "search",
    "pandas": "training",
    "pandera": "training",
    "pyarrow": "training",
    "python_calamine": "training",
    "rich": "experiments",
    "scipy": "search",
    "skl2onnx": "experiments",
    "sklearn": "training",
    "threadpoolctl": "training",
    "torch": "training",
    "typer": "experiments",
}
"""Which extra brings a module, to say what to install when it is absent."""


def ending(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the one line that say how ``error`` ends a command.

    Raises:
        BaseException: ``error`` itself, where it is a defect rather than a failure we know.
    """
    if isinstance(error, InputError):
        return BAD_INPUT, f"bad input ({_kind(error)}): {error}"
    if isinstance(error, SuperheatError):
        return FAILED, f"failed ({_kind(error)}): {error}"
    if isinstance(error, KeyboardInterrupt):
        return FAILED, "interrupted; what was there before is untouched"
    if isinstance(error, ModuleNotFoundError) and _extra(error):
        return (
            FAILED,
            f"failed: {error.name} is not installed; pip install 'superheat[{_extra(error)}]' brings it",
        )
    if isinstance(error, OSError) and error.errno is not None:
        where = f": {error.filename}" if error.filename else ""
        return FAILED, f"failed: {error.strerror}{where}"
    raise error


def guarded(command: Callable[[], object], stream: TextIO | None = None) -> int:
    """Run ``command`` and return its exit code; say on ``stream`` (standard error) in one line why it failed."""
    try:
        command()
    except SystemExit as done:  # how the argument parser ends, with its own words already shown
        return done.code if isinstance(done.code, int) else (DONE if done.code is None else FAILED)
    except (SuperheatError, KeyboardInterrupt, ModuleNotFoundError, OSError) as error:
        code, line = ending(error)
        print(f"superheat: {' '.join(line.split())}", file=stream or sys.stderr)
        return code
    return DONE


def _kind(error: SuperheatError) -> str:
    words = type(error).__name__.removesuffix("Error")
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in words).strip()


def _extra(error: ModuleNotFoundError) -> str | None:
    return EXTRA_OF_MODULE.get((error.name or "").partition(".")[0])
