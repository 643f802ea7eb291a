"""The routes of advice: rows in, recommendations out, decisions on them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any, Final

import numpy as np
import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from features.bundle import Manifest
from features.errors import InputError
from serving.access.roles import lines_seen
from serving.advising.books import MOST_DAYS_AHEAD
from serving.advising.cells import decision_values
from serving.advising.counter import Counter, Wish
from serving.advising.rounds import Outcome, Round, summary
from serving.context import Context, Stuck
from serving.ledger import Decision
from serving.ledger.contexts import context_values
from serving.models.house import Version
from serving.models.pool import Pool
from serving.ports import Identity
from serving.refusals import refused, words
from serving.routes import forms
from serving.routes.bounded import BoundedRoute, while_there
from serving.routes.rest import Limits, timely_body

STREAM: Final = "application/x-ndjson"
_KINDS: Final = (("real", "真实"), ("simulated", "模拟"))
_FLOAT32_MOST: Final = float(np.finfo(np.float32).max)
Values = Mapping[str, Any]


def router(counter: Counter, limits: Limits) -> APIRouter:
    """Return the routes; bodies of rows may be as large as ``limits`` say."""
    found = APIRouter(route_class=BoundedRoute, tags=["advice"])

    @found.post(
        "/v1/history",
        response_model=forms.HistoryTaken,
        openapi_extra={"requestBody": _body_of("HistoryPost")},
        summary="Post canonical rows",
    )
    async def history(request: Request) -> Response:
        """Keep rows by their key; what breaks the contract is set aside and named, the rest goes on."""
        identity = identity_of(request)
        lines = lines_seen(identity)
        content = await timely_body(request.scope, request.receive, limits)
        return answer(await counter.post(content, lines, identity))

    @found.post(
        "/v1/recommendations", response_model=forms.Advice, responses=_STREAMED, summary="Advise cells"
    )
    async def recommendations(request: Request, asked: forms.AdviceRequest) -> Response:
        """Advise on cells, from the record or from given contexts; with Accept: application/x-ndjson as they come."""
        version = counter.version(asked.model)
        holding = Holding(counter, version, asked, identity_of(request))
        if STREAM in request.headers.get("accept", ""):
            return await _streamed(request, holding)
        return answer(await while_there(request, _whole(holding)))

    @found.get(
        "/v1/recommendations/{recommendation_id}", response_model=forms.Followed, summary="A recommendation"
    )
    async def recommendation(request: Request, recommendation_id: AdviceId) -> Response:
        """Return a recommendation with its decision, and what was set and measured afterwards."""
        return answer(await asyncio.to_thread(followed, counter, recommendation_id, identity_of(request)))

    @found.post(
        "/v1/recommendations/{recommendation_id}/decision",
        response_model=forms.DecisionTaken,
        summary="Decide",
    )
    async def decision(
        request: Request, recommendation_id: AdviceId, asked: forms.DecisionRequest
    ) -> Response:
        """Accept, modify or reject a recommendation, once; a modified setting is judged by the guard."""
        taken = Decision(
            recommendation_id=recommendation_id, action=asked.action, levers=asked.levers, reason=asked.reason
        )
        return answer(await counter.decide(taken, identity_of(request)))

    @found.post(
        "/v1/explain", response_model=forms.Explanation, summary="Why a recommendation says what it says"
    )
    async def explain(request: Request, asked: forms.ExplainRequest) -> Response:
        """Return each lever's share of the change, what sets the cell apart, where limits stand, and days alike."""
        return answer(await counter.explain(asked.recommendation_id, identity_of(request)))

    @found.post("/v1/allocations", response_model=forms.Allocation, summary="Which moves first")
    async def allocations(request: Request, asked: forms.AllocationRequest) -> Response:
        """Return which open recommendations of a line to carry out first within a shift's budgets, and why not others."""
        budget = asked.model_dump(exclude={"line_id"})
        return answer(await counter.first_moves(asked.line_id, budget, identity_of(request)))

    @found.post("/v1/quality", response_model=forms.Quality, summary="What a line's record is worth")
    async def quality(request: Request, asked: forms.QualityRequest) -> Response:
        """Return what is missing, stale or stuck, which inputs have drifted, and how wrong the model has been."""
        return answer(await counter.quality(asked.line_id, identity_of(request)))

    return found


