"""The days that lead to a target with every predicted limit kept on each of them, not only at the end."""

import numpy as np

from features.stages import Stage, Staircase
from serving.search.problem import Problem
from serving.search.specialise import Points


def safe_path(problem: Problem, point: Points, hold_days: int = 0) -> tuple[Stage, ...]:
    """Return the stages from the current setting to grid ``point`` (k,), one lever group a day.

    Every stage keeps the joint limits and whatever predicted limit the current setting keeps; groups take turns
    where finishing one before the next would break a limit on the way.

    Raises:
        SearchError: no order of the groups does.
    """
    window, home = problem.window, problem.home
    stairs = Staircase(
        point - home,
        np.array([lever.steps_a_day for lever in window.levers]),
        [lever.group for lever in window.levers],
        lambda gone: problem.keeps(home + gone),
    )
    stages: list[Stage] = []
    before = tuple(problem.current.tolist())
    for group, gone in stairs.walk():
        if stages and stages[-1].group != group:
            stages += [Stage(len(stages) + i, before, None) for i in range(hold_days)]
        before = tuple(problem.surrogate.levers((home + gone)[None, :])[0].tolist())
        stages.append(Stage(len(stages), before, group))
    return tuple(stages)
