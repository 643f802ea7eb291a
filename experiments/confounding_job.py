"""``superheat confounding``: from a record (and a bundle, if there is one) to the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.confounding.content import ConfoundingReport, LeverPage, Source
from experiments.confounding.dml import by_doubleml
from experiments.confounding.ground import ground_of, hopes_of
from experiments.confounding.model_slopes import ModelSlope, model_slopes
from experiments.confounding.numbers import effect_text, scaled_unit
from experiments.confounding.page import write as write_page
from experiments.confounding.switchback import TestPlan, priced, propose
from experiments.machine import installed_versions
from experiments.output import fresh_result
from experiments.prepare import Prepared, prepare, read_record
from experiments.progress import Meter, Stages
from experiments.report.numbers import lever_words
from features.errors import BundleForeignError
from features.outcomes import OUTCOMES
from features.plant import metal_t_per_d
from features.setpoints import Lever
from serving.predictor import Predictor
from training.identification.assess import LeverAssessment, Residuals, judge, residuals
from training.identification.crossfit import ridge_and_trees
from training.identification.instruments import Learners
from training.lever_effects import expected_slope
from training.rows import Rows, mature

JSON: Final = "confounding.json"
PAGE: Final = "confounding.html"
_HORIZON_D: Final = 7
_GROWN_FROM_D: Final = 120.0
_ASKED_ROWS: Final = 400


@dataclass(frozen=True)
class ConfoundingJob:
    """What ``superheat confounding`` is told."""

    data: Path
    out: Path
    mapping: Path | None = None
    bundle: Path | None = None
    seed: int = 7


def run(job: ConfoundingJob, console: Console) -> ConfoundingReport:
    """Make the report, print its table, and leave JSON and page in ``job.out``, whole or not at all.

    Raises:
        InputError: the record or the output is not what it should be.
        TargetUnavailableError: the record supports no lever.
        BundleError: the bundle is refused, or was made for other levers or signals than the record's.
    """
    stages = Stages(5, console)
    with fresh_result(job.out, JSON) as staging:
        with stages.stage("Reading and checking the record"):
            record = read_record(job.data, job.mapping)
        with stages.stage("Making features and labels") as meter:
            prepared = prepare(record, _HORIZON_D, None, meter)
        rows = prepared.inputs.rows()
        rows = rows.take(mature(rows, _GROWN_FROM_D))
        with stages.stage("Learning the operators' rule, on other cells at other times") as meter:
            residual = left_over(rows, meter)
        with stages.stage("Effects by double machine learning, and what the bundle says"):
            found = judge(residual, prepared.inputs.window, by_doubleml)
            predictor = None if job.bundle is None else Predictor.open(job.bundle)
            model = {} if predictor is None else _model(predictor, prepared, job.seed)
        with stages.stage("Planning the tests that would settle it"):
            pages = [
                _page(told, (prepared, rows, residual), model.get(name), job.seed)
                for name, told in found.items()
            ]
        report = ConfoundingReport(
            _source(job, prepared, rows, predictor),
            pages,
            prepared.refused_levers,
            prepared.inputs.labels.unavailable,
        )
        report.write(staging / JSON)
        write_page(report, staging / PAGE)
    show(report, console)
    console.print(f"{JSON} and {PAGE} are in {job.out}", markup=False, highlight=False)
    return report


def left_over(rows: Rows, meter: Meter) -> Residuals:
    """Return the residuals by the report's learners: ridge with small trees for every nuisance model."""
    total, done = 2 * len(rows.levers) + len([name for name in OUTCOMES if name in rows.y]), 0

    def tick(name: str) -> None:
        nonlocal done
        meter(done, total, name)
        done += 1

    learners = Learners(ridge_and_trees, ridge_and_trees, ridge_and_trees)
    return residuals(rows, _HORIZON_D, learners=learners, progress=tick)


