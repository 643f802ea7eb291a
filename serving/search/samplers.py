"""Who proposes the next setting: our descent on Optuna's sampler interface, and Optuna's own by name.

A sampler proposes in physical units inside the window; the caller projects onto the feasible set, so no known limit
is ever left to a penalty.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from features.errors import SettingsError, UnknownNameError
from serving.search.descent import Walk, descend, starts
from serving.search.problem import Problem
from serving.search.specialise import Points

# One study a cell and 300 cells a day: Optuna's line per trial says nothing that the study does not hold.
optuna.logging.set_verbosity(optuna.logging.WARNING)


def distributions(problem: Problem) -> dict[str, BaseDistribution]:
    """Return each lever's range around the current setting, in its own unit."""
    grids = zip(problem.window.names, problem.surrogate.grid, strict=True)
    return {name: FloatDistribution(float(values[0]), float(values[-1])) for name, values in grids}


class DescentSampler(BaseSampler):
    """Coordinate descent over the cell's own grid, one milestone a trial.

    It sees the surrogate, not only the values it is told: whole lines along a lever are evaluated in a batch. What
    becomes a trial is a setting better than all before it, or one where a start came to rest; when all have, further
    trials walk down from new random starts.
    """

    def __init__(self, problem: Problem, count: int = 8, seed: int = 0) -> None:
        """Walk over ``problem`` from ``count`` starts, the current setting first, drawn with ``seed``."""
        if count < 1:
            raise SettingsError(f"descent starts is {count}; give at least 1")
        self._problem, self._count = problem, count
        self._rng = np.random.default_rng(seed)
        self._elsewhere = RandomSampler(seed=seed)
        self._queue: deque[Points] = deque()
        self._seen: set[tuple[int, ...]] = {tuple(problem.home.tolist())}

    def plan(self) -> Walk:
        """Walk down from the next starts, queue the settings not proposed before, and return the walk."""
        walk = descend(self._problem, starts(self._problem, self._count, self._rng))
        for point in walk.milestones:
            key = tuple(point.tolist())
            if key not in self._seen:
                self._seen.add(key)
                self._queue.append(point)
        return walk

    @property
    def queued(self) -> int:
        """Settings found and not yet proposed."""
        return len(self._queue)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the levers' ranges: they are known before the first trial."""
        return distributions(self._problem)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the next accepted setting, walking again when none is queued."""
        if not self._queue:
            self.plan()
        # A walk from new starts may find nothing new; home is then the honest answer.
        point = self._queue.popleft() if self._queue else self._problem.home
        values = self._problem.surrogate.levers(point[None, :])[0].tolist()
        return {
            name: value
            for name, value in zip(self._problem.window.names, values, strict=True)
            if name in search_space
        }

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a parameter that is no lever at random."""
        return self._elsewhere.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Draw later starts from fresh entropy, as Optuna asks of parallel copies."""
        self._rng = np.random.default_rng()


@dataclass(frozen=True)
class Method:
    """One way to search: trials and batch by default, and whether it reads constraints set on trials."""

    name: str
    make: Callable[[Problem, int, int], BaseSampler]
    trials: int | None
    batch: int
    constrained: bool = True
    many_objectives: bool = False


def _tpe(problem: Problem, starts_: int, seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def _cmaes(problem: Problem, starts_: int, seed: int) -> BaseSampler:
    return optuna.samplers.CmaEsSampler(popsize=CMAES_BATCH, seed=seed, warn_independent_sampling=False)


def _nsga2(problem: Problem, starts_: int, seed: int) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=NSGA2_BATCH, seed=seed)


def _gp(problem: Problem, starts_: int, seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(seed=seed)


CMAES_BATCH = 12
NSGA2_BATCH = 50

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("descent", DescentSampler, None, 64),
        Method("tpe", _tpe, 1000, 1, many_objectives=True),
        Method("cmaes", _cmaes, 1000, CMAES_BATCH, constrained=False),
        Method("nsga2", _nsga2, 1000, NSGA2_BATCH, many_objectives=True),
        Method("gp", _gp, 80, 1, many_objectives=True),
    )
}


def method(name: str) -> Method:
    """Return the search method called ``name``.

    Raises:
        UnknownNameError: there is none; the message lists them.
        SettingsError: it needs a package that is not installed here.
    """
    if name not in METHODS:
        raise UnknownNameError(f"unknown search method {name!r}; the methods are {', '.join(METHODS)}")
    needs = {"gp": ("torch", "scipy"), "cmaes": ("cmaes",)}.get(name, ())
    missing = [package for package in needs if find_spec(package) is None]
    if missing:
        raise SettingsError(
            f"search method {name!r} needs {', '.join(missing)}; install it, or use 'descent'"
        )
    return METHODS[name]
