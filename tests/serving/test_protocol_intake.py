"""What may enter a model: everything else is refused with its feature named, whichever way it comes."""

import math
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.protocol import codec_grpc, codec_json
from serving.protocol.call import Signature
from serving.protocol.codec_json import JSON_ONLY
from serving.protocol.intake import Intake
from serving.protocol.messages import message
from serving.refusals import RefusedError
from tests.fakes.plant_bundle import WIDTH, manifest, predictor, rows

INTAKE = Intake(manifest(), 1000)
SIGNATURE = Signature.of(manifest())
NAMES = manifest().feature_names
MAY_MISS = next(i for i, feature in enumerate(manifest().features) if feature.may_be_missing)
MUST = next(i for i, feature in enumerate(manifest().features) if not feature.may_be_missing)


def data(n: int, seed: int = 5) -> list[float | None]:
    return [None if math.isnan(v) else v for v in rows(n, seed).ravel().tolist()]


def request(n: int = 1, **changes: object) -> dict[str, object]:
    tensor = {"name": "features", "shape": [n, WIDTH], "datatype": "FP32", "data": data(n)}
    return {"inputs": [{**tensor, **changes}]}


def decode(body: object, header_length: int = JSON_ONLY) -> codec_json.Call:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return codec_json.decode(content, header_length, INTAKE, SIGNATURE)


def refused(body: object, header_length: int = JSON_ONLY) -> RefusedError:
    with pytest.raises(RefusedError) as found:
        decode(body, header_length)
    return found.value


@pytest.mark.parametrize("n", [1, 7, 300])
def test_json_flat_and_nested_give_the_same_rows(n: int) -> None:
    flat = data(n)
    nested = [flat[i * WIDTH : (i + 1) * WIDTH] for i in range(n)]
    expected = rows(n, 5)
    for given_data in (flat, nested):
        call = decode(request(n, data=given_data))
        assert call.rows.dtype == np.float32
        assert np.array_equal(call.rows, expected, equal_nan=True)
    assert [wanted.name for wanted in call.outputs] == list(SIGNATURE.outputs)
    assert not any(wanted.binary for wanted in call.outputs)


def binary(X: np.ndarray, datatype: str = "FP32", **parameters: object) -> tuple[bytes, int]:
    raw = X.tobytes()
    tensor = {
        "name": "features",
        "shape": list(X.shape),
        "datatype": datatype,
        "parameters": {"binary_data_size": len(raw), **parameters},
    }
    header = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    return header + raw, len(header)


def test_binary_tensors_and_the_raw_body() -> None:
    X = rows(7, 6)
    call = decode(*binary(X))
    assert np.array_equal(call.rows, X, equal_nan=True)
    assert all(wanted.binary for wanted in call.outputs)
    assert np.array_equal(decode(X.tobytes(), 0).rows, X, equal_nan=True)
    assert refused(X.tobytes()[:-4], 0).code == "bad_size"


def test_fp64_is_taken_where_float32_holds_it_and_only_there() -> None:
    X = rows(5, 8, missing=False)
    assert np.array_equal(decode(*binary(X.astype(np.float64), "FP64")).rows, X)
    assert np.array_equal(decode(request(5, datatype="FP64", data=X.ravel().tolist())).rows, X)
    wide = X.astype(np.float64)
    wide[3, 4] = np.nextafter(wide[3, 4], 0)
    told = refused(*binary(wide, "FP64"))
    assert told.code == "not_exact"
    assert f"feature {NAMES[4]}, row 3," in told.message


BAD_VALUES = {
    "bool": ("true", "not_a_number"),
    "text": ('"0.1"', "not_a_number"),
    "object": ("{}", "not_a_number"),
    "huge": ("1e39", "not_finite"),
    "minus_huge": ("-1e300", "not_finite"),
    "outside": ("1e30", "out_of_range"),
}


