"""``superheat bench advice``: a whole line advised in one call, streamed as it comes, and one cell asked for again."""

import http.client
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson
import pandas as pd

from experiments.bench.service import HOST, Service, running
from experiments.bench.table import BenchMeta, BenchTable, Value
from features.bundle import read_manifest
from features.errors import SuperheatError
from features.plant import Plant
from features.tables.store import Tables, read_tables
from serving.record.plants import plant_values

COLUMNS: Final = (("step", ""), ("count", ""), ("seconds", "s"), ("first", "s"))
_PACKAGES: Final = ("onnxruntime", "optuna", "fastapi", "sqlalchemy")
_DATES: Final = {
    "cell_days": "date",
    "taps": "time",
    "bath_samples": "sampled_at",
    "anode_changes": "set_at",
    "meters": "date",
}
_AGAIN: Final = 15
_TIMEOUT_S: Final = 600
_LINE: Final = "L1"


def run(bundle: Path, data: Path, cells: int = 300, days: int = 120, workers: int = 0) -> BenchTable:
    """Return how long it takes to post a line of ``cells`` over ``days``, and to advise it.

    Args:
        bundle: what advises.
        data: canonical tables; their cells stand for others under new names until there are enough.
        cells: of the line.
        days: of its record.
        workers: search processes; 0 = one a core.

    Raises:
        SuperheatError: the service refuses.
    """
    manifest = read_manifest(bundle)
    tables = read_tables(data)
    plant = replace(tables.plant, simulated=manifest.plant.simulated)
    with running(bundle, "--drain-s", "0", "--advice-workers", str(workers)) as service:
        rows: list[tuple[Value, ...]] = [_posted(service, tables, plant, cells, days)]
        rows.append(("first recommendation", 1, *_one(service)))
        again = [_one(service)[0] for _ in range(_AGAIN)]
        rows.append(("one cell again, median", _AGAIN, median(again), None))
        rows.append(("one cell again, slowest", _AGAIN, max(again), None))
        for step in ("whole line, streamed", "whole line again"):
            *measured, summary = _round(service)
            rows.append((step, *measured))
        rows.append(("cells of the line", cells, _timed(service, "GET", "/v1/cells")[0], None))
    meta = BenchMeta.here(_PACKAGES, seed=None, simulated=plant.simulated)
    notes = (
        f"{len(set(tables.cell_days['cell_id']))} cells of the data stand for {cells} under other names",
        # A cell of which nothing is said costs no search: the times are worth what was said.
        ", ".join(f"{summary[status]} {status}" for status in ("moved", "held", "abstained", "refused")),
    )
    return BenchTable.of("Advice for a line", COLUMNS, rows, meta, notes)


def _posted(service: Service, tables: Tables, plant: Plant, cells: int, days: int) -> tuple[Value, ...]:
    """Post the record cell by cell's copy and return how many rows went in how many seconds."""
    count, took = 0, 0.0
    for part in _parts(tables, cells, days):
        body = orjson.dumps({"plant": plant_values(plant), **part})
        seconds, _ = _timed(service, "POST", "/v1/history", body)
        count += sum(len(rows) for rows in part.values())
        took += seconds
    return "rows posted", count, took, None


def _parts(tables: Tables, cells: int, days: int) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Yield posts that make up a line of ``cells``: the data's own cells, then their copies."""
    last = tables.cell_days["date"].max()
    own = sorted(set(tables.cell_days["cell_id"]))
    left, copy = cells, 0
    while left > 0:
        kept = own[:left]
        names = {cell: f"{cell}-{copy}" if copy else cell for cell in kept}
        part: dict[str, list[dict[str, Any]]] = {}
        for name, frame in tables.present():
            if name in _DATES:
                stamp = frame[_DATES[name]].dt.tz_localize(None)
                # Anodes that were set before are in the cells still.
                frame = frame[stamp > last - pd.Timedelta(days=days + (40 if name == "anode_changes" else 0))]
            if "cell_id" in frame:
                frame = frame[frame["cell_id"].isin(kept)]
                frame = frame.assign(cell_id=frame["cell_id"].map(names))
            elif copy:
                continue
            part[name] = [_plain(row) for row in frame.to_dict("records")]
        yield part
        left, copy = left - len(kept), copy + 1


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): _value(str(name), value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if value is pd.NaT or value is None or value != value:
        return None
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if name == "date" else value.isoformat()
    return value


def _one(service: Service) -> tuple[float, None]:
    seconds, content = _timed(service, "GET", f"/v1/cells?line_id={_LINE}")
    cell = orjson.loads(content)["cells"][0]["cell_id"]
    body = orjson.dumps({"line_id": _LINE, "cells": [cell]})
    seconds, _ = _timed(service, "POST", "/v1/recommendations", body)
    return seconds, None


def _timed(service: Service, method: str, path: str, body: bytes | None = None) -> tuple[float, bytes]:
    link = http.client.HTTPConnection(HOST, service.port, timeout=_TIMEOUT_S)
    began = time.perf_counter()
    try:
        link.request(method, path, body)
        answer = link.getresponse()
        content = answer.read()
    finally:
        link.close()
    if answer.status != 200:
        raise SuperheatError(f"{method} {path} was refused: {content[:200]!r}")
    return time.perf_counter() - began, content


def _round(service: Service) -> tuple[int, float, float, dict[str, Any]]:
    """Return how many cells a streamed round advised, its seconds, those to its first line, and its summary."""
    link = http.client.HTTPConnection(HOST, service.port, timeout=_TIMEOUT_S)
    began = time.perf_counter()
    try:
        body = orjson.dumps({"line_id": _LINE})
        link.request("POST", "/v1/recommendations", body, {"accept": "application/x-ndjson"})
        answer = link.getresponse()
        first = answer.readline()
        begun = time.perf_counter() - began
        lines = [first, *answer.read().splitlines()]
    finally:
        link.close()
    took = time.perf_counter() - began
    last = orjson.loads(lines[-1])
    if answer.status != 200 or "summary" not in last:
        raise SuperheatError(f"the round ended without a summary: {lines[-1][:200]!r}")
    return len(lines) - 1, took, begun, last["summary"]
