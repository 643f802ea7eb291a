"""From recommendations to the moves that a shift should make first.

``whole`` takes each recommendation as it stands, its interval as the model's shared error; ``parts`` asks the bundle
what every part of a recommended move would gain, member by member, so that a shift may do one lever of a cell and
leave the other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from features.errors import InputError
from features.plant import metal_t_per_d
from serving.context import Context
from serving.recommend import Advisor
from serving.savings import cost_members, quantile
from serving.schemas import LeverAdvice, Recommendation
from serving.search.allocation import NORMAL, Option

_SURE_OF_MEMBERS = 5
"""Members that an interval in a recommendation is taken to come from; they widen it by Student's t."""


def key(advice: Recommendation) -> str:
    """Return how a cell is called in an allocation."""
    return f"{advice.line_id}/{advice.cell_id}"


def whole(
    recommendations: Iterable[Recommendation], confidence: float = 0.9, line_current_ka: float | None = None
) -> list[Option]:
    """Return one option per recommended move: the whole of it, in currency a tonne of that cell, or a day.

    Two draws, a standard deviation either side of the mean, stand for the members: errors are fully shared.
    ``confidence`` is that of the recommendations' bounds. Where the line's current [kA] is given, gains are counted in
    currency a day, by the metal that it makes in the cell.
    """
    found = []
    for advice in recommendations:
        if advice.status == "move" and advice.saving is not None:
            cost = advice.saving.cost_per_t
            spread = (cost.mean - cost.lower) / quantile(_SURE_OF_MEMBERS, confidence) / NORMAL
            tonnes = 1.0 if line_current_ka is None else metal_t_per_d(line_current_ka, _efficiency(advice))
            found.append(
                Option(
                    key(advice),
                    {lever.name: lever.recommended - lever.current for lever in _moved(advice)},
                    (tonnes * (cost.mean - spread), tonnes * (cost.mean + spread)),
                    _changes([_path(lever) for lever in advice.levers]),
                )
            )
    return found


def parts(
    advisor: Advisor, contexts: Mapping[str, Context], recommendations: Sequence[Recommendation]
) -> list[Option]:
    """Return every part of every recommended move that the guard lets pass, in currency a day.

    Args:
        advisor: of the bundle that recommended.
        contexts: by :func:`key`, as of the recommendations' day.
        recommendations: whose moves are parted; those that move nothing give no option.

    Raises:
        InputError: a recommendation of another bundle or day, or of a cell without a context.
    """
    found: list[Option] = []
    for advice in recommendations:
        if advice.status != "move":
            continue
        context = contexts.get(key(advice))
        if advice.bundle_digest != advisor.manifest.digest or context is None or context.date != advice.date:
            raise InputError(
                f"recommendation {advice.recommendation_id} of cell {key(advice)}, {advice.date}, was not made by this"
                " bundle from this record; give the ones that it was made from"
            )
        found += _parts(advisor, context, advice)
    return found


def _parts(advisor: Advisor, context: Context, advice: Recommendation) -> Iterator[Option]:
    current = np.array([lever.current for lever in advice.levers])
    target = np.array([lever.recommended for lever in advice.levers])
    moved = [at for at, lever in enumerate(advice.levers) if lever.recommended != lever.current]
    for size in range(len(moved), 0, -1):
        for kept in combinations(moved, size):
            setting = current.copy()
            setting[list(kept)] = target[list(kept)]
            if not advisor.window.feasible(current, setting)[0]:
                continue
            judged = advisor.judge_part(context, setting)
            members = None if judged.pricing is None else cost_members(judged.outputs, judged.pricing)
            if members is None or judged.held is not None:
                continue
            efficiency = judged.outputs.get("current_efficiency", (None,))[0]
            tonnes = metal_t_per_d(advisor.manifest.plant.line_current_ka, efficiency)
            yield Option(
                key(advice),
                {advice.levers[at].name: float(target[at] - current[at]) for at in kept},
                tuple((tonnes * members).tolist()),
                _changes(
                    [
                        (float(current[at]), *(stage.levers[at] for stage in judged.stages))
                        for at in range(len(current))
                    ]
                ),
            )


def _efficiency(advice: Recommendation) -> float | None:
    expected = advice.expected.get("current_efficiency")
    return None if expected is None else expected.recommended


def _moved(advice: Recommendation) -> list[LeverAdvice]:
    return [lever for lever in advice.levers if lever.recommended != lever.current]


def _path(lever: LeverAdvice) -> tuple[float, ...]:
    return (lever.current, *(lever.path or (lever.recommended,)))


def _changes(paths: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """Return how many setpoints change on each day of ``paths``, each beginning with today's setting."""
    days = max(len(path) for path in paths) - 1
    return tuple(
        sum(path[day + 1] != path[day] for path in paths if day + 1 < len(path)) for day in range(days)
    )
