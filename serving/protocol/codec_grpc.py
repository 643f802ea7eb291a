"""gRPC requests and answers: raw contents, as the standard client sends them, or typed ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from features.bundle import FEATURES
from serving.protocol.call import OUTPUT_TYPE, Answers, Call, Rows, Signature, Wanted
from serving.protocol.codec_json import LONGEST_ID, known_outputs
from serving.protocol.intake import TYPES, Intake, refuse
from serving.protocol.messages import message
from serving.refusals import RefusedError

_REQUEST = message("ModelInferRequest")
_RESPONSE = message("ModelInferResponse")
_TYPED: Mapping[str, str] = {"FP32": "fp32_contents", "FP64": "fp64_contents"}


def decode(body: bytes | memoryview, intake: Intake, signature: Signature) -> Call:
    """Return the call in a serialised ``ModelInferRequest``.

    Raises:
        RefusedError: what is wrong, with the feature named where it is a value.
    """
    try:
        request = _REQUEST.FromString(bytes(body))
    except DecodeError as error:
        raise RefusedError(400, "bad_message", "the bytes are no ModelInferRequest") from error
    if request.parameters:
        refuse("unknown_parameter", f"parameter {sorted(request.parameters)[0][:64]!r} is not known", 400)
    if len(request.id) > LONGEST_ID:
        refuse("bad_id", f"id must be text of at most {LONGEST_ID} characters", 400)
    if len(request.inputs) != 1:
        refuse("bad_inputs", f"inputs must be one tensor, {FEATURES}", 400)
    names = [output.name for output in request.outputs]
    known_outputs(names, signature)
    for output in request.outputs:
        if output.parameters:
            refuse("unknown_parameter", f"output {output.name} takes no parameters", 400)
    wanted = tuple(Wanted(name, True) for name in names) or signature.every[True]
    return Call(request.id, _rows(request, intake), wanted)


def encode(call: Call, answers: Answers, signature: Signature) -> bytes:
    """Return the serialised ``ModelInferResponse``, raw contents."""
    answer = _RESPONSE(model_name=signature.name, model_version=signature.version, id=call.id)
    n = len(call.rows)
    for wanted in call.outputs:
        answer.outputs.add(name=wanted.name, datatype=OUTPUT_TYPE, shape=signature.shape(wanted.name, n))
        answer.raw_output_contents.append(answers[wanted.name].tobytes())
    data: bytes = answer.SerializeToString()
    return data


def _rows(request: Any, intake: Intake) -> Rows:
    tensor = request.inputs[0]
    if tensor.name != FEATURES:
        refuse("unknown_input", f"input {tensor.name[:64]!r} is not of this model; it is {FEATURES}", 400)
    dtype = intake.datatype(tensor.datatype)
    n = intake.shape(list(tensor.shape))
    intake.claims({key: _value(parameter) for key, parameter in tensor.parameters.items()})
    raw = request.raw_input_contents
    if tensor.HasField("contents"):
        if raw:
            refuse("bad_data", f"give {FEATURES} either raw or typed, not both", 400)
        return _typed(tensor, n, intake)
    if len(raw) != 1:
        refuse("bad_data", f"{len(raw)} raw contents for one input", 400)
    return intake.from_bytes(raw[0], n, dtype)


def _typed(tensor: Any, n: int, intake: Intake) -> Rows:
    field = _TYPED[tensor.datatype]
    others = [given.name for given, _ in tensor.contents.ListFields() if given.name != field]
    if others:
        refuse("bad_data", f"{FEATURES} is {tensor.datatype} and holds {others[0]}", 400)
    dtype = TYPES[tensor.datatype]
    values = np.array(getattr(tensor.contents, field), dtype=dtype)
    return intake.from_bytes(values.tobytes(), n, dtype)


def _value(parameter: Any) -> object:
    kind = parameter.WhichOneof("parameter_choice")
    return None if kind is None else getattr(parameter, kind)
