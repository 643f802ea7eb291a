"""The main job: a potline's history in; models, an exact bundle, safe setpoints and a report out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from experiments.account import About, report_content, summarise
from experiments.advise import advise_all, as_rows, show, write_recommendations
from experiments.logbook import Logbook
from experiments.machine import usable_cores
from experiments.output import MARK, check_replaceable, fresh_result
from experiments.prepare import Prepared, prepare, read_record
from experiments.progress import Stages
from experiments.report.render import write as write_report
from experiments.revision import code_revision, release
from experiments.summary import RunSummary
from experiments.verify import served_parity
from features.outcomes import TARGETS
from serving.predictor import Predictor
from serving.recommend import AdviceSettings
from training.export import BundleInfo, Label, ParityPlan, write_bundle
from training.fit import fit
from training.fitted import FittedModel
from training.settings import TrainSettings

MODEL_NAME: Final = "potline"
REPORT: Final = "report.html"
BUNDLE: Final = "bundle"
_STAGES: Final = 9


@dataclass(frozen=True)
class JobSettings:
    """What a run is told: where the data are, where the result goes, and how everything random is seeded."""

    data: Path
    out: Path
    mapping: Path | None = None
    seed: int = 7
    tracking_uri: str | None = None
    quick: bool = False
    levers: tuple[str, ...] | None = None

    @property
    def training(self) -> TrainSettings:
        """The training settings behind it."""
        return training_settings(self.seed, self.quick)


def model_name(quick: bool) -> str:
    """Return what a model is called and registered as; a quick one never meets a real one."""
    return f"{MODEL_NAME}-quick" if quick else MODEL_NAME


def training_settings(seed: int, quick: bool) -> TrainSettings:
    """Return the training settings of a run; a quick one leaves out the check on cells never seen."""
    settings = TrainSettings(seed=seed, workers=usable_cores())
    return replace(settings.quick(), cell_folds=0) if quick else settings


def run(settings: JobSettings, console: Console) -> RunSummary:
    """Do the whole job and leave its result in ``settings.out``, whole or not at all.

    Raises:
        InputError: the data, the mapping, the output or the tracking store is not what it should be.
        TargetUnavailableError: the record carries neither target.
        ExportError: the exported graph does not reproduce the estimators.
    """
    check_replaceable(settings.out)
    stages = Stages(_STAGES, console)
    with stages.stage("Reading and checking the record"):
        record = read_record(settings.data, settings.mapping)
    with stages.stage("Opening the tracking store"):
        logbook = Logbook(settings.tracking_uri, settings.out.absolute().parent)
    with fresh_result(settings.out) as staging, logbook.run(model_name(settings.quick), settings.training):
        with stages.stage("Making features and labels") as meter:
            prepared = prepare(record, settings.training.horizon_d, settings.levers, meter)
        summary, rows = _Job(settings, stages, staging, logbook).after(prepared)
    show(rows, console, summary.simulated)
    show_result(summary, settings.out, console)
    return summary


def train(prepared: Prepared, settings: TrainSettings, stages: Stages) -> FittedModel:
    """Tune and train every family, its progress shown as one stage."""
    with stages.stage("Tuning and training every family") as meter:
        return fit(prepared.inputs, settings, lambda stage, share: meter(share, 1.0, stage))


def export(fitted: FittedModel, prepared: Prepared, out: Path, name: str, stages: Stages) -> BundleInfo:
    """Write the bundle ``out``, its graph compared with the estimators on every feature row, shown as one stage."""
    rows = prepared.inputs.features.X
    label = Label(name=name, version=release(), code_revision=code_revision())
    with stages.stage("Exporting the bundle, compared row by row"):
        return write_bundle(fitted, out, rows, label, ParityPlan(checked=len(rows)))


class _Job:
    """One run after its data are there; holds what every stage needs."""

    def __init__(self, settings: JobSettings, stages: Stages, staging: Path, logbook: Logbook) -> None:
        self._settings, self._stages, self._staging, self._logbook = settings, stages, staging, logbook

    def after(self, prepared: Prepared) -> tuple[RunSummary, Sequence[Mapping[str, Any]]]:
        """Train, export, advise, report and register; return the summary and the recommendations."""
        fitted = train(prepared, self._settings.training, self._stages)
        info = export(
            fitted, prepared, self._staging / BUNDLE, model_name(self._settings.quick), self._stages
        )
        with self._stages.stage("Verifying the bundle as a service would"):
            predictor = Predictor.open(info.path, info.digest)
            parity = served_parity(predictor, fitted, prepared.inputs, info)
        advice = AdviceSettings()
        with self._stages.stage("Searching setpoints, cell by cell") as meter:
            found = advise_all(predictor, prepared.history, advice, meter)
            write_recommendations(found, self._staging)
        rows = as_rows(found)
        # Bounds are one-sided at that confidence each, so between them lies less.
        about = About(
            self._settings.seed, self._settings.quick, 2 * advice.confidence - 1, self._logbook.shown
        )
        draft = summarise(prepared, fitted, info, parity, rows, about)
        with self._stages.stage("Writing the report") as meter:
            content = report_content(draft, prepared, fitted, predictor, rows, meter)
            write_report(replace(content, summary=self._timed(draft)), self._staging / REPORT)
        with self._stages.stage("Logging and registering the model") as meter:
            self._logbook.keep(draft, fitted, prepared.inputs, self._staging / REPORT, meter)
            registered = self._logbook.register(info, fitted)
        summary = self._timed(replace(draft, tracking={**draft.tracking, **registered}))
        summary.write(self._staging / MARK)
        return summary, rows

    def _timed(self, summary: RunSummary) -> RunSummary:
        return replace(summary, seconds=dict(self._stages.seconds))


def show_result(summary: RunSummary, out: Path, console: Console) -> None:
    """Say in a few lines what the run found and where it lies."""
    lines = []
    for entry in summary.targets:
        best = entry.score(entry.champion)
        rivals = [score for score in entry.families if score.baseline]
        beside = ", ".join(f"{score.name} {score.mae.mean:.4g}" for score in rivals)
        lines.append(
            f"{entry.name}: {entry.champion} MAE {best.mae.mean:.4g} {entry.unit}, R2 {best.r2.mean:.3f}"
            f" (baselines' MAE: {beside}); the {entry.nominal_coverage:.0%} interval holds {entry.coverage.share:.1%}"
        )
    lines += [
        f"{refused.name}: refused, {refused.reason}"
        for refused in summary.unavailable
        if refused.name in TARGETS
    ]
    saving, advice = summary.saving, summary.advice
    energy = saving.energy_kwh_per_t
    lines.append(
        f"{advice.moved} cells to move, {advice.held} held, {advice.abstained} abstained; expected saving"
        f" {energy.mean:.1f} kWh/t ({energy.lower:.1f} to {energy.upper:.1f}) over the line,"
        f" {saving.cost_per_d.mean:,.0f} {saving.currency} a day"
    )
    seconds = sum(summary.seconds.values())
    lines.append(f"bundle {summary.bundle.digest[:12]}; everything is in {out} after {seconds:.0f} s")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
