"""Top level, pins and version floors: what a clone holds and what an installation brings."""

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
TOP = {
    "pyproject.toml",
    "README.md",
    "features",
    "training",
    "serving",
    "experiments",
    "data_samples",
    "tests",
    "Makefile",
    "LICENSE",
    "CHANGELOG.md",
    "constraints.txt",
}
# Where a known vulnerability was mended; an advisory database may be out of reach of a plant's network.
FLOORS = {
    "h11": "0.16",
    "joblib": "1.2",
    "lightgbm": "4.6",
    "mlflow": "3.10",
    "onnx": "1.21",
    "onnxruntime": "1.31",
    "protobuf": "6.33.6",
    "skops": "0.13",
    "starlette": "0.49.1",
}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            found[canonical(name)] = version
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    return [Requirement(text) for text in (*project["dependencies"], *extras)]


def test_the_top_level_holds_what_was_agreed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not listed:
        pytest.skip("not a clone")
    top = {Path(name).parts[0] for name in listed}
    assert {name for name in top if not name.startswith(".")} <= TOP


def test_every_pin_is_one_plain_release() -> None:
    for name, version in pins().items():
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}=={version}"


def test_every_declared_dependency_is_pinned_inside_its_range() -> None:
    for requirement in declared():
        if canonical(requirement.name) == "superheat":
            continue
        pinned = pins().get(canonical(requirement.name))
        assert pinned is not None, f"{requirement.name} is declared and not pinned in constraints.txt"
        assert requirement.specifier.contains(pinned), f"{requirement} does not admit {pinned}"


def test_torch_is_held_where_it_was_tried() -> None:
    assert pins()["torch"] == "2.13.0"


@pytest.mark.parametrize(("name", "floor"), sorted(FLOORS.items()))
def test_version_floors(name: str, floor: str) -> None:
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        assert canonical(name) not in pins()
        return
    assert Version(installed) >= Version(floor)
    if canonical(name) in pins():
        assert Version(pins()[canonical(name)]) >= Version(floor)


def test_the_form_parser_is_absent() -> None:
    assert "python-multipart" not in pins()
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("python-multipart")


def test_what_is_installed_is_what_is_pinned() -> None:
    """Only what an environment made by `make` holds; another one may be newer on purpose."""
    if not (ROOT / ".venv" / ".installed").exists():
        pytest.skip("the environment was not made by make")
    for requirement in declared():
        name = canonical(requirement.name)
        if name != "superheat":
            assert Version(metadata.version(name)).public == pins()[name], name
