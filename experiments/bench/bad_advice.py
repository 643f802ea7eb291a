"""Requests to ``/v1`` that must be refused, or set aside and named: one thing wrong in each, in every way that a twin
or a person gets it wrong. No answer to one may move a setpoint.
"""

import http.client
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

import orjson

from experiments.bench.bad_bodies import VALUES, Draw, Ground
from experiments.bench.service import HOST, Service
from experiments.bench.standing import CELL, LAST, LINE, typical_row
from features.signals import SIGNALS

_SHAPE: Final = {"error", "error_zh", "code", "request_id"}
_NO_JSON: Final = frozenset({"NaN", "Infinity", "minus Infinity", "1e999", "no number"})
_NEXT: Final = "2025-01-15"


@dataclass(frozen=True)
class BadAsk:
    """One bad request: its kind, where it goes, its body, and what the refusal must name ("" = nothing)."""

    kind: str
    method: str
    path: str
    body: bytes
    named: str = ""


@dataclass(frozen=True)
class Place:
    """What bad requests are made of: good feature rows of a bundle, and a recommendation of the ledger."""

    ground: Ground
    recommendation_id: str

    @property
    def decision(self) -> str:
        """The address where it is decided about."""
        return f"/v1/recommendations/{self.recommendation_id}/decision"


def asks(place: Place, draw: Draw) -> Iterator[BadAsk]:
    """Yield bad requests without end, kind after kind."""
    while True:
        for kind, text in VALUES.items():
            yield _context(kind, text, place, draw)
            yield _row(kind, text, place, draw)
            yield _price(kind, text, draw)
            yield _lever(kind, text, place)
        yield from _structures(place, draw)
        yield from _history(place, draw)
        yield from _addresses(draw)
        for whole in _wholes(place, draw):
            yield from _broken(*whole, draw)


def _written(value: object, text: str) -> bytes:
    return orjson.dumps(value).replace(b'"HERE"', text.encode())


def _given(place: Place, draw: Draw, **changes: Any) -> dict[str, Any]:
    values, _, _ = place.ground.pick(draw)
    names = place.ground.manifest.feature_names
    base = {"line_id": LINE, "cell_id": CELL, "date": _NEXT, "last_reported": LAST}
    return {**base, "features": dict(zip(names, values, strict=True)), **changes}


def _context(kind: str, text: str, place: Place, draw: Draw) -> BadAsk:
    values, name = _feature(place, draw)
    features = dict(zip(place.ground.manifest.feature_names, values, strict=True)) | {name: "HERE"}
    body = _written({"contexts": [_given(place, draw, features=features)]}, text)
    named = "" if kind in _NO_JSON else name
    return BadAsk(f"context {kind}", "POST", "/v1/recommendations", body, named)


def _feature(place: Place, draw: Draw) -> tuple[list[Any], str]:
    """Return a good row and a feature's name, no lever's: today's setting is for the service to choose."""
    levers = {lever.name for lever in place.ground.manifest.levers}
    while True:
        values, _, name = place.ground.pick(draw)
        if name not in levers:
            return values, name


def _row(kind: str, text: str, place: Place, draw: Draw) -> BadAsk:
    """Two rows of history, one of them bad: it is set aside and named, and the other is taken."""
    signals = [name for name in typical_row(place.ground.manifest) if SIGNALS[name].high < 1e30]
    column = signals[int(draw.integers(len(signals)))]
    good = {"line_id": LINE, "cell_id": CELL, "date": LAST, **typical_row(place.ground.manifest)}
    bad = {**good, "cell_id": f"{CELL}-b", column: "HERE"}
    named = "" if kind in _NO_JSON else column
    return BadAsk(
        f"row {kind}",
        "POST",
        "/v1/history",
        _written({"cell_days": [good, bad]}, text),
        named,
    )


def _price(kind: str, text: str, draw: Draw) -> BadAsk:
    names = ("electricity_per_kwh", "anode_per_kg", "alf3_per_kg", "co2_per_t")
    name = names[int(draw.integers(len(names)))]
    body = _written({"line_id": LINE, "prices": {name: "HERE"}}, text)
    return BadAsk(f"price {kind}", "POST", "/v1/recommendations", body, "" if kind in _NO_JSON else name)


def _lever(kind: str, text: str, place: Place) -> BadAsk:
    name = place.ground.manifest.levers[0].name
    body = _written({"action": "modify", "levers": {name: "HERE"}}, text)
    far = kind in ("1e39", "minus 1e39", "out of range")  # a number all the same: refused for what it does
    return BadAsk(f"lever {kind}", "POST", place.decision, body, "" if far or kind in _NO_JSON else name)


