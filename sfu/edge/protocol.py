"""HTTP/1.1 on the public port: uvicorn's protocol over llhttp, with a bound on the head of a request."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 16 * 1024
"""What h11, uvicorn's other parser, waits for the end of; llhttp would keep whatever is sent."""


class BoundedHttp(HttpToolsProtocol):
    """Answers 400 and closes once a head that has not ended is longer than `MOST_HEAD_BYTES`."""

    _in_head = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()
