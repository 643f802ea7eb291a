"""The page's ways in: its files to anybody, and who is asking to whoever has a key."""

from typing import Any, Final

from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from serving.access.roles import Identity
from serving.dashboard import FILES, PageFile
from serving.front import send_bytes
from serving.routes.rest import Endpoint, Plain

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Scripts and styles from this service only, none inline, no markup from strings, no other host."""


class Static:
    """One file of the page: whole, or 304 where the asker has it."""

    def __init__(self, file: PageFile) -> None:
        """Answer with ``file``."""
        self._file = file
        self._headers = {
            "etag": file.etag,
            "cache-control": "no-cache",
            "content-security-policy": POLICY,
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        known = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
        if _matches(known.decode("latin-1"), self._file.etag):
            # No body and no length: what is told of a file here is told of the whole one.
            headers = [(name.encode(), value.encode()) for name, value in self._headers.items()]
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await send_bytes(send, 200, self._file.content, self._headers, self._file.kind.encode())


def _matches(known: str, etag: str) -> bool:
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in known.split(","))


async def _session(scope: Scope, receive: Receive) -> object:
    return told(scope["state"].get("identity"))


def told(identity: Any) -> dict[str, Any]:
    """Return what somebody may know of themselves; an identity without roles may do everything."""
    if not isinstance(identity, Identity):
        return {"subject": getattr(identity, "subject", ""), "role": None, "lines": None}
    lines = None if identity.lines is None else sorted(identity.lines)
    return {"subject": identity.subject, "role": identity.role.name.lower(), "lines": lines}


def routes() -> list[BaseRoute]:
    """Return a route for each file of the page (what is no file has none), and that of the session."""
    return [
        *(Plain(path, Static(file), methods=["GET"]) for path, file in FILES.items()),
        Plain("/v1/session", Endpoint(_session), methods=["GET"]),
    ]
