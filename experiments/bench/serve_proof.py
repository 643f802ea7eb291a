"""``superheat bench serve-proof``: what the service promises, tried on a running one.

swaps           versions changed under load: no failed request, no answer that mixes versions
terminations    told to end under load: readiness turns first, nothing accepted is dropped
bad_bodies      bodies that must be refused: all are, the feature named, none answered with a number
bad_advice      requests to /v1 that must be refused or set aside: all are, what is wrong named, no setpoint moved
contract        schemathesis over an OpenAPI description: no 5xx but 503 and 504, every refusal in the one shape
"""

import asyncio
import http.client
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import orjson
import uvloop

from experiments.bench import bad_advice as over_v1
from experiments.bench.bad_bodies import Bad, Ground, over_grpc, over_rest
from experiments.bench.load import Load, Rows, json_request, press_http
from experiments.bench.serve import admitted_rows
from experiments.bench.service import HOST, Service, running
from experiments.bench.standing import stand
from experiments.bench.table import BenchMeta, BenchTable, Value
from features.bundle import read_manifest
from features.errors import SuperheatError
from serving.models.repository import Repository

COLUMNS: Final = (("proof", ""), ("tried", ""), ("failed", ""), ("what", ""))
_PACKAGES: Final = ("onnxruntime", "fastapi", "starlette", "uvicorn", "grpcio", "schemathesis")
_DRAIN_S: Final = 0.6
_INSIDE: Final = ("Traceback", ".py", "/serving", "site-packages", "onnxruntime")
_SHAPE: Final = {"error", "error_zh", "code", "request_id"}


@dataclass(frozen=True)
class Effort:
    """How much of each to try; 0 leaves a proof out.

    ``other``: a second version of the model for the swaps. ``descriptions``: OpenAPI files to try besides our own.
    """

    swaps: int = 200
    rate: float = 200.0
    other: Path | None = None
    terminations: int = 50
    bad_bodies: int = 5000
    bad_advice: int = 5000
    cases: int = 10_000
    descriptions: tuple[Path, ...] = ()
    seed: int = 0


def run(bundle: Path, effort: Effort | None = None) -> BenchTable:
    """Try everything that ``effort`` asks for on the service with ``bundle`` and return what failed.

    Raises:
        SuperheatError: the service does not start.
    """
    effort = effort or Effort()
    rows: list[tuple[Value, ...]] = []
    if effort.swaps and effort.other is not None:
        rows.append(swaps(bundle, effort.other, effort))
    if effort.terminations:
        rows.append(terminations(bundle, effort.terminations, effort.seed))
    if effort.bad_bodies or effort.bad_advice or effort.cases:
        with running(bundle, "--drain-s", "0", "--max-rows", "4096") as service:
            if effort.bad_bodies:
                rows += bad_bodies(service, bundle, effort)
            if effort.bad_advice:
                rows.append(bad_advice(service, bundle, effort))
            if effort.cases:
                from experiments.bench.contract import contract

                rows += contract(
                    service, read_manifest(bundle), effort.cases, effort.descriptions, effort.seed
                )
    simulated = read_manifest(bundle).data.simulated
    meta = BenchMeta.here(_PACKAGES, seed=effort.seed, simulated=simulated)
    return BenchTable.of("What the service promises", COLUMNS, rows, meta)


