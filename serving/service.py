"""The service put together: settings in, an application out; started, watched and ended in one place."""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from features.errors import SuperheatError
from serving.access import access_of
from serving.advising.books import Books, utc
from serving.advising.counter import Counter
from serving.advising.desk import WORKER, Desk
from serving.front import Front, Gate, Manner
from serving.ledger import Ledger
from serving.ledger.audit import LedgerAudit
from serving.metrics import Metrics
from serving.models.drift import DRIFTED
from serving.models.errors import tell
from serving.models.house import House
from serving.models.pool import PoolSettings
from serving.models.repository import Repository
from serving.ports import Access
from serving.record.store import RecordStore
from serving.refusals import RefusedError, body, headers, of_status, outside_words
from serving.routes import advice, cells, page, repository, rest, savings
from serving.routes.description import describe
from serving.settings import Settings

_LOG = logging.getLogger("superheat.service")
_AUDIT = logging.getLogger("superheat.audit")

Audit = Callable[[str, str, Mapping[str, Any]], None]
"""Who, what was done, and to what: called after every change of what is served."""


@dataclass(frozen=True)
class Plugged:
    """What others bring: access control, ledger and record, the audit's keeper, how worker processes are set up."""

    access: Access | None = None
    ledger: Ledger | None = None
    record: RecordStore | None = None
    audit: Audit | None = None
    pool: PoolSettings | None = None
    advice_pool: PoolSettings | None = None
    now: Callable[[], datetime] = utc
    """Tells the time that advice expires by."""


@dataclass(frozen=True)
class State:
    """What routes and the process share; ``app.state.service`` holds it."""

    settings: Settings
    house: House
    gate: Gate
    metrics: Metrics
    access: Access
    ledger: Ledger | None
    audit: Audit
    counter: Counter
    version: str


