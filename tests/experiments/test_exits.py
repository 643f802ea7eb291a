import io
from collections.abc import Callable

import pytest

from experiments.exits import BAD_INPUT, DONE, EXTRA_OF_MODULE, FAILED, guarded
from features import errors


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


def every(root: type[Exception]) -> list[type[Exception]]:
    """The tree of ``features.errors``; another room's errors may take more than a message."""
    kinds = [root, *(kind for child in root.__subclasses__() for kind in every(child))]
    return [kind for kind in kinds if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", every(errors.SuperheatError))
def test_every_error_of_ours_is_one_line_with_its_code(kind: type[Exception]) -> None:
    shown = io.StringIO()
    code = guarded(raising(kind("column noise_mv\nis missing; add it")), shown)
    assert code == (BAD_INPUT if issubclass(kind, errors.InputError) else FAILED)
    assert shown.getvalue().count("\n") == 1
    assert "column noise_mv is missing; add it" in shown.getvalue()
    assert "Traceback" not in shown.getvalue()


def test_the_kind_is_named_in_words() -> None:
    shown = io.StringIO()
    guarded(raising(errors.UnknownNameError("lever 'heat'")), shown)
    assert shown.getvalue() == "superheat: bad input (unknown name): lever 'heat'\n"


@pytest.mark.parametrize(("code", "expected"), [(None, DONE), (0, DONE), (2, BAD_INPUT), ("text", FAILED)])
def test_the_parser_keeps_its_own_code(code: object, expected: int) -> None:
    assert guarded(raising(SystemExit(code)), io.StringIO()) == expected


def test_an_absent_extra_is_named() -> None:
    shown = io.StringIO()
    absent = ModuleNotFoundError("No module named 'lightgbm.basic'", name="lightgbm.basic")
    assert guarded(raising(absent), shown) == FAILED
    assert "superheat[training]" in shown.getvalue()


def test_defects_of_ours_keep_their_traceback() -> None:
    with pytest.raises(ModuleNotFoundError):
        guarded(raising(ModuleNotFoundError("no features.nothing", name="features.nothing")), io.StringIO())
    with pytest.raises(ZeroDivisionError):
        guarded(raising(ZeroDivisionError()), io.StringIO())


def test_a_full_disk_is_one_line() -> None:
    shown = io.StringIO()
    assert guarded(raising(OSError(28, "No space left on device", "model.onnx")), shown) == FAILED
    assert shown.getvalue() == "superheat: failed: No space left on device: model.onnx\n"


def test_the_extras_named_exist() -> None:
    import tomllib
    from pathlib import Path

    document = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(EXTRA_OF_MODULE.values()) <= set(document["project"]["optional-dependencies"])
