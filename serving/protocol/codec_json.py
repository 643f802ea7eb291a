"""JSON requests and answers, with the binary tensor extension.

A binary body is a JSON header of a declared length, then the tensors' bytes in order: little-endian, row-major. A
declared length of 0 means that the whole body is the model's one input, in FP32.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from features.bundle import FEATURES
from serving.protocol.call import OUTPUT_TYPE, Answers, Call, Signature, Wanted
from serving.protocol.intake import TYPES, Intake, refuse
from serving.refusals import RefusedError

JSON_ONLY: Final = -1
"""Header length of a body that is JSON throughout."""
LONGEST_ID: Final = 256

_REQUEST = frozenset({"id", "parameters", "inputs", "outputs"})
_INPUT = frozenset({"name", "shape", "datatype", "parameters", "data"})
_REQUEST_PARAMETERS = frozenset({"binary_data_output"})


def decode(body: bytes | memoryview, header_length: int, intake: Intake, signature: Signature) -> Call:
    """Return the call in ``body``, whose first ``header_length`` bytes are JSON (all of it, if ``JSON_ONLY``).

    Raises:
        RefusedError: what is wrong, with the feature named where it is a value.
    """
    if header_length == 0:
        return _raw_call(body, intake, signature)
    if header_length > len(body):
        refuse("bad_header_length", f"the JSON header is declared {header_length} bytes of {len(body)}", 400)
    header, tensors = (
        (body, b"") if header_length == JSON_ONLY else (body[:header_length], body[header_length:])
    )
    request = _object(_parsed(header), "the request", _REQUEST)
    given = _object(request.get("parameters", {}), "parameters", _REQUEST_PARAMETERS)
    binary = _flag(given, "binary_data_output")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        refuse("bad_inputs", f"inputs must be an array of one tensor, {FEATURES}", 400)
    tensor = _object(inputs[0], f"input {FEATURES}", _INPUT)
    wanted = _wanted(request.get("outputs"), signature, binary)
    rows = _rows(tensor, tensors, intake)
    _refuse_key_twice(header, request)
    return Call(_id(request), rows, wanted)


def encode(call: Call, answers: Answers, signature: Signature) -> tuple[bytes, int]:
    """Return the answer's body and the length of its JSON header (``JSON_ONLY`` where no tensor is binary)."""
    n = len(call.rows)
    blobs: list[bytes] = []
    outputs = []
    for wanted in call.outputs:
        values = answers[wanted.name]
        entry: dict[str, Any] = {
            "name": wanted.name,
            "datatype": OUTPUT_TYPE,
            "shape": signature.shape(wanted.name, n),
        }
        if wanted.binary:
            blobs.append(values.tobytes())
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = values if values.ndim == 1 else values.ravel()
        outputs.append(entry)
    answer: dict[str, Any] = {"model_name": signature.name, "model_version": signature.version}
    if call.id:
        answer["id"] = call.id
    answer["outputs"] = outputs
    header = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return (header, JSON_ONLY) if not blobs else (b"".join((header, *blobs)), len(header))


