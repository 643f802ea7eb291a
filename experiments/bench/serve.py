"""``superheat bench serve``: requests a second and latency of the service, beside other servers with the same model.

All servers stand by from the start and are measured in turn, round by round, so that what else the machine does falls
on each of them alike.
"""

import asyncio
import gc
import selectors
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvloop

from experiments.bench import peers
from experiments.bench.load import Load, Pressed, Rows, binary_request, json_request, press_grpc, press_http
from experiments.bench.service import Service, running
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
_JSON: Final = "REST JSON"


@dataclass(frozen=True)
class ServeBench:
    """What to measure: seconds a figure and rounds that they are spread over, connections, workers, rows a request.

    ``mlserver_python``: interpreter of an environment that holds MLServer and onnxruntime; None leaves MLServer out.
    ``mlflow``: whether its server runs beside.
    """

    seconds: float = 5.0
    rounds: int = 3
    connections: int = 16
    workers: Sequence[int] = (1, 2)
    rows: Sequence[int] = (1, 32)
    mlserver_python: Path | None = None
    mlflow: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Way:
    """One way into one server: rows a request, workers, how it is pressed, and whether also at half of what it takes."""

    server: str
    name: str
    rows: int
    workers: int
    press: Callable[[Load], Coroutine[Any, Any, Pressed]]
    half: bool = False

    def row(self, load: str, connections: int, pressed: Pressed) -> tuple[Value, ...]:
        """Return the table's row."""
        figures = (pressed.per_second, pressed.milliseconds(0.5), pressed.milliseconds(0.99))
        told = (round(figure, 3) for figure in figures)
        return self.server, self.name, self.rows, self.workers, connections, load, *told


def run(bundle: Path, plan: ServeBench | None = None) -> BenchTable:
    """Measure the service on ``bundle`` and return the table.

    Raises:
        SuperheatError: a server does not start, or a request fails under load.
    """
    plan = plan or ServeBench()
    manifest = read_bundle(bundle).manifest
    rows = admitted_rows(bundle, max(plan.rows), plan.seed)
    beside = [peers.mlflow(bundle, rows.shape[1])] if plan.mlflow else []
    if plan.mlserver_python is not None:
        beside.append(peers.mlserver(bundle, plan.mlserver_python))
    with ExitStack() as up:
        ways: list[Way] = []
        for workers in plan.workers:
            service = up.enter_context(running(bundle, "--workers", str(workers), "--drain-s", "0"))
            ways += _ours(service, manifest.name, rows, workers, plan)
        for peer in beside:
            ways += _theirs(up.enter_context(peer), rows, plan)
        full = _in_turn(ways, [None] * len(ways), plan)
        halved = [at for at, way in enumerate(ways) if way.half]
        rates = [full[at].per_second / 2 for at in halved]
        half = dict(zip(halved, _in_turn([ways[at] for at in halved], rates, plan), strict=True))
    table = []
    for at, way in enumerate(ways):
        table.append(way.row("full", plan.connections, full[at]))
        if way.half:
            table.append(way.row("half", plan.connections, half[at]))
    notes = list(_comparison(ways, full))
    if plan.mlserver_python is None:
        notes.append("MLServer was left out: no interpreter of an environment with it was given")
    notes.append(
        "all servers stand by and are measured in turn; requests a second are the median of the rounds; the client, the"
        " server and its workers share this machine's cores"
    )
    meta = BenchMeta.here(_PACKAGES, seed=plan.seed, simulated=manifest.data.simulated)
    return BenchTable.of(f"Serving {manifest.name} {manifest.digest[:12]}", COLUMNS, table, meta, notes)


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


def _ours(service: Service, model: str, rows: Rows, workers: int, plan: ServeBench) -> Iterator[Way]:
    path = f"/v2/models/{model}/infer"
    for n in plan.rows:
        asked = rows[:n]
        for name, request in (
            (_JSON, json_request(path, asked)),
            ("REST binary", binary_request(path, asked)),
        ):
            yield Way("Superheat", name, n, workers, partial(press_http, service.port, request), n == 1)
        yield Way("Superheat", "gRPC", n, workers, partial(press_grpc, service.grpc_port, model, asked))


def _theirs(peer: peers.Peer, rows: Rows, plan: ServeBench) -> Iterator[Way]:
    for n in plan.rows:
        yield Way(peer.name, _JSON, n, 1, partial(press_http, peer.port, peer.request(rows[:n])))


def _in_turn(ways: Sequence[Way], rates: Sequence[float | None], plan: ServeBench) -> list[Pressed]:
    """Return what each of ``ways`` came to at its rate, a part of its seconds in every round."""
    found: list[list[Pressed]] = [[] for _ in ways]
    seconds = plan.seconds / plan.rounds
    for _ in range(plan.rounds):
        for way, rate, parts in zip(ways, rates, found, strict=True):
            _measure(way.press(Load(plan.connections, min(_WARM_S, seconds))))
            parts.append(_measure(way.press(Load(plan.connections, seconds, rate)), paced=rate is not None))
    return [
        Pressed(
            float(np.median([part.per_second for part in parts])),
            np.concatenate([part.seconds for part in parts]),
        )
        for parts in found
    ]


def _comparison(ways: Sequence[Way], full: Sequence[Pressed]) -> Iterator[str]:
    """Say how our one row over REST JSON stands to each other server's."""
    asked = [
        (way, pressed.per_second)
        for way, pressed in zip(ways, full, strict=True)
        if (way.name, way.rows) == (_JSON, 1)
    ]
    for other, theirs in asked:
        if other.server == "Superheat":
            continue
        times = [
            f"{ours / theirs:.1f} times with {way.workers} worker{'s' * (way.workers > 1)}"
            for way, ours in asked
            if way.server == "Superheat"
        ]
        yield f"one row over REST, beside {other.server}: {', '.join(times)}"


def _measure(work: Coroutine[Any, Any, Pressed], paced: bool = False) -> Pressed:
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=_punctual if paced else uvloop.new_event_loop) as runner:
            return runner.run(work)
    finally:
        gc.enable()


def _punctual() -> asyncio.AbstractEventLoop:
    """Return a loop whose timers keep microseconds; uvloop's and epoll's wait whole milliseconds.

    On those, callers on a beat of less than a millisecond would come in bursts that nobody sent.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