def _structures(place: Place, draw: Draw) -> Iterator[BadAsk]:
    values, _, _ = place.ground.pick(draw)
    lever = place.ground.manifest.levers[int(draw.integers(len(place.ground.manifest.levers)))]
    wrong: dict[str, tuple[dict[str, Any], str]] = {
        "short row": ({"features": None, "row": values[: int(draw.integers(len(values)))]}, "row has"),
        "long row": ({"features": None, "row": [*values, 0.0]}, "row has"),
        "row and features": ({"row": values}, ""),
        "neither": ({"features": None}, ""),
        "unknown feature": ({"features": {"colour": 1.0}}, "colour"),
        "no date": ({"date": None}, "date"),
        "no day": ({"date": "2025-02-30"}, "date"),
        "a day in seconds": ({"date": 1736899200}, "date"),
        "reported ahead": ({"last_reported": _NEXT}, "last_reported"),
        "unknown key": ({"unit": "K"}, "unit"),
        "stuck": ({"stuck": [{"signal": "mood", "value": 1.0, "days": 3}]}, "signal"),
        "control character": ({"cell_id": "a\u0007"}, "cell_id"),
    }
    for kind, (changes, named) in wrong.items():
        body = orjson.dumps({"contexts": [_given(place, draw, **changes)]})
        yield BadAsk(f"context, {kind}", "POST", "/v1/recommendations", body, named)
    twice = orjson.dumps({"contexts": [_given(place, draw)] * 2})
    yield BadAsk("context, twice", "POST", "/v1/recommendations", twice, "twice")
    asked: dict[str, tuple[dict[str, Any], str]] = {
        "wider window": ({"window": [{"name": lever.name, "low": lever.low - 10.0}]}, lever.name),
        "unknown lever": ({"window": [{"name": "colour"}]}, "colour"),
        "no cell": ({"cells": []}, "cells"),
        "unknown cell": ({"cells": ["nobody"]}, "nobody"),
        "unknown line": ({"line_id": "L9"}, "L9"),
        "far date": ({"date": "2090-01-01"}, ""),
        "unknown model": ({"model": "nobody"}, "nobody"),
        "unknown key": ({"colour": 1}, "colour"),
        "cells that are text": ({"cells": CELL}, "cells"),
    }
    for kind, (changes, named) in asked.items():
        body = orjson.dumps({"line_id": LINE, **changes})
        yield BadAsk(f"advice, {kind}", "POST", "/v1/recommendations", body, named)
    decisions: dict[str, tuple[dict[str, Any], str]] = {
        "no action": ({}, "action"),
        "unknown action": ({"action": "perhaps"}, "action"),
        "modify without levers": ({"action": "modify"}, "levers"),
        "accept with levers": ({"action": "accept", "levers": {lever.name: lever.low}}, "levers"),
        "reject without reason": ({"action": "reject"}, "reason"),
        "endless reason": ({"action": "reject", "reason": "x" * 5000}, "reason"),
        "unknown lever": ({"action": "modify", "levers": {"colour": 1.0}}, ""),
        "unknown key": ({"action": "accept", "who": "me"}, "who"),
    }
    for kind, (told, named) in decisions.items():
        yield BadAsk(f"decision, {kind}", "POST", place.decision, orjson.dumps(told), named)
    modes: dict[str, tuple[dict[str, Any], str]] = {
        "unknown mode": ({"mode": "automatic"}, "mode"),
        "no reason": ({"reason": ""}, "reason"),
        "unknown lever": ({"mode": "approved", "levers": ["colour"]}, "colour"),
        "approved without levers": ({"mode": "approved", "levers": []}, ""),
        "unknown line": ({"line_id": "L9"}, "L9"),
    }
    for kind, (changes, named) in modes.items():
        body = orjson.dumps({"line_id": LINE, "mode": "off", "reason": "relining", **changes})
        yield BadAsk(f"mode, {kind}", "PUT", f"/v1/cells/{CELL}/mode", body, named)


def _history(place: Place, draw: Draw) -> Iterator[BadAsk]:
    good = {"line_id": LINE, "cell_id": CELL, "date": LAST, **typical_row(place.ground.manifest)}
    rows: dict[str, tuple[dict[str, Any], str]] = {
        "no cell": ({"cell_id": None}, "cell_id"),
        "no day": ({"date": f"2025-02-{int(draw.integers(30, 99))}"}, "date"),
        "a day with a time": ({"date": "2025-01-14T00:00:00Z"}, "date"),
        "unknown column": ({"colour": "red"}, "colour"),
        "in the future": ({"date": "2199-01-01"}, "date"),
        "before plants were": ({"date": "1812-01-01"}, "date"),
        "long name": ({"cell_id": "x" * 500}, "cell_id"),
    }
    for kind, (changes, named) in rows.items():
        body = orjson.dumps({"cell_days": [good, {**good, **changes}]})
        yield BadAsk(f"row, {kind}", "POST", "/v1/history", body, named)
    told: dict[str, tuple[Any, str]] = {
        "unknown table": ({"cells": [good]}, "cells"),
        "table that is no array": ({"cell_days": good}, "cell_days"),
        "no row": ({"cell_days": []}, ""),
        "rows that are none": ({"cell_days": [1, "a", None]}, ""),
        "new line without a plant": ({"cell_days": [{**good, "line_id": "L8"}]}, "L8"),
        "another plant": ({"plant": {"name": "other"}, "cell_days": [good]}, ""),
        "an array": ([good], ""),
    }
    for kind, (value, named) in told.items():
        yield BadAsk(f"history, {kind}", "POST", "/v1/history", orjson.dumps(value), named)


