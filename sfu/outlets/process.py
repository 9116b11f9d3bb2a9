"""One egress process: a child of the media process, and our end of the socket to it.

Nothing here waits for it: what it does not read is kept up to a bound, and beyond that packets are dropped. It
decodes what strangers send, so what it says is read with care, and what makes no sense is its end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired
from typing import Literal, Self, cast

import sfu
from sfu.egress.wire import MOST_ANSWER_BYTES, Deframer, Message, WireError

log = logging.getLogger("meet.sfu.outlets")

Sink = Literal["recorder", "streamer"]

COMMAND = (sys.executable, "-m", "sfu.egress")
MOST_WAITING_BYTES = 8 << 20
"""Of packets that the process has not read: two seconds of ten cameras in 720p, as long as it may take to start."""
GONE_S = 5.0
"""How long a process may live on that has closed its socket."""
_ROOT = Path(sfu.__path__[0]).parent


class EgressProcess(asyncio.Protocol):
    """A `sfu.tap.Outlet`. Made by `start`."""

    def __init__(self, process: Popen[bytes], heard: Callable[[Message], None], now: Callable[[], float]) -> None:
        self.dropped = 0
        """Packets for which there was no room."""
        self.heard_at = now()
        self.gone = asyncio.Event()
        """Set when nothing more will come."""
        self._process = process
        self._heard = heard
        self._now = now
        self._deframer = Deframer(MOST_ANSWER_BYTES)
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def start(
        cls,
        sink: Sink,
        heard: Callable[[Message], None],
        now: Callable[[], float],
        *,
        command: Sequence[str] = COMMAND,
    ) -> Self:
        """Start one, which is then to be told what it is for, and outlives us where need be.

        `heard` gets each of its messages, and may raise `WireError`. OSError where the system can't.
        """
        process, ours = _spawn([*command, sink])
        made = cls(process, heard, now)
        await asyncio.get_running_loop().create_connection(lambda: made, sock=ours)
        return made

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def send(self, frame: bytes) -> None:
        """Send a message; it arrives, or the process is gone."""
        if self._transport is not None:
            self._transport.write(frame)

    def pour(self, frame: bytes, packets: int) -> None:
        """Send packets, unless too much waits already."""
        if self._transport is None or self._transport.get_write_buffer_size() > MOST_WAITING_BYTES:
            self.dropped += packets
        else:
            self._transport.write(frame)

    def kill(self) -> None:
        """End it at once; again: nothing."""
        self._process.kill()

    async def end(self) -> int:
        """Hang up and wait until it is no more: its exit status, below zero where a signal ended it."""
        if self._transport is not None:
            self._transport.close()
        try:
            return await asyncio.to_thread(self._process.wait, GONE_S)
        except TimeoutExpired:
            log.warning("egress process %d does not end, and is killed", self.pid)
            self.kill()
            return await asyncio.to_thread(self._process.wait)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours to use."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """The process says something."""
        self.heard_at = self._now()
        try:
            frames = self._deframer.feed(data)
            for frame in frames:
                if not isinstance(frame, dict):
                    raise WireError("packets from an egress process")
                self._heard(frame)
        except WireError as error:
            log.error("egress process %d makes no sense: %s", self.pid, error)
            self.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        """The process is gone, or we hung up."""
        self._transport = None
        self.gone.set()


def _spawn(command: Sequence[str]) -> tuple[Popen[bytes], socket.socket]:
    """A process, and our end of a socket whose other end is the last of its arguments."""
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        try:
            process = Popen([*command, str(number)], stdin=DEVNULL, pass_fds=(number,), cwd=_ROOT)  # noqa: S603 - ours
        except BaseException:
            ours.close()
            raise
    return process, ours