def swaps(bundle: Path, other: Path, effort: Effort) -> tuple[Value, ...]:
    """Change versions ``effort.swaps`` times under load; every answer must be wholly of the version that it names."""
    rows = admitted_rows(bundle, 1, effort.seed)
    name = read_manifest(bundle).name
    with running(bundle, "--workers", "1", "--drain-s", "0") as service:
        Repository(service.models).admit(other)
        versions = [read_manifest(path).digest[:12] for path in (bundle, other)]
        request = json_request(f"/v2/models/{name}/infer", rows)
        known = {version: _alone(service, name, version, rows) for version in versions}
        if known[versions[0]] == known[versions[1]]:
            raise SuperheatError(
                "both versions answer alike; a mixed answer could not be told from a pure one"
            )
        seen: Counter[str] = Counter()

        def look(body: bytes) -> None:
            told = orjson.loads(body)
            fine = told["outputs"] == known[told["model_version"]]
            seen["pure" if fine else "mixed"] += 1

        done, took, per_second, broken = uvloop.run(_swapping(service, name, versions, request, effort, look))
    words = f"{seen['pure']} answers at {per_second:.0f}/s over {took:.0f} s, {seen['mixed']} mixed, {broken} broken"
    return "swaps under load", done, seen["mixed"] + broken, words


async def _swapping(
    service: Service, name: str, versions: list[str], request: bytes, effort: Effort, look: Any
) -> tuple[int, float, float, int]:
    loop = asyncio.get_running_loop()
    began, done, answers, broken = loop.time(), 0, 0, 0
    changing = loop.run_in_executor(None, _change, service, name, versions, effort.swaps)
    while not changing.done():
        try:
            pressed = await press_http(service.port, request, Load(8, 1.0, effort.rate), look)
            answers += len(pressed.seconds)
        except SuperheatError:
            broken += 1
    done = await changing
    took = loop.time() - began
    return done, took, answers / took, broken


def _change(service: Service, name: str, versions: list[str], count: int) -> int:
    for number in range(count):
        wanted = versions[(number + 1) % 2]
        body = orjson.dumps({"parameters": {"version": wanted}})
        status, content = service.ask("POST", f"/v2/repository/models/{name}/load", body)
        if status != 200:
            raise SuperheatError(f"swap {number} was refused: {content[:200]!r}")
        if number % 4 == 3:  # now and then the other one starts from nothing
            left = orjson.dumps({"parameters": {"version": versions[number % 2]}})
            service.ask("POST", f"/v2/repository/models/{name}/unload", left)
    return count


def _alone(service: Service, name: str, version: str, rows: Rows) -> Any:
    """Return what ``version`` answers when nobody else asks."""
    load = orjson.dumps({"parameters": {"version": version}})
    service.ask("POST", f"/v2/repository/models/{name}/load", load)
    body = json_request("/", rows).partition(b"\r\n\r\n")[2]
    status, content = service.ask("POST", f"/v2/models/{name}/versions/{version}/infer", body)
    if status != 200:
        raise SuperheatError(f"version {version} does not answer: {content[:200]!r}")
    return orjson.loads(content)["outputs"]


def terminations(bundle: Path, count: int, seed: int) -> tuple[Value, ...]:
    """End the service ``count`` times under load, asking as a balancer does: until readiness has turned."""
    rows = admitted_rows(bundle, 1, seed)
    request = json_request(f"/v2/models/{read_manifest(bundle).name}/infer", rows)
    dropped = late = answers = 0
    for _ in range(count):
        with running(bundle, "--drain-s", str(_DRAIN_S), "--leave-s", "5") as service:
            found = asyncio.run(_ending(service, request))
            code = service.process.wait(60)
            dropped += found["dropped"] + (code != 0)
            answers += found["answered"]
            late += not found["turned"]
    words = f"{answers} answers, {dropped} dropped, readiness turned late {late} times"
    return "SIGTERM under load", count, dropped + late, words


async def _ending(service: Service, request: bytes) -> Counter[str]:
    found: Counter[str] = Counter()
    turned = asyncio.Event()
    callers = [asyncio.create_task(_call(service.port, request, turned, found)) for _ in range(8)]
    await asyncio.sleep(0.4)
    service.terminate()
    until = time.monotonic() + _DRAIN_S
    while time.monotonic() < until and not turned.is_set():
        if not await asyncio.to_thread(service.is_ready):
            found["turned"] += 1
            turned.set()
        await asyncio.sleep(0.005)
    turned.set()
    await asyncio.gather(*callers)
    return found


