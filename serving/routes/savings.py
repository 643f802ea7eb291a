"""``GET /v1/savings``: what accepted recommendations really saved, beside what was promised."""

import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from serving.advising.counter import Counter
from serving.refusals import refused
from serving.routes.advice import answer, identity_of
from serving.routes.bounded import BoundedRoute
from serving.routes.forms import ModelName
from serving.verified import Savings, Span

_Line = Annotated[str, Query(pattern=r"^[^\x00-\x1f\x7f]{1,128}$", description="the line")]
_First = Annotated[datetime.date | None, Query(description="first day that is told about; left out: all")]
_Last = Annotated[datetime.date | None, Query(description="last day that is told about; left out: all")]

_Model = Annotated[
    ModelName | None,
    Query(description="the model whose recommendations are told about; left out: all of them"),
]


def router(counter: Counter) -> APIRouter:
    """Return the route."""
    found = APIRouter(route_class=BoundedRoute, tags=["savings"])

    @found.get("/v1/savings", response_model=Savings, summary="Verified savings of a line")
    async def savings(
        request: Request, line_id: _Line, first: _First = None, last: _Last = None, model: _Model = None
    ) -> Response:
        """Return what was promised and what was really saved, for the line, its ISO weeks and its cells."""
        if first is not None and last is not None and last < first:
            raise refused(422, "invalid_input.span", last=last, first=first)
        return answer(await counter.savings(line_id, Span(first, last), identity_of(request), model))

    return found