def _addresses(draw: Draw) -> Iterator[BadAsk]:
    wrong = quote(draw.bytes(6).hex() + "'\"<>")
    for kind, path in {
        "unknown recommendation": f"/v1/recommendations/{'0' * 32}",
        "no id": f"/v1/recommendations/{wrong}",
        "unknown cell": f"/v1/cells/{wrong}?line_id={LINE}",
        "no day": f"/v1/cells/{CELL}?line_id={LINE}&days=0",
        "too many days": f"/v1/cells/{CELL}?line_id={LINE}&days=731",
        "days that are no number": f"/v1/cells/{CELL}?line_id={LINE}&days=NaN",
        "savings of an unknown line": f"/v1/savings?line_id={wrong}",
        "savings without a line": "/v1/savings",
        "savings from no day": f"/v1/savings?line_id={LINE}&first=2025-13-01",
        "savings backwards": f"/v1/savings?line_id={LINE}&first=2025-01-10&last=2025-01-01",
        "control character": f"/v1/savings?line_id={quote(chr(7))}",
    }.items():
        yield BadAsk(f"address, {kind}", "GET", path, b"")


def _wholes(place: Place, draw: Draw) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield "POST", "/v1/recommendations", {"contexts": [_given(place, draw)]}
    yield "POST", place.decision, {"action": "reject", "reason": "x"}
    yield "POST", "/v1/explain", {"recommendation_id": place.recommendation_id}
    yield "POST", "/v1/quality", {"line_id": LINE}
    yield "POST", "/v1/allocations", {"moves_a_day": 3, "line_id": LINE}
    yield "PUT", f"/v1/cells/{CELL}/mode", {"line_id": LINE, "mode": "off", "reason": "x"}


def _broken(method: str, path: str, value: dict[str, Any], draw: Draw) -> Iterator[BadAsk]:
    """Yield a good body broken: cut short, a key twice, one too many, none, another type, noise, endless nesting."""
    body = orjson.dumps(value)
    key = next(iter(value))
    twice = body[:-1] + b"," + orjson.dumps({key: value[key]})[1:]
    bodies: dict[str, bytes] = {
        "cut short": body[: int(draw.integers(1, len(body) - 1))],
        "duplicate key": twice,
        "unknown key": orjson.dumps({**value, "colour": 1}),
        "empty": b"",
        "an array": orjson.dumps([value]),
        "null": b"null",
        "wrong type": orjson.dumps({**value, key: {"a": [1]}}),
        "noise": draw.bytes(int(draw.integers(1, 400))),
        "nested": b"[" * 3000,
    }
    for kind, content in bodies.items():
        yield BadAsk(f"{path.split('/')[-1]}, {kind}", method, path, content)


def failures(service: Service, place: Place, draw: Draw, count: int) -> list[str]:
    """Send ``count`` bad requests to ``/v1`` and return what was not answered as it must be."""
    found = []
    link = http.client.HTTPConnection(HOST, service.port, timeout=60)
    for bad in islice(asks(place, draw), count):
        link.request(bad.method, bad.path, bad.body or None, {"content-type": "application/json"})
        answer = link.getresponse()
        if fault := fault_of(bad, answer.status, answer.read()):
            found.append(f"{bad.kind}: {fault}")
    link.close()
    return found


def fault_of(bad: BadAsk, status: int, content: bytes) -> str:
    """Return what is wrong with the answer to ``bad``; empty if it is as it must be.

    Refused in the one shape, or, of rows, set aside, or, of a context, abstained from; each with what is wrong named.
    """
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError:
        return f"{status} is no JSON"
    if status == 200:
        return _taken(bad, told)
    if not 400 <= status < 500 or not isinstance(told, dict) or set(told) != _SHAPE:
        return f"answered {status} {content[:120]!r}"
    return "" if bad.named in told["error"] else f"does not name {bad.named}: {told['error'][:120]}"


def _taken(bad: BadAsk, told: Mapping[str, Any]) -> str:
    judge: Callable[[Mapping[str, Any], str], str] | None = {
        "/v1/history": _set_aside,
        "/v1/recommendations": _abstained,
    }.get(bad.path)
    return "answered" if judge is None else judge(told, bad.named)


def _set_aside(told: Mapping[str, Any], named: str) -> str:
    columns = [entry["column"] for entry in told["quarantined"]]
    if not columns or sum(told["set_aside"].values()) < 1:
        return "every row was taken"
    return "" if not named or named in columns else f"set aside for {columns}, not {named}"


def _abstained(told: Mapping[str, Any], named: str) -> str:
    for advice in told["recommendations"]:
        if advice["status"] != "abstain" or advice["levers"]:
            return f"answered {advice['status']}"
        if named not in "".join(reason["text"] for reason in advice["reasons"]):
            return f"abstained without naming {named}"
    return "" if told["recommendations"] else "answered with nothing"
