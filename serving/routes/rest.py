"""The protocol's REST routes, as plain ASGI endpoints: what a twin calls a thousand times a second stays thin."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from features.bundle import Manifest
from serving.front import Front, Gate, body_at_hand, read_body, send_bytes
from serving.metrics import CONTENT_TYPE, Metrics
from serving.models.house import House, Version
from serving.models.wire import Kind
from serving.protocol.call import PLATFORM
from serving.protocol.codec_json import JSON_ONLY
from serving.refusals import RefusedError, of_status

NAME: Final = "superheat"
EXTENSIONS: Final = ("binary_tensor_data", "model_repository", "model_repository(unload_dependents)")
_LENGTH: Final = b"inference-header-content-length"
_MODEL: Final = "/v2/models/{model}"
_VERSION: Final = "/v2/models/{model}/versions/{version}"


@dataclass(frozen=True)
class Limits:
    """What a body may cost: bytes, and seconds to arrive."""

    body_bytes: int
    body_timeout_s: float


class Plain(Route):
    """A route outside FastAPI that says, as FastAPI's own do, which one it is."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return how ``scope`` fits, with the route itself."""
        match, found = super().matches(scope)
        if match is not Match.NONE:
            found["route"] = self
        return match, found


class Endpoint:
    """An ASGI endpoint from a coroutine that returns a JSON value."""

    def __init__(self, answer: Callable[[Scope, Receive], Awaitable[object]]) -> None:
        """Answer with what ``answer`` returns."""
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await send_bytes(send, 200, orjson.dumps(await self._answer(scope, receive)))


class Infer:
    """``POST .../infer``: the body goes to a worker as it came, the worker's answer goes out as it is."""

    def __init__(self, house: House, limits: Limits) -> None:
        """Ask ``house``."""
        self._house = house
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        header_length = _header_length(scope)
        content = await timely_body(scope, receive, self._limits)
        parameters = scope["path_params"]
        target = parameters["model"], parameters.get("version", "")
        answer = await self._house.infer(Kind.REST, target, content, header_length)
        if answer.header_length == JSON_ONLY:
            await send_bytes(send, 200, answer.body)
            return
        length = {"inference-header-content-length": str(answer.header_length)}
        await send_bytes(send, 200, answer.body, length, b"application/octet-stream")


class Lane:
    """The short way to the hot route: behind a front of its own, past every other route's patterns and layers."""

    def __init__(self, infer: list[BaseRoute], fronted: Callable[[ASGIApp], Front]) -> None:
        """Lead to the first two routes of ``infer``, without and with a version, each endpoint ``fronted``."""
        routes = [route for route in infer if isinstance(route, Plain)][:2]
        self._ways = [(route, fronted(route.app)) for route in routes]

    def find(self, scope: Scope) -> Front | None:
        """Return the fronted endpoint if ``scope`` is an inference, its parameters filled in; else None."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        parts = scope["path"].split("/")
        if parts[-1] != "infer" or len(parts) not in (5, 7) or parts[1:3] != ["v2", "models"] or parts[0]:
            return None
        parameters = {"model": parts[3]}
        if len(parts) == 7:
            if parts[4] != "versions":
                return None
            parameters["version"] = parts[5]
        if not all(parameters.values()):
            return None
        scope["path_params"] = parameters
        scope["route"], front = self._ways[len(parts) == 7]
        return front


async def timely_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """Return the body if it comes whole, small and soon enough.

    Raises:
        RefusedError: 408, 413 or 415.
    """
    whole = body_at_hand(scope, limits.body_bytes)
    if whole is not None:
        return whole
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            return await read_body(receive, limits.body_bytes)
    except TimeoutError:
        raise of_status(408, f"the body did not arrive within {limits.body_timeout_s:g} s") from None


def _header_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == _LENGTH:
            if not value.isdigit() or len(value) > 12:
                raise RefusedError(
                    400, "bad_header_length", "Inference-Header-Content-Length is no whole number"
                )
            return int(value)
    return JSON_ONLY


def server_metadata(version: str) -> dict[str, Any]:
    """Return what the server says of itself."""
    return {"name": NAME, "version": version, "extensions": list(EXTENSIONS)}


def model_metadata(version: Version, versions: list[str]) -> dict[str, Any]:
    """Return what the protocol says of a model, and under ``parameters`` what a sender of rows must know."""
    signature = version.signature
    return {
        "name": signature.name,
        "versions": versions,
        "platform": PLATFORM,
        "inputs": [signature.input()],
        "outputs": [signature.output(name) for name in signature.outputs],
        "parameters": _knowledge(version.manifest),
    }


def _knowledge(manifest: Manifest) -> dict[str, Any]:
    return {
        "bundle_digest": manifest.digest,
        "recipe_digest": manifest.recipe.digest,
        "label": manifest.version,
        "created": manifest.created,
        "simulated": manifest.data.simulated,
        "support_threshold": manifest.support.threshold,
        "units": {outcome.name: outcome.unit for outcome in manifest.outcomes},
        "features": [
            {
                "name": feature.name,
                "unit": feature.unit,
                "low": feature.low,
                "high": feature.high,
                "may_be_missing": feature.may_be_missing,
            }
            for feature in manifest.features
        ],
    }


def versions_of(house: House, model: str) -> list[str]:
    """Return the versions of ``model`` in operation, the current one first."""
    return [version.signature.version for version in house.served(model).versions()]


def routes(house: House, gate: Gate, metrics: Metrics, limits: Limits, version: str) -> list[BaseRoute]:
    """Return the protocol's routes; the hot one stands first."""

    async def live(scope: Scope, receive: Receive) -> object:
        return {"live": True}

    async def ready(scope: Scope, receive: Receive) -> object:
        if not is_ready(house, gate):
            raise RefusedError(503, "not_ready", "the service is not ready", 1)
        return {"ready": True}

    async def server(scope: Scope, receive: Receive) -> object:
        return server_metadata(version)

    async def metadata(scope: Scope, receive: Receive) -> object:
        found = _version(house, scope)
        return model_metadata(found, versions_of(house, found.signature.name))

    async def model_ready(scope: Scope, receive: Receive) -> object:
        found = _version(house, scope)
        if not found.pool.ready or gate.draining:
            raise RefusedError(503, "not_ready", f"model {found.signature.name} is not ready", 1)
        return {"name": found.signature.name, "ready": True}

    infer = Infer(house, limits)
    read: list[tuple[str, Endpoint]] = [
        ("/v2/health/live", Endpoint(live)),
        ("/v2/health/ready", Endpoint(ready)),
        ("/v2", Endpoint(server)),
        ("/v2/", Endpoint(server)),
    ]
    for path in (_MODEL, _VERSION):
        read += [(path, Endpoint(metadata)), (f"{path}/ready", Endpoint(model_ready))]
    return [
        *(Plain(f"{path}/infer", infer, methods=["POST"]) for path in (_MODEL, _VERSION)),
        *(Plain(path, endpoint, methods=["GET"]) for path, endpoint in read),
        Plain("/metrics", _exposition(metrics), methods=["GET"]),
    ]


def _exposition(metrics: Metrics) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    class Exposition:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send_bytes(send, 200, metrics.text(), kind=CONTENT_TYPE.encode())

    return Exposition()


def is_ready(house: House, gate: Gate) -> bool:
    """Whether an inference may be sent here."""
    return gate.proved and not gate.draining and house.ready


def _version(house: House, scope: Scope) -> Version:
    parameters = scope["path_params"]
    return house.version(parameters["model"], parameters.get("version", ""))
