"""``GET /v1/savings``: what accepted recommendations really saved, beside what was promised."""

import datetime
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from features.errors import UnknownNameError
from features.history import History
from serving.ledger import Ledger
from serving.ports import HistorySource, Identity
from serving.refusals import RefusedError
from serving.verified import Savings, SavingsSettings, Span, verified_savings

_KEPT: Final = 32
"""Answers that are remembered until the ledger or the record moves on."""

_Line = Annotated[
    str, Query(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$", description="the line")
]
_First = Annotated[datetime.date | None, Query(description="first day told about; left out: all")]
_Last = Annotated[datetime.date | None, Query(description="last day told about; left out: all")]
_Key = tuple[str, Span, SavingsSettings]


@dataclass(frozen=True)
class _Told:
    """An answer and what it was made from: it holds as long as both are the same."""

    sequence: int
    history: History
    savings: Savings


class _Memory:
    """The last answers: a comparison takes a second or two and the page asks again and again."""

    def __init__(self) -> None:
        self._told: OrderedDict[_Key, _Told] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, key: _Key, sequence: int, history: History, make: Callable[[], Savings]) -> Savings:
        """Return the answer for ``key``, made anew where ledger or record are not those of the one before."""
        with self._lock:
            found = self._told.get(key)
        if found is not None and found.sequence == sequence and found.history is history:
            return found.savings
        savings = make()
        with self._lock:
            self._told[key] = _Told(sequence, history, savings)
            self._told.move_to_end(key)
            while len(self._told) > _KEPT:
                self._told.popitem(last=False)
        return savings


def routes(
    ledger: Ledger | None,
    source: HistorySource,
    settings: SavingsSettings | None = None,
    horizon: Callable[[], int] | None = None,
) -> APIRouter:
    """Return the route.

    Args:
        ledger: None = the service keeps none; it says so.
        source: of the lines' records.
        settings: the plan of measurement and verification.
        horizon: days over which the current model's outcomes are averaged; None = that of ``settings``.
    """
    router = APIRouter()
    plan, memory = settings or SavingsSettings(), _Memory()

    @router.get("/v1/savings", tags=["savings"], summary="Verified savings of a line")
    def savings(request: Request, line_id: _Line, first: _First = None, last: _Last = None) -> Savings:
        """Return the line's savings, promised and realised, for the line, its ISO weeks and its cells."""
        if first is not None and last is not None and last < first:
            raise RefusedError(422, "invalid", f"last {last} is before first {first}; swap them")
        identity: Identity = request.scope["state"]["identity"]
        history = source.history(line_id) if identity.may_see(line_id) else None
        if history is None:
            raise UnknownNameError(f"there is no record of line {line_id[:64]!r}; post its history first")
        if ledger is None:
            raise RefusedError(503, "no_ledger", "this service keeps no ledger, so nothing can be verified")
        days = plan.horizon_days if horizon is None else horizon()
        asked = replace(plan, horizon_days=days, block_days=max(plan.block_days, days))
        span = Span(first, last)

        def make() -> Savings:
            return verified_savings(ledger, history, line_id, span, asked)

        return memory.answer((line_id, span, asked), ledger.head().sequence, history, make)

    return router
