"""The model repository's routes: what there is, and for engineers load, unload, promote, roll back, shadow."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope

from serving.models.house import House, Served, Version
from serving.refusals import RefusedError, of_status
from serving.routes.rest import Endpoint, Limits, Plain, timely_body

_MODEL: Final = "/v2/repository/models/{model}"
_LONGEST: Final = 1 << 16

Audit = Callable[[Scope, str, Mapping[str, Any]], None]
"""Told of every change: the request, what was done, and to what."""


@dataclass(frozen=True)
class Change:
    """What a request asks of a model: the version, where it names one."""

    model: str
    version: str


def routes(house: House, limits: Limits, audit: Audit) -> list[BaseRoute]:
    """Return the repository's routes."""

    async def index(scope: Scope, receive: Receive) -> object:
        asked = await _parsed(scope, receive, limits, frozenset({"ready"}))
        only_ready = asked.get("ready", False)
        if not isinstance(only_ready, bool):
            raise of_status(400, "ready must be true or false")
        entries = [entry for entry in await house.index() if entry.state == "READY" or not only_ready]
        return [
            {"name": entry.name, "version": entry.version, "state": entry.state, "reason": entry.reason}
            for entry in entries
        ]

    async def load(change: Change) -> Version | None:
        return await house.load(change.model, change.version)

    async def promote(change: Change) -> Version | None:
        if not change.version:
            raise of_status(400, "say which version to promote: parameters.version")
        return await house.promote(change.model, change.version)

    async def roll_back(change: Change) -> Version | None:
        return await house.roll_back(change.model)

    async def shadow(change: Change) -> Version | None:
        if not change.version:
            raise of_status(400, "say which version to cast as shadow: parameters.version")
        return await house.cast_shadow(change.model, change.version)

    async def unload(change: Change) -> Version | None:
        await house.unload(change.model, change.version)
        return None

    async def operation(scope: Scope, receive: Receive) -> object:
        return operating(house.served(scope["path_params"]["model"]))

    async def drift(scope: Scope, receive: Receive) -> object:
        found = await house.drift(scope["path_params"]["model"])
        return {"index": {name: value if value == value else None for name, value in found.items()}}

    def changing(name: str, change: Callable[[Change], Awaitable[Version | None]]) -> Endpoint:
        async def answer(scope: Scope, receive: Receive) -> object:
            asked = await _parsed(scope, receive, limits, frozenset({"parameters"}))
            wanted = Change(scope["path_params"]["model"], version_in(asked.get("parameters", {})))
            version = await change(wanted)
            now = version.signature.version if version else wanted.version
            audit(scope, name, {"model": wanted.model, "version": now})
            return {"model": wanted.model, "version": now}

        return Endpoint(answer)

    changes = {"load": load, "unload": unload, "promote": promote, "rollback": roll_back, "shadow": shadow}
    return [
        Plain("/v2/repository/index", Endpoint(index), methods=["POST"]),
        Plain(_MODEL, Endpoint(operation), methods=["GET"]),
        Plain(f"{_MODEL}/drift", Endpoint(drift), methods=["GET"]),
        *(
            Plain(f"{_MODEL}/{name}", changing(name, change), methods=["POST"])
            for name, change in changes.items()
        ),
    ]


def operating(served: Served) -> dict[str, Any]:
    """Return which versions of a model are in operation, and how the shadow compares."""
    comparison = served.comparison
    told: dict[str, Any] = {
        "current": served.current.signature.version,
        "before": served.before.signature.version if served.before else None,
        "shadow": None,
    }
    if served.shadow is not None and comparison is not None:
        told["shadow"] = {
            "version": served.shadow.signature.version,
            "requests": comparison.requests,
            "failed": comparison.failed,
            "difference": {
                name: {"rows": found.rows, "mean": found.mean, "largest": found.largest}
                for name, found in sorted(comparison.by_output.items())
            },
        }
    return told


def version_in(parameters: object) -> str:
    """Return the version that the ``parameters`` of a change name; empty where they name none.

    Raises:
        RefusedError: another parameter, such as a model's content or path: versions come from the repository only.
    """
    if not isinstance(parameters, dict):
        raise of_status(400, "parameters are no JSON object")
    if unknown := sorted(set(parameters) - {"version", "unload_dependents"}):
        raise RefusedError(
            400,
            "unknown_parameter",
            f"parameter {str(unknown[0])[:64]!r} is not taken; models come from the repository",
        )
    version = parameters.get("version", "")
    if not isinstance(version, str):
        raise of_status(400, "version must be text")
    return version


async def _parsed(scope: Scope, receive: Receive, limits: Limits, known: frozenset[str]) -> dict[str, Any]:
    content = await timely_body(scope, receive, Limits(_LONGEST, limits.body_timeout_s))
    if not content:
        return {}
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise of_status(400, "the body is no JSON") from error
    if not isinstance(value, dict):
        raise of_status(400, "the body is no JSON object")
    if unknown := sorted(set(value) - known):
        raise RefusedError(400, "unknown_key", f"the request holds the unknown key {unknown[0][:64]!r}")
    return value
