"""What is asked of an advice worker: a verb with its particulars in JSON, and bytes that belong to it."""

from collections.abc import Mapping
from typing import Any, Literal

import orjson

from serving.models.pool import Pool
from serving.models.wire import Frame, Kind, pack

Verb = Literal[
    "post",
    "contexts",
    "settle",
    "advise",
    "judge",
    "allocate",
    "explain",
    "card",
    "precedents",
    "quality",
    "follow",
    "errors",
    "savings",
]


async def ask(pool: Pool, verb: Verb, told: Mapping[str, Any], payload: bytes = b"") -> dict[str, Any]:
    """Return what a worker of ``pool`` answers.

    Raises:
        RefusedError: it refused, was too slow, or too many wait.
    """
    head = orjson.dumps({"verb": verb, **told})
    frame = await pool.ask(Kind.TASK, head + payload, len(head))
    found: dict[str, Any] = orjson.loads(frame.body)
    return found


def read(frame: Frame) -> tuple[str, dict[str, Any], bytes]:
    """Return verb, particulars and bytes of a task."""
    told: dict[str, Any] = orjson.loads(frame.body[: frame.header_length])
    return told.pop("verb"), told, frame.body[frame.header_length :]


def answer(ticket: int, value: Mapping[str, Any]) -> bytes:
    """Return the answering frame."""
    return pack(ticket, Kind.ANSWER, orjson.dumps(value))
