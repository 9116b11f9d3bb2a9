"""The frames that one socket still has to send: in order, bounded, and a close at the end."""

import asyncio
from collections import deque

from starlette.websockets import WebSocket, WebSocketDisconnect

from sfu.signaling.connection import CLOSE_TRY_AGAIN
from sfu.signaling.frames import Frame, encode

MOST_FRAMES = 2_000
MOST_BYTES = 4 << 20
"""What may wait for one socket. A client that joins a room of 100 is sent about 100 KB; one that doesn't read for
so long that this fills has stopped."""
CLOSE_S = 2.0
"""How long a socket that is being closed may take to read what is left."""


class Outbox:
    """Sends frames to one WebSocket, one after the other. `run` ends when the socket is closed or lost."""

    def __init__(self, websocket: WebSocket, *, most_frames: int = MOST_FRAMES, most_bytes: int = MOST_BYTES) -> None:
        self._websocket = websocket
        self._most_frames = most_frames
        self._most_bytes = most_bytes
        self._waiting: deque[str] = deque()
        self._characters = 0
        self._some = asyncio.Event()
        self._code: int | None = None
        self._sending: asyncio.Task[None] | None = None
        self._close_begun = False

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is taken."""
        return self._code is not None

    def send(self, frame: Frame) -> None:
        """Send a frame soon. Who doesn't read until too much waits is cut off, with all that waits."""
        if self.is_closing:
            return
        text = encode(frame)
        self._waiting.append(text)
        self._characters += len(text)
        self._some.set()
        if len(self._waiting) > self._most_frames or self._characters > self._most_bytes:
            self._waiting.clear()
            self.close(CLOSE_TRY_AGAIN)
            self._cut()

    def close(self, code: int) -> None:
        """Close the socket after what was sent; the first code counts. Who doesn't read that is cut off soon."""
        if self.is_closing:
            return
        self._code = code
        self._some.set()
        asyncio.get_running_loop().call_later(CLOSE_S, self._cut)

    async def run(self) -> None:
        """Send until `close` was called and everything is out, or the socket doesn't take any more."""
        self._sending = asyncio.create_task(self._send_all())
        try:
            await asyncio.wait({self._sending})
        finally:
            self._sending.cancel()
        if self._sending.cancelled():
            if self._close_begun:
                return  # a second close would be an error; the transport ends in any case
            # Cut off. The close frame is for a client that reads again just now; the transport ends in any case.
            await self._close_within(CLOSE_S)
        else:
            self._sending.result()

    async def _send_all(self) -> None:
        try:
            while True:
                while self._waiting:
                    text = self._waiting.popleft()
                    self._characters -= len(text)
                    await self._websocket.send_text(text)
                if self._code is not None:
                    self._close_begun = True
                    await self._websocket.close(self._code)
                    return
                self._some.clear()
                await self._some.wait()
        except WebSocketDisconnect:
            return

    async def _close_within(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._websocket.close(self._code or CLOSE_TRY_AGAIN)
        except (TimeoutError, WebSocketDisconnect):
            return

    def _cut(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
