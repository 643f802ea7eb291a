import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.advise import CSV, JSONL
from experiments.main_job import BUNDLE, REPORT
from experiments.output import MARK
from serving.predictor import Predictor
from serving.schemas import Recommendation
from tests.experiments.conftest import Finished
from training.heldout import load
from training.tracking import PREDICTIONS, Tracker

pytestmark = pytest.mark.xdist_group("finished run")
ROOT = Path(__file__).parents[2]


def read_summary(finished: Finished) -> dict[str, object]:
    read: dict[str, object] = json.loads((finished.out / MARK).read_text(encoding="utf-8"))
    return read


def test_the_result_is_complete_and_nothing_else_is_left(finished: Finished) -> None:
    assert {item.name for item in finished.out.iterdir()} == {BUNDLE, JSONL, CSV, REPORT, MARK}
    beside = {item.name for item in finished.out.parent.iterdir()}
    assert beside == {"latest", "mlflow.db", "mlartifacts"}


def test_the_summary_holds_every_headline_figure(finished: Finished) -> None:
    read = read_summary(finished)
    assert read["simulated"] is True
    assert read["seed"] == 11
    outcomes = read["outcomes"]
    assert isinstance(outcomes, dict)
    energy = outcomes["energy_kwh_per_t"]
    assert {"persistence", "cell_mean", "ridge_plain", "boosting", "network", "composed"} <= set(
        energy["families"]
    )
    for score in energy["families"].values():
        assert score["mae"]["lower"] <= score["mae"]["mean"] <= score["mae"]["upper"]
        assert score["r2"]["mean"] <= 1
    assert 0 <= energy["coverage"]["share"] <= 1
    assert energy["coverage"]["rows"] == energy["test_rows"] > 0
    parity = read["parity"]
    assert isinstance(parity, dict)
    assert parity["beyond"] == 0
    assert parity["worst_relative_difference"] <= parity["tolerance"]
    advice = read["advice"]
    assert isinstance(advice, dict)
    assert advice["moved"] + advice["held"] + advice["abstained"] == advice["cells"]
    assert isinstance(read["seconds"], dict)
    assert read["seconds"]["total"] > 0


def test_a_target_is_either_modelled_or_refused_with_a_reason(finished: Finished) -> None:
    modelled = {entry.name for entry in finished.summary.targets}
    refused = {entry.name: entry.reason for entry in finished.summary.unavailable}
    for target in ("energy_kwh_per_t", "net_anode_kg_per_t"):
        assert (target in modelled) != (target in refused)
        assert target in modelled or refused[target]


def test_recommendations_are_of_the_schema_and_the_table_repeats_them(finished: Finished) -> None:
    lines = (finished.out / JSONL).read_text(encoding="utf-8").splitlines()
    advices = [Recommendation.model_validate_json(line) for line in lines]
    assert len(advices) == finished.summary.advice.cells
    assert all(advice.recommendation_id == advice.content_hash() for advice in advices)
    assert {advice.bundle_digest for advice in advices} == {finished.summary.bundle.digest}
    with (finished.out / CSV).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(max(1, len(advice.levers)) for advice in advices)
    by_lever = {(row["cell_id"], row["lever"]): row for row in rows}
    for advice in advices:
        for lever in advice.levers:
            row = by_lever[advice.cell_id, lever.name]
            assert float(row["recommended"]) == lever.recommended
            assert row["status"] == advice.status
            if advice.saving is not None:
                assert float(row["cost_saving_per_t"]) == advice.saving.cost_per_t.mean
    moved = [advice.cell_id for advice in advices if advice.status == "move"]
    assert all(f"│ {cell}" in finished.said for cell in moved)


def test_the_bundle_is_the_one_of_the_summary(finished: Finished) -> None:
    predictor = Predictor.open(finished.out / BUNDLE, finished.summary.bundle.digest)
    assert predictor.manifest.data.sha256 == finished.summary.data.sha256
    assert predictor.manifest.data.simulated


def test_the_report_says_simulated_and_quick(finished: Finished) -> None:
    page = (finished.out / REPORT).read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "Quick run" in page
    assert finished.summary.bundle.digest in page


def test_every_stage_was_seen(finished: Finished) -> None:
    for number in range(1, 10):
        assert f"[ {number}/9]" in finished.said
    assert finished.said.count("done in") == 9


def test_the_run_is_logged_and_the_model_registered_whole(finished: Finished, tmp_path: Path) -> None:
    tracker = Tracker(root=finished.out.parent)
    run = tracker.find(finished.summary.tracking["run"])
    assert run.status == "FINISHED"
    assert run.params["data.sha256"] == finished.summary.data.sha256
    champion = finished.summary.outcome("energy_kwh_per_t")
    logged = run.metrics["energy_kwh_per_t.mae"]
    assert logged == pytest.approx(champion.score(champion.champion).mae.mean)
    held = load(tracker.fetch(run.run_id, PREDICTIONS, tmp_path / "held"))
    assert len(held["energy_kwh_per_t"].y) == champion.test_rows
    stored = tracker.resolve(f"models:/potline-quick/{finished.summary.tracking['model version']}", tmp_path)
    assert Predictor.open(stored).digest == finished.summary.bundle.digest
    trials = [entry for entry in tracker.runs("trial") if entry.tags["mlflow.parentRunId"] == run.run_id]
    assert len(trials) == 2


def test_another_process_trains_the_same_bundle(finished: Finished, tmp_path: Path) -> None:
    arguments = [
        "--data",
        str(finished.settings.data),
        "--seed",
        "11",
        "--quick",
        "--out",
        str(tmp_path / "bundle"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.cli", "train", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert Predictor.open(tmp_path / "bundle").digest == finished.summary.bundle.digest
