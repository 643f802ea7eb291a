"""The outermost layer of every HTTP request: its id, its place, who asks, its headers, its line in the books.

Order: limits, authentication, and only then the route reads a body. Whatever is raised inside becomes the one body of
a refusal.
"""

import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import SuperheatError
from serving.metrics import Metrics
from serving.ports import OPEN_PATHS, Access
from serving.refusals import RefusedError, body, headers, internal, of_status, refusal_of, refused

_LOG = logging.getLogger("superheat.requests")

SECURITY: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
)
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
_NAMES: Final = frozenset(name for name, _ in (*SECURITY, HSTS))
WHOLE: Final = "superheat.body"
"""The ASGI extension under which our server hands over a body that had come whole before the answer was begun."""
_IDS = count(1)
_BOOT = secrets.token_hex(6)


@dataclass
class Gate:
    """Whether requests are taken: the draining of a process that is about to end, and the places there are."""

    places: int
    draining: bool = False
    inside: int = 0
    proved: bool = False
    """Whether the models that were to be served at the start are proved."""


@dataclass(frozen=True)
class Manner:
    """How the front behaves: log every request or only refused ones; say that TLS is to stay."""

    log_all: bool = False
    tls: bool = False


class Front:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, gate: Gate, access: Access, metrics: Metrics, manner: Manner) -> None:
        """Wrap ``app``."""
        self._app = app
        self._gate = gate
        self._access = access
        self._metrics = metrics
        self._manner = manner
        self._extra = (*SECURITY, HSTS) if manner.tls else SECURITY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one connection event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = f"{_BOOT}-{next(_IDS):x}"
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id, self._extra, self._gate)
        self._gate.inside += 1
        code = ""
        try:
            self._admit(scope)
            await self._app(scope, receive, answer.send)
        except SuperheatError as error:
            code = await answer.refuse(refusal_of(error))
        except Exception:  # the last net: a defect of ours must not show itself, and must not be silent
            _LOG.exception("defect", extra={"fields": {"request_id": request_id}})
            code = await answer.refuse(internal())
        finally:
            self._gate.inside -= 1
            self._write_down(scope, answer.status, code or answer.code, time.perf_counter() - began)

    def _admit(self, scope: Scope) -> None:
        if self._gate.inside > self._gate.places:
            raise refused(503, "overloaded.full", 1)
        path = scope["path"]
        if path in OPEN_PATHS:
            return
        identity = self._access.authenticate(_text_headers(scope["headers"]))
        self._access.authorise(identity, scope["method"], path)
        scope["state"]["identity"] = identity

    def _write_down(self, scope: Scope, status: int, code: str, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.answered(route, scope["method"] if route != "other" else "any", status, seconds)
        refused = status >= 400 or not status
        if refused:
            self._metrics.refusals.labels(code or str(status)).inc()
        if refused or self._manner.log_all:
            fields: dict[str, Any] = {
                "request_id": scope["state"]["request_id"],
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1e3, 3),
            }
            identity = scope["state"].get("identity")
            if identity is not None:
                fields["subject"] = identity.subject
            if code:
                fields["code"] = code
            _LOG.info("request", extra={"fields": fields})


class _Answer:
    """The way out: adds what every answer carries, and remembers how it went."""

    def __init__(
        self, send: Send, request_id: str, extra: tuple[tuple[bytes, bytes], ...], gate: Gate
    ) -> None:
        self._send = send
        self._extra = extra
        self._gate = gate
        self._request_id = request_id
        self.status = 0
        self.code = ""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message["headers"]
            own = _NAMES.intersection([name for name, _ in given])
            added = [header for header in self._extra if header[0] not in own] if own else self._extra
            message["headers"] = [*given, *added, (b"x-request-id", self._request_id.encode())]
            if self._gate.draining:
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    async def refuse(self, refused: RefusedError) -> str:
        """Send ``refused`` unless an answer has begun; return its code."""
        if not self.status:
            await send_bytes(self.send, refused.status, body(refused, self._request_id), headers(refused))
        return refused.code


async def send_bytes(
    send: Send,
    status: int,
    content: bytes,
    more: Mapping[str, str] | None = None,
    kind: bytes = b"application/json",
) -> None:
    """Send a whole response of type ``kind``."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(content))]
    if more:
        headers += [(name.encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def body_at_hand(scope: Scope, limit: int) -> bytes | None:
    """Return the body if it has come whole already; None where it must be received.

    Raises:
        RefusedError: 413 where it is, or is declared, larger than ``limit`` bytes; 415 where it is compressed.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > limit):
            raise of_status(413, f"the body is declared larger than {limit} bytes; send less")
        if name == b"content-encoding" and value.lower() != b"identity":
            raise of_status(415, "compressed bodies are not taken; send it plain")
    content: bytes | None = scope.get("extensions", {}).get(WHOLE)
    if content is not None and len(content) > limit:
        raise of_status(413, f"the body is larger than {limit} bytes; send less")
    return content


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole body, refused as soon as it is known to be larger than ``limit`` bytes.

    Raises:
        RefusedError: 413; 408 where the sender went away.
    """
    message = await receive()
    content: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if message["type"] == "http.disconnect":
            raise of_status(408, "the connection closed before the body had come")
        if len(content) > limit:
            raise of_status(413, f"the body is larger than {limit} bytes; send less")
        return content
    whole = bytearray(content)
    while message.get("more_body", False):
        message = await receive()
        whole += message.get("body", b"")
        if len(whole) > limit:
            raise of_status(413, f"the body is larger than {limit} bytes; send less")
        if message["type"] == "http.disconnect":
            raise of_status(408, "the connection closed before the body had come")
    return bytes(whole)


def _text_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