@pytest.mark.parametrize("kind", sorted(BAD_VALUES))
@pytest.mark.parametrize("column", [0, MUST, MAY_MISS, WIDTH - 1])
@pytest.mark.parametrize("row", [0, 2])
def test_a_bad_value_in_json_is_refused_and_its_feature_named(kind: str, column: int, row: int) -> None:
    text, code = BAD_VALUES[kind]
    values = [orjson.dumps(value).decode() for value in data(3)]
    values[row * WIDTH + column] = text
    body = orjson.dumps(request(3, data=["HERE"])).replace(b'["HERE"]', f"[{','.join(values)}]".encode())
    told = refused(body)
    assert told.code == code
    assert f"feature {NAMES[column]}, row {row}," in told.message
    assert told.status == 422


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "1e999", "0x10", "01", "1.", "nan", "'1'", ""]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    body = orjson.dumps(request(1, data=["HERE"])).replace(b'["HERE"]', f"[{text},1]".encode())
    assert refused(body).code == "bad_json"


def test_missing_only_where_it_may_be() -> None:
    values = data(1)
    values[MAY_MISS] = None
    assert math.isnan(decode(request(1, data=values)).rows[0, MAY_MISS])
    values[MUST] = None
    told = refused(request(1, data=values))
    assert told.code == "missing_value"
    assert NAMES[MUST] in told.message
    X = rows(4, 3, missing=False)
    X[2, MUST] = np.nan
    assert f"feature {NAMES[MUST]}, row 2," in refused(*binary(X)).message


@settings(max_examples=60, deadline=None)
@given(
    row=st.integers(0, 3),
    column=st.integers(0, WIDTH - 1),
    value=st.one_of(st.just(math.inf), st.just(-math.inf), st.floats(1e9, 3e38), st.floats(-3e38, -1e9)),
)
def test_no_binary_value_outside_its_range_enters(row: int, column: int, value: float) -> None:
    X = rows(4, 9)
    X[row, column] = value
    for datatype in ("FP32", "FP64"):
        told = refused(*binary(X.astype(np.float32 if datatype == "FP32" else np.float64), datatype))
        assert told.code in ("not_finite", "out_of_range")
        assert f"feature {NAMES[column]}, row {row}," in told.message


@settings(max_examples=60, deadline=None)
@given(column=st.integers(0, WIDTH - 1), high=st.booleans())
def test_a_value_at_its_limit_enters_and_the_next_one_does_not(column: int, high: bool) -> None:
    feature = manifest().features[column]
    limit = np.float32(feature.high if high else feature.low)
    X = rows(1, 4)
    X[0, column] = limit
    assert decode(*binary(X)).rows[0, column] == limit
    X[0, column] = np.nextafter(limit, np.float32(np.inf if high else -np.inf))
    assert NAMES[column] in refused(*binary(X)).message


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "inputs"}, "unknown_input"),
        ({"datatype": "INT64"}, "bad_datatype"),
        ({"datatype": None}, "bad_datatype"),
        ({"shape": [1, WIDTH - 1]}, "bad_shape"),
        ({"shape": [WIDTH]}, "bad_shape"),
        ({"shape": [1, WIDTH, 1]}, "bad_shape"),
        ({"shape": [-1, WIDTH]}, "bad_shape"),
        ({"shape": [1.0, WIDTH]}, "bad_shape"),
        ({"shape": [True, WIDTH]}, "bad_shape"),
        ({"shape": [0, WIDTH], "data": []}, "no_rows"),
        ({"shape": [10**9, WIDTH]}, "too_many_rows"),
        ({"shape": [10**30, WIDTH]}, "too_many_rows"),
        ({"shape": "1,46"}, "bad_shape"),
        ({"data": []}, "bad_size"),
        ({"data": [1.0] * (WIDTH + 1)}, "bad_size"),
        ({"data": {}}, "bad_data"),
        ({"data": [[1.0] * WIDTH, [1.0]]}, "bad_size"),
        ({"data": [[1.0] * (WIDTH - 1)]}, "ragged"),
        ({"data": [[1.0] * (WIDTH + 1)]}, "ragged"),
        ({"unit": "K"}, "unknown_key"),
        ({"parameters": {"content_type": "pd"}}, "unknown_parameter"),
        ({"parameters": {"feature_names": ",".join(reversed(NAMES))}}, "wrong_names"),
        ({"parameters": {"feature_names": 3}}, "bad_parameter"),
        ({"parameters": {"recipe_digest": "0" * 64}}, "wrong_recipe"),
        ({"parameters": []}, "bad_parameter"),
    ],
)
def test_a_bad_tensor_is_refused(changes: dict[str, object], code: str) -> None:
    content = (
        orjson.dumps(request()) if "shape" not in changes or changes["shape"] != [10**30, WIDTH] else None
    )
    if content is None:
        body = orjson.dumps(request(shape=["HERE"])).replace(b'["HERE"]', b"[1" + b"0" * 30 + b",46]")
        assert refused(body).code == "bad_shape"  # beyond 64 bits the parser makes it a float
        return
    assert refused(request(**changes)).code == code


