"""The Pareto front of two outcomes over one cell's levers: what less energy costs in anode, and the other way round.

The default sweeps a bound on the second outcome and walks down on the first; every point that any walk evaluated
takes part in the front. NSGA-II does the same through Optuna.
"""

from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray

from features.errors import SettingsError, UnknownNameError
from serving.search.descent import descend, starts
from serving.search.problem import BROKEN, Problem
from serving.search.samplers import distributions, method
from serving.search.specialise import Points
from serving.search.study import LEVERS, SearchSettings, constraints, project

Floats = NDArray[np.float64]

_STEPS = 9


@dataclass(frozen=True)
class Front:
    """Points (p, k) none of which beats another in both outcomes, by the first outcome; values (p, 2); the study."""

    outcomes: tuple[str, str]
    points: Points
    values: Floats
    study: optuna.Study


class _Bounded:
    """The first outcome where the second is at most ``bound``; remembers both of every point it has seen."""

    def __init__(self, problem: Problem, outcomes: tuple[str, str]) -> None:
        self._problem, self._outcomes = problem, outcomes
        self._strides = np.cumprod([1, *problem.sizes[:-1]])
        self._known: dict[int, tuple[float, float, float]] = {}
        self.sizes, self.home = problem.sizes, problem.home
        self.bound, self.order = np.inf, (0, 1)

    def keys(self, points: Points) -> Floats:
        seen = self.seen(points)
        first, second = seen[:, self.order[0]], seen[:, self.order[1]]
        over = seen[:, 2] + np.maximum(second - self.bound, 0.0)
        return np.asarray(np.where(over > 0, BROKEN * (1.0 + over), first))

    def seen(self, points: Points) -> Floats:
        """Return (n, 3): both outcomes and the excess over predicted and joint limits."""
        flat = (points @ self._strides).tolist()
        fresh = {key: i for i, key in enumerate(flat) if key not in self._known}
        if fresh:
            new = points[list(fresh.values())]
            scores = self._problem.score(new)
            excess = np.where(scores.excess > 1e-9, scores.excess, 0.0).sum(axis=1)
            excess = np.where(self._problem.inside(new), excess, np.inf)
            columns = [scores.outputs[name] for name in self._outcomes]
            self._known.update(zip(fresh, zip(*columns, excess, strict=True), strict=True))
        return np.array([self._known[key] for key in flat])

    def everything(self) -> tuple[Points, Floats]:
        """Return every allowed point that was seen, with its outcomes (n, 2)."""
        kept = [(key, value[:2]) for key, value in self._known.items() if value[2] <= 0.0]
        flat = np.array([key for key, _ in kept], dtype=np.int64)
        points = np.stack(
            [flat // stride % size for stride, size in zip(self._strides, self.sizes, strict=True)], 1
        )
        return points, np.array([value for _, value in kept])


def pareto_front(
    problem: Problem, outcomes: tuple[str, str], settings: SearchSettings | None = None, steps: int = _STEPS
) -> Front:
    """Return the front of two priced ``outcomes`` of ``problem``; its prices do not enter.

    ``settings.method`` is ``descent`` (``steps`` bounds on the second outcome) or a many-objective Optuna method.

    Raises:
        UnknownNameError: an outcome that the problem does not price.
        SettingsError: a method of one objective, or fewer than two steps.
    """
    told = settings or SearchSettings()
    unknown = sorted(set(outcomes) - set(problem.goal.objective.prices))
    if unknown:
        raise UnknownNameError(f"the front needs {unknown}, which this bundle or objective does not have")
    chosen = method(told.method)
    if steps < 2 or not (chosen.many_objectives or told.method == "descent"):
        raise SettingsError(
            f"a front by {told.method!r} in {steps} steps; use descent, nsga2 or tpe, and two or more"
        )
    land = _Bounded(problem, outcomes)
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=chosen.make(problem, told.starts, told.seed)
    )
    if told.method == "descent":
        _sweep(land, told, steps)
    else:
        _ask_and_tell(land, problem, study, told.trials or chosen.trials or 1, chosen.batch)
    points, values = _undominated(*land.everything())
    if told.method == "descent":
        _record(study, problem, points, values)
    return Front(outcomes, points, values, study)


def _sweep(land: _Bounded, told: SearchSettings, steps: int) -> None:
    draw = np.random.default_rng(told.seed)
    begin = starts(land, told.starts, draw)
    ends = []
    for order in ((0, 1), (1, 0)):
        land.order, land.bound = order, np.inf
        ends.append(descend(land, begin).best)
    values = land.seen(np.stack(ends))
    land.order = (0, 1)
    for bound in np.linspace(values[0, 1], values[1, 1], steps)[1:-1].tolist():
        land.bound = bound
        descend(land, np.concatenate([np.stack(ends), begin]))


def _ask_and_tell(land: _Bounded, problem: Problem, study: optuna.Study, trials: int, batch: int) -> None:
    names, ranges = problem.window.names, distributions(problem)
    for start in range(0, trials, batch):
        asked = [study.ask(ranges) for _ in range(min(batch, trials - start))]
        points = project(problem, np.array([[trial.params[name] for name in names] for trial in asked]))
        values, scores = land.seen(points), problem.score(points)
        for i, trial in enumerate(asked):
            trial.set_user_attr(LEVERS, dict(zip(names, lever_values(problem, points[i]), strict=True)))
            for side, excess in constraints(problem, scores, i).items():
                trial.set_constraint(side, excess)
            study.tell(trial, values[i, :2].tolist())


def _record(study: optuna.Study, problem: Problem, points: Points, values: Floats) -> None:
    for point, value in zip(points, values, strict=True):
        params = dict(zip(problem.window.names, lever_values(problem, point), strict=True))
        study.add_trial(
            optuna.create_trial(
                params=params,
                distributions=distributions(problem),
                values=value.tolist(),
                user_attrs={LEVERS: params},
            )
        )


def lever_values(problem: Problem, point: Points) -> list[float]:
    """Return the lever values (k,) of one grid point as plain floats."""
    values: list[float] = problem.surrogate.levers(point[None, :])[0].tolist()
    return values


def _undominated(points: Points, values: Floats) -> tuple[Points, Floats]:
    """Keep what no other point beats in both outcomes, by the first outcome."""
    order = np.lexsort((values[:, 1], values[:, 0]))
    points, values = points[order], values[order]
    least = np.minimum.accumulate(np.concatenate([[np.inf], values[:-1, 1]]))
    kept = values[:, 1] < least
    return points[kept], values[kept]
