"""The protocol's gRPC service, on the same workers, the same access rules and the same refusals as REST.

Handlers take and give bytes: the message of an inference is parsed by the worker, not here.
"""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from features.errors import SuperheatError
from serving.front import Gate
from serving.metrics import Metrics
from serving.models.house import House
from serving.models.wire import Kind
from serving.ports import OPEN_PATHS, Access
from serving.protocol.call import PLATFORM
from serving.protocol.messages import SERVICE, message
from serving.protocol.peek import model_of
from serving.refusals import GRPC, RefusedError, internal, of_status, refusal_of
from serving.routes.repository import version_in
from serving.routes.rest import is_ready, server_metadata, versions_of

_LOG = logging.getLogger("superheat.requests")
_IDS = count(1)
_BOOT = secrets.token_hex(6)

RULES: Final[Mapping[str, tuple[str, str]]] = {
    "ServerLive": ("GET", "/v2/health/live"),
    "ServerReady": ("GET", "/v2/health/ready"),
    "ServerMetadata": ("GET", "/v2"),
    "ModelReady": ("GET", "/v2/models/{model}/ready"),
    "ModelMetadata": ("GET", "/v2/models/{model}"),
    "ModelInfer": ("POST", "/v2/models/{model}/infer"),
    "RepositoryIndex": ("POST", "/v2/repository/index"),
    "RepositoryModelLoad": ("POST", "/v2/repository/models/{model}/load"),
    "RepositoryModelUnload": ("POST", "/v2/repository/models/{model}/unload"),
}
"""Each method's REST counterpart: who may use the one may use the other."""

Work = Callable[[bytes, str], Awaitable[bytes]]
"""Request and the name of who asks (empty where anybody may) to answer."""


@dataclass(frozen=True)
class Surroundings:
    """What the service stands on."""

    house: House
    gate: Gate
    access: Access
    metrics: Metrics
    version: str
    audit: Callable[[str, str, Mapping[str, Any]], None]
    """Told of every change: who, what was done, and to what."""


class Handler:
    """One method: limits, access, work, and the refusal as a status with our words."""

    def __init__(self, name: str, around: Surroundings, work: Work) -> None:
        """Do ``work`` for the method ``name``."""
        self._name = name
        self._method, self._path = RULES[name]
        self._around = around
        self._work = work

    async def answer(self, request: bytes, context: Any) -> bytes:
        """Answer one call."""
        began = time.perf_counter()
        request_id = f"{_BOOT}-{next(_IDS):x}"
        gate = self._around.gate
        gate.inside += 1
        refused: RefusedError | None = None
        try:
            return await self._work(request, self._admit(context))
        except SuperheatError as error:
            refused = refusal_of(error)
        except Exception:  # the last net: a defect of ours must not show itself, and must not be silent
            _LOG.exception("defect", extra={"fields": {"request_id": request_id}})
            refused = internal()
        finally:
            gate.inside -= 1
            status = refused.status if refused else 200
            self._around.metrics.answered(f"grpc/{self._name}", "grpc", status, time.perf_counter() - began)
        return await self._refuse(context, refused, request_id)

    def _admit(self, context: Any) -> str:
        around = self._around
        if around.gate.inside > around.gate.places:
            raise RefusedError(503, "overloaded", "the service is full; try again", 1)
        if self._path in OPEN_PATHS:
            return ""
        given = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        identity = around.access.authenticate(given)
        around.access.authorise(identity, self._method, self._path)
        return identity.subject

    async def _refuse(self, context: Any, refused: RefusedError, request_id: str) -> bytes:
        self._around.metrics.refusals.labels(refused.code).inc()
        fields = {
            "request_id": request_id,
            "method": self._name,
            "status": refused.status,
            "code": refused.code,
        }
        _LOG.info("request", extra={"fields": fields})
        trailing = [("request-id", request_id), ("code", refused.code)]
        if refused.retry_after is not None:
            trailing.append(("retry-after", str(refused.retry_after)))
        context.set_trailing_metadata(trailing)
        await context.abort(getattr(grpc.StatusCode, GRPC.get(refused.status, "UNKNOWN")), refused.message)
        return b""


def _parsed(name: str, content: bytes) -> Any:
    try:
        return message(name).FromString(content)
    except DecodeError as error:
        raise RefusedError(400, "bad_message", f"the bytes are no {name}") from error


