"""Experiments as files: read, refused, run over processes, found again after a kill, and compared soundly."""

import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from scipy import stats

from experiments.closed_loop.advised import Advised
from experiments.closed_loop.build import Workbench
from experiments.closed_loop.compare import detectable, holm, interval, paired_p
from experiments.closed_loop.definition import definition_from, definition_names, load_definition
from experiments.closed_loop.store import Store, Task
from experiments.closed_loop.watch import Watch
from experiments.experiment_job import ARMS, FIGURES, PAGE, ExperimentJob, run_experiment
from experiments.results import closed_loop_markdown
from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from experiments.simulator.preset import load_preset
from experiments.simulator.simulate import collect
from features.bundle import Manifest
from features.errors import InputError, SettingsError, UnknownNameError
from features.tables.history import history
from serving.models.errors import delayed, watch
from serving.predictor import Predictor
from tests.experiments.conftest import Finished
from training.tracking import Tracker


def small(**changed: object) -> dict[str, object]:
    told: dict[str, object] = {
        "name": "small",
        "question": "does it run?",
        "metric": "cost_per_t",
        "reference": "operators",
        "ceiling": "oracle",
        "seeds": [41, 42],
        "lines": [{"name": "first", "cells": 3, "days": 7, "record_d": 30}],
        "arms": [
            {"name": "operators", "kind": "operators"},
            {"name": "ours", "kind": "advised", "levers": ["set_voltage_v"]},
            {
                "name": "oracle",
                "kind": "oracle",
                "rounds": 1,
                "candidates": 3,
                "horizon_d": 7,
                "futures": 1,
                "levers": ["set_voltage_v"],
            },
        ],
    }
    return {**told, **changed}


