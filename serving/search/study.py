"""A search as an Optuna study: propose, project, evaluate in batches, tell."""

from dataclasses import dataclass

import numpy as np
import optuna

from features.errors import SettingsError
from serving.search.problem import Floats, Problem, Scores
from serving.search.samplers import DescentSampler, Method, distributions, method
from serving.search.specialise import Points

LEVERS = "levers"
"""User attribute of a trial: the setting that was evaluated, after projection onto the feasible set."""


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Attributes:
        method: a name of ``samplers.METHODS``. trials: how many; None = the method's own number (for the descent:
            until every start has come to rest). starts: of the descent. seed: of every draw.
        storage: an Optuna storage URL that keeps the studies; None = in memory.
    """

    method: str = "descent"
    trials: int | None = None
    starts: int = 8
    seed: int = 0
    storage: str | None = None

    def __post_init__(self) -> None:
        """Check method and counts.

        Raises:
            UnknownNameError: no such method.
            SettingsError: a count below 1, or a method that is not installed.
        """
        method(self.method)
        if (self.trials is not None and self.trials < 1) or self.starts < 1:
            raise SettingsError(f"search: trials {self.trials} and starts {self.starts} must be at least 1")


@dataclass(frozen=True)
class Found:
    """What a search found: the best point (k,) on the lever grid with its key, and the study behind it."""

    point: Points
    key: float
    home_key: float
    study: optuna.Study

    @property
    def gain(self) -> float:
        """How much lower the key is than at the current setting, zero or above."""
        return self.home_key - self.key


def search(problem: Problem, settings: SearchSettings, name: str | None = None) -> Found:
    """Search ``problem`` and return the best setting with its study, called ``name`` where it is stored."""
    chosen = method(settings.method)
    sampler = chosen.make(problem, settings.starts, settings.seed)
    study = optuna.create_study(
        storage=settings.storage, study_name=name, sampler=sampler, direction="minimize", load_if_exists=True
    )
    home = problem.home[None, :]
    home_scores = problem.score(home)
    _add_home(study, problem, home_scores, chosen)
    points, keys = [home], [home_scores.keys]
    left = _budget(sampler, settings, chosen)
    while left > 0:
        batch = min(left, chosen.batch)
        told = _tell_batch(study, problem, chosen, batch)
        points.append(told[0])
        keys.append(told[1])
        left -= batch
    at, found = np.concatenate(points), np.concatenate(keys)
    best = _nearest_best(at, found, problem)
    return Found(at[best], float(found[best]), float(home_scores.keys[0]), study)


def _budget(sampler: optuna.samplers.BaseSampler, settings: SearchSettings, chosen: Method) -> int:
    if isinstance(sampler, DescentSampler):
        sampler.plan()
        return sampler.queued if settings.trials is None else settings.trials
    return settings.trials or chosen.trials or 1


def _add_home(study: optuna.Study, problem: Problem, scores: Scores, chosen: Method) -> None:
    """Record the current setting as a finished trial: what every other one is compared with."""
    names = problem.window.names
    here = dict(zip(names, problem.current.tolist(), strict=True))
    study.add_trial(
        optuna.create_trial(
            params=here,
            distributions=distributions(problem),
            value=float(scores.keys[0]),
            user_attrs={LEVERS: here},
            constraints=constraints(problem, scores, 0) if chosen.constrained else None,
        )
    )


def _tell_batch(study: optuna.Study, problem: Problem, chosen: Method, batch: int) -> tuple[Points, Floats]:
    """Ask for ``batch`` settings, evaluate them at once, and tell; return their points (b, k) and keys (b,)."""
    names = problem.window.names
    ranges = distributions(problem)
    trials = [study.ask(ranges) for _ in range(batch)]
    points = project(problem, np.array([[trial.params[name] for name in names] for trial in trials]))
    scores = problem.score(points)
    levers = problem.surrogate.levers(points)
    for i, trial in enumerate(trials):
        trial.set_user_attr(LEVERS, dict(zip(names, levers[i].tolist(), strict=True)))
        value = scores.keys[i]
        if chosen.constrained:
            for side, excess in constraints(problem, scores, i).items():
                trial.set_constraint(side, excess)
            value = scores.cost[i]
        study.tell(trial, float(value))
    return points, scores.keys


def project(problem: Problem, targets: Floats) -> Points:
    """Return the grid points (n, k) of ``targets`` (n, k) projected onto the feasible set."""
    return problem.surrogate.points(problem.window.project(problem.current, targets))


def constraints(problem: Problem, scores: Scores, row: int) -> dict[str, float]:
    """Return a row's excess over each predicted limit, as Optuna reads it: feasible at zero and below."""
    values = np.where(np.isfinite(scores.excess[row]), scores.excess[row], np.finfo(float).max)
    return dict(zip(problem.sides, np.where(values > 1e-9, values, 0.0).tolist(), strict=True))


def _nearest_best(points: Points, keys: Floats, problem: Problem) -> int:
    """Return the row with the lowest key; of equals the one nearest to the current setting, in grid steps."""
    lowest = float(keys.min())
    tied = np.flatnonzero(keys <= lowest + 1e-9 * (1.0 + abs(lowest)))
    return int(tied[np.argmin(np.abs(points[tied] - problem.home).sum(axis=1))])
