"""Optuna's part: which strengths fit this plant's data, judged by rolling origin and never on the test days."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import optuna

from features.errors import SettingsError
from training.settings import TrainSettings

Family: TypeAlias = Literal["boosting", "network"]
Evaluate: TypeAlias = Callable[[TrainSettings], Mapping[str, float]]
"""Settings -> outcome -> error on the rolling blocks relative to the linear part alone (below one is better)."""


@dataclass(frozen=True)
class TrialResult:
    """One trial: its number, what it tried, its figure (mean over outcomes) and each outcome's."""

    number: int
    params: Mapping[str, Any]
    value: float
    outcomes: Mapping[str, float]


@dataclass(frozen=True)
class TuningResult:
    """A finished study: trials in order and the settings of the best."""

    family: Family
    trials: tuple[TrialResult, ...]
    settings: TrainSettings

    @property
    def best(self) -> TrialResult:
        """The trial with the smallest figure, the earliest among equals."""
        return min(self.trials, key=lambda trial: (trial.value, trial.number))


@dataclass(frozen=True)
class Span:
    """The range that a study searches of one setting; a whole number where both ends are ``int``."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether the setting is a whole number."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def nearest(self, value: float) -> float:
        """Return ``value`` moved into the range."""
        return min(max(value, self.low), self.high)

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Return the trial's value of setting ``name``."""
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


SEARCHED: Mapping[Family, Mapping[str, Span]] = {
    "boosting": {
        "trees": Span(10, 250, log=True),
        "leaves": Span(4, 31),
        "learning_rate": Span(0.01, 0.12, log=True),
        "min_rows": Span(20, 400, log=True),
        "column_share": Span(0.2, 1.0),
        "l2": Span(0.1, 300.0, log=True),
    },
    "network": {
        "width": Span(16, 128, log=True),
        "epochs": Span(5, 60, log=True),
        "learning_rate": Span(3e-4, 1e-2, log=True),
        "weight_decay": Span(1e-5, 1e-1, log=True),
        "dropout": Span(0.0, 0.5),
    },
}
"""Family -> setting -> range that a study searches."""


def tune(
    evaluate: Evaluate,
    settings: TrainSettings,
    family: Family = "boosting",
    on_trial: Callable[[TrialResult], None] | None = None,
) -> TuningResult:
    """Run ``settings.trials`` trials of a seeded TPE study on ``family``'s settings.

    The first trial is the settings as given (moved into the searched ranges), so a study never ends worse than it began. Trials run one after
    another (a parallel study is not reproducible) in memory.

    Raises:
        SettingsError: no trials asked for.
    """
    if settings.trials < 1:
        raise SettingsError(f"trials is {settings.trials}; a study needs one and more")
    startup = max(4, settings.trials // 3)
    sampler = optuna.samplers.TPESampler(seed=settings.seed, n_startup_trials=startup, multivariate=False)
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="minimize", sampler=sampler)
        study.enqueue_trial(_given(settings, family))
        results: list[TrialResult] = []
        for _ in range(settings.trials):
            trial = study.ask()
            tried = _suggest(trial, settings, family)
            outcomes = dict(evaluate(tried))
            result = TrialResult(
                trial.number, trial.params, float(np.mean(list(outcomes.values()))), outcomes
            )
            study.tell(trial, result.value)
            results.append(result)
            if on_trial is not None:
                on_trial(result)
    finally:
        optuna.logging.set_verbosity(level)
    best = min(results, key=lambda result: (result.value, result.number))
    return TuningResult(family, tuple(results), with_params(settings, family, best.params))


def with_params(settings: TrainSettings, family: Family, params: Mapping[str, Any]) -> TrainSettings:
    """Return ``settings`` with ``family``'s settings replaced by ``params``."""
    if family == "boosting":
        return replace(settings, boosting=replace(settings.boosting, **params))
    return replace(settings, network=replace(settings.network, **params))


def _given(settings: TrainSettings, family: Family) -> dict[str, Any]:
    part = settings.boosting if family == "boosting" else settings.network
    return {name: span.nearest(getattr(part, name)) for name, span in SEARCHED[family].items()}


def _suggest(trial: optuna.Trial, settings: TrainSettings, family: Family) -> TrainSettings:
    params = {name: span.suggest(trial, name) for name, span in SEARCHED[family].items()}
    return with_params(settings, family, params)
