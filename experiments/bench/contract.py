"""schemathesis over an OpenAPI description of the running service, ours or the protocol's own."""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import requests
import yaml  # type: ignore[import-untyped]
from hypothesis import HealthCheck, Phase, given, seed, settings

from experiments.bench.service import HOST, Service
from experiments.bench.standing import CELL, LINE, stand
from experiments.bench.table import Value
from features.bundle import Manifest
from features.errors import InputError

_TIMEOUT_S: Final = 30
_TURNS: Final = 20
_ALLOWED: Final = frozenset({503, 504})
_SHAPE: Final = {"error", "error_zh", "code", "request_id"}


def contract(
    service: Service, manifest: Manifest, cases: int, descriptions: tuple[Path, ...], start: int
) -> list[tuple[Value, ...]]:
    """Send about ``cases`` generated requests for each description and return what broke the contract.

    Raises:
        InputError: a description cannot be read.
        SuperheatError: the service takes no record, or does not advise.
    """
    own = json.loads(service.ask("GET", "/openapi.json")[1])
    tried: list[tuple[str, dict[str, Any]]] = [("our description", own)]
    tried += [(path.stem, _read(path)) for path in descriptions]
    there = _there(service, manifest)
    return [_try(service, there, name, raw, cases, start) for name, raw in tried]


def _there(service: Service, manifest: Manifest) -> dict[str, str]:
    """Put a short record and a recommendation into the service; return by name what a request may find there."""
    return {
        **dict.fromkeys(("model", "MODEL_NAME"), manifest.name),
        **dict.fromkeys(("version", "MODEL_VERSION"), manifest.digest[:12]),
        "line_id": LINE,
        "cell_id": CELL,
        "recommendation_id": stand(service, manifest),
    }


def _read(path: Path) -> dict[str, Any]:
    """Return the description in ``path``; ``${NAME}`` in its paths becomes ``{NAME}``, which is what OpenAPI has."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8").replace("${", "{"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"description {path} cannot be read: {error}") from error
    if not isinstance(value, dict) or "paths" not in value:
        raise InputError(f"description {path} is no OpenAPI; it names no paths")
    return value


def _try(
    service: Service, there: Mapping[str, str], name: str, raw: dict[str, Any], cases: int, start: int
) -> tuple[Value, ...]:
    import schemathesis

    schema = schemathesis.openapi.from_dict(raw)
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
    # What takes the model away would leave the rest with nothing to ask.
    operations = [operation for operation in operations if not operation.path.endswith("/unload")]
    statuses: Counter[int] = Counter()
    faults: list[str] = []
    with requests.Session() as session:
        check = _checker(service, there, session, statuses, faults)
        for turn in range(_TURNS):
            # Addresses that take nothing have few cases, and some cases cannot be put on the wire: others make up.
            before = statuses.total()
            for operation in operations:
                left = max(1, -(-(cases - before) // len(operations)))
                _generate(operation, check, left, start + turn)
            if statuses.total() >= cases:
                break
    told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    words = "; ".join(dict.fromkeys(faults[:3])) or told
    return f"schemathesis, {name}", statuses.total(), len(faults), words


def _generate(operation: Any, check: Callable[[Any], None], cases: int, start: int) -> None:
    quiet = list(HealthCheck)

    @seed(start)
    @settings(
        max_examples=cases, database=None, deadline=None, suppress_health_check=quiet, phases=[Phase.generate]
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        check(case)

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the generator warns of strategies that filter much; that is its business
        ask()


def _checker(
    service: Service,
    there: Mapping[str, str],
    session: requests.Session,
    statuses: Counter[int],
    faults: list[str],
) -> Callable[[Any], None]:
    turn = iter(range(1 << 30))

    def check(case: Any) -> None:
        if next(turn) % 2:  # half of them go to what is there
            for part in ("path_parameters", "query", "body"):
                given = getattr(case, part)
                if isinstance(given, dict):
                    setattr(case, part, {key: there.get(key, value) for key, value in given.items()})
        try:
            answer = case.call(base_url=f"http://{HOST}:{service.port}", session=session, timeout=_TIMEOUT_S)
        except (requests.exceptions.InvalidHeader, UnicodeError, ValueError):
            return  # what the generator's own client cannot put on the wire
        statuses[answer.status_code] += 1
        fault = _fault(answer.status_code, answer.content)
        if fault:
            faults.append(f"{case.method} {operation_path(case)}: {fault}")

    return check


def operation_path(case: Any) -> str:
    """Return the path template that ``case`` is for."""
    return str(case.operation.path)


def _fault(status: int, content: bytes) -> str:
    if status >= 500 and status not in _ALLOWED:
        return f"answered {status}"
    if status < 400:
        return ""
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError:
        return f"{status} is no JSON: {content[:60]!r}"
    return "" if isinstance(told, dict) and set(told) == _SHAPE else f"{status} has another shape"