async def _call(port: int, request: bytes, turned: asyncio.Event, found: Counter[str]) -> None:
    """Ask until readiness has turned, on a connection that is made again whenever the service closes it."""
    writer: asyncio.StreamWriter | None = None
    while not turned.is_set():
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
        except (OSError, asyncio.IncompleteReadError):
            found["dropped"] += 1
            writer = None
            continue
        found["answered" if head.startswith(b"HTTP/1.1 200") else "dropped"] += 1
        if b"connection: close" in head.lower():
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def bad_bodies(service: Service, bundle: Path, effort: Effort) -> list[tuple[Value, ...]]:
    """Send bad bodies, most over REST and a quarter over gRPC, and return what was not refused as it must be."""
    manifest = read_manifest(bundle)
    ground = Ground(manifest, admitted_rows(bundle, 64, effort.seed))
    draw = np.random.default_rng(effort.seed)
    over = effort.bad_bodies // 4
    rest = _rest_failures(service, manifest.name, islice(over_rest(ground, draw), effort.bad_bodies - over))
    remote = _grpc_failures(service, islice(over_grpc(ground, draw), over))
    table: list[tuple[Value, ...]] = []
    for way, tried, failures in (("REST", effort.bad_bodies - over, rest), ("gRPC", over, remote)):
        words = "; ".join(failures[:3]) or "all refused, the feature named where it was a value"
        table.append((f"bad bodies over {way}", tried, len(failures), words))
    return table


def bad_advice(service: Service, bundle: Path, effort: Effort) -> tuple[Value, ...]:
    """Send bad requests to ``/v1`` and return what was not refused, set aside or abstained from as it must be."""
    manifest = read_manifest(bundle)
    place = over_v1.Place(Ground(manifest, admitted_rows(bundle, 64, effort.seed)), stand(service, manifest))
    found = over_v1.failures(service, place, np.random.default_rng(effort.seed), effort.bad_advice)
    words = "; ".join(found[:3]) or "all refused or set aside, what is wrong named, no setpoint moved"
    return "bad requests to /v1", effort.bad_advice, len(found), words


def _rest_failures(service: Service, model: str, bodies: Iterator[Bad]) -> list[str]:
    failures = []
    link = http.client.HTTPConnection(HOST, service.port, timeout=30)
    for bad in bodies:
        link.request("POST", f"/v2/models/{model}/infer", bad.body, dict(bad.headers))
        answer = link.getresponse()
        content = answer.read()
        if fault := fault_of(answer.status, content, bad.feature):
            failures.append(f"{bad.kind}: {fault}")
    link.close()
    return failures


def fault_of(status: int, content: bytes, feature: str | None = None) -> str:
    """Return what is wrong with a refusal: empty if it is one of ours, in the one shape, and names ``feature``."""
    if not 400 <= status < 500:
        return f"answered {status}"
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError:
        return f"{status} is no JSON"
    if not isinstance(told, dict) or set(told) != _SHAPE:
        return f"{status} has another shape"
    return _fault_of_words(str(told["error"]), feature)


def _fault_of_words(words: str, feature: str | None) -> str:
    if leaked := [inside for inside in _INSIDE if inside in words]:
        return f"tells of {leaked[0]}"
    return "" if feature is None or feature in words else f"does not name {feature}: {words[:120]}"


def _grpc_failures(service: Service, bodies: Iterator[Bad]) -> list[str]:
    failures = []
    with grpc.insecure_channel(f"{HOST}:{service.grpc_port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for bad in bodies:
            try:
                call(bad.body)
            except grpc.RpcError as error:
                refused = error.code().name in ("INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED")
                fault = _fault_of_words(error.details(), bad.feature) if refused else error.code().name
            else:
                fault = "answered"
            if fault:
                failures.append(f"{bad.kind}: {fault}")
    return failures
