"""A run's account: the summary of its figures and the content of its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from experiments import evidence, figures
from experiments.machine import installed_versions, this_machine
from experiments.prepare import Prepared
from experiments.progress import Meter
from experiments.report.content import ReportContent
from experiments.report.policy import caveat
from experiments.report.views import findings, policy_view, tables
from experiments.savings import advice, saving
from experiments.summary import BundleSummary, DataSummary, RunSummary, Unavailable
from experiments.verify import ServedParity
from serving.predictor import Predictor
from training.export import BundleInfo
from training.fitted import FittedModel

_VERSIONS: Final = (
    "superheat",
    "numpy",
    "lightgbm",
    "torch",
    "optuna",
    "onnx",
    "onnxruntime",
    "mlflow",
    "pandas",
)
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class About:
    """What a summary tells beside its figures: seed, whether the run was quick, the savings' confidence, tracking."""

    seed: int
    quick: bool
    confidence: float
    tracking: Mapping[str, str]


def summarise(
    prepared: Prepared, fitted: FittedModel, info: BundleInfo, parity: ServedParity, rows: Rows, about: About
) -> RunSummary:
    """Return the summary of a run; the times of its stages are added when they have passed."""
    plant = prepared.history.plant
    decision = str(prepared.history.dates[-1] + np.timedelta64(1, "D"))
    return RunSummary(
        simulated=plant.simulated,
        quick=about.quick,
        seed=about.seed,
        horizon_d=fitted.settings.horizon_d,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        code_revision=info.manifest.code_revision,
        data=_data(prepared, fitted),
        outcomes=tuple(figures.outcome(entry) for entry in fitted.outcomes.values()),
        unavailable=tuple(Unavailable(name, why) for name, why in fitted.unavailable.items()),
        refused_levers=dict(prepared.refused_levers),
        parity=parity.summary,
        bundle=BundleSummary(
            name=info.manifest.name,
            version=info.manifest.version,
            digest=info.digest,
            features=len(info.manifest.features),
            levers=tuple(lever.name for lever in info.manifest.levers),
            bytes=info.model_bytes,
        ),
        advice=advice(rows, decision),
        saving=saving(rows, plant, about.confidence),
        tracking=dict(about.tracking),
        seconds={},
        versions=installed_versions(_VERSIONS),
        machine=this_machine(),
    )


def report_content(
    summary: RunSummary,
    prepared: Prepared,
    fitted: FittedModel,
    predictor: Predictor,
    rows: Rows,
    meter: Meter,
) -> ReportContent:
    """Return everything that the report is drawn from."""
    heldout = {name: outcome.heldout for name, outcome in fitted.outcomes.items()}
    plant, quality = prepared.history.plant, prepared.record.quality
    return ReportContent(
        summary=summary,
        recommendations=rows,
        fits=evidence.fits(heldout, summary.seed),
        line_days=evidence.line_days(heldout),
        responses=evidence.responses(
            predictor, predictor.recipe.today(prepared.history), fitted.settings.mature_from_d
        ),
        tables=tables(quality),
        findings=findings(quality),
        policy=policy_view(rows, plant, summary.advice.date),
        policy_caveat=caveat(plant),
        importance=evidence.importance(
            fitted, prepared.inputs, lambda done, total: meter(done, total, "what the model leans on")
        ),
    )


def _data(prepared: Prepared, fitted: FittedModel) -> DataSummary:
    quality, dates = prepared.record.quality, prepared.history.dates
    return DataSummary(
        plant=prepared.history.plant.name,
        sha256=fitted.data.sha256,
        first_day=str(dates[0]),
        last_day=str(dates[-1]),
        cells=len(prepared.history.cell_ids),
        days=len(dates),
        table_rows={entry.table: entry.rows for entry in quality.tables},
        training_rows=fitted.data.rows,
        training_last_day=str(fitted.data.last_day),
        test_first_day=str(fitted.data.test_first_day),
        test_last_day=str(fitted.data.test_last_day),
        findings=len(quality.findings),
        quarantined_rows=sum(entry.set_aside for entry in quality.tables),
    )
