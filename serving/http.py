"""Our HTTP protocol: uvicorn's, with a bound on the head of a request and refusals that are JSON before any route."""

from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.refusals import body, of_status


class BoundedHttp(HttpToolsProtocol):
    """The parser refuses what is no HTTP, and a line and headers that grow without end."""

    most_header_bytes: ClassVar[int] = 32 << 10
    _head_bytes = 0

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request line."""
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._grow(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _grow(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.most_header_bytes:
            # The parser turns an error raised in its callbacks into its own, which ends the connection with a 400.
            raise ValueError("the head of the request is too large")

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that is never finished is bounded too, though no callback tells of it."""
        unfinished = self.headers is None or (self.cycle is None or self.cycle.response_complete)
        if (
            unfinished
            and len(data) > self.most_header_bytes
            and b"\r\n\r\n" not in data[: self.most_header_bytes]
        ):
            self.send_400_response("the head of the request is too large")
            return
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse in JSON and close."""
        content = body(of_status(400, "this is no HTTP request that is taken here"), "none")
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"x-content-type-options: nosniff\r\ncontent-length: %d\r\n\r\n" % len(content)
        )
        self.transport.write(head + content)
        self.transport.close()