class Application(FastAPI):
    """FastAPI's application, with the lane beside all of its layers."""

    lane: rest.Lane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one connection event."""
        await (self.lane.find(scope) or super().__call__)(scope, receive, send)


def create_app(settings: Settings, plugged: Plugged | None = None) -> FastAPI:
    """Return the application: protocol routes first, the rest by FastAPI, everything behind the front."""
    plugged = plugged or Plugged()
    state = _state(settings, plugged)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        work = [asyncio.create_task(_prove(state)), asyncio.create_task(_watch(state))]
        yield
        for task in work:
            task.cancel()
        await asyncio.gather(state.counter.desk.close(settings.leave_s), state.house.close(settings.leave_s))

    app = Application(
        title="Superheat",
        version=state.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _plain, RequestValidationError: _invalid},
    )
    app.state.service = state
    limits = rest.Limits(settings.max_body_bytes, settings.body_timeout_s)
    protocol = rest.routes(state.house, state.gate, state.metrics, limits, state.version)
    changes = repository.routes(state.house, limits, _from_request(state.audit))
    app.router.routes[:0] = [*protocol, *changes, *page.routes()]
    # Taken over one by one: the table of roles is compared with the routes that the application names.
    told = (advice.router(state.counter, limits), cells.router(state.counter), savings.router(state.counter))
    app.router.routes += [route for router in told for route in router.routes]
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    manner = Manner(settings.access_log == "all", settings.tls_certificate is not None)
    app.add_middleware(Front, gate=state.gate, access=state.access, metrics=state.metrics, manner=manner)

    def fronted(endpoint: ASGIApp) -> Front:
        return Front(endpoint, state.gate, state.access, state.metrics, manner)

    app.lane = rest.Lane(protocol, fronted)
    return app


def _state(settings: Settings, plugged: Plugged) -> State:
    metrics = Metrics()
    pool = plugged.pool or PoolSettings(settings.workers, settings.deadline_s, settings.waiting)

    def replaced(reason: str) -> None:
        metrics.replaced.labels(reason).inc()
        _LOG.warning("worker replaced", extra={"fields": {"reason": reason}})

    gate = Gate(settings.max_in_flight)
    metrics.in_flight.set_function(lambda: gate.inside)
    house = House(Repository(settings.models_dir), pool, settings.max_rows, replaced)
    advising = plugged.advice_pool or PoolSettings(
        settings.advice_workers or os.cpu_count() or 1,
        settings.advice_deadline_s,
        settings.waiting,
        command=WORKER,
        depth=2,
    )
    return State(
        settings=settings,
        house=house,
        gate=gate,
        metrics=metrics,
        access=plugged.access or access_of(settings),
        ledger=plugged.ledger,
        audit=plugged.audit or (LedgerAudit(plugged.ledger) if plugged.ledger else _log_audit),
        counter=Counter(
            house,
            Desk(advising, replaced, house.in_operation),
            _books(settings, plugged),
            lambda what, result: metrics.advice.labels(what, result).inc(),
        ),
        version=metadata.version("superheat"),
    )


def _books(settings: Settings, plugged: Plugged) -> Books | None:
    if plugged.ledger is None or plugged.record is None:
        return None
    urls = (settings.record_url, settings.ledger)
    return Books(plugged.ledger, plugged.record, *urls, plugged.now, watch_days=settings.watch_days)


async def _prove(state: State) -> None:
    """Open what is to be served; the service is ready only after this, and stays live if it fails."""
    try:
        if state.settings.bundle is not None:
            await state.house.open(state.settings.bundle)
        await state.house.reopen()
    except SuperheatError as error:
        _LOG.error("no model is served", extra={"fields": {"reason": outside_words(str(error))}})
        return
    # What is here now stays: no later search for garbage has to walk through it while requests wait.
    gc.collect()
    gc.freeze()
    state.gate.proved = True
    _LOG.info("ready", extra={"fields": {"models": list(state.house.names())}})


async def _watch(state: State) -> None:
    """Keep the gauges of versions, drift and shadow up to date."""
    while True:
        await asyncio.sleep(state.settings.drift_period_s)
        await look(state)
        state.counter.desk.tidy()


async def look(state: State) -> None:
    """Look once at versions, drift and shadow."""
    metrics = state.metrics
    metrics.versions.clear()
    for errors in state.counter.errors:
        tell(metrics, errors)
    for name in state.house.names():
        served = state.house.served(name)
        roles = {"current": served.current, "before": served.before, "shadow": served.shadow}
        for role, version in roles.items():
            if version is not None:
                metrics.versions.labels(name, version.signature.version, role).set(1)
        drift = await state.house.drift(name)
        drifted = [feature for feature, value in drift.items() if value > DRIFTED]
        for feature, value in drift.items():
            metrics.drift.labels(name, feature).set(value)
        if drifted:
            _LOG.warning("inputs drifted", extra={"fields": {"model": name, "features": drifted[:20]}})
        if served.comparison is not None:
            metrics.shadow_requests.labels(name, "scored").set(served.comparison.requests)
            metrics.shadow_requests.labels(name, "failed").set(served.comparison.failed)
            for output, difference in served.comparison.by_output.items():
                metrics.shadow.labels(name, output).set(difference.mean)


def _log_audit(subject: str, what: str, target: Mapping[str, Any]) -> None:
    _AUDIT.info("change", extra={"fields": {"subject": subject, "what": what, **target}})


def _from_request(audit: Audit) -> repository.Audit:
    def told(scope: Scope, what: str, target: Mapping[str, Any]) -> None:
        identity = scope["state"].get("identity")
        audit(identity.subject if identity else "", what, target)

    return told


def _response(request: Request, refused: RefusedError, more: Mapping[str, str] | None = None) -> Response:
    content = body(refused, request.scope["state"]["request_id"])
    given = {**headers(refused), **(more or {})}
    return Response(content, refused.status, given, "application/json")


async def _plain(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    words = {404: "there is nothing at this address", 405: "this address does not take this method"}
    message = words.get(error.status_code, outside_words(str(error.detail)))
    return _response(request, of_status(error.status_code, message), error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _response(request, of_status(422, outside_words(f"{where}: {first['msg']}")))
