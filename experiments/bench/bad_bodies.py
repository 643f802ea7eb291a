"""Requests that must be refused: one row of good values with one thing wrong, in every way that a sender gets wrong.

Each says whether the refusal must name the feature, and over which ways it can be sent.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from experiments.bench.load import Rows
from features.bundle import Manifest
from serving.protocol.messages import message

Draw = np.random.Generator


@dataclass(frozen=True)
class Bad:
    """One bad request: its kind, the body (HTTP) or message (gRPC), the feature that the refusal must name, headers."""

    kind: str
    body: bytes
    feature: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ground:
    """What bad requests are made from: the manifest and good rows (n, d) without missing values."""

    manifest: Manifest
    rows: Rows

    def pick(self, draw: Draw) -> tuple[list[Any], int, str]:
        """Return one good row's values, a column and its feature's name."""
        column = int(draw.integers(self.rows.shape[1]))
        row = self.rows[int(draw.integers(len(self.rows)))]
        return row.tolist(), column, self.manifest.feature_names[column]


def over_rest(ground: Ground, draw: Draw) -> Iterator[Bad]:
    """Yield bad HTTP bodies without end, kind after kind."""
    makers = [*(_value_maker(kind, text) for kind, text in VALUES.items()), *_STRUCTURES]
    while True:
        for make in makers:
            yield make(ground, draw)
        for binary in _BINARY:
            yield _binary(binary, ground, draw)


def over_grpc(ground: Ground, draw: Draw) -> Iterator[Bad]:
    """Yield bad ``ModelInferRequest`` messages without end, kind after kind."""
    while True:
        for kind in _BINARY:
            values, column, name = ground.pick(draw)
            rows = np.array([values], dtype=np.float32)
            rows[0, column] = _BINARY[kind]
            yield Bad(f"grpc {kind}", _message(ground, rows), name if not np.isnan(_BINARY[kind]) else None)
        yield from _grpc_structures(ground, draw)


VALUES: Final[Mapping[str, str]] = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "1e999": "1e999",
    "1e39": "1e39",
    "minus 1e39": "-1e39",
    "bool": "true",
    "string": '"0.1"',
    "object": '{"value":1}',
    "array": "[1]",
    "out of range": "1e30",
    "no number": "0x10",
}
_NO_JSON: Final = frozenset({"NaN", "Infinity", "minus Infinity", "1e999", "no number"})
"""No JSON at all: the parser stops there, before anybody knows which feature it would have been."""
_BINARY: Final[Mapping[str, float]] = {"inf": np.inf, "minus inf": -np.inf, "far": 1e30, "minus far": -1e30}


def _value_maker(kind: str, text: str) -> Callable[[Ground, Draw], Bad]:
    def make(ground: Ground, draw: Draw) -> Bad:
        values, column, name = ground.pick(draw)
        written = [orjson.dumps(value).decode() for value in values]
        written[column] = text
        data = f"[{','.join(written)}]"
        if draw.random() < 0.5:
            data = f"[{data}]"
        body = orjson.dumps(_request(values, data="HERE")).replace(b'"HERE"', data.encode())
        return Bad(kind, body, None if kind in _NO_JSON else name)

    return make


def _request(values: list[Any], **changes: Any) -> dict[str, Any]:
    tensor = {"name": "features", "shape": [1, len(values)], "datatype": "FP32", "data": values}
    return {"inputs": [{**tensor, **changes}]}


def _missing(ground: Ground, draw: Draw) -> Bad:
    must = [i for i, feature in enumerate(ground.manifest.features) if not feature.may_be_missing]
    values, column, _ = ground.pick(draw)
    column = must[int(draw.integers(len(must)))] if must else column
    values[column] = None
    if not must:
        values = values[:-1]
    name = ground.manifest.feature_names[column] if must else None
    return Bad("missing", orjson.dumps(_request(values)), name)


def _ragged(ground: Ground, draw: Draw) -> Bad:
    values, column, name = ground.pick(draw)
    data = [values, values[:column]]
    return Bad("ragged", orjson.dumps(_request(values, shape=[2, len(values)], data=data)), name)


def _empty(ground: Ground, draw: Draw) -> Bad:
    values, _, _ = ground.pick(draw)
    whole = _request(values)
    choices: list[Any] = [
        {},
        [],
        {**whole, "inputs": []},
        _request(values, data=[]),
        _request(values, shape=[]),
    ]
    body = orjson.dumps(choices[int(draw.integers(len(choices)))])
    return Bad("empty", b"" if draw.random() < 0.2 else body)


def _huge(ground: Ground, draw: Draw) -> Bad:
    values, _, _ = ground.pick(draw)
    rows = int(10 ** draw.uniform(4, 17))
    return Bad("huge", orjson.dumps(_request(values, shape=[rows, len(values)])))


def _twice(ground: Ground, draw: Draw) -> Bad:
    values, _, _ = ground.pick(draw)
    body = orjson.dumps(_request(values))
    key = (b'"name":"features"', b'"datatype":"FP32"', b'"shape":[1,%d]' % len(values))[int(draw.integers(3))]
    return Bad("duplicate key", body.replace(key, key + b"," + key))


def _unknown(ground: Ground, draw: Draw) -> Bad:
    values, _, _ = ground.pick(draw)
    whole = _request(values)
    places: list[Any] = [
        {**whole, "unit": "K"},
        _request(values, unit="K"),
        _request(values, parameters={"unit": "K"}),
    ]
    return Bad("unknown key", orjson.dumps(places[int(draw.integers(3))]))


def _order(ground: Ground, draw: Draw) -> Bad:
    values, column, _ = ground.pick(draw)
    names = list(ground.manifest.feature_names)
    other = (column + 1) % len(names)
    names[column], names[other] = names[other], names[column]
    first = ground.manifest.feature_names[min(column, other)]
    return Bad(
        "wrong order", orjson.dumps(_request(values, parameters={"feature_names": ",".join(names)})), first
    )


def _unit(ground: Ground, draw: Draw) -> Bad:
    values, column, name = ground.pick(draw)
    units = [feature.unit for feature in ground.manifest.features]
    units[column] = "furlong"
    return Bad(
        "wrong unit", orjson.dumps(_request(values, parameters={"feature_units": ",".join(units)})), name
    )


def _cut(ground: Ground, draw: Draw) -> Bad:
    values, _, _ = ground.pick(draw)
    body = orjson.dumps(_request(values))
    return Bad("cut short", body[: int(draw.integers(1, len(body) - 1))])


def _noise(ground: Ground, draw: Draw) -> Bad:
    return Bad("noise", draw.bytes(int(draw.integers(1, 600))))


_STRUCTURES: Final = (_missing, _ragged, _empty, _huge, _twice, _unknown, _order, _unit, _cut, _noise)


def _binary(kind: str, ground: Ground, draw: Draw) -> Bad:
    values, column, name = ground.pick(draw)
    rows = np.array([values], dtype=np.float32)
    rows[0, column] = _BINARY[kind]
    tensor = _request(values)["inputs"][0]
    del tensor["data"]
    head = orjson.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": rows.nbytes}}]})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Bad(f"binary {kind}", head + rows.tobytes(), name, headers)


def _message(ground: Ground, rows: Rows, **changes: Any) -> bytes:
    asked = message("ModelInferRequest")(model_name=ground.manifest.name)
    tensor = {"name": "features", "datatype": "FP32", "shape": list(rows.shape), **changes}
    asked.inputs.add(**tensor)
    asked.raw_input_contents.append(rows.tobytes())
    content: bytes = asked.SerializeToString()
    return content


def _grpc_structures(ground: Ground, draw: Draw) -> Iterator[Bad]:
    values, _, _ = ground.pick(draw)
    rows = np.array([values], dtype=np.float32)
    yield Bad("grpc narrow", _message(ground, rows[:, :-1]))
    yield Bad("grpc shape", _message(ground, rows, shape=[int(10 ** draw.uniform(1, 15)), rows.shape[1]]))
    yield Bad("grpc type", _message(ground, rows, datatype="INT64"))
    yield Bad("grpc name", _message(ground, rows, name="inputs"))
    yield Bad("grpc empty", _message(ground, rows[:0]))
    whole = _message(ground, rows)
    yield Bad("grpc cut short", whole[: int(draw.integers(1, len(whole) - 1))])
    yield Bad("grpc noise", draw.bytes(int(draw.integers(1, 300))))
