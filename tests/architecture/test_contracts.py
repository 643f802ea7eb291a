"""The directions of the house are run, and shown to be able to fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("features", "training", "serving", "experiments")


def lint(where: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    return subprocess.run(
        [*command, "--no-cache"], cwd=where, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_contract_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "0 broken" in done.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("house")
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, where / room, ignore=lambda _, names: [n for n in names if n == "__pycache__"]
        )
    shutil.copy(ROOT / "pyproject.toml", where)
    return where


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("features/sneaky.py", "import training", "Experiments sees all"),
        ("training/sneaky.py", "import serving", "Experiments sees all"),
        ("serving/sneaky.py", "import experiments.bench.table", "Experiments sees all"),
        ("serving/sneaky.py", "import features.tables.store", "Serving never reaches"),
        ("serving/sneaky.py", "import torch", "Serving never reaches"),
        ("serving/sneaky.py", "import optuna", "Optuna in serving"),
        ("features/sneaky.py", "import pandas", "Table libraries in features"),
        ("features/sneaky.py", "import features.tables.store", "Only experiments reads plant files"),
        ("training/sneaky.py", "import mlflow", "only module that knows MLflow"),
        ("experiments/sneaky.py", "import mlflow.tracking", "only module that knows MLflow"),
    ],
)
def test_a_step_in_the_wrong_direction_is_caught(copied: Path, module: str, line: str, contract: str) -> None:
    planted = copied / module
    planted.write_text(f'"""Planted."""\n{line}\n')
    try:
        done = lint(copied)
    finally:
        planted.unlink()
    assert done.returncode != 0
    broken = " ".join(done.stdout.split())
    assert any(f"{contract}" in part for part in broken.split(" KEPT")), broken[-2000:]
    assert f"{Path(module).parts[0]}.sneaky" in broken


def test_a_cycle_in_a_room_is_caught(copied: Path) -> None:
    one, other = copied / "features" / "chicken.py", copied / "features" / "egg.py"
    one.write_text('"""Planted."""\nimport features.egg\n')
    other.write_text('"""Planted."""\nimport features.chicken\n')
    try:
        done = lint(copied)
    finally:
        one.unlink()
        other.unlink()
    assert done.returncode != 0
    assert "No cycles are allowed in features" in " ".join(done.stdout.split())
