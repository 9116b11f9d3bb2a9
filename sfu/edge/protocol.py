"""HTTP/1.1 on the public port: uvicorn's protocol over llhttp, with bounds on the head of a request."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 16 * 1024
"""What h11, uvicorn's other parser, waits for the end of; llhttp would keep whatever is sent."""
HEAD_S = 20.0
"""From a connection's start, or a head's first bytes, to the head's end. uvicorn waits for ever, which holds a socket
for each client that says nothing, or a byte at a time; it only closes what is idle after an answer."""


class BoundedHttp(HttpToolsProtocol):
    """Closes once a head that has not ended is longer than `MOST_HEAD_BYTES`, after a 400, or took `HEAD_S`."""

    _in_head = True
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._await_head()
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # of a request sent ahead: the one before it still gets its answer
        elif not self.transport.is_closing():
            self.transport.close()
