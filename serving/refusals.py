"""Why a request is not answered: one error, one table from our errors to HTTP and gRPC, one body.

    RefusedError                what a caller is told: status, code, message in both languages; nothing of our insides
    UnavailableError            a database that does not answer

The body is ``{"error": <sentence>, "error_zh": <in Chinese>, "code": <stable word>, "request_id": <id>}`` on every way
in; the standard client shows ``error`` and nothing else. What a person meets on the page is raised by :func:`refused`,
from the sentences of :mod:`serving.refusal_words`.
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
from serving.refusal_words import WORDS, code_of

LONGEST: Final = 600
"""Characters of a message that a caller is shown."""


class RefusedError(SuperheatError):
    """A request is refused: HTTP ``status``, a stable ``code``, the sentence, and seconds to wait before another."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after: int | None = None,
        message_zh: str | None = None,
    ) -> None:
        """Hold what the caller is told; without ``message_zh`` Chinese readers get its kind, and ``message`` behind it."""
        super().__init__(message)
        self.message_zh = message_zh or _plain_zh(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class _UnknownRefusedError(RefusedError, UnknownNameError):
    pass


class _InvalidRefusedError(RefusedError, InputError):
    pass


class _InfeasibleRefusedError(RefusedError, SearchError):
    pass


_KINDS: Final[Mapping[str, type[RefusedError]]] = {
    "unknown_name": _UnknownRefusedError,
    "invalid_input": _InvalidRefusedError,
    "no_feasible_setpoint": _InfeasibleRefusedError,
}
"""Codes whose refusals are errors of ours too, so that whoever catches those catches these."""


def refused(
    status: int,
    key: str,
    retry_after: int | None = None,
    /,
    *,
    zh: Mapping[str, str] | None = None,
    **values: object,
) -> RefusedError:
    """Return the refusal ``key`` of :mod:`serving.refusal_words`, its sentences filled from ``values``.

    ``zh`` replaces values that are themselves words in the Chinese sentence.
    """
    wording, code = WORDS[key], code_of(key)
    message = outside_words(wording.text.format(**values))
    message_zh = outside_words(wording.text_zh.format(**{**values, **(zh or {})}), _HIDDEN_ZH)
    return _KINDS.get(code, RefusedError)(status, code, message, retry_after, message_zh)


class UnavailableError(SuperheatError):
    """Something that the service needs, such as a database, does not answer: nothing was done, and it may be later."""


@dataclass(frozen=True)
class Verdict:
    """How an error of ours looks from outside; its own message is told where the code's sentence asks for it."""

    status: int
    code: str


TABLE: Final[tuple[tuple[type[SuperheatError], Verdict], ...]] = (
    (UnknownNameError, Verdict(404, "unknown_name")),
    (InputError, Verdict(422, "invalid_input")),
    (TargetUnavailableError, Verdict(422, "target_unavailable")),
    (SearchError, Verdict(422, "no_feasible_setpoint")),
    (BundleProtocolError, Verdict(409, "bundle_protocol")),
    (BundleForeignError, Verdict(409, "bundle_foreign")),
    (BundleCorruptError, Verdict(409, "bundle_corrupt")),
    (UnavailableError, Verdict(503, "unavailable")),
    (SuperheatError, Verdict(500, "internal")),
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
_HIDDEN_ZH: Final = "请求被拒绝；请将 request_id 告知服务的维护人员。"


def refusal_of(error: SuperheatError) -> RefusedError:
    """Return what a caller is told of ``error``; a message that shows our insides is replaced."""
    if isinstance(error, RefusedError):
        return error
    verdict = next(verdict for kind, verdict in TABLE if isinstance(error, kind))
    return refused(verdict.status, verdict.code, detail=outside_words(str(error)))


def of_status(status: int, message: str, retry_after: int | None = None) -> RefusedError:
    """Return the refusal of a plain HTTP ``status``."""
    return refused(status, CODES.get(status, "refused"), retry_after, detail=message)


def internal() -> RefusedError:
    """Return what a caller is told of a defect of ours."""
    return refused(500, "internal")


def outside_words(message: str, hidden: str = _HIDDEN) -> str:
    """Return ``message`` as one bounded line, or ``hidden`` where it shows a path, address or code of ours."""
    line = " ".join(message.split())
    if _INSIDE.search(line):
        return hidden
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def _plain_zh(status: int, code: str, message: str) -> str:
    """Return ``message`` behind the Chinese head of its code, or of its status where the code has no sentence of its own."""
    key = code if code in WORDS and "{detail}" in WORDS[code].text_zh else CODES.get(status, "refused")
    return outside_words(WORDS[key].text_zh.format(detail=message), _HIDDEN_ZH)


def words(error: RefusedError) -> dict[str, str]:
    """Return what is told of a refusal: the sentence in both languages, and the code."""
    return {"error": error.message, "error_zh": error.message_zh, "code": error.code}


def body(error: RefusedError, request_id: str) -> bytes:
    """Return the JSON body of a refusal."""
    return orjson.dumps({**words(error), "request_id": request_id})


def headers(error: RefusedError) -> dict[str, str]:
    """Return the headers that a refusal adds."""
    found = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    if error.status == 401:
        found["www-authenticate"] = "Bearer"
    return found
