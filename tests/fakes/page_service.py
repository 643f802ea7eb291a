"""The service as the page sees it, for a browser: the real front and page, a made-up line behind ``/v1``. SIMULATED."""

import asyncio
import datetime
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from serving.access.roles import RULES, Identity, Role, Table, require
from serving.advising.shift import first_moves
from serving.front import Front, Gate, Manner
from serving.metrics import Metrics
from serving.refusals import RefusedError, body, refused
from serving.routes import page
from serving.search.allocation import Budget
from tests.fakes.page_answers import explained, followed, precedents, quality, savings
from tests.fakes.page_line import DAYS, LINE, MadeLine

KEYS = {f"key-of-{role.name.lower()}": role for role in Role}


class ByName:
    """Access by the keys above; the rules are the service's own."""

    def __init__(self) -> None:
        self._table = Table(RULES)

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        role = KEYS.get(headers.get("authorization", "").removeprefix("Bearer "))
        if role is None:
            raise refused(401, "unauthenticated.unknown")
        return Identity(f"shift {role.name.lower()}", role, None, "test")

    def authorise(self, identity: Any, method: str, path: str) -> None:
        require(identity, self._table.role(method, path))


@dataclass
class PageService:
    """What a test can turn: refusals to come, how slowly advice streams, what was asked."""

    line: MadeLine
    port: int = 0
    refuse: list[RefusedError] = field(default_factory=list)
    pause_s: float = 0.0
    break_after: int | None = None
    simulated: bool = True
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def noted(self, request: Request) -> Any:
        content = await request.body()
        given = orjson.loads(content) if content else None
        self.asked.append((request.method, request.url.path, given))
        if self.refuse and request.method != "GET":
            raise self.refuse.pop(0)
        return given

    async def cells(self, request: Request) -> Response:
        await self.noted(request)
        line = request.query_params.get("line_id") or LINE
        if line != LINE:
            raise refused(404, "unknown_name.line", line=line[:64])
        return JSONResponse(
            {
                "simulated": self.simulated,
                "currency": "CNY",
                "date": self.line.today.isoformat(),
                "model": {
                    "name": "potline",
                    "version": "0.1.0",
                    "bundle_digest": "5d" * 32,
                    "ready": True,
                },
                "state": "advise",
                "lines": [
                    {
                        "line_id": LINE,
                        "date": self.line.today.isoformat(),
                        "now": datetime.datetime.now(datetime.UTC).isoformat(),
                        "simulated": self.simulated,
                        "currency": "CNY",
                    }
                ],
                "cells": [self.line.cell(name) for name in self.line.names],
            }
        )

    async def cell(self, request: Request) -> Response:
        await self.noted(request)
        name = request.path_params["cell_id"]
        if name not in self.line.names:
            raise refused(404, "unknown_name.cell", cell=name[:64])
        advice = self.line.advice.get(name)
        earlier = [
            {
                "recommendation_id": f"{k:032x}",
                "date": (self.line.today - datetime.timedelta(days=7 * (k + 1))).isoformat(),
                "status": "move",
                "decision": {
                    "recommendation_id": f"{k:032x}",
                    "levers": {"set_voltage_v": 3.874} if action == "modify" else None,
                    "action": action,
                    "subject": "shift operator",
                    "decided_at": "2025-01-01T06:00:00Z",
                    "reason": "",
                },
            }
            for k, action in enumerate(("accept", "reject", "modify"))
        ]
        return JSONResponse(
            {
                **self.line.cell(name),
                "trends": self.line.trends(name, int(request.query_params.get("days", DAYS))),
                "recommendations": earlier,
                "precedents": precedents(self.line, advice) if advice else [],
            }
        )

    async def mode(self, request: Request) -> Response:
        given = await self.noted(request)
        name = request.path_params["cell_id"]
        self.line.modes[name] = given["mode"]
        return JSONResponse({"cell_id": name, "levers": [], **given})

    async def advise(self, request: Request) -> Response:
        given = await self.noted(request)
        names = given["cells"] or self.line.names
        if "ndjson" not in request.headers.get("accept", ""):
            return JSONResponse(
                {"recommendations": [self.line.advise(n).model_dump(mode="json") for n in names]}
            )
        return StreamingResponse(self._lines(names), media_type="application/x-ndjson")

    async def _lines(self, names: list[str]) -> AsyncIterator[bytes]:
        tally = {"move": 0, "hold": 0, "abstain": 0}
        for done, name in enumerate(names, 1):
            if self.break_after is not None and done > self.break_after:
                return
            found = self.line.advise(name)
            tally[found.status] += 1
            part = {"done": done, "total": len(names), "recommendation": found.model_dump(mode="json")}
            yield orjson.dumps(part) + b"\n"
            await asyncio.sleep(self.pause_s)
        energy = {"mean": 61.0, "lower": 48.0, "upper": 74.0}
        summary = {"moved": tally["move"], "held": tally["hold"], "abstained": tally["abstain"]}
        last = {
            "done": len(names),
            "total": len(names),
            "summary": {**summary, "energy_kwh_per_t": energy},
        }
        yield orjson.dumps(last) + b"\n"

    async def decide(self, request: Request) -> Response:
        given = await self.noted(request)
        wanted = request.path_params["recommendation_id"]
        if wanted in self.line.decisions:
            raise refused(409, "already_decided", recommendation=wanted)
        decision = {
            "recommendation_id": wanted,
            "action": given["action"],
            "levers": given.get("levers"),
            "reason": given.get("reason", ""),
            "subject": request.scope["state"]["identity"].subject,
            "decided_at": datetime.datetime.now(datetime.UTC).isoformat(),
        }
        self.line.decisions[wanted] = decision
        return JSONResponse(decision)

    async def followed(self, request: Request) -> Response:
        await self.noted(request)
        wanted = request.path_params["recommendation_id"]
        advice = self.line.moved_before(wanted)
        if advice is None:
            raise refused(404, "unknown_name.recommendation", recommendation=wanted)
        return JSONResponse(followed(advice, wanted))

    async def explain(self, request: Request) -> Response:
        given = await self.noted(request)
        known = {advice.recommendation_id: advice for advice in self.line.advice.values()}
        if given["recommendation_id"] not in known:
            raise refused(404, "unknown_name.recommendation", recommendation=given["recommendation_id"])
        return JSONResponse(explained(self.line, known[given["recommendation_id"]]))

    async def allocations(self, request: Request) -> Response:
        budget = dict(await self.noted(request))
        line = budget.pop("line_id")
        open_moves = [
            advice
            for advice in self.line.advice.values()
            if advice.status == "move" and advice.recommendation_id not in self.line.decisions
        ]
        return JSONResponse({"line_id": line, **first_moves(open_moves, Budget(**budget), 500.0)})

    async def quality(self, request: Request) -> Response:
        await self.noted(request)
        return JSONResponse(quality(self.line))

    async def savings(self, request: Request) -> Response:
        await self.noted(request)
        return JSONResponse(savings(self.line))

    def app(self) -> ASGIApp:
        """Return the whole application behind the real front."""
        routes = [
            *page.routes(),
            Route("/v1/cells", self.cells),
            Route("/v1/cells/{cell_id}", self.cell),
            Route("/v1/cells/{cell_id}/mode", self.mode, methods=["PUT"]),
            Route("/v1/recommendations", self.advise, methods=["POST"]),
            Route("/v1/recommendations/{recommendation_id}", self.followed),
            Route("/v1/recommendations/{recommendation_id}/decision", self.decide, methods=["POST"]),
            Route("/v1/explain", self.explain, methods=["POST"]),
            Route("/v1/allocations", self.allocations, methods=["POST"]),
            Route("/v1/quality", self.quality, methods=["POST"]),
            Route("/v1/savings", self.savings),
        ]
        return Front(
            Starlette(routes=routes, exception_handlers={RefusedError: _refused}),
            Gate(64),
            ByName(),
            Metrics(),
            Manner(),
        )


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    content = body(error, request.scope["state"]["request_id"])
    return Response(content, error.status, media_type="application/json")


@contextmanager
def page_service(cells: int = 30, advised: bool = True, port: int = 0) -> Iterator[PageService]:
    """Run the made-up service on a free port of this machine."""
    service = PageService(MadeLine(cells))
    if advised:
        for name in service.line.names:
            service.line.advise(name)
    listener = socket.create_server(("127.0.0.1", port))
    service.port = listener.getsockname()[1]
    config = uvicorn.Config(service.app(), log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < until, "the made-up service did not start"
            time.sleep(0.01)
        yield service
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
        listener.close()


if __name__ == "__main__":
    with page_service(port=8099) as running:
        print(running.url, *KEYS)
        threading.Event().wait()
