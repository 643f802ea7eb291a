"""Staged paths that keep what is predicted, day by day."""

import numpy as np
import pytest

from features.errors import SearchError
from serving.search.paths import safe_path
from serving.search.problem import Goal, Problem
from tests.fakes import forests


def feasible_points(problem: Problem) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    points = forests.grid_points(problem.sizes)
    return np.asarray(points[problem.keys(points) < 1e12])


@pytest.mark.parametrize("seed", range(6))
def test_every_day_keeps_every_limit(seed: int) -> None:
    problem = forests.drawn(seed).problem
    draw = np.random.default_rng(seed)
    reached = 0
    for point in draw.permutation(feasible_points(problem))[:30]:
        try:
            stages = safe_path(problem, point)
        except SearchError:
            continue
        reached += 1
        settings = np.array([stage.levers for stage in stages] or [tuple(forests.CURRENT.tolist())])
        assert settings[-1].tolist() == problem.surrogate.levers(point[None, :])[0].tolist()
        assert all(problem.keeps(at) for at in problem.surrogate.points(settings))
        steps = np.abs(np.diff(np.concatenate([[forests.CURRENT], settings]), axis=0))
        assert (steps <= np.array([lever.max_daily_step for lever in forests.WINDOW.levers]) + 1e-9).all()
        assert ((steps > 1e-9).sum(axis=1) <= 1).all()
        assert [stage.day for stage in stages] == list(range(len(stages)))
    assert reached > 0


def test_groups_take_turns_where_one_alone_would_break_the_joint_limit() -> None:
    """Voltage may rise only as the dose falls: neither can be finished first."""
    problem = forests.drawn(3, limited=False).problem
    limit = problem.window.limits[0]
    point = problem.home + np.array([5, -6, 0])
    stages = safe_path(problem, point)
    settings = np.array([stage.levers for stage in stages])
    used = (settings - forests.CURRENT) @ np.array(
        [limit.moves.get(name, 0.0) for name in problem.window.names]
    )
    assert (used <= limit.bound + 1e-9).all()
    assert settings[-1].tolist() == pytest.approx([4.05, 44.0, 4000.0])


def test_hold_days_stand_between_groups() -> None:
    problem = forests.drawn(3, limited=False).problem
    stages = safe_path(problem, problem.home + np.array([1, -1, 1]), hold_days=2)
    assert [stage.group for stage in stages] == ["voltage", None, None, "chemistry", None, None, "metal"]
    assert stages[1].levers == stages[2].levers == stages[0].levers


def test_staying_is_no_path() -> None:
    problem = forests.drawn(3).problem
    assert safe_path(problem, problem.home) == ()


def test_refuses_a_target_that_only_a_broken_day_leads_to() -> None:
    """The target itself is allowed, every way to it is not."""
    problem = forests.drawn(3, limited=False).problem
    far = problem.home + np.array([3, 6, 0])

    class Walled(Problem):
        def keeps(self, point: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> bool:
            return bool((point == far).all())

    walled = Walled(
        problem.surrogate,
        problem.window,
        problem.current,
        Goal(problem.goal.objective),
        frozenset({*problem.goal.objective.prices, "support"}),
    )
    with pytest.raises(SearchError, match="no order of the groups"):
        safe_path(walled, far)
