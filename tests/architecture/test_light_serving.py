"""Heavy libraries are proved absent from the serving process, not just from its import statements."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import serving

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "lightgbm",
    "mlflow",
    "sklearn",
    "pandas",
    "polars",
    "matplotlib",
    "joblib",
    "training",
    "experiments",
)
SEARCH_ONLY = ("optuna",)

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(serving.__path__, "serving.")
    if "__main__" not in module.name
)
_SHOW = "import importlib, json, sys\nfor name in {names}:\n    importlib.import_module(name)\nprint(json.dumps(sorted({{n.partition('.')[0] for n in sys.modules}})))"


def loaded_by(names: list[str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SHOW.format(names=names)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


def behind_search(name: str) -> bool:
    return name == "serving.search" or name.startswith("serving.search.")


def test_the_check_sees_what_is_loaded() -> None:
    assert "json" in loaded_by(["json"])
    assert {"pandas"} <= loaded_by(["features.tables.store"])


def test_serving_loads_nothing_heavy() -> None:
    loaded = loaded_by(MODULES)
    assert not loaded & set(HEAVY), f"serving loads {sorted(loaded & set(HEAVY))}"


def test_a_prediction_needs_no_optuna() -> None:
    light = [name for name in MODULES if name.rpartition(".")[2] in ("predictor", "guard", "schemas")]
    assert light, "serving.predictor, serving.guard and serving.schemas are what a prediction needs"
    loaded = loaded_by(light)
    assert not loaded & set(SEARCH_ONLY), f"{light} load {sorted(loaded & set(SEARCH_ONLY))}"


@pytest.mark.parametrize("room", ["serving", "features"])
def test_no_unpickling_in_the_serving_process(room: str) -> None:
    import ast

    for path in sorted((ROOT / room).rglob("*.py")):
        if "tables" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            roots = {name.partition(".")[0] for name in names}
            assert not roots & {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}, path