def test_a_wrong_order_and_a_wrong_unit_name_the_feature() -> None:
    swapped = list(NAMES)
    swapped[2], swapped[3] = swapped[3], swapped[2]
    told = refused(request(parameters={"feature_names": ",".join(swapped)}))
    assert told.code == "wrong_names"
    assert NAMES[2] in told.message
    units = [feature.unit for feature in manifest().features]
    assert decode(request(parameters={"feature_units": ",".join(units), "feature_names": ",".join(NAMES)}))
    at = units.index("degC")
    units[at] = "K"
    told = refused(request(parameters={"feature_units": ",".join(units)}))
    assert told.code == "wrong_units"
    assert NAMES[at] in told.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "bad_request"),
        ({}, "bad_inputs"),
        ({"inputs": []}, "bad_inputs"),
        ({"inputs": [1]}, "bad_request"),
        ({**request(), "inputs": [request()["inputs"], request()["inputs"]]}, "bad_inputs"),
        ({**request(), "extra": 1}, "unknown_key"),
        ({**request(), "id": 3}, "bad_id"),
        ({**request(), "id": "x" * 257}, "bad_id"),
        ({**request(), "parameters": {"binary_data_output": 1}}, "bad_parameter"),
        ({**request(), "outputs": [{"name": "nope"}]}, "unknown_output"),
        ({**request(), "outputs": [{"name": "support"}, {"name": "support"}]}, "output_twice"),
        ({**request(), "outputs": [{}]}, "bad_outputs"),
        ({**request(), "outputs": {}}, "bad_outputs"),
    ],
)
def test_a_bad_request_is_refused(body: object, code: str) -> None:
    assert refused(body).code == code


@pytest.mark.parametrize(
    "twice",
    [
        b'{"id":"a","id":"b",%s',
        b'{"i\\u0064":"a","id":"b",%s',
        b'{"id":"a:b","id":"c",%s',
    ],
)
def test_a_key_that_stands_twice_is_refused(twice: bytes) -> None:
    body = orjson.dumps(request())
    assert refused(twice % body[1:]).code == "key_twice"
    inner = body.replace(b'{"name":"features"', b'{"name":"other","name":"features"')
    assert refused(inner).code == "key_twice"
    assert decode(b'{"id":"a:b\\u003a",%s' % body[1:]).id == "a:b:"


def test_deep_nesting_is_refused() -> None:
    assert refused(b'{"inputs":' + b"[" * 5000 + b"]" * 5000 + b"}").code == "bad_json"
    deep = orjson.dumps(request(data=["HERE"])).replace(b'["HERE"]', b"[" * 900 + b"]" * 900)
    assert refused(deep).code == "ragged"


def test_outputs_come_in_the_order_asked_for_and_survive_the_round_trip() -> None:
    body = request(3)
    body["outputs"] = [
        {"name": "support", "parameters": {"binary_data": True}},
        {"name": "energy_kwh_per_t.members"},
    ]
    body["id"] = "42"
    call = decode(body)
    answers = predictor().predict(call.rows)
    content, header_length = codec_json.encode(call, answers, SIGNATURE)
    told = orjson.loads(content[:header_length])
    assert told["id"] == "42"
    assert [output["name"] for output in told["outputs"]] == ["support", "energy_kwh_per_t.members"]
    assert np.array_equal(np.frombuffer(content[header_length:]), answers["support"])
    members = np.array(told["outputs"][1]["data"]).reshape(told["outputs"][1]["shape"])
    assert np.array_equal(members, answers["energy_kwh_per_t.members"])


