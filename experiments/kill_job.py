"""Kill the main job at random moments and look at what stands: the previous result, whole, and no half model."""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from experiments.bench.table import BenchMeta, BenchTable, Value
from experiments.main_job import model_name
from experiments.output import MARK
from features.errors import BundleError, SuperheatError, UnknownNameError
from serving.predictor import Predictor
from training.tracking import Tracker

COLUMNS: Final = (
    ("round", ""),
    ("killed after", "s"),
    ("result stands", ""),
    ("whole", ""),
    ("models registered", ""),
    ("of them whole", ""),
    ("leftovers", ""),
)


@dataclass(frozen=True)
class Standing:
    """What a result directory holds: the digest that its summary names, and whether everything of it is whole."""

    digest: str | None
    whole: bool
    leftovers: int


def standing(out: Path) -> Standing:
    """Look at ``out`` as a reader would: a summary and the bundle that it names, opened and replayed."""
    parts = list(out.parent.glob(f".{out.name}.*"))
    if not out.exists():
        return Standing(None, True, len(parts))
    try:
        digest = json.loads((out / MARK).read_text(encoding="utf-8"))["bundle"]["digest"]
        Predictor.open(out / "bundle", digest)
        names = {"recommendations.jsonl", "recommendations.csv", "report.html", MARK, "bundle"}
        whole = {item.name for item in out.iterdir()} == names
    except (OSError, ValueError, KeyError, SuperheatError):
        return Standing(None, False, len(parts))
    return Standing(str(digest), whole, len(parts))


def registered_whole(root: Path, name: str) -> tuple[int, int]:
    """Return how many versions of ``name`` the default store below ``root`` has, and how many open as bundles."""
    tracker = Tracker(root=root)
    versions, opened = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        while True:
            try:
                stored = tracker.resolve(f"models:/{name}/{versions + 1}", Path(folder) / str(versions))
            except UnknownNameError:
                return versions, opened
            versions += 1
            try:
                Predictor.open(stored)
            except BundleError:
                continue
            opened += 1


def run(data: Path, rounds: int = 6, seed: int = 7) -> BenchTable:
    """Run the main job (quick) once to its end, then ``rounds`` times until a random SIGKILL, then to its end again."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "latest"
        job = KilledJob((sys.executable, "-m", "experiments.cli", "run", "--quick"), data, out)
        began = time.perf_counter()
        rows = [job.to_the_end(seed)]
        full = time.perf_counter() - began
        draw = random.Random(seed)
        rows += [job.until(seed + 1 + number, draw.uniform(0.0, full)) for number in range(rounds)]
        rows.append(job.to_the_end(seed))
    return BenchTable.of(
        "The main job, killed",
        COLUMNS,
        rows,
        BenchMeta.here(["mlflow"], seed=seed, simulated=True),
        ["leftovers: half-written directories beside the result; the next run sweeps them"],
    )


@dataclass(frozen=True)
class KilledJob:
    """The main job as a process: ``command`` with ``--data``, ``--out`` and ``--seed`` appended."""

    command: Sequence[str]
    data: Path
    out: Path

    def to_the_end(self, seed: int) -> list[Value]:
        """Run it to its end and return what stands then."""
        code = self._start(seed).wait()
        return ["whole run" if code == 0 else f"exit {code}", None, *self._stands()]

    def until(self, seed: int, moment: float) -> list[Value]:
        """Run it, kill it ``moment`` seconds after its start and return what stands then."""
        child = self._start(seed)
        try:
            child.wait(moment)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        return ["killed", moment, *self._stands()]

    def _start(self, seed: int) -> subprocess.Popen[bytes]:
        arguments = ["--data", str(self.data), "--out", str(self.out), "--seed", str(seed)]
        silent = subprocess.DEVNULL
        return subprocess.Popen([*self.command, *arguments], stdout=silent, stderr=silent)

    def _stands(self) -> list[Value]:
        seen = standing(self.out)
        registered, whole = registered_whole(self.out.parent, model_name(quick=True))
        return [(seen.digest or "none")[:12], seen.whole, registered, whole, seen.leftovers]