class Service:
    """The nine methods."""

    def __init__(self, around: Surroundings) -> None:
        """Answer from ``around``."""
        self._around = around

    def handlers(self) -> dict[str, Handler]:
        """Return method name -> handler."""
        work: dict[str, Work] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ServerMetadata": self._server,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model,
            "ModelInfer": self._infer,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }
        return {name: Handler(name, self._around, done) for name, done in work.items()}

    async def _live(self, request: bytes, subject: str) -> bytes:
        return _bytes("ServerLiveResponse", live=True)

    async def _ready(self, request: bytes, subject: str) -> bytes:
        return _bytes("ServerReadyResponse", ready=is_ready(self._around.house, self._around.gate))

    async def _server(self, request: bytes, subject: str) -> bytes:
        return _bytes("ServerMetadataResponse", **server_metadata(self._around.version))

    async def _model_ready(self, request: bytes, subject: str) -> bytes:
        asked = _parsed("ModelReadyRequest", request)
        version = self._around.house.version(asked.name, asked.version)
        return _bytes("ModelReadyResponse", ready=version.pool.ready and not self._around.gate.draining)

    async def _model(self, request: bytes, subject: str) -> bytes:
        asked = _parsed("ModelMetadataRequest", request)
        version = self._around.house.version(asked.name, asked.version)
        signature = version.signature
        return _bytes(
            "ModelMetadataResponse",
            name=signature.name,
            versions=versions_of(self._around.house, signature.name),
            platform=PLATFORM,
            inputs=[signature.input()],
            outputs=[signature.output(name) for name in signature.outputs],
        )

    async def _infer(self, request: bytes, subject: str) -> bytes:
        answer = await self._around.house.infer(Kind.GRPC, model_of(request), request)
        return answer.body

    async def _index(self, request: bytes, subject: str) -> bytes:
        asked = _parsed("RepositoryIndexRequest", request)
        entries = [
            entry for entry in await self._around.house.index() if entry.state == "READY" or not asked.ready
        ]
        models = [
            {"name": entry.name, "version": entry.version, "state": entry.state, "reason": entry.reason}
            for entry in entries
        ]
        return _bytes("RepositoryIndexResponse", models=models)

    async def _load(self, request: bytes, subject: str) -> bytes:
        asked = _parsed("RepositoryModelLoadRequest", request)
        version = await self._around.house.load(asked.model_name, version_in(_parameters(asked)))
        self._tell(subject, "load", asked.model_name, version.signature.version)
        return _bytes("RepositoryModelLoadResponse")

    async def _unload(self, request: bytes, subject: str) -> bytes:
        asked = _parsed("RepositoryModelUnloadRequest", request)
        version = version_in(_parameters(asked))
        await self._around.house.unload(asked.model_name, version)
        self._tell(subject, "unload", asked.model_name, version)
        return _bytes("RepositoryModelUnloadResponse")

    def _tell(self, subject: str, what: str, model: str, version: str) -> None:
        self._around.audit(subject, what, {"model": model, "version": version})


def _parameters(asked: Any) -> dict[str, object]:
    return {
        key: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
        for key, value in asked.parameters.items()
    }


def _bytes(kind: str, /, **fields: Any) -> bytes:
    content: bytes = message(kind)(**fields).SerializeToString()
    return content


async def start(
    around: Surroundings, address: str, most_bytes: int, certificate: tuple[bytes, bytes] | None
) -> tuple[Any, int]:
    """Start the gRPC server on ``address`` and return it with its port.

    Args:
        around: what it stands on.
        address: host and port; port 0 takes a free one.
        most_bytes: largest message.
        certificate: (private key, chain) in PEM for TLS.

    Raises:
        RefusedError: the address is taken.
    """
    options = (
        ("grpc.max_receive_message_length", most_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
        ("grpc.max_metadata_size", 32 << 10),
    )
    server = grpc.aio.server(options=options)
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(handler.answer)
        for name, handler in Service(around).handlers().items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    try:
        if certificate is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, grpc.ssl_server_credentials([certificate]))
    except RuntimeError as error:
        raise of_status(500, "the gRPC port is taken") from error
    await server.start()
    return server, port