def test_every_experiment_that_ships_is_sound() -> None:
    assert {"closed-loop-headline", "closed-loop-quick", "advice-settings"} <= set(definition_names())
    for name in definition_names():
        assert load_definition(name).name == name


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reference": "nobody"}, "nobody"),
        ({"metric": "beauty"}, "beauty"),
        ({"seeds": [1, 1]}, "differ"),
        ({"arms": [{"name": "operators", "kind": "sorcerer"}]}, "ceiling"),
        ({"lines": [{"name": "first", "cellz": 3}]}, "cellz"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_definition_that_does_not_fit_is_refused_by_name(changed: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        definition_from(small(**changed))


def test_an_unknown_experiment_names_those_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match="closed-loop-headline"):
        load_definition("perpetual-motion")


def test_an_option_that_an_arm_does_not_have_is_refused(finished: Finished) -> None:
    bench = Workbench(finished.out / "bundle", finished.settings.data)
    with pytest.raises(SettingsError, match="speed"):
        bench.arm("ours", "advised", {"speed": 3})
    with pytest.raises(SettingsError, match="mean_gold"):
        bench.arm("ours", "advised", {"limits": {"mean_gold": {"low": 1.0}}})
    with pytest.raises(SettingsError, match="oracle"):
        bench.arm("oracle", "oracle", {"speed": 3})


def test_the_loop_counts_with_recent_errors_as_a_service_does(finished: Finished) -> None:
    bench = Workbench(finished.out / "bundle", finished.settings.data)
    predictor = bench.predictor
    plant = Potline(load_preset("line-500"), 6, 77)
    seen, records = Watch(plant, predictor.recipe), []
    for _ in range(100):
        records.append(plant.step())
        seen.see(records[-1])
    past = delayed(predictor.manifest, history(collect(plant, records).tables), plant.preset.line.line_id)
    told = watch(predictor.manifest, plant.preset.line.line_id, past, predictor.predict(past.X))
    assert len(past.date) > 100
    assert seen.errors(predictor) == told

    ours = bench.arm("ours", "advised", {})
    assert isinstance(ours, Advised)
    ours.predictor = cast(Predictor, Wrong(predictor))
    nothing = np.full((6, len(LEVERS)), np.nan)
    plan = ours.plan(plant, seen, np.ones(6, dtype=bool), nothing, 7)
    reasons = set(plan.promise.reason.tolist())
    assert "model_error" in reasons
    assert reasons <= {"model_error", "young"}


@dataclass(frozen=True)
class Wrong:
    """A predictor that says a tenth too much of everything, as sure as before."""

    predictor: Predictor

    @property
    def manifest(self) -> Manifest:
        return self.predictor.manifest

    def predict(self, X: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        return {name: 1.1 * values for name, values in self.predictor.predict(X).items()}


def test_a_run_is_resumed_and_leaves_page_figures_and_mlflow_runs(finished: Finished, tmp_path: Path) -> None:
    definition = definition_from(small())
    job = ExperimentJob(
        definition, finished.out / "bundle", finished.settings.data, tmp_path / "out", workers=1
    )
    console = Console(file=io.StringIO(), width=200)
    first, _ = run_experiment(job, console)
    assert first.seeds == (41, 42)
    assert not first.missing
    made = {path.name: path.stat().st_mtime_ns for path in (job.out / ARMS).iterdir()}
    assert len(made) == 6
    # A file that a kill cut short is no result, and what is whole is not done again.
    cut = next(path for path in (job.out / ARMS).iterdir() if "ours-42" in path.name)
    cut.write_bytes(cut.read_bytes()[:300])
    again, _ = run_experiment(job, console)
    redone = {p.name for p in (job.out / ARMS).iterdir() if p.stat().st_mtime_ns != made[p.name]}
    assert redone == {cut.name}
    assert again.compared == first.compared
    page = (job.out / PAGE).read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    figures = json.loads((job.out / FIGURES).read_text(encoding="utf-8"))
    oracle = next(arm for arm in figures["arms"] if arm["arm"] == "oracle")
    assert oracle["share"]["mean"] in (None, pytest.approx(1.0))
    operators = next(arm for arm in figures["arms"] if arm["arm"] == "operators")
    assert {harm["mean"] for harm in operators["harm"].values()} == {0.0}
    written = closed_loop_markdown(figures)
    assert "Simulated data" in written
    assert written.count("| **ours** |") == 1
    with pytest.raises(InputError, match="first, ours, seed 42"):
        closed_loop_markdown(figures | {"missing": ["first, ours, seed 42"]})
    kinds = [run.tags["superheat.kind"] for run in Tracker(None, tmp_path).runs()]
    assert kinds.count("experiment") == 2
    assert kinds.count("arm") == 6


def test_another_definition_of_an_arm_never_meets_an_older_result(tmp_path: Path) -> None:
    store = Store(tmp_path, {"first": "a" * 64})
    one = definition_from(small())
    other = small()
    other["arms"][1]["confidence"] = 0.8  # type: ignore[index]
    two = definition_from(other)
    paths = [store.path(Task(d.lines[0], d.arms[1], 41)) for d in (one, two)]
    assert paths[0] != paths[1]
    assert Store(tmp_path, {"first": "b" * 64}).path(Task(one.lines[0], one.arms[1], 41)) not in paths


def test_a_spent_budget_says_what_is_missing(finished: Finished, tmp_path: Path) -> None:
    definition = definition_from(small(budget={"minutes": 0.0}))
    job = ExperimentJob(
        definition, finished.out / "bundle", finished.settings.data, tmp_path / "out", workers=1
    )
    ran, table = run_experiment(job, Console(file=io.StringIO()))
    assert ran.seeds == ()
    assert "budget" in ran.stopped
    assert any("ours" in words for words in ran.missing)
    assert not table.rows


def test_no_bundle_is_said_with_the_way_out(tmp_path: Path) -> None:
    job = ExperimentJob(definition_from(small()), tmp_path / "none", tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="--bundle"):
        run_experiment(job, Console(file=io.StringIO()))


def test_statistics_agree_with_scipy() -> None:
    values = [3.1, 4.0, 2.2, 5.5, 3.8]
    known = stats.ttest_1samp(values, 0.0)
    assert paired_p(values) == pytest.approx(known.pvalue)
    found, expected = interval(values), known.confidence_interval()
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))
    assert math.isnan(paired_p([1.0]))


def test_the_smallest_detectable_difference_is_seen_four_times_in_five() -> None:
    rng, n, seen = np.random.default_rng(0), 8, 0
    size = detectable(list(rng.normal(0.0, 1.0, 200_000)[:n]))
    sd = size / detectable(list(np.array([-1.0, 1.0] * (n // 2))))  # in units of this sample's own spread
    assert sd > 0
    true = detectable(list(np.sqrt((n - 1) / n) * np.array([-1.0, 1.0] * (n // 2))))
    for _ in range(2000):
        seen += paired_p(list(rng.normal(true, 1.0, n))) < 0.05
    assert 0.74 < seen / 2000 < 0.86


def test_holm_is_stricter_than_each_p_and_keeps_their_order() -> None:
    assert holm([0.01, 0.04, math.nan, 0.03])[0] == pytest.approx(0.03)
    corrected = holm([0.2, 0.001, 0.04, 0.01])
    assert all(new >= old for new, old in zip(corrected, [0.2, 0.001, 0.04, 0.01], strict=True))
    assert np.argsort(corrected).tolist() == [1, 3, 2, 0]
