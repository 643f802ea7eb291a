"""Pareto fronts against the whole grid."""

import numpy as np
import pytest
from numpy.typing import NDArray

from features.errors import SettingsError, UnknownNameError
from serving.search.front import Front, pareto_front
from serving.search.problem import Problem
from serving.search.study import LEVERS, SearchSettings
from tests.fakes import forests

PAIR = ("energy_kwh_per_t", "net_anode_kg_per_t")


def whole_front(problem: Problem) -> NDArray[np.float64]:
    points = forests.grid_points(problem.sizes)
    points = points[problem.keys(points) < 1e12]
    found = problem.surrogate.evaluate(points, PAIR)
    values = np.stack([found[name] for name in PAIR], axis=1)
    beaten = [bool(((values <= value).all(axis=1) & (values < value).any(axis=1)).any()) for value in values]
    return np.asarray(values[~np.array(beaten)])


def covered(front: Front, whole: NDArray[np.float64]) -> float:
    """Share of the true front's points that the found front reaches within a thousandth of each range."""
    span = whole.max(axis=0) - whole.min(axis=0) + 1e-12
    near = [bool(((front.values <= value + 1e-3 * span).all(axis=1)).any()) for value in whole]
    return float(np.mean(near))


@pytest.mark.parametrize("seed", range(4))
def test_the_sweep_finds_most_of_the_true_front(seed: int) -> None:
    problem = forests.drawn(seed).problem
    whole = whole_front(problem)
    front = pareto_front(problem, PAIR)
    assert covered(front, whole) >= 0.8
    assert front.values[0, 0] == pytest.approx(whole[:, 0].min(), rel=1e-9)
    assert front.values[-1, 1] == pytest.approx(whole[:, 1].min(), rel=1e-9)
    assert (np.diff(front.values[:, 0]) > 0).all()
    assert (np.diff(front.values[:, 1]) < 0).all()


@pytest.mark.parametrize("method", ["descent", "nsga2"])
def test_every_point_is_allowed_and_is_what_the_problem_says(method: str) -> None:
    problem = forests.drawn(5).problem
    front = pareto_front(problem, PAIR, SearchSettings(method, 150 if method == "nsga2" else None))
    found = problem.surrogate.evaluate(front.points, PAIR)
    np.testing.assert_allclose(front.values, np.stack([found[name] for name in PAIR], axis=1), rtol=1e-12)
    assert (problem.keys(front.points) < 1e12).all()
    assert len(front.study.directions) == 2
    best = {tuple(trial.user_attrs[LEVERS].values()) for trial in front.study.best_trials}
    assert best <= {tuple(levers) for levers in problem.surrogate.levers(front.points).tolist()}
    assert best


def test_refuses_what_has_no_front() -> None:
    problem = forests.drawn(5).problem
    with pytest.raises(UnknownNameError, match="mean_noise_mv"):
        pareto_front(problem, ("energy_kwh_per_t", "mean_noise_mv"))
    with pytest.raises(SettingsError, match="'cmaes'"):
        pareto_front(problem, PAIR, SearchSettings("cmaes"))
    with pytest.raises(SettingsError, match="1 steps"):
        pareto_front(problem, PAIR, steps=1)