def grpc_request(X: np.ndarray, datatype: str = "FP32", typed: bool = False) -> object:
    asked = message("ModelInferRequest")(model_name="potline", id="7")
    tensor = asked.inputs.add(name="features", datatype=datatype, shape=list(X.shape))
    if typed:
        getattr(tensor.contents, f"{datatype.lower()}_contents").extend(X.ravel().tolist())
    else:
        asked.raw_input_contents.append(X.tobytes())
    return asked


def test_grpc_raw_and_typed_give_the_same_rows_and_the_answer_survives() -> None:
    X = rows(7, 2)
    for asked in (
        grpc_request(X),
        grpc_request(X, typed=True),
        grpc_request(X.astype(np.float64), "FP64", True),
    ):
        call = codec_grpc.decode(asked.SerializeToString(), INTAKE, SIGNATURE)
        assert np.array_equal(call.rows, X, equal_nan=True)
    answers = predictor().predict(call.rows)
    told = message("ModelInferResponse").FromString(codec_grpc.encode(call, answers, SIGNATURE))
    assert told.id == "7"
    for output, raw in zip(told.outputs, told.raw_output_contents, strict=True):
        assert np.array_equal(np.frombuffer(raw).reshape(list(output.shape)), answers[output.name])


def test_bad_grpc_requests_are_refused() -> None:
    def told(change: object, X: np.ndarray | None = None, typed: bool = False) -> str:
        asked = grpc_request(rows(1, 2) if X is None else X, typed=typed)
        change(asked)
        with pytest.raises(RefusedError) as found:
            codec_grpc.decode(asked.SerializeToString(), INTAKE, SIGNATURE)
        return found.value.code

    bad = rows(1, 2)
    bad[0, 3] = np.inf
    assert told(lambda asked: None, bad) == "not_finite"
    assert told(lambda asked: asked.raw_input_contents.append(b"")) == "bad_data"
    assert told(lambda asked: asked.raw_input_contents.append(b"x"), typed=True) == "bad_data"
    assert told(lambda asked: asked.inputs[0].contents.int_contents.append(1), typed=True) == "bad_data"
    assert told(lambda asked: asked.ClearField("raw_input_contents")) == "bad_data"
    assert told(lambda asked: asked.inputs.add(name="more")) == "bad_inputs"
    assert told(lambda asked: setattr(asked.inputs[0], "datatype", "BYTES")) == "bad_datatype"
    assert told(lambda asked: asked.outputs.add(name="nope")) == "unknown_output"
    assert (
        told(lambda asked: asked.parameters["priority"].__setattr__("int64_param", 1)) == "unknown_parameter"
    )
    with pytest.raises(RefusedError):
        codec_grpc.decode(b"\xff\xff\xff", INTAKE, SIGNATURE)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_our_words(content: bytes) -> None:
    for header_length in (JSON_ONLY, 0, 10, 10**9):
        told = refused(content, header_length)
        assert told.status in (400, 413, 422)
    with pytest.raises(RefusedError):
        codec_grpc.decode(content, INTAKE, SIGNATURE)


def test_more_rows_than_allowed_are_refused_before_they_are_read() -> None:
    small = Intake(manifest(), 2)
    with pytest.raises(RefusedError) as found:
        codec_json.decode(orjson.dumps(request(3, data=None)), JSON_ONLY, small, SIGNATURE)
    assert found.value.status == 413


def test_the_answer_of_another_width_cannot_be_decoded_as_ours() -> None:
    narrow = Intake(replace(manifest(), features=manifest().features[:-1], levers=()), 10)
    assert narrow.width == WIDTH - 1
    with pytest.raises(RefusedError) as found:
        codec_json.decode(orjson.dumps(request()), JSON_ONLY, narrow, SIGNATURE)
    assert found.value.code == "bad_shape"
