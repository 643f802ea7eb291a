"""Our HTTP protocol: uvicorn's, with a bound on the head of a request and refusals that are JSON before any route."""

from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.refusals import body, of_status


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
        self._bound(len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers))
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._in_head = True
        super().on_message_complete()

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
