"""Our HTTP protocol: uvicorn's, with a bound on the head of a request, refusals that are JSON before any route, and
answers that leave in one piece.
"""

from itertools import chain
from typing import Any, ClassVar, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.front import WHOLE
from serving.refusals import body, of_status

_FIT: Final = bytes({*range(0x20, 0x100), *b"\t\r\n"} - {0x7F})
_UNUSUAL: Final = frozenset({b"connection", b"transfer-encoding"})


class Whole:
    """An ASGI application whose answers of one piece are written at once; any other goes uvicorn's way."""

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        """Write the answer of ``app`` for uvicorn's ``cycle``."""
        self._app = app
        self._cycle = cycle
        self._start: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if self._write(start, message):
                return
            await self._cycle.send(start)
        await self._cycle.send(message)  # type: ignore[arg-type]

    def _write(self, start: Message, message: Message) -> bool:
        """Write the answer if it is a plain one; say whether it was."""
        cycle = self._cycle
        headers, content = start["headers"], message.get("body", b"")
        if message.get("more_body") or cycle.scope["method"] == "HEAD" or start["status"] in (204, 304):
            return False
        if (b"content-length", b"%d" % len(content)) not in headers or not _UNUSUAL.isdisjoint(dict(headers)):
            return False
        if not cycle.keep_alive or cycle.disconnected or cycle.response_started or cycle.flow.write_paused:
            return False
        fields = [*cycle.default_headers, *headers]
        head = b"\r\n".join([b": ".join(field) for field in fields])
        ends = {head.count(b"\r"), head.count(b"\n"), head.count(b"\r\n"), len(fields) - 1}
        if len(ends) > 1 or head.translate(None, _FIT):
            return False  # uvicorn names the header that is unfit
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"".join((STATUS_LINE[start["status"]], head, b"\r\n\r\n", content)))
        cycle.message_event.set()
        cycle.on_response()
        return True


class BoundedHttp(HttpToolsProtocol):
    """The parser refuses what is no HTTP, and a line and headers that grow without end."""

    most_header_bytes: ClassVar[int] = 32 << 10
    _head_bytes = 0
    """Bytes received of a head that is not complete yet."""
    _in_head = True

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request line."""
        self._bound(len(self.url) + len(url))
        super().on_url(url)

    def on_headers_complete(self) -> None:
        """Turn to the body, once the whole head is known to be small enough."""
        texts = map(len, chain.from_iterable(self.headers))
        self._bound(len(self.url) + sum(texts) + 4 * len(self.headers))
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._in_head = True
        super().on_message_complete()
        if not self.cycle.more_body:
            # The task that answers begins after this: what has come by then need not be waited for.
            extensions: dict[str, Any] = {WHOLE: bytes(self.cycle.body)}
            self.cycle.scope["extensions"] = extensions

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, Whole(app, cycle))  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Parse what came; the parser tells of no header before it is whole, so what it holds back is counted here."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        too_large = self._in_head and self._head_bytes > self.most_header_bytes
        idle = self.cycle is None or self.cycle.response_complete
        if too_large and idle and not self.transport.is_closing():
            self.send_400_response("the head of the request is too large")

    def _bound(self, size: int) -> None:
        if size > self.most_header_bytes:
            # The parser turns an error raised in its callbacks into its own, which ends the connection with a 400.
            raise ValueError("the head of the request is too large")

    def send_400_response(self, msg: str) -> None:
        """Refuse in JSON and close."""
        content = body(of_status(400, "this is no HTTP request that is taken here"), "none")
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"x-content-type-options: nosniff\r\ncontent-length: %d\r\n\r\n" % len(content)
        )
        self.transport.write(head + content)
        self.transport.close()
