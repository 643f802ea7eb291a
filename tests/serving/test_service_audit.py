"""Under traffic of every kind nothing is unpickled, nothing heavy is imported and no connection leaves: told by the interpreter itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

from tests.fakes.advising_service import advising
from tests.fakes.audited_service import FORBIDDEN
from tests.fakes.plant_bundle import WIDTH, bundle, manifest, rows
from tests.fakes.service_process import ROOT, Running, serving

AUDITED = ROOT / "tests" / "fakes" / "audited_service.py"
MODEL = "potline"


def ask_everything(running: Running, second: str) -> None:
    X = rows(7, 1)
    http = http_client.InferenceServerClient(f"127.0.0.1:{running.port}")
    given = http_client.InferInput("features", list(X.shape), "FP32")
    given.set_data_from_numpy(X)
    assert len(http.infer(MODEL, [given]).get_response()["outputs"]) > 1
    http.close()
    grpc = grpc_client.InferenceServerClient(f"127.0.0.1:{running.grpc_port}")
    told = grpc_client.InferInput("features", list(X.shape), "FP32")
    told.set_data_from_numpy(X)
    assert grpc.infer(MODEL, [told]).as_numpy("support").shape == (7,)
    grpc.close()
    data = [None if np.isnan(v) else v for v in rows(1, 1).ravel().tolist()]
    tensor = {"name": "features", "shape": [1, WIDTH], "datatype": "FP32", "data": data}
    body = orjson.dumps({"inputs": [tensor]})
    asked = [
        ("POST", f"/v2/models/{MODEL}/infer", body, 200),
        ("POST", f"/v2/models/{MODEL}/infer", b'{"inputs": 7}', 400),
        ("GET", f"/v2/repository/models/{MODEL}/drift", None, 200),
        ("GET", "/metrics", None, 200),
        ("GET", "/openapi.json", None, 200),
        ("POST", f"/v2/repository/models/{MODEL}/shadow", _version(second), 200),
        ("POST", f"/v2/models/{MODEL}/infer", body, 200),
        ("POST", f"/v2/repository/models/{MODEL}/promote", _version(second), 200),
        ("POST", f"/v2/models/{MODEL}/infer", body, 200),
        ("POST", f"/v2/repository/models/{MODEL}/rollback", b"{}", 200),
        ("GET", "/nowhere", None, 404),
    ]
    for method, path, content, status in asked:
        answer = running.get(path, method, content)
        assert answer[0] == status, (path, answer)


def _version(digest: str) -> bytes:
    return orjson.dumps({"parameters": {"version": digest[:12]}})


def test_nothing_leaves_and_nothing_is_unpickled_under_traffic(tmp_path: Path) -> None:
    where = ("--models-dir", str(tmp_path))
    added = subprocess.run(
        [sys.executable, "-m", "serving.command", "models", *where, "add", str(bundle(4))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert added == [MODEL, manifest(4).digest]
    flags = ("--bundle", str(bundle()), *where, "--insecure-local", "--drain-s", "0", "--drift-period-s", "1")
    with serving(*flags, program=str(AUDITED)) as running:
        ask_everything(running, manifest(4).digest)
        running.terminate()
        assert running.process.wait(timeout=60) == 0
    assert {line["role"] for line in running.events("audit began")} == {"service", "worker"}
    assert not running.events("audit")


def test_nothing_leaves_while_it_is_advised(tmp_path: Path) -> None:
    with advising(tmp_path, program=str(AUDITED)) as service:
        told = service.lines({"line_id": "L1"})
        advice = next(one for line in told if (one := line.get("recommendation")) and one["status"] == "move")
        where = f"/v1/recommendations/{advice['recommendation_id']}"
        asked: list[tuple[str, str, object]] = [
            ("POST", f"{where}/decision", {"action": "accept"}),
            ("GET", where, None),
            ("POST", "/v1/explain", {"recommendation_id": advice["recommendation_id"]}),
            ("POST", "/v1/quality", {"line_id": "L1"}),
            ("POST", "/v1/allocations", {"line_id": "L1", "moves_a_day": 2}),
            ("GET", "/v1/cells?line_id=L1", None),
            ("GET", f"/v1/cells/{advice['cell_id']}?line_id=L1", None),
            ("GET", "/v1/savings?line_id=L1", None),
        ]
        for method, path, body in asked:
            status, answer = service.ask(method, path, body)
            assert status == 200, (path, answer)
        service.running.terminate()
        assert service.running.process.wait(timeout=60) == 0
    began = {line["role"] for line in service.running.events("audit began")}
    assert began == {"service", "worker", "advice worker"}
    assert not service.running.events("audit")


@pytest.mark.parametrize(
    ("deed", "what"),
    [
        ("import pickle; pickle.loads(pickle.dumps(print))", "pickle.find_class"),
        (
            "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))",
            "socket.connect",
        ),
        (
            "import socket\ntry:\n socket.getaddrinfo('x.invalid', 9)\nexcept OSError:\n pass",
            "socket.getaddrinfo",
        ),
        ("import mlflow.version" if "mlflow" in FORBIDDEN else "", "import"),
        ("import socket; a, b = socket.socketpair(); a.send(b'x'); import json, numpy", ""),
    ],
)
def test_the_auditor_sees_what_it_must(deed: str, what: str) -> None:
    program = f"import sys, tests.fakes.audited_service as a; sys.addaudithook(a.audit)\n{deed}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = {orjson.loads(line)["what"] for line in done.stderr.splitlines() if line.startswith("{")}
    assert seen == ({what} if what else set())
