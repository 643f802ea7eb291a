"""The OpenAPI description: FastAPI's own routes, and the protocol's, which are plain ones it does not know."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.routes.forms import HistoryPost, Progress

_ERROR: Final = {
    "description": "Refused",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
}
REFUSALS: Final = (
    "400",
    "401",
    "403",
    "404",
    "405",
    "408",
    "409",
    "410",
    "413",
    "415",
    "422",
    "429",
    "501",
    "503",
    "504",
)
"""Statuses that any route may refuse with."""

_SCHEMAS: Final[dict[str, Any]] = {
    "Refusal": {
        "type": "object",
        "required": ["error", "error_zh", "code", "request_id"],
        "properties": {key: {"type": "string"} for key in ("error", "error_zh", "code", "request_id")},
    },
    "Tensor": {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string", "enum": ["FP32", "FP64"]},
            "shape": {"type": "array", "items": {"type": "integer"}},
        },
    },
    "Infer": {
        "type": "object",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "maxLength": 256},
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"binary_data_output": {"type": "boolean"}},
            },
            "inputs": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": {
                    "type": "object",
                    "required": ["name", "shape", "datatype", "data"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string", "enum": ["features"]},
                        "shape": {
                            "type": "array",
                            "items": {"type": "integer"},
                            "minItems": 2,
                            "maxItems": 2,
                        },
                        "datatype": {"type": "string", "enum": ["FP32", "FP64"]},
                        "parameters": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                key: {"type": "string"}
                                for key in ("feature_names", "feature_units", "recipe_digest")
                            },
                        },
                        "data": {"type": "array", "items": {}},
                    },
                },
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string"},
                        "parameters": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"binary_data": {"type": "boolean"}},
                        },
                    },
                },
            },
        },
    },
    "Inferred": {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {
                "type": "array",
                "items": {
                    "allOf": [{"$ref": "#/components/schemas/Tensor"}],
                    "properties": {"data": {"type": "array", "items": {"type": "number"}}},
                },
            },
        },
    },
    "Change": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"version": {"type": "string", "pattern": "^[0-9a-f]{12,64}$"}},
            }
        },
    },
    "Changed": {
        "type": "object",
        "required": ["model", "version"],
        "properties": {"model": {"type": "string"}, "version": {"type": "string"}},
    },
    "IndexRequest": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"ready": {"type": "boolean"}},
    },
}

_OBJECT: Final = {"type": "object"}
_LIST: Final = {"type": "array", "items": {"type": "object"}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of every route of ``app``."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for path, method, name, request, answer in _protocol():
            found["paths"].setdefault(path, {})[method] = _operation(path, name, request, answer)
        found.setdefault("components", {}).setdefault("schemas", {}).update(_SCHEMAS | _models())
        for operations in found["paths"].values():
            for operation in operations.values():
                for status in REFUSALS:
                    operation["responses"][status] = _ERROR
        app.openapi_schema = found
    return app.openapi_schema


def _models() -> dict[str, Any]:
    """Return the schemas of models that routes name without taking or answering them through FastAPI."""
    found: dict[str, Any] = {}
    for model in (HistoryPost, Progress):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return found


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _protocol() -> list[tuple[str, str, str, dict[str, Any] | None, dict[str, Any]]]:
    found: list[tuple[str, str, str, dict[str, Any] | None, dict[str, Any]]] = [
        ("/v2/health/live", "get", "Server live", None, _OBJECT),
        ("/v2/health/ready", "get", "Server ready", None, _OBJECT),
        ("/v2", "get", "Server metadata", None, _OBJECT),
        ("/v1/session", "get", "Who is asking", None, _OBJECT),
        ("/v2/repository/index", "post", "Repository index", _ref("IndexRequest"), _LIST),
        ("/v2/repository/models/{model}", "get", "Versions in operation", None, _OBJECT),
        ("/v2/repository/models/{model}/drift", "get", "Drift of each feature", None, _OBJECT),
    ]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        found += [
            (path, "get", "Model metadata", None, _OBJECT),
            (f"{path}/ready", "get", "Model ready", None, _OBJECT),
            (f"{path}/infer", "post", "Infer", _ref("Infer"), _ref("Inferred")),
        ]
    for name in ("load", "unload", "promote", "rollback", "shadow"):
        path = f"/v2/repository/models/{{model}}/{name}"
        found.append((path, "post", f"Model {name}", _ref("Change"), _ref("Changed")))
    return found


def _operation(
    path: str, name: str, request: dict[str, Any] | None, answer: dict[str, Any]
) -> dict[str, Any]:
    parameters = [
        {"name": key, "in": "path", "required": True, "schema": {"type": "string"}}
        for key in ("model", "version")
        if f"{{{key}}}" in path
    ]
    operation: dict[str, Any] = {
        "summary": name,
        "responses": {
            "200": {"description": "Answered", "content": {"application/json": {"schema": answer}}},
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if request is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": request}}}
    return operation