AdviceId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
_STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {STREAM: {"schema": {"$ref": "#/components/schemas/Progress"}}}}
}


def _body_of(name: str) -> dict[str, Any]:
    return {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}},
    }


def identity_of(request: Request) -> Identity:
    """Return who asks."""
    found: Identity = request.scope["state"]["identity"]
    return found


def answer(value: object) -> Response:
    """Return ``value`` as JSON."""
    return Response(orjson.dumps(value), media_type="application/json")


def followed(counter: Counter, recommendation_id: str, identity: Identity) -> dict[str, Any]:
    """Return a recommendation with what became of it."""
    books = counter.books
    found = books.ledger.recommendation(recommendation_id)
    advice = found.recommendation
    if not identity.may_see(advice.line_id):
        raise refused(404, "unknown_name.recommendation", recommendation=recommendation_id)
    decided = books.ledger.decisions(recommendation_id)
    applied = books.ledger.records("applied", recommendation_id)
    measured = books.ledger.records("measured", recommendation_id)
    stands = books.ledger.latest(advice.line_id, advice.cell_id)[0].recommendation.recommendation_id
    return {
        "recommendation": advice.model_dump(mode="json"),
        "decision": decision_values(decided[-1]) if decided else None,
        "applied": applied[-1].body if applied else None,
        "measured": measured[-1].body if measured else None,
        "expired": advice.expired(books.time_at(books.line_or_none(advice.line_id))),
        "superseded": stands != recommendation_id,
        "replayable": counter.keeps(advice.model_name, advice.bundle_digest),
    }


class Holding:
    """One request for advice on its way: the seat is taken, the contexts are found, then the round begins."""

    def __init__(
        self, counter: Counter, version: Version, asked: forms.AdviceRequest, identity: Identity
    ) -> None:
        """Hold what is asked."""
        self.counter, self.version, self.asked, self.identity = counter, version, asked, identity
        self.off = 0

    async def round(self, pool: Pool) -> Round:
        """Return the round that the request comes to.

        Raises:
            InputError, RefusedError: a cell, a date, a window or a context that is refused.
        """
        contexts = await self._contexts(pool)
        modes = await asyncio.to_thread(self.counter.modes, contexts)
        on = [
            c for c in contexts if (m := modes.get((c["line_id"], c["cell_id"]))) is None or m.mode != "off"
        ]
        self.off = len(contexts) - len(on)
        named = self.asked.cells is not None or self.asked.contexts is not None
        if self.off and named:
            cell = next(c["cell_id"] for c in contexts if c not in on)
            raise refused(409, "cell_off", cell=cell)
        window, prices = self.asked.window, self.asked.prices
        wish = Wish(
            None if window is None else [lever.model_dump() for lever in window],
            None if prices is None else prices.model_dump(exclude_none=True),
        )
        return Round(
            on, await self.counter.settle(pool, self.version.manifest.digest, wish), self.identity, modes
        )

    async def _contexts(self, pool: Pool) -> list[Values]:
        if self.asked.contexts is not None:
            given = [self._given(context) for context in self.asked.contexts]
            return await self.counter.counted_in(pool, self.version, given, self.identity)
        books = self.counter.books
        line = await asyncio.to_thread(books.visible_line, self.identity, str(self.asked.line_id))
        if line.plant.simulated != self.version.manifest.plant.simulated:
            kinds = _KINDS if self.version.manifest.plant.simulated else _KINDS[::-1]
            (kind, kind_zh), (made_for, made_for_zh) = kinds
            zh = {"kind": kind_zh, "made_for": made_for_zh}
            raise refused(409, "other_world", zh=zh, line=line.line_id, kind=kind, made_for=made_for)
        date = books.decision_date(line, self.asked.date)
        known = await self.counter.known(pool, self.version, line, date)
        if self.asked.cells is None:
            return list(known.contexts)
        by_cell = {context["cell_id"]: context for context in known.contexts}
        if unknown := [cell for cell in self.asked.cells if cell not in by_cell]:
            raise refused(404, "unknown_name.cell_record", cell=unknown[0], line=line.line_id)
        return [by_cell[cell] for cell in self.asked.cells]

    def _given(self, given: forms.GivenContext) -> Values:
        """Return a context that the sender made."""
        if not self.identity.may_see(given.line_id):
            raise refused(404, "unknown_name.line", line=given.line_id[:64])
        books, manifest = self.counter.books, self.version.manifest
        ahead = (given.date - books.now().date()).days
        if not manifest.plant.simulated and ahead > MOST_DAYS_AHEAD:
            raise InputError(
                f"cell {given.cell_id}: date {given.date} lies {ahead} days ahead; decide day by day"
            )
        return context_values(
            Context(
                given.line_id,
                given.cell_id,
                given.date,
                row_of(given, manifest),
                given.last_reported,
                given.hours_since_anode_change,
                tuple(Stuck(item.signal, item.value, item.days) for item in given.stuck),
            )
        )


