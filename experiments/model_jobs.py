"""Models without the rest of the main job: train to a bundle, tune, compare runs, bring a registered model out."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rich.console import Console
from threadpoolctl import threadpool_limits

from experiments.bench.table import BenchMeta, BenchTable
from experiments.logbook import Logbook
from experiments.machine import usable_cores
from experiments.main_job import MODEL_NAME, export, model_name, train, training_settings
from experiments.output import fresh_result
from experiments.prepare import Prepared, prepare, read_record
from experiments.progress import Stages
from features.bundle.files import MANIFEST
from serving.predictor import Predictor
from training.compare import compare
from training.families import workshop
from training.fit import tune_family as tuned
from training.heldout import HeldOut, load
from training.rolling import origins
from training.settings import TrainSettings
from training.tracking import PREDICTIONS, Tracker
from training.tuning import TrialResult, TuningResult

DEFAULT_ROOT: Final = Path("runs")
"""Where the default tracking store lies when no output names a place."""


@dataclass(frozen=True)
class TrainJob:
    """What ``superheat train`` is told."""

    data: Path
    out: Path
    mapping: Path | None
    seed: int
    tracking_uri: str | None
    quick: bool
    levers: tuple[str, ...] | None


@dataclass(frozen=True)
class TuneJob:
    """What ``superheat tune`` is told."""

    data: Path
    mapping: Path | None
    family: Literal["boosting", "network"]
    trials: int
    seed: int
    tracking_uri: str | None


def train_bundle(job: TrainJob, console: Console) -> None:
    """Train on ``job.data``, write the bundle ``job.out`` and log the run; nothing is registered.

    Raises:
        InputError: the data, the mapping or the tracking store is not what it should be.
    """
    stages = Stages(5, console)
    settings = training_settings(job.seed, job.quick)
    prepared = _prepared(job.data, job.mapping, settings, stages, job.levers)
    logbook = Logbook(job.tracking_uri, job.out.absolute().parent)
    with logbook.run(f"{model_name(job.quick)}-train", settings):
        fitted = train(prepared, settings, stages)
        info = export(fitted, prepared, job.out, model_name(job.quick), stages)
        with stages.stage("Logging the run"):
            logbook.keep_model(fitted, info)
    for name, outcome in fitted.outcomes.items():
        best = outcome.scores[outcome.family]
        console.print(
            f"{name}: {outcome.family} MAE {best.mae:.4g} {outcome.unit}, R2 {best.r2:.3f}", markup=False
        )
    console.print(f"bundle {info.digest[:12]} in {job.out}", markup=False, highlight=False)


def tune_family(job: TuneJob, console: Console) -> BenchTable:
    """Run a study of one family's settings, log it with its trials as children, and return its trials, best first."""
    stages = Stages(3, console)
    settings = TrainSettings(seed=job.seed, workers=usable_cores(), trials=job.trials)
    prepared = _prepared(job.data, job.mapping, settings, stages, None)
    rows = prepared.inputs.rows()
    cuts = origins(rows, settings)
    outcomes = [name for name in prepared.inputs.labels.values if name in rows.y]
    logbook = Logbook(job.tracking_uri, DEFAULT_ROOT)
    with (
        logbook.run(f"{MODEL_NAME}-tune", settings),
        stages.stage(f"Tuning {job.family}") as meter,
        threadpool_limits(limits=1),
    ):
        done: list[TrialResult] = []

        def tick(trial: TrialResult) -> None:
            done.append(trial)
            meter(len(done), job.trials, f"best so far {min(one.value for one in done):.4f}")

        found = tuned(workshop(rows, settings), cuts, outcomes, job.family, tick)
        logbook.keep_study(found)
    return _study_table(found, job.seed, prepared.history.plant.simulated)


def compare_runs(keys: Sequence[str], tracking_uri: str | None, root: Path, seed: int) -> BenchTable:
    """Return the runs side by side on the decisions that all of them held out, the first as reference.

    Raises:
        InputError: fewer than two runs, no store, or runs that share nothing.
        UnknownNameError: a run that is not there, or one that kept no held-out predictions.
    """
    tracker = Tracker(tracking_uri, root)
    held: dict[str, Mapping[str, HeldOut]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for key in keys:
            run = tracker.find(key)
            path = tracker.fetch(run.run_id, PREDICTIONS, Path(folder) / run.run_id)
            held[f"{run.name} ({run.run_id[:8]})"] = load(path)
    found = compare(held, seed)
    units = [("outcome", ""), ("unit", ""), ("run", ""), ("family", ""), ("rows", ""), ("mae", "unit")]
    units += [("r2", ""), ("difference", "unit"), ("low", "unit"), ("high", "unit"), ("verdict", "")]
    return BenchTable.of(
        "Runs on the same held-out decisions",
        units,
        found.table(),
        BenchMeta.here(["mlflow"], seed=seed, simulated=False),
        [
            "difference: mean absolute error minus the reference's, row by row, with its 95 % interval over cell-weeks"
        ],
    )


def export_registered(model: str, out: Path, tracking_uri: str | None, root: Path, console: Console) -> None:
    """Write the registered ``model`` as the bundle ``out`` once it has verified and replayed its parity rows.

    Raises:
        InputError: the URI is none, the store cannot be reached, or ``out`` is something else than a bundle.
        UnknownNameError: no such model, alias or version.
        BundleError: the stored bundle is not whole, or not ours.
    """
    tracker = Tracker(tracking_uri, root)
    with fresh_result(out, MANIFEST) as staging, tempfile.TemporaryDirectory() as folder:
        stored = tracker.resolve(model, Path(folder))
        manifest = Predictor.open(stored).manifest
        for file in sorted(stored.iterdir()):
            shutil.copyfile(file, staging / file.name)
    console.print(
        f"{manifest.name} {manifest.version}, digest {manifest.digest[:12]}, verified, in {out}",
        markup=False,
        highlight=False,
    )


def _prepared(
    data: Path, mapping: Path | None, settings: TrainSettings, stages: Stages, levers: tuple[str, ...] | None
) -> Prepared:
    with stages.stage("Reading and checking the record"):
        record = read_record(data, mapping)
    with stages.stage("Making features and labels") as meter:
        return prepare(record, settings.horizon_d, levers, meter)


def _study_table(found: TuningResult, seed: int, simulated: bool) -> BenchTable:
    names = sorted({name for trial in found.trials for name in trial.params})
    ranked = sorted(found.trials, key=lambda trial: (trial.value, trial.number))
    return BenchTable.of(
        f"Study of {found.family}, best trial first",
        [("trial", ""), ("relative mae", ""), *((name, "") for name in names)],
        [[trial.number, trial.value, *(trial.params.get(name) for name in names)] for trial in ranked],
        BenchMeta.here(["optuna", "lightgbm", "torch"], seed=seed, simulated=simulated),
        [
            "relative mae: mean absolute error on validation blocks over that of the linear part alone; below 1 is better"
        ],
    )
