"""Why a request is not answered: one error, one table from our errors to HTTP and gRPC, one body.

    RefusedError                what a caller is told: status, code, message; says nothing of our insides
    UnavailableError            a database that does not answer

The body is ``{"error": <sentence>, "code": <stable word>, "request_id": <id>}`` on every way in; the standard client
shows ``error`` and nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from features.errors import (
    BundleCorruptError,
    BundleForeignError,
    BundleProtocolError,
    InputError,
    SearchError,
    SuperheatError,
    TargetUnavailableError,
    UnknownNameError,
)

LONGEST: Final = 600
"""Characters of a message that a caller is shown."""


class RefusedError(SuperheatError):
    """A request is refused: HTTP ``status``, a stable ``code``, the sentence, and seconds to wait before another."""

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        """Hold what the caller is told."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class UnavailableError(SuperheatError):
    """Something that the service needs, such as a database, does not answer: nothing was done, and it may be later."""


@dataclass(frozen=True)
class Verdict:
    """How an error of ours looks from outside: ``message`` replaces the error's own where that is not for callers."""

    status: int
    code: str
    message: str | None = None


TABLE: Final[tuple[tuple[type[SuperheatError], Verdict], ...]] = (
    (UnknownNameError, Verdict(404, "unknown_name")),
    (InputError, Verdict(422, "invalid_input")),
    (TargetUnavailableError, Verdict(422, "target_unavailable")),
    (SearchError, Verdict(422, "no_feasible_setpoint")),
    (
        BundleProtocolError,
        Verdict(409, "bundle_protocol", "the bundle is written in another protocol version"),
    ),
    (
        BundleForeignError,
        Verdict(409, "bundle_foreign", "the bundle is not the one asked for, or of another recipe"),
    ),
    (BundleCorruptError, Verdict(409, "bundle_corrupt", "the bundle is damaged and was not loaded")),
    (
        UnavailableError,
        Verdict(
            503,
            "unavailable",
            "something that the service needs does not answer; nothing was done, try again",
        ),
    ),
    (
        SuperheatError,
        Verdict(500, "internal", "the service failed on this request; give the request_id to its keeper"),
    ),
)
"""The first row that the error is an instance of says how it looks."""

CODES: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    410: "expired",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    429: "rate_limited",
    500: "internal",
    501: "not_installed",
    503: "overloaded",
    504: "deadline",
}
"""The code of a plain HTTP status."""

GRPC: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "FAILED_PRECONDITION",
    410: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""HTTP status -> name of the gRPC status."""

_INSIDE = re.compile(r"Traceback|File \"|\.py\b|0x[0-9a-f]{6,}|(?<![\w.])(?:/[\w.-]+){2,}|[A-Za-z]:\\")
_HIDDEN: Final = "the request was refused; give the request_id to the service's keeper"


def refusal_of(error: SuperheatError) -> RefusedError:
    """Return what a caller is told of ``error``; a message that shows our insides is replaced."""
    if isinstance(error, RefusedError):
        return error
    verdict = next(verdict for kind, verdict in TABLE if isinstance(error, kind))
    return RefusedError(verdict.status, verdict.code, verdict.message or outside_words(str(error)))


def of_status(status: int, message: str, retry_after: int | None = None) -> RefusedError:
    """Return the refusal of a plain HTTP ``status``."""
    return RefusedError(status, CODES.get(status, "refused"), message, retry_after)


def internal() -> RefusedError:
    """Return what a caller is told of a defect of ours."""
    return RefusedError(500, "internal", str(TABLE[-1][1].message))


def outside_words(message: str) -> str:
    """Return ``message`` as one bounded line, or a plain sentence where it shows a path, address or code of ours."""
    line = " ".join(message.split())
    if _INSIDE.search(line):
        return _HIDDEN
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def body(refused: RefusedError, request_id: str) -> bytes:
    """Return the JSON body of a refusal."""
    return orjson.dumps({"error": refused.message, "code": refused.code, "request_id": request_id})


def headers(refused: RefusedError) -> dict[str, str]:
    """Return the headers that a refusal adds."""
    found = {} if refused.retry_after is None else {"retry-after": str(refused.retry_after)}
    if refused.status == 401:
        found["www-authenticate"] = "Bearer"
    return found