def _raw_call(body: bytes | memoryview, intake: Intake, signature: Signature) -> Call:
    row = intake.width * TYPES["FP32"].itemsize
    if not len(body) or len(body) % row:
        refuse("bad_size", f"a raw body of {len(body)} bytes is no whole number of rows of {row} bytes", 400)
    n = intake.shape([len(body) // row, intake.width])
    return Call("", intake.from_bytes(body, n, TYPES["FP32"]), signature.every[False])


def known_outputs(names: Sequence[str], signature: Signature) -> None:
    """Refuse an output that the model has not, or one asked for twice."""
    for name in names:
        if name not in signature.outputs:
            refuse(
                "unknown_output", f"output {name[:64]!r} is not of this model; its metadata names them", 400
            )
    if len(set(names)) != len(names):
        refuse("output_twice", "an output is asked for twice", 400)


def _parsed(header: bytes | memoryview) -> object:
    try:
        return orjson.loads(header)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, "bad_json", f"the body is no JSON: {_told(error)}") from error


def _told(error: orjson.JSONDecodeError) -> str:
    return f"{error.msg.partition(':')[0]} at byte {error.pos}"


def _object(value: object, what: str, known: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        refuse("bad_request", f"{what} is no JSON object", 400)
    if not known.issuperset(value):
        unknown = min(set(value) - known)
        refuse(
            "unknown_key", f"{what} holds the unknown key {unknown[:64]!r}; known are {sorted(known)}", 400
        )
    return value


def _id(request: Mapping[str, Any]) -> str:
    given = request.get("id", "")
    if not isinstance(given, str) or len(given) > LONGEST_ID:
        refuse("bad_id", f"id must be text of at most {LONGEST_ID} characters", 400)
    return given


def _flag(parameters: Mapping[str, Any], name: str) -> bool:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        refuse("bad_parameter", f"{name} must be true or false", 400)
    return value


def _wanted(outputs: object, signature: Signature, binary: bool) -> tuple[Wanted, ...]:
    if outputs is None or outputs == []:
        return signature.every[binary]
    if not isinstance(outputs, list) or len(outputs) > len(signature.outputs):
        refuse("bad_outputs", f"outputs must be an array of at most {len(signature.outputs)} tensors", 400)
    found = []
    for output in outputs:
        entry = _object(output, "an output", frozenset({"name", "parameters"}))
        name = entry.get("name")
        if not isinstance(name, str):
            refuse("bad_outputs", "an output has no name", 400)
        parameters = _object(
            entry.get("parameters", {}), "an output's parameters", frozenset({"binary_data"})
        )
        found.append(Wanted(name, _flag({"binary_data": binary} | dict(parameters), "binary_data")))
    known_outputs([wanted.name for wanted in found], signature)
    return tuple(found)


def _rows(tensor: Mapping[str, Any], tensors: bytes | memoryview, intake: Intake) -> Any:
    if tensor.get("name") != FEATURES:
        refuse(
            "unknown_input",
            f"input {str(tensor.get('name'))[:64]!r} is not of this model; it is {FEATURES}",
            400,
        )
    dtype = intake.datatype(tensor.get("datatype"))
    n = intake.shape(tensor.get("shape"))
    parameters = tensor.get("parameters", {})
    if not isinstance(parameters, dict):
        refuse("bad_parameter", f"parameters of {FEATURES} are no JSON object", 400)
    intake.claims(parameters)
    size = parameters.get("binary_data_size")
    if (size is None) == ("data" not in tensor):
        refuse("bad_data", f"give {FEATURES} either as data or as binary_data_size", 400)
    if size is None:
        if len(tensors):
            refuse("bad_size", f"{len(tensors)} bytes follow the JSON header, no tensor claims them", 400)
        return intake.from_data(tensor["data"], n, dtype)
    if type(size) is not int or size != len(tensors):
        refuse(
            "bad_size", f"binary_data_size is {str(size)[:32]}, {len(tensors)} bytes follow the header", 400
        )
    return intake.from_bytes(tensors, n, dtype)


def _refuse_key_twice(header: bytes | memoryview, request: Mapping[str, Any]) -> None:
    """Refuse a key that stands twice in its object; the fast parser keeps the last one without a word.

    A text without escapes holds as many colons as what was parsed from it, written down again, unless a pair was
    dropped. With escapes the count is not that simple, and the slow parser looks.
    """
    text = bytes(header)
    slim = {**request, "inputs": [{**request["inputs"][0], "data": None}]}
    dropped = text.count(b":") - orjson.dumps(slim).count(b":")
    if dropped != -("data" not in request["inputs"][0]) or b"\\" in text:
        json.loads(text, object_pairs_hook=_pairs)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        refuse("key_twice", f"the key {twice[:64]!r} stands twice", 400)
    return found
