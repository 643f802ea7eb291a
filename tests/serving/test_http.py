"""HTTP as it leaves: an answer of one piece in one write, anything else as uvicorn writes it, in the order asked for."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import uvicorn
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from serving.front import send_bytes
from serving.http import BoundedHttp
from serving.metrics import Metrics
from tests.fakes.plant_bundle import WIDTH, bundle, predictor, rows
from tests.fakes.service_process import Running, serving

ASK = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def answered(app: Any, *pieces: bytes) -> Wire:
    """Return the wire after ``app`` was asked by the bytes ``pieces``, one by one."""

    async def act() -> Wire:
        config = uvicorn.Config(app, http=BoundedHttp, ws="none", lifespan="off", log_config=None)
        config.load()
        wire = Wire()
        protocol = BoundedHttp(config, ServerState(), {})
        protocol.connection_made(wire)
        for piece in pieces:
            protocol.data_received(piece)
            for _ in range(20):
                await asyncio.sleep(0)
        protocol.connection_lost(ConnectionResetError())
        return wire

    return asyncio.run(act())


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await send_bytes(send, 200, scope["path"].encode(), {"x-own": "1"})


def streaming(*parts: bytes) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def test_an_answer_of_one_piece_is_one_write() -> None:
    wire = answered(plain, ASK)
    assert wire.written == [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nx-own: 1\r\n\r\n/a"
    ]
    assert not wire.closed


def test_an_answer_in_parts_goes_uvicorns_way() -> None:
    written = b"".join(answered(streaming(b"one", b"two"), ASK).written)
    head, _, body = written.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "ask", [ASK.replace(b"1.1", b"1.0"), ASK.replace(b"x\r\n", b"x\r\nconnection: close\r\n")]
)
def test_who_wants_the_connection_closed_gets_it_closed(ask: bytes) -> None:
    wire = answered(plain, ask)
    assert b"connection: close" in b"".join(wire.written)
    assert wire.closed


def test_head_gets_no_body() -> None:
    written = b"".join(answered(plain, ASK.replace(b"GET", b"HEAD")).written)
    assert b"content-length: 2\r\n" in written
    assert written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("value", [b"a\r\nx-smuggled: 1", b"a\nb", b"a\rb", b"a\x00b", b"a\x7fb"])
def test_a_header_that_would_end_early_is_never_written(value: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"0"), (b"x-own", value)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    assert value not in b"".join(answered(app, ASK).written)


def test_a_wrong_content_length_is_never_sent_whole() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"longer"})

    assert b"longer" not in b"".join(answered(app, ASK).written)


def test_requests_in_one_packet_are_answered_in_order() -> None:
    wire = answered(plain, ASK + ASK.replace(b"/a", b"/b") + ASK.replace(b"/a", b"/c"))
    assert [written[-2:] for written in wire.written] == [b"/a", b"/b", b"/c"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = tmp_path_factory.mktemp("models")
    flags = ("--bundle", str(bundle()), "--models-dir", str(models), "--insecure-local", "--drain-s", "0")
    with serving(*flags, "--body-timeout-s", "1") as running:
        yield running


def asked(n: int) -> bytes:
    """Return an inference of row ``n`` alone, head and body."""
    tensor = {"name": "features", "shape": [1, WIDTH], "datatype": "FP32"}
    body = orjson.dumps(
        {"id": str(n), "inputs": [{**tensor, "data": rows(1, n, missing=False)}]},
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
    return b"POST /v2/models/potline/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def received(link: socket.socket, answers: int) -> list[dict[str, Any]]:
    """Return the bodies of the next ``answers`` of ``link``."""
    found, data = [], b""
    while len(found) < answers:
        head, end, rest = data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]) if end else 0
        if end and len(rest) >= size:
            found.append(orjson.loads(rest[:size]))
            data = rest[size:]
        elif not (more := link.recv(1 << 16)):
            break
        else:
            data += more
    return found


def support(answer: dict[str, Any]) -> float:
    (value,) = next(output["data"] for output in answer["outputs"] if output["name"] == "support")
    return float(value)


def test_inferences_in_one_packet_and_in_pieces_are_the_models_own(service: Running) -> None:
    stream = b"".join(asked(n) for n in range(12))
    for size in (len(stream), 700, 64):
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as link:
            for at in range(0, len(stream), size):
                link.sendall(stream[at : at + size])
            answers = received(link, 12)
        assert [answer["id"] for answer in answers] == [str(n) for n in range(12)]
        for n, answer in enumerate(answers):
            assert support(answer) == predictor().predict(rows(1, n, missing=False))["support"][0]


def test_a_body_that_does_not_come_is_told_408(service: Running) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as link:
        link.sendall(asked(1)[:-1])
        (answer,) = received(link, 1)
    assert answer["code"] == "too_slow"


def test_the_counts_read_as_the_librarys_own() -> None:
    ours, registry = Metrics(), CollectorRegistry()
    requests = Counter(
        "superheat_requests", "Requests answered", ("route", "method", "status"), registry=registry
    )
    buckets = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
    times = Histogram(
        "superheat_request_seconds", "Seconds to the answer", ("route",), buckets=buckets, registry=registry
    )
    seen = [
        ("/a", "GET", 200, 0.0),
        ("/a", "GET", 200, 0.005),
        ("/a", "POST", 404, 0.0051),
        ("/b", "GET", 200, 11.0),
    ]
    for route, method, status, seconds in seen:
        ours.answered(route, method, status, seconds)
        requests.labels(route, method, str(status)).inc()
        times.labels(route).observe(seconds)
    told = ours.text().decode().splitlines()
    expected = [line for line in generate_latest(registry).decode().splitlines() if "_created{" not in line]
    assert [line for line in told if line in expected] == expected
    assert sum("_created{" in line for line in told) == 5
