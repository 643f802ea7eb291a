"""Load on one address of this machine: many connections, each asking again as soon as it was answered, or on a beat.

The client is bare on purpose: it shares the machine with what it measures.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
import numpy as np
import orjson
from numpy.typing import NDArray

from experiments.bench.service import HOST
from features.errors import SuperheatError

Rows = NDArray[np.float32]
Look = Callable[[bytes], None]
_INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Load:
    """How hard to press: connections, seconds, and requests a second over all of them (None: as fast as answered)."""

    connections: int = 16
    seconds: float = 3.0
    rate: float | None = None


@dataclass(frozen=True)
class Pressed:
    """What came of it: requests a second, and seconds to each answer (k,)."""

    per_second: float
    seconds: NDArray[np.float64]

    def milliseconds(self, share: float) -> float:
        """Return the latency [ms] that ``share`` of the requests stayed under."""
        return float(np.quantile(self.seconds, share) * 1e3)


def json_request(path: str, rows: Rows) -> bytes:
    """Return the HTTP bytes of an inference of ``rows`` (n, d) in JSON; null where a value is missing."""
    return _http(path, orjson.dumps(_inference(rows)), b"content-type: application/json\r\n")


def binary_request(path: str, rows: Rows) -> bytes:
    """Return the HTTP bytes of an inference of ``rows`` (n, d) as a binary tensor, binary answers asked for."""
    tensor = _tensor(rows) | {"parameters": {"binary_data_size": rows.nbytes}}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    return _http(path, head + rows.tobytes(), b"inference-header-content-length: %d\r\n" % len(head))


def plain_request(path: str, body: object) -> bytes:
    """Return the HTTP bytes of ``body`` in JSON."""
    return _http(path, orjson.dumps(body), b"content-type: application/json\r\n")


def _inference(rows: Rows) -> dict[str, object]:
    data = [None if value != value else value for value in rows.ravel().tolist()]
    return {"inputs": [_tensor(rows) | {"data": data}]}


def _tensor(rows: Rows) -> dict[str, object]:
    return {"name": "features", "shape": list(rows.shape), "datatype": "FP32"}


def _http(path: str, body: bytes, header: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + header + b"\r\n" + body


class _Caller(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(self, request: bytes, until: float, beat: float | None, look: Look | None) -> None:
        self._request, self._until, self._beat, self._look = request, until, beat, look
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._due = time.perf_counter()
        self.seconds: list[float] = []
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        # On a beat a request counts from when it was due, so that a slow answer is not hidden by asking later.
        self._began = self._due if self._beat else time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or len(self._buffer) < head + 4 + _length(self._buffer[:head]):
            return
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            return self._fail(f"answered {self._buffer[:200]!r}")
        now = time.perf_counter()
        self.seconds.append(now - self._began)
        if self._look is not None:
            self._look(self._buffer[head + 4 :])
        self._buffer = b""
        if now > self._until:
            self._transport.close()
            self.done.set_result(None)
        elif self._beat is None:
            self._send()
        else:
            self._due = max(self._due + self._beat, now - 1.0)
            self._loop.call_later(max(0.0, self._due - now), self._send)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was closed")

    def _fail(self, why: str) -> None:
        self._transport.abort()
        if not self.done.done():
            self.done.set_exception(SuperheatError(f"a request failed under load: {why}"))


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def press_http(port: int, request: bytes, load: Load, look: Look | None = None) -> Pressed:
    """Return what ``load`` of the HTTP ``request`` on ``port`` came to; ``look`` sees the body of every answer.

    Raises:
        SuperheatError: an answer was not 200.
    """
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    beat = load.connections / load.rate if load.rate else None
    callers = []
    for _ in range(load.connections):
        _, caller = await loop.create_connection(
            lambda: _Caller(request, began + load.seconds, beat, look), HOST, port
        )
        callers.append(caller)
        if beat:
            await asyncio.sleep(beat / load.connections)
    await asyncio.gather(*(caller.done for caller in callers))
    took = time.perf_counter() - began
    seconds = np.concatenate([np.array(caller.seconds) for caller in callers])
    return Pressed(len(seconds) / took, seconds)


async def press_grpc(port: int, model: str, rows: Rows, load: Load) -> Pressed:
    """Return what ``load`` of an inference of ``rows`` over gRPC on ``port`` came to; the answer is not parsed."""
    request = _grpc_message(model, rows)
    async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
        call = channel.unary_unary(_INFER)
        began = time.perf_counter()
        seconds: list[float] = []
        await asyncio.gather(
            *(_ask(call, request, began + load.seconds, seconds) for _ in range(load.connections))
        )
        return Pressed(len(seconds) / (time.perf_counter() - began), np.array(seconds))


async def _ask(
    call: Callable[[bytes], Awaitable[bytes]], request: bytes, until: float, seconds: list[float]
) -> None:
    while (now := time.perf_counter()) < until:
        await call(request)
        seconds.append(time.perf_counter() - now)


def _grpc_message(model: str, rows: Rows) -> bytes:
    from serving.protocol.messages import message

    asked = message("ModelInferRequest")(model_name=model)
    asked.inputs.add(name="features", datatype="FP32", shape=list(rows.shape))
    asked.raw_input_contents.append(rows.tobytes())
    content: bytes = asked.SerializeToString()
    return content