def _model(predictor: Predictor, prepared: Prepared, seed: int) -> Mapping[str, Mapping[str, ModelSlope]]:
    lacking = sorted(set(predictor.recipe.signals) - set(prepared.history.available()))
    if lacking:
        raise BundleForeignError(
            f"the bundle needs {lacking}, which this record does not carry; give the bundle trained on it, or none"
        )
    table = predictor.recipe.table(prepared.history)
    grown = np.arange(len(table))
    if "cell_age_d_last" in table.names:
        grown = np.flatnonzero(table.column("cell_age_d_last") >= _GROWN_FROM_D)
    asked = np.sort(np.random.default_rng(seed).permutation(grown)[:_ASKED_ROWS])
    return model_slopes(predictor, table.X[asked])


def _page(
    told: LeverAssessment,
    at: tuple[Prepared, Rows, Residuals],
    model: Mapping[str, ModelSlope] | None,
    seed: int,
) -> LeverPage:
    prepared, rows, residual = at
    lever = prepared.inputs.window.lever(told.lever)
    if told.finding.code == "contradicts_physics" or told.finding.grade != "identified" or _wide(told):
        ground = ground_of(rows, residual, told.lever, prepared)
        plan = propose(ground, lever, hopes_of(told), seed)
        missing = (
            None if plan else "fewer than four calm, grown cells with room on both sides of their setting"
        )
        return LeverPage(told, model, None if plan is None else _priced(plan, lever, prepared), missing)
    return LeverPage(told, model, None, None)


def _wide(told: LeverAssessment) -> bool:
    """Say whether the energy effect, which is what a move is priced by, is still open."""
    return any(
        entry.outcome == "energy_kwh_per_t" and entry.finding.code != "follows" for entry in told.outcomes
    )


def _priced(plan: TestPlan, lever: Lever, prepared: Prepared) -> TestPlan:
    plant = prepared.inputs.plant
    effect = expected_slope("energy_kwh_per_t", lever.name)
    slope = 0.0 if effect is None else abs(effect.mean) + effect.sd
    metal = metal_t_per_d(plant.line_current_ka, None)
    return priced(plan, slope, plant.prices.dc_energy_per_kwh, metal)


def _source(job: ConfoundingJob, prepared: Prepared, rows: Rows, predictor: Predictor | None) -> Source:
    return Source(
        plant=prepared.inputs.plant.name,
        data_sha256=prepared.inputs.data_sha256,
        first_day=str(rows.date.min()) if len(rows) else "",
        last_day=str(rows.date.max()) if len(rows) else "",
        cells=len(np.unique(rows.cell)),
        decisions=len(rows),
        simulated=prepared.inputs.plant.simulated,
        horizon_d=_HORIZON_D,
        currency=prepared.inputs.plant.prices.currency,
        seed=job.seed,
        bundle=None if predictor is None else predictor.digest,
        versions=installed_versions(("superheat", "numpy", "DoubleML", "lightgbm", "scikit-learn")),
    )


def show(report: ConfoundingReport, console: Console) -> None:
    """Print one row a lever and outcome, per usual step of the lever."""
    title = "What each lever does" + (" (SIMULATED data)" if report.source.simulated else "")
    table = Table(title=Text(title), title_justify="left")
    for heading, right in (
        ("lever", False),
        ("outcome", False),
        ("record (95 %)", True),
        ("physics", True),
        ("model", True),
        ("would show", True),
        ("verdict", False),
    ):
        table.add_column(heading, justify="right" if right else "left")
    for page in report.levers:
        told = page.assessment
        for number, entry in enumerate(told.outcomes):
            head = (
                f"{lever_words(told.lever).en}, per {scaled_unit(told.lever, told.unit)}"
                if number == 0
                else ""
            )
            table.add_row(
                *(Text(cell) for cell in (head, OUTCOMES[entry.outcome].meaning, *effect_text(page, entry)))
            )
        table.add_section()
    console.print(table)
    for page in report.levers:
        told = page.assessment
        console.print(
            f"{lever_words(told.lever).en}: {told.finding.grade.replace('_', ' ')}. {told.finding.text}"
            f" {told.moves.moves} moves, {told.moves.own_share:.0%} of their variance the lever's own.",
            markup=False,
            highlight=False,
        )
    for name, why in report.refused.items():
        console.print(f"{name}: not offered, {why}", markup=False, highlight=False)
