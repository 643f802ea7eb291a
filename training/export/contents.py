"""What the manifest says of a fitted model."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import numpy as np

from features.bundle.graph import OPSETS
from features.bundle.manifest import (
    PROTOCOL,
    DataInfo,
    FeatureInfo,
    Figures,
    IdentificationInfo,
    IntervalInfo,
    LeverInfo,
    Manifest,
    OutcomeInfo,
    RecipeInfo,
    SupportInfo,
    TargetInfo,
    UnavailableInfo,
)
from features.outcomes import TARGETS
from training.export.graph import ANSWERED_BY_MEMBER
from training.fitted import FittedModel, FittedOutcome
from training.identification.assess import LeverAssessment
from training.scores import Score
from training.structures import describe

INTERVAL_METHOD = "conformal, normalised by a predicted scale, by cell age (young, mature)"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Label:
    """What a bundle is called, and where it came from.

    Attributes:
        name, version: lower case letters, digits, dots, dashes and underscores.
        code_revision: of the code that trained it.
        created: ISO time with zone; not part of the digest.
    """

    name: str = "potline"
    version: str = "1"
    code_revision: str = "unknown"
    created: str = field(default_factory=_now)


def manifest_of(fitted: FittedModel, label: Label, files: Mapping[str, str]) -> Manifest:
    """Return the manifest of ``fitted``; ``files`` maps file name to SHA-256.

    Raises:
        ValueError: the model or the label holds what a manifest refuses.
    """
    targets = [fitted.outcomes[name] for name in TARGETS if name in fitted.outcomes]
    return Manifest(
        protocol=PROTOCOL,
        name=label.name,
        version=label.version,
        created=label.created,
        code_revision=label.code_revision,
        data=_data(fitted),
        seed=fitted.seed,
        horizon_days=fitted.settings.horizon_d,
        targets=tuple(TargetInfo(outcome.name, outcome.unit) for outcome in targets),
        unavailable=tuple(UnavailableInfo(name, reason) for name, reason in fitted.unavailable.items()),
        outcomes=tuple(_outcome(outcome) for outcome in fitted.outcomes.values()),
        features=tuple(FeatureInfo(**asdict(feature)) for feature in fitted.recipe.features),
        recipe=RecipeInfo(fitted.recipe.digest, fitted.recipe.describe()),
        levers=_levers(fitted),
        limits=fitted.window.limits,
        plant=fitted.plant,
        support=SupportInfo(fitted.support.threshold),
        opset=dict(OPSETS),
        files=dict(files),
    )


def _data(fitted: FittedModel) -> DataInfo:
    data = fitted.data
    return DataInfo(
        sha256=data.sha256,
        span=(_day(data.first_day), _day(data.last_day)),
        test_span=(_day(data.test_first_day), _day(data.test_last_day)),
        rows=data.rows,
        simulated=data.simulated,
    )


def _day(day: np.datetime64) -> str:
    return str(day.astype("datetime64[D]"))


def _outcome(outcome: FittedOutcome) -> OutcomeInfo:
    measured = {name: _figures(coverage.as_dict()) for name, coverage in outcome.coverage.items()}
    return OutcomeInfo(
        name=outcome.name,
        unit=outcome.unit,
        family=outcome.family,
        members=outcome.structure.m,
        has_members=outcome.name in ANSWERED_BY_MEMBER,
        interval=IntervalInfo(INTERVAL_METHOD, float(outcome.interval.coverage), measured),
        metrics=_scores(outcome.scores),
        metrics_mature=_scores(outcome.scores_mature),
        validation=_figures(outcome.validation),
        unseen_cells=_scores(outcome.unseen_cells),
        structure=describe(outcome.structure),
    )


def _scores(scores: Mapping[str, Score]) -> dict[str, Figures]:
    return {family: _figures(score.as_dict()) for family, score in scores.items()}


def _figures(values: Mapping[str, float]) -> Figures:
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}


def _levers(fitted: FittedModel) -> tuple[LeverInfo, ...]:
    recipe = fitted.recipe
    columns = dict(zip(recipe.levers, recipe.lever_columns, strict=True))
    if set(columns) != set(fitted.window.names):
        raise ValueError(f"the recipe moves {recipe.levers}, the operating window {fitted.window.names}")
    # In the recipe's order: the graph's design matrix has one move a lever, in that order.
    levers = (fitted.window.lever(name) for name in recipe.levers)
    return tuple(
        LeverInfo.of(
            lever,
            recipe.names[columns[lever.name][0]],
            recipe.names[columns[lever.name][1]],
            _identification(fitted.identification[lever.name]),
        )
        for lever in levers
    )


def _identification(told: LeverAssessment) -> IdentificationInfo:
    finding, moves = told.finding, told.moves
    return IdentificationInfo(
        grade=finding.grade,
        code=finding.code,
        text=finding.text,
        text_zh=finding.text_zh,
        moves=moves.moves,
        own_share=round(moves.own_share, 6),
        effective_moves=round(moves.effective, 3),
        outcomes={entry.outcome: entry.finding.code for entry in told.outcomes},
    )
