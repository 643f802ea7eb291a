"""Which of a line's open moves a shift makes first, told with what each budget binds and why the rest is left out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from features.signals import SIGNALS
from serving.allotment import whole
from serving.reasons import reason
from serving.refusals import refused
from serving.schemas import Reason, Recommendation
from serving.search.allocation import Allocation, Budget, Option, allocate, objective, uses

SECONDS: Final = 10.0
"""What the solver may take; the best that it has found by then is told with how far from the best it may be."""
_BUDGETS: Final[Mapping[str, tuple[str, str, str]]] = {
    "moves_a_day": ("1/d", "setpoint changes on one day", "单日设定调整次数"),
    "alf3_kg_d": ("kg/d", "the rise of the line's AlF3 [kg/d]", "全系列氟化铝增量（kg/d）"),
    "line_voltage_v": ("V", "the change of the line's voltage [V]", "系列电压变化（V）"),
}
"""Budget -> unit, and what is counted in both languages."""


def first_moves(
    recommendations: Sequence[Recommendation], budget: Budget, line_current_ka: float
) -> dict[str, Any]:
    """Return which of ``recommendations``, each taken whole, to carry out first, counted in currency a day.

    Raises:
        InputError: they count in different currencies.
        SearchError: the solver found nothing in time.
    """
    currencies = sorted({advice.saving.currency for advice in recommendations if advice.saving is not None})
    if len(currencies) > 1:
        raise refused(422, "invalid_input.currencies", currencies=", ".join(currencies))
    options = whole(recommendations, line_current_ka=line_current_ka)
    advised = [advice for advice in recommendations if advice.status == "move" and advice.saving is not None]
    found = allocate(options, budget, SECONDS)
    told = [_told(advice, option, budget) for advice, option in zip(advised, options, strict=True)]
    left = [at for at in range(len(options)) if at not in found.chosen]
    currency = currencies[0] if currencies else ""
    return {
        "unit": f"{currency}/d",
        "gain": {"mean": found.mean, "deviation": found.deviation},
        "gap": found.gap,
        "budgets": _budgets(options, found, budget),
        "chosen": [{**told[at], "lost_without": found.worth[at]} for at in found.chosen],
        "left_out": [
            {**told[at], **_why(options, found, budget, at, currency)}
            for at in sorted(left, key=lambda at: -told[at]["gain"]["mean"])
        ],
    }


def _told(advice: Recommendation, option: Option, budget: Budget) -> dict[str, Any]:
    _, mean, deviation = _objective([option], [0], budget)
    return {
        "recommendation_id": advice.recommendation_id,
        "cell_id": advice.cell_id,
        "gain": {"mean": mean, "deviation": deviation},
        "moves": [
            {"name": name, "unit": SIGNALS[name].unit, "change": change}
            for name, change in option.moves.items()
        ],
        "changes": list(option.changes),
    }


def _budgets(options: Sequence[Option], found: Allocation, budget: Budget) -> list[dict[str, Any]]:
    """Return each limited thing: its limit, what the chosen moves use of it, and whether it keeps a move out."""
    used = _most(options, found.chosen, budget)
    return [
        {
            "name": name,
            "unit": unit,
            "limit": limit,
            "used": used.get(name, (0.0, limit))[0],
            "binding": name in found.binding,
        }
        for name, (unit, _, _) in _BUDGETS.items()
        if (limit := getattr(budget, name)) is not None
    ]


def _most(options: Sequence[Option], picked: Sequence[int], budget: Budget) -> dict[str, tuple[float, float]]:
    """Return budget -> (most used on any day, limit)."""
    found: dict[str, tuple[float, float]] = {}
    for name, used, limit in uses(options, picked, budget):
        name = name.partition(".")[0]
        found[name] = (max(used, found.get(name, (used, limit))[0]), limit)
    return found


def _why(
    options: Sequence[Option], found: Allocation, budget: Budget, at: int, currency: str
) -> dict[str, Any]:
    """Return why option ``at`` is left out: the budgets that it would break, or what it would do to the objective."""
    broken = {
        name: (used, limit)
        for name, (used, limit) in _most(options, [*found.chosen, at], budget).items()
        if used > limit + 1e-9
    }
    if not broken:
        change = _objective(options, [*found.chosen, at], budget)[0] - found.objective
        why = reason("left_out_risk", {"change": change, "currency": currency})
        return {"budgets": [], "reasons": [why.model_dump()]}
    reasons = [_over(name, used, limit).model_dump() for name, (used, limit) in broken.items()]
    return {"budgets": list(broken), "reasons": reasons}


def _over(name: str, used: float, limit: float) -> Reason:
    _, words, words_zh = _BUDGETS[name]
    evidence: dict[str, float | str | None] = {"budget": words, "used": used, "limit": limit}
    return reason("left_out_budget", evidence, budget=words_zh)


def _objective(
    options: Sequence[Option], picked: Sequence[int], budget: Budget
) -> tuple[float, float, float]:
    """Return (objective, mean, deviation) of the options ``picked``."""
    gains = np.array([option.gains for option in options], dtype=np.float64)
    return objective(gains, picked, budget.caution)
