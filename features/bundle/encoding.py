"""Canonical JSON, and plain values to frozen dataclasses and back without guessing.

Canonical: sorted keys, UTF-8 as it is, the shortest decimal that reads back as the same double, no NaN, a line end.
One value therefore has one text, and a text can be compared, hashed and sealed.
"""

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_DEPTH = 32


def canonical(value: object) -> bytes:
    """Return the one text of ``value`` (plain JSON values), as UTF-8.

    Raises:
        ValueError: NaN, infinity, or a value that JSON does not know.
    """
    try:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error
    return (text + "\n").encode()


def sha256(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def parse(content: bytes) -> object:
    """Return the plain values of a canonical text.

    Raises:
        ValueError: not UTF-8 JSON, a key twice, too deep, or not the canonical text of its own value.
    """
    try:
        value: object = json.loads(
            content.decode(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _depth(value) > _DEPTH:
        raise ValueError(f"nested deeper than {_DEPTH}")
    if canonical(value) != content:
        raise ValueError("not in canonical form; it was edited or written by another program")
    return value


def plain(value: object) -> Any:
    """Return ``value`` (dataclasses, tuples, mappings, numbers, text) as plain JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def build(kind: type[T], value: object, where: str = "") -> T:
    """Return the dataclass ``kind`` from plain values, every field present, typed and known.

    Raises:
        ValueError: a field is missing, unknown or of another type; the message says which.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where or kind.__name__} is {type(value).__name__}, expected an object")
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if missing := [name for name in names if name not in value]:
        raise ValueError(f"{where or kind.__name__} lacks {missing}")
    if unknown := sorted(set(value) - set(names)):
        raise ValueError(f"{where or kind.__name__} holds unknown {unknown}")
    return kind(**{name: _cast(hints[name], value[name], f"{where}.{name}".lstrip(".")) for name in names})


def _cast(hint: Any, value: object, where: str) -> Any:
    if hint is Any:
        return value
    if is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple:
        return _cast_tuple(args, value, where)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {type(value).__name__}, expected an object")
        return {key: _cast(args[1], inner, f"{where}.{key}") for key, inner in value.items()}
    if origin is Literal:
        if value not in args:
            raise ValueError(f"{where} is {value!r:.80}, expected one of {list(args)}")
        return value
    if origin in (Union, types.UnionType):
        inner = next(arg for arg in args if arg is not type(None))
        return None if value is None else _cast(inner, value, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"{where} is {value!r:.80}, expected {getattr(hint, '__name__', hint)}")
    return value


def _cast_tuple(args: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {type(value).__name__}, expected an array")
    if args[-1] is Ellipsis:
        return tuple(_cast(args[0], inner, f"{where}[{i}]") for i, inner in enumerate(value))
    if len(args) != len(value):
        raise ValueError(f"{where} holds {len(value)} values, expected {len(args)}")
    return tuple(
        _cast(arg, inner, f"{where}[{i}]") for i, (arg, inner) in enumerate(zip(args, value, strict=True))
    )


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands twice in {[key for key, _ in pairs]}")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _depth(value: object) -> int:
    deepest, level = 0, [value]
    while level and deepest <= _DEPTH:
        deepest += 1
        children: list[object] = []
        for item in level:
            if isinstance(item, dict):
                children += item.values()
            elif isinstance(item, list):
                children += item
        level = children
    return deepest
