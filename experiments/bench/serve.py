"""``superheat bench serve``: requests a second and latency of the service, beside other servers with the same model."""

import gc
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvloop

from experiments.bench import peers
from experiments.bench.load import Load, Pressed, Rows, binary_request, json_request, press_grpc, press_http
from experiments.bench.service import running
from experiments.bench.table import BenchMeta, BenchTable, Value
from features.bundle import Parity, read_bundle
from features.errors import SuperheatError
from serving.protocol.intake import Intake

COLUMNS: Final = (
    ("server", ""),
    ("way", ""),
    ("rows", ""),
    ("workers", ""),
    ("connections", ""),
    ("load", ""),
    ("requests", "1/s"),
    ("p50", "ms"),
    ("p99", "ms"),
)
_PACKAGES: Final = (
    "onnxruntime",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "orjson",
    "grpcio",
    "mlflow",
)
_WARM_S: Final = 0.5


@dataclass(frozen=True)
class ServeBench:
    """What to measure: seconds a figure, connections, workers, rows a request, and the peers to run beside.

    ``mlserver_python``: interpreter of an environment that holds MLServer and onnxruntime; None leaves MLServer out.
    """

    seconds: float = 5.0
    connections: int = 16
    workers: Sequence[int] = (1, 2)
    rows: Sequence[int] = (1, 32)
    mlserver_python: Path | None = None
    mlflow: bool = True
    seed: int = 0


def run(bundle: Path, plan: ServeBench | None = None) -> BenchTable:
    """Measure the service on ``bundle`` and return the table.

    Raises:
        SuperheatError: a server does not start, or a request fails under load.
    """
    plan = plan or ServeBench()
    files = read_bundle(bundle)
    rows = admitted_rows(bundle, max(plan.rows), plan.seed)
    table: list[tuple[Value, ...]] = []
    notes = []
    ours = 0.0
    for workers in plan.workers:
        found = list(_service(bundle, files.manifest.name, rows, workers, plan))
        ours = max(
            ours, *(float(str(row[6])) for row in found if row[1:3] == ("REST JSON", 1) and row[5] == "full")
        )
        table += found
    others: list[tuple[str, float]] = []
    if plan.mlflow:
        others += _peer(peers.mlflow(bundle, rows.shape[1]), rows, plan, table)
    if plan.mlserver_python is not None:
        others += _peer(peers.mlserver(bundle, plan.mlserver_python), rows, plan, table)
    else:
        notes.append("MLServer was left out: no interpreter of an environment with it was given")
    if others:
        name, best = max(others, key=lambda other: other[1])
        notes.append(f"one row over REST: {ours / best:.1f} times {name}, the better of the others here")
    notes.append("client, service and workers share this machine's cores")
    meta = BenchMeta.here(_PACKAGES, seed=plan.seed, simulated=files.manifest.data.simulated)
    return BenchTable.of(
        f"Serving {files.manifest.name} {files.manifest.digest[:12]}", COLUMNS, table, meta, notes
    )


def admitted_rows(bundle: Path, n: int, seed: int) -> Rows:
    """Return ``n`` of the bundle's own parity rows that the service admits, missing values filled.

    Filled with the middle of their range: the other servers have no way to say "missing" in JSON.
    """
    files = read_bundle(bundle)
    seen = Parity.from_bytes(files.parity).features
    seen = seen[Intake(files.manifest, n).admits(seen)]
    if not len(seen):
        raise SuperheatError(
            "no parity row of the bundle is one that a plant could send; nothing to ask with"
        )
    chosen = seen[np.random.default_rng(seed).integers(len(seen), size=n)]
    middle = np.array([(feature.low + feature.high) / 2 for feature in files.manifest.features])
    return np.ascontiguousarray(np.where(np.isnan(chosen), middle, chosen), dtype=np.float32)


def _service(
    bundle: Path, model: str, rows: Rows, workers: int, plan: ServeBench
) -> Iterator[tuple[Value, ...]]:
    path = f"/v2/models/{model}/infer"
    with running(bundle, "--workers", str(workers), "--drain-s", "0") as service:
        for n in plan.rows:
            asked = rows[:n]
            requests = {"REST JSON": json_request(path, asked), "REST binary": binary_request(path, asked)}
            for way, request in requests.items():
                full = _http(service.port, request, plan)
                yield _row("Superheat", way, n, workers, plan, "full", full)
                if n == 1:
                    half = _http(service.port, request, plan, full.per_second / 2)
                    yield _row("Superheat", way, n, workers, plan, "half", half)
            load = Load(plan.connections, plan.seconds)
            yield _row(
                "Superheat",
                "gRPC",
                n,
                workers,
                plan,
                "full",
                _measure(press_grpc(service.grpc_port, model, asked, load)),
            )


def _peer(
    started: AbstractContextManager[peers.Peer], rows: Rows, plan: ServeBench, table: list[tuple[Value, ...]]
) -> list[tuple[str, float]]:
    found = []
    with started as peer:
        for n in plan.rows:
            pressed = _http(peer.port, peer.request(rows[:n]), plan)
            table.append(_row(peer.name, "REST JSON", n, 1, plan, "full", pressed))
            if n == 1:
                found.append((peer.name, pressed.per_second))
    return found


def _http(port: int, request: bytes, plan: ServeBench, rate: float | None = None) -> Pressed:
    _measure(press_http(port, request, Load(plan.connections, min(_WARM_S, plan.seconds))))
    return _measure(press_http(port, request, Load(plan.connections, plan.seconds, rate)))


def _measure(work: Coroutine[Any, Any, Pressed]) -> Pressed:
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(work)
    finally:
        gc.enable()


def _row(
    server: str, way: str, n: int, workers: int, plan: ServeBench, load: str, pressed: Pressed
) -> tuple[Value, ...]:
    figures = (pressed.per_second, pressed.milliseconds(0.5), pressed.milliseconds(0.99))
    return server, way, n, workers, plan.connections, load, *(round(figure, 3) for figure in figures)
