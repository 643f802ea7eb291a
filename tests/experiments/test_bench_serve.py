"""The service's benchmark and its proofs, on a small scale: they run, they see faults, and they find none."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import orjson
import pytest
import uvloop

from experiments.bench import bad_advice
from experiments.bench.bad_bodies import Ground, over_grpc, over_rest
from experiments.bench.load import Load, plain_request, press_http
from experiments.bench.serve import COLUMNS, ServeBench
from experiments.bench.serve import run as bench
from experiments.bench.serve_proof import Effort, fault_of
from experiments.bench.serve_proof import run as prove
from features.errors import SuperheatError
from tests.fakes.plant_bundle import bundle, manifest, rows


def test_the_benchmark_measures_every_way_in() -> None:
    table = bench(bundle(), ServeBench(seconds=0.2, workers=(1,), rows=(1,), connections=4, mlflow=False))
    assert [column.name for column in table.columns] == [name for name, _ in COLUMNS]
    ways = list(zip(table.column("way"), table.column("load"), strict=True))
    assert ways == [
        ("REST JSON", "full"),
        ("REST JSON", "half"),
        ("REST binary", "full"),
        ("REST binary", "half"),
        ("gRPC", "full"),
    ]
    assert all(float(str(value)) > 10 for value in table.column("requests"))
    assert any("MLServer was left out" in note for note in table.notes)


def test_small_proofs_find_no_fault() -> None:
    table = prove(
        bundle(),
        Effort(
            swaps=3, rate=50.0, other=bundle(4), terminations=1, bad_bodies=240, bad_advice=140, cases=120
        ),
    )
    assert table.column("proof") == (
        "swaps under load",
        "SIGTERM under load",
        "bad bodies over REST",
        "bad bodies over gRPC",
        "bad requests to /v1",
        "schemathesis, our description",
    )
    assert table.column("failed") == (0,) * 6, table.rows
    assert all(int(str(tried)) > 0 for tried in table.column("tried"))
    assert int(str(table.column("tried")[-1])) >= 120


def test_every_kind_of_bad_body_is_made_and_none_is_good() -> None:
    ground = Ground(manifest(), rows(8, 1, missing=False))
    draw = np.random.default_rng(3)
    kinds = {next_one.kind for next_one, _ in zip(over_rest(ground, draw), range(100), strict=False)}
    wanted = "NaN Infinity 1e999 1e39 bool string ragged empty huge missing"
    assert {*wanted.split(), "duplicate key", "unknown key", "wrong order", "wrong unit"} <= kinds
    assert len({bad.body for bad, _ in zip(over_grpc(ground, draw), range(50), strict=False)}) > 40


@pytest.mark.parametrize(
    ("status", "content", "fault"),
    [
        (200, b"{}", "answered 200"),
        (500, b'{"error":"","error_zh":"","code":"","request_id":""}', "answered 500"),
        (400, b"Bad Request", "no JSON"),
        (400, b'{"detail":"x"}', "another shape"),
        (422, b'{"error":"in serving/x.py","error_zh":"","code":"","request_id":""}', "tells of"),
        (422, b'{"error":"wrong","error_zh":"","code":"","request_id":""}', "does not name noise_mv"),
        (422, b'{"error":"feature noise_mv, row 0,","error_zh":"","code":"","request_id":""}', ""),
    ],
)
def test_a_faulty_refusal_is_seen(status: int, content: bytes, fault: str) -> None:
    found = fault_of(status, content, "noise_mv")
    assert fault in found
    assert bool(found) == bool(fault)


REFUSED = b'{"error":"noise_mv is wrong","error_zh":"","code":"","request_id":""}'
MOVED = b'{"recommendations":[{"status":"move","levers":[1],"reasons":[]}],"refused":[]}'
SILENT = (
    b'{"recommendations":[{"status":"abstain","levers":[],"reasons":[{"text":"noise_mv is out of range"}]}]}'
)
TAKEN = b'{"quarantined":[],"set_aside":{}}'
ASIDE = b'{"quarantined":[{"column":"noise_mv"}],"set_aside":{"cell_days":1}}'


@pytest.mark.parametrize(
    ("path", "status", "content", "fault"),
    [
        ("/v1/quality", 422, REFUSED, ""),
        ("/v1/quality", 500, REFUSED, "answered 500"),
        ("/v1/quality", 200, b"{}", "answered"),
        ("/v1/quality", 422, REFUSED.replace(b"noise_mv", b"it"), "does not name"),
        ("/v1/recommendations", 200, MOVED, "answered move"),
        ("/v1/recommendations", 200, SILENT, ""),
        ("/v1/recommendations", 200, SILENT.replace(b"noise_mv", b"it"), "without naming"),
        ("/v1/history", 200, TAKEN, "every row was taken"),
        ("/v1/history", 200, ASIDE, ""),
        ("/v1/history", 200, ASIDE.replace(b"noise_mv", b"tap_mass_kg"), "not noise_mv"),
    ],
)
def test_a_faulty_answer_of_v1_is_seen(path: str, status: int, content: bytes, fault: str) -> None:
    found = bad_advice.fault_of(bad_advice.BadAsk("", "POST", path, b"", "noise_mv"), status, content)
    assert fault in found
    assert bool(found) == bool(fault)


class _Sometimes(BaseHTTPRequestHandler):
    """Answers every third request with 500."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        type(self).asked += 1
        self.send_response(500 if self.asked % 3 == 0 else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def faulty() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sometimes)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failed_request_under_load_is_not_passed_over(faulty: int) -> None:
    request = plain_request("/", {"a": 1})
    with pytest.raises(SuperheatError, match="failed under load"):
        uvloop.run(press_http(faulty, request, Load(connections=1, seconds=5.0)))


def test_a_description_that_is_none_is_named(tmp_path: Path) -> None:
    from experiments.bench.contract import _read
    from features.errors import InputError

    path = tmp_path / "x.yaml"
    path.write_bytes(orjson.dumps({"paths": {"/v2/models/${MODEL}": {}}}))
    assert list(_read(path)["paths"]) == ["/v2/models/{MODEL}"]
    path.write_text("a: [")
    with pytest.raises(InputError, match="cannot be read"):
        _read(path)
