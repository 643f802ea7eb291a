"""The training's scores in the summary's words, and the flat metrics that a run logs."""

from collections.abc import Mapping

from experiments.summary import Coverage, Estimate, FamilyScore, OutcomeSummary, RunSummary
from features.outcomes import TARGETS
from training.fitted import FittedOutcome
from training.scores import Coverage as MeasuredCoverage
from training.scores import Score
from training.testing import BASELINES

_REGIMES = ("young", "mature")


def outcome(entry: FittedOutcome) -> OutcomeSummary:
    """Return what the test days said of ``entry``."""
    measured = entry.coverage
    months = sorted(name for name in measured if name not in (*_REGIMES, "overall"))
    return OutcomeSummary(
        name=entry.name,
        unit=entry.unit,
        target=entry.name in TARGETS,
        champion=entry.family,
        test_rows=len(entry.heldout.y),
        families=_scores(entry.scores),
        families_mature=_scores(entry.scores_mature),
        unseen_cells=_scores(entry.unseen_cells),
        validation_mae=dict(entry.validation),
        nominal_coverage=entry.interval.coverage,
        coverage=_coverage("overall", measured["overall"]),
        coverage_by_regime=tuple(_coverage(name, measured[name]) for name in _REGIMES if name in measured),
        coverage_by_month=tuple(_coverage(name, measured[name]) for name in months),
    )


def flat_metrics(summary: RunSummary) -> dict[str, float]:
    """Return the headline figures under dotted names, as a tracking store keeps them."""
    metrics: dict[str, float] = {
        "parity.rows": summary.parity.rows,
        "parity.worst_relative_difference": summary.parity.worst_relative_difference,
        "advice.moved": summary.advice.moved,
        "advice.held": summary.advice.held,
        "advice.abstained": summary.advice.abstained,
        "saving.energy_kwh_per_t": summary.saving.energy_kwh_per_t.mean,
        "saving.cost_per_d": summary.saving.cost_per_d.mean,
    }
    if summary.saving.net_anode_kg_per_t is not None:
        metrics["saving.net_anode_kg_per_t"] = summary.saving.net_anode_kg_per_t.mean
    for entry in summary.outcomes:
        champion = entry.score(entry.champion)
        metrics[f"{entry.name}.mae"] = champion.mae.mean
        metrics[f"{entry.name}.r2"] = champion.r2.mean
        metrics[f"{entry.name}.coverage"] = entry.coverage.share
        for group in (*entry.coverage_by_regime, *entry.coverage_by_month):
            metrics[f"{entry.name}.coverage.{group.group}"] = group.share
        for score in entry.families:
            metrics[f"{entry.name}.{score.name}.mae"] = score.mae.mean
            metrics[f"{entry.name}.{score.name}.r2"] = score.r2.mean
        for score in entry.unseen_cells:
            metrics[f"{entry.name}.unseen_cells.{score.name}.mae"] = score.mae.mean
    return metrics


def _scores(scores: Mapping[str, Score]) -> tuple[FamilyScore, ...]:
    return tuple(
        FamilyScore(
            name=name,
            baseline=name in BASELINES,
            mae=_estimate(score.mae, score.mae_low, score.mae_high),
            r2=_estimate(score.r2, score.r2_low, score.r2_high),
        )
        for name, score in scores.items()
    )


def _estimate(mean: float, low: float, high: float) -> Estimate:
    """A percentile interval of a skewed bootstrap may just miss its own point; it is stretched to hold it."""
    return Estimate(mean, min(low, mean), max(high, mean))


def _coverage(group: str, found: MeasuredCoverage) -> Coverage:
    return Coverage(group, found.rows, found.share, found.low, found.high, found.half_width)
