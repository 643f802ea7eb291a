"""Install the serving extra alone, from the built wheel, and start it: a step of `make test`, not a pytest module.

A plant's service must run without torch, pandas and the rest. The environment it is run from writes a small bundle;
a bare environment opens it, verifies it and answers.

    python tests/architecture/serving_alone.py
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "lightgbm",
    "mlflow",
    "sklearn",
    "pandas",
    "polars",
    "optuna",
    "matplotlib",
    "typer",
)

WRITE = """
import pathlib, sys
from tests.fakes.fitted import fitted, rows
from training.export import write_bundle
write_bundle(fitted(), pathlib.Path(sys.argv[1]), rows(2000, 1))
"""

START = f"""
import importlib.util, pathlib, pkgutil, sys
present = [name for name in {HEAVY!r} if importlib.util.find_spec(name)]
if present:
    sys.exit(f"the serving extra alone brings {{present}}")
import serving
if "site-packages" not in serving.__file__:
    sys.exit(f"serving comes from {{serving.__file__}}, not from the wheel")
from serving.predictor import Predictor
bundle = pathlib.Path(sys.argv[1])
predictor = Predictor.open(bundle)
from features.bundle import Parity, read_bundle
stored = Parity.from_bytes(read_bundle(bundle).parity)
answers = predictor.predict(stored.features)
if stored.broken(answers):
    sys.exit("the parity rows are not reproduced")
import orjson
from serving.advising.worker import open_worker
from serving.models.wire import Frame, Kind, Unpacker
from serving.service import create_app
from serving.settings import Settings
app = create_app(Settings(bundle=bundle, insecure_local=True))
if not app.openapi()["paths"].get("/v1/recommendations"):
    sys.exit("the application has no advice")
task = orjson.dumps({{"verb": "settle", "window": None, "prices": None}})
worker = open_worker(bundle, predictor.digest, 1)
refused = next(Unpacker().feed(worker.answer(Frame(1, Kind.TASK, 0, len(task), 0, task))))
if orjson.loads(refused.body).get("code") != "not_installed":
    sys.exit(f"without the search extra a recommendation is {{refused.body[:200]}}")
print(f"serving alone: {{len(stored.features)}} rows answered by bundle {{predictor.digest[:12]}}, advice names its remedy")
"""


def run(*command: str, cwd: Path) -> None:
    """Run ``command`` and end with its words where it fails."""
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} ...\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    if done.stdout.strip():
        print(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Build, install, open, answer."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run(sys.executable, "-c", WRITE, str(place / "bundle"), cwd=ROOT)
        venv.create(place / "bare", with_pip=True, symlinks=True)
        python = str(place / "bare" / "bin" / "python")
        install = (python, "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"))
        run(*install, "hatchling", cwd=place)
        run(*install, "--no-build-isolation", f"{ROOT}[serving]", cwd=place)
        run(python, "-W", "error", "-c", START, str(place / "bundle"), cwd=place)


if __name__ == "__main__":
    main()
