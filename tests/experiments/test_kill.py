"""SIGKILL at random moments of the main job: the result before it stands whole, and so does every model."""

import shutil
import sys
import time
from pathlib import Path

import pytest

from experiments import kill_job as kill
from experiments import output
from tests.experiments.conftest import Finished

pytestmark = pytest.mark.xdist_group("finished run")

# The training is the long and harmless part, so it is taken from the finished run: kills then fall on the rest.
TRAINED = """
import pickle, sys
from pathlib import Path
from experiments import main_job
fitted = pickle.loads(Path(sys.argv[1]).read_bytes())
main_job.train = lambda *_: fitted
sys.argv = ["superheat", *sys.argv[2:]]
from experiments.cli import main
main()
"""


def test_a_kill_leaves_a_whole_result_and_whole_models(finished: Finished, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(finished.out.parent, runs)
    command = (sys.executable, "-c", TRAINED, str(finished.fitted), "run", "--quick")
    job = kill.KilledJob(command, finished.settings.data, runs / "latest")
    began = time.perf_counter()
    rows = [job.to_the_end(11)]
    full = time.perf_counter() - began
    rows += [job.until(12, share * full) for share in (0.75, 0.95)]
    stands, whole, registered, opened, leftovers = zip(*(row[2:] for row in rows), strict=True)
    assert rows[0][0] == "whole run"
    assert "none" not in stands
    assert set(whole) == {True}
    assert registered == opened
    assert leftovers[0] == 0
    output.recover(runs / "latest")
    assert kill.standing(runs / "latest").leftovers == 0


def test_a_damaged_result_would_be_seen(finished: Finished, tmp_path: Path) -> None:
    copy = tmp_path / "latest"
    shutil.copytree(finished.out, copy)
    assert kill.standing(copy).whole
    (copy / "report.html").unlink()
    assert not kill.standing(copy).whole
    shutil.rmtree(copy)
    shutil.copytree(finished.out, copy)
    model = copy / "bundle" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    assert not kill.standing(copy).whole