def row_of(given: forms.GivenContext, manifest: Manifest) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the feature row (d,) of a given context; what is not given is not known.

    Raises:
        InputError: an unknown feature, a row of another length, or a number beyond single precision.
    """
    names = manifest.feature_names
    if given.row is not None:
        if len(given.row) != len(names):
            raise InputError(
                f"cell {given.cell_id}: row has {len(given.row)} values, the bundle takes {len(names)}"
            )
        told = dict(zip(names, given.row, strict=True))
    else:
        told = dict(given.features or {})
        if unknown := sorted(set(told) - set(names)):
            raise InputError(f"cell {given.cell_id}: the bundle has no feature {unknown[0]!r}")
    for name, value in told.items():
        if value is not None and abs(value) > _FLOAT32_MOST:
            raise InputError(f"cell {given.cell_id}: {name} is {value:g}, beyond single precision")
    values = [told.get(name) for name in names]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32)


async def _whole(holding: Holding) -> dict[str, Any]:
    """Return the answer to a request for advice in one piece."""
    async with holding.counter.seat(holding.version) as pool:
        asked = await holding.round(pool)
        found = [outcome async for outcome in holding.counter.round(pool, asked)]
    found.sort(key=lambda outcome: outcome.place)
    if found and all(outcome.refused is not None for outcome in found):
        raise found[0].refused  # type: ignore[misc]
    return {
        "recommendations": [o.recommendation for o in found if o.recommendation is not None],
        "refused": [_refused(asked, o) for o in found if o.refused is not None],
    }


async def _streamed(request: Request, holding: Holding) -> Response:
    """Return the answer as a stream that begins once nothing about the request as a whole can be refused any more."""
    async with AsyncExitStack() as taken:
        pool = await taken.enter_async_context(holding.counter.seat(holding.version))
        asked = await while_there(request, holding.round(pool))
        return Stream(_lines(holding, pool, asked), taken.pop_all())


async def _lines(holding: Holding, pool: Pool, asked: Round) -> AsyncGenerator[bytes]:
    found: list[Outcome] = []
    total = len(asked.contexts)
    async with aclosing(holding.counter.round(pool, asked)) as outcomes:
        async for outcome in outcomes:
            found.append(outcome)
            told = (
                {"recommendation": outcome.recommendation}
                if outcome.recommendation is not None
                else {"refused": _refused(asked, outcome)}
            )
            yield orjson.dumps({"done": len(found), "total": total, **told}) + b"\n"
    end = {"done": len(found), "total": total, "summary": summary(found, holding.off)}
    yield orjson.dumps(end) + b"\n"


class Stream(StreamingResponse):
    """Lines of JSON as they come; however it ends, their source is closed and what was held is given back."""

    def __init__(self, source: AsyncGenerator[bytes], held: AsyncExitStack) -> None:
        """Stream ``source``."""
        super().__init__(source, media_type=STREAM, headers={"x-accel-buffering": "no"})
        self._source = source
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._source.aclose()
            await self._held.aclose()


def _refused(asked: Round, outcome: Outcome) -> dict[str, Any]:
    context, why = asked.contexts[outcome.place], outcome.refused
    if why is None:
        raise ValueError("an outcome that is no refusal")
    return {"line_id": context["line_id"], "cell_id": context["cell_id"], **words(why)}
