"""The standard clients with their defaults, HTTP and gRPC: what they read, and what they raise."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

from tests.fakes.plant_bundle import WIDTH, bundle, manifest, predictor, rows
from tests.fakes.service_process import Running, serving

MODEL = "potline"
VERSION = manifest().digest[:12]
NAMES = manifest().feature_names


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = tmp_path_factory.mktemp("models")
    flags = ("--bundle", str(bundle()), "--models-dir", str(models), "--insecure-local", "--max-rows", "1000")
    with serving(*flags, "--max-body-bytes", "2000000", "--drain-s", "0") as running:
        yield running


@pytest.fixture
def http(service: Running) -> Iterator[Any]:
    client = http_client.InferenceServerClient(f"127.0.0.1:{service.port}")
    yield client
    client.close()


@pytest.fixture
def grpc(service: Running) -> Iterator[Any]:
    client = grpc_client.InferenceServerClient(f"127.0.0.1:{service.grpc_port}")
    yield client
    client.close()


def http_input(X: np.ndarray, binary: bool = True) -> Any:
    given = http_client.InferInput("features", list(X.shape), "FP32")
    given.set_data_from_numpy(X, binary_data=binary)
    return given


def grpc_input(X: np.ndarray) -> Any:
    given = grpc_client.InferInput("features", list(X.shape), "FP32")
    given.set_data_from_numpy(X)
    return given


def test_health_and_metadata_over_http(http: Any) -> None:
    assert http.is_server_live()
    assert http.is_server_ready()
    assert http.is_model_ready(MODEL)
    assert http.is_model_ready(MODEL, VERSION)
    assert http.get_server_metadata()["name"] == "superheat"
    assert "binary_tensor_data" in http.get_server_metadata()["extensions"]
    told = http.get_model_metadata(MODEL)
    assert told["platform"] == "onnx_onnxv1"
    assert told["versions"] == [VERSION]
    assert told["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, WIDTH]}]
    assert {"name": "support", "datatype": "FP64", "shape": [-1]} in told["outputs"]
    assert [feature["name"] for feature in told["parameters"]["features"]] == list(NAMES)
    assert http.get_model_repository_index() == [
        {"name": MODEL, "version": VERSION, "state": "READY", "reason": "current"}
    ]


def test_health_and_metadata_over_grpc(grpc: Any) -> None:
    assert grpc.is_server_live()
    assert grpc.is_server_ready()
    assert grpc.is_model_ready(MODEL)
    assert grpc.get_server_metadata().name == "superheat"
    told = grpc.get_model_metadata(MODEL)
    assert told.platform == "onnx_onnxv1"
    assert list(told.inputs[0].shape) == [-1, WIDTH]
    assert len(told.outputs) == len(predictor().predict(rows(1, 1)))
    assert [entry.name for entry in grpc.get_model_repository_index().models] == [MODEL]


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_answers_are_bit_equal_to_the_runtime(http: Any, grpc: Any, n: int) -> None:
    X = rows(n, 11)
    full = rows(n, 12, missing=False)
    expected, expected_full = predictor().predict(X), predictor().predict(full)
    as_json = [http_client.InferRequestedOutput(name, binary_data=False) for name in expected]
    answers = {
        "http binary": (http.infer(MODEL, [http_input(X)]), expected),
        "http binary in, json out": (http.infer(MODEL, [http_input(X)], outputs=as_json), expected),
        "http json": (http.infer(MODEL, [http_input(full, False)], outputs=as_json), expected_full),
        "grpc": (grpc.infer(MODEL, [grpc_input(X)]), expected),
    }
    for way, (answer, want) in answers.items():
        for name, values in want.items():
            got = answer.as_numpy(name)
            assert got.dtype == np.float64
            assert got.shape == values.shape, way
            assert got.tobytes() == values.tobytes(), way


def test_id_version_and_chosen_outputs_come_back(http: Any, grpc: Any) -> None:
    X = rows(2, 3)
    answer = http.infer(MODEL, [http_input(X)], request_id="7", model_version=VERSION).get_response()
    assert (answer["id"], answer["model_version"]) == ("7", VERSION)
    wanted = [grpc_client.InferRequestedOutput("support")]
    answer = grpc.infer(MODEL, [grpc_input(X)], request_id="8", outputs=wanted).get_response()
    assert (answer.id, answer.model_version) == ("8", VERSION)
    assert [output.name for output in answer.outputs] == ["support"]


def bad(value: float, column: int = 0) -> np.ndarray:
    X = rows(3, 2, missing=False)
    X[1, column] = value
    return X


def wrong_name(maker: Any) -> Any:
    given = maker.InferInput("inputs", [1, WIDTH], "FP32")
    given.set_data_from_numpy(rows(1, 1))
    return given


def doubles(maker: Any) -> Any:
    given = maker.InferInput("features", [1, WIDTH], "FP64")
    given.set_data_from_numpy(rows(1, 1, missing=False).astype(np.float64) + 1e-9)
    return given


def integers(maker: Any) -> Any:
    given = maker.InferInput("features", [1, WIDTH], "INT64")
    given.set_data_from_numpy(np.ones((1, WIDTH), dtype=np.int64))
    return given


def claimed(maker: Any, **parameters: str) -> Any:
    given = maker.InferInput("features", [1, WIDTH], "FP32")
    given.set_data_from_numpy(rows(1, 1))
    if maker is http_client:
        given._parameters.update(parameters)
    else:
        for key, value in parameters.items():
            given._input.parameters[key].string_param = value
    return given


MUST = next(i for i, feature in enumerate(manifest().features) if not feature.may_be_missing)
ERRORS: dict[str, tuple[str, Callable[[Any, Any, Any], Any]]] = {
    "unknown model": ("is not served", lambda c, m, i: c.infer("nope", [i(rows(1, 1))])),
    "unknown version": (
        "is not in operation",
        lambda c, m, i: c.infer(MODEL, [i(rows(1, 1))], model_version="0" * 12),
    ),
    "infinite": (f"feature {NAMES[0]}, row 1,", lambda c, m, i: c.infer(MODEL, [i(bad(np.inf))])),
    "out of range": (f"feature {NAMES[0]}, row 1,", lambda c, m, i: c.infer(MODEL, [i(bad(1e30))])),
    "missing": (f"feature {NAMES[MUST]}, row 1,", lambda c, m, i: c.infer(MODEL, [i(bad(np.nan, MUST))])),
    "narrow": ("the model takes [n,", lambda c, m, i: c.infer(MODEL, [i(rows(1, 1)[:, :-1])])),
    "no rows": ("holds no row", lambda c, m, i: c.infer(MODEL, [i(rows(1, 1)[:0])])),
    "too many rows": ("at most 1000", lambda c, m, i: c.infer(MODEL, [i(rows(1001, 1))])),
    "wrong input": ("is not of this model", lambda c, m, i: c.infer(MODEL, [wrong_name(m)])),
    "two inputs": ("one tensor", lambda c, m, i: c.infer(MODEL, [i(rows(1, 1)), i(rows(1, 1))])),
    "not exact": ("does not hold exactly", lambda c, m, i: c.infer(MODEL, [doubles(m)])),
    "integers": ("send FP32", lambda c, m, i: c.infer(MODEL, [integers(m)])),
    "unknown output": (
        "is not of this model",
        lambda c, m, i: c.infer(MODEL, [i(rows(1, 1))], outputs=[m.InferRequestedOutput("nope")]),
    ),
    "output twice": (
        "asked for twice",
        lambda c, m, i: c.infer(MODEL, [i(rows(1, 1))], outputs=[m.InferRequestedOutput("support")] * 2),
    ),
    "wrong order": (
        "you say name",
        lambda c, m, i: c.infer(MODEL, [claimed(m, feature_names=",".join(reversed(NAMES)))]),
    ),
    "wrong unit": (
        "you say unit",
        lambda c, m, i: c.infer(MODEL, [claimed(m, feature_units=",".join("K" for _ in NAMES))]),
    ),
    "wrong recipe": ("recipe", lambda c, m, i: c.infer(MODEL, [claimed(m, recipe_digest="0" * 64)])),
    "unknown parameter": ("is not known", lambda c, m, i: c.infer(MODEL, [claimed(m, unit="K")])),
    "metadata of an unknown model": ("is not served", lambda c, m, i: c.get_model_metadata("nope")),
    "unload of an unknown model": ("is not served", lambda c, m, i: c.unload_model("nope")),
    "load of an unknown model": ("is not in the repository", lambda c, m, i: c.load_model("nope")),
    "load of given content": (
        "models come from the repository",
        lambda c, m, i: c.load_model(MODEL, config="{}", files={"file:1/model.onnx": b"x"}),
    ),
}


@pytest.mark.parametrize("case", sorted(ERRORS))
@pytest.mark.parametrize("way", ["http", "grpc"])
def test_each_refusal_raises_the_clients_own_exception_with_our_words(
    case: str, way: str, http: Any, grpc: Any
) -> None:
    words, act = ERRORS[case]
    client, maker, given = {"http": (http, http_client, http_input), "grpc": (grpc, grpc_client, grpc_input)}[
        way
    ]
    with pytest.raises(InferenceServerException) as found:
        act(client, maker, given)
    assert words in found.value.message(), found.value
    assert "Traceback" not in str(found.value)


def test_every_refusal_over_http_has_the_one_body_and_the_headers(service: Running) -> None:
    infer = f"/v2/models/{MODEL}/infer"
    asked = [
        ("/nix", "GET", None, 404),
        (infer, "GET", None, 405),
        (infer, "POST", b"{", 400),
        (infer, "POST", b"[" * 100_000, 400),
        (infer, "POST", b" " * 2_000_001, 413),
        ("/v2/models/..%2f..%2fetc/infer", "POST", b"{}", 404),
        ("/v2/models/potline/versions/%2e%2e/infer", "POST", b"{}", 404),
        ("/v2/repository/models/potline/promote", "POST", b'{"parameters":{"version":"../../x"}}', 404),
        ("/v2/repository/models/potline/rollback", "POST", b"", 404),
        ("/v2/health/live/", "GET", None, 404),
    ]
    for path, method, body, status in asked:
        got, headers, content = service.get(path, method, body)
        assert got == status, (path, got, content)
        told = orjson.loads(content)
        assert set(told) == {"error", "error_zh", "code", "request_id"}
        assert told["request_id"] == headers["x-request-id"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "/work" not in told["error"]
        assert "serving" not in told["error"]


def raw(service: Running, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
        link.sendall(data)
        found = b""
        while piece := link.recv(65536):
            found += piece
    return found


def test_what_is_no_http_is_refused_in_json(service: Running) -> None:
    head = b"POST /v2/models/potline/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    for data, status in (
        (b"\x16\x03\x01\x00\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000, b"400"),
        (head + b"content-length: 99999999999\r\n\r\n", b"413"),
        (head + b"content-encoding: gzip\r\ncontent-length: 1\r\n\r\nx", b"415"),
        (head + b"transfer-encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (head + b"inference-header-content-length: -1\r\ncontent-length: 2\r\n\r\n{}", b"400"),
    ):
        found = raw(service, data)
        assert found.split(b" ")[1] == status, (data[:60], found[:200])
        assert b'"error":' in found


def test_a_head_that_is_never_whole_is_bounded(service: Running) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
        link.sendall(b"GET / HTTP/1.1\r\nx: ")
        found = b""
        try:
            for _ in range(100):
                link.sendall(b"a" * 1000)
                time.sleep(0.002)
            found = link.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            assert found.startswith(b"HTTP/1.1 400")
            assert link.recv(65536) == b""


def test_a_large_body_after_a_small_one_on_one_connection(service: Running) -> None:
    link = HTTPConnection("127.0.0.1", service.port, timeout=30)
    for size, status in ((10, 400), (500_000, 400), (2_000_001, 413), (10, 400)):
        link.request("POST", f"/v2/models/{MODEL}/infer", b"x" * size)
        answer = link.getresponse()
        assert answer.status == status
        answer.read()
    link.close()


def test_a_chunked_body_is_taken_and_bounded(service: Running) -> None:
    tensor = {"name": "features", "shape": [1, WIDTH], "datatype": "FP32"}
    body = orjson.dumps(
        {"inputs": [{**tensor, "data": rows(1, 2, missing=False)}]}, option=orjson.OPT_SERIALIZE_NUMPY
    )
    head = b"POST /v2/models/potline/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(body[i : i + 50]), body[i : i + 50]) for i in range(0, len(body), 50)
    )
    assert raw(service, head + chunks + b"0\r\n\r\n").startswith(b"HTTP/1.1 200")
    lasting = head.replace(b"connection: close\r\n", b"")
    piece = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
        link.sendall(lasting + piece * 40 + b"0\r\n\r\n")
        assert link.recv(65536).startswith(b"HTTP/1.1 413")


def test_raw_bodies_and_answers_as_the_extension_has_them(service: Running) -> None:
    X = rows(2, 8)
    link = HTTPConnection("127.0.0.1", service.port, timeout=30)
    link.request("POST", f"/v2/models/{MODEL}/infer", X.tobytes(), {"Inference-Header-Content-Length": "0"})
    told = orjson.loads(link.getresponse().read())
    link.close()
    got = next(output["data"] for output in told["outputs"] if output["name"] == "support")
    assert struct.pack("<2d", *got) == predictor().predict(X)["support"].tobytes()


def test_metrics_say_what_was_answered_and_refused(service: Running) -> None:
    text = service.get("/metrics")[2].decode()
    assert 'superheat_requests_total{method="POST",route="/v2/models/{model}/infer",status="200"}' in text
    assert 'superheat_refusals_total{code="out_of_range"}' in text
    assert 'superheat_requests_total{method="any",route="other",status="404"}' in text
    assert "/etc" not in text


def test_the_description_knows_every_route(service: Running) -> None:
    told = orjson.loads(service.get("/openapi.json")[2])
    for path in ("/v2/models/{model}/infer", "/v2/repository/models/{model}/promote", "/v2/health/ready"):
        assert path in told["paths"]


def test_logs_are_json_and_say_what_was_refused(service: Running) -> None:
    service.get("/nix")
    entries = service.events("request")
    assert any(entry["status"] == 404 and entry["subject"] == "local" for entry in entries)
    assert all("body" not in entry and "headers" not in entry for entry in entries)


def test_nothing_of_the_models_directory_is_left_half_made(service: Running, tmp_path: Path) -> None:
    index = orjson.loads(service.get("/v2/repository/index", "POST")[2])
    assert [entry["version"] for entry in index] == [VERSION]
