"""One TCP connection of a peer: frames in, frames out, and never more than a bound waiting."""

import socket

from sfu.plane.base import TcpAddress
from sfu.tcp.framing import HEADER_SIZE, Deframer, FramingError, frame

READ_SIZE = 64 << 10


class TcpConnection:
    """Made by `TcpListener`, which has the event loop; nothing here blocks or raises."""

    __slots__ = ("_deframer", "_out", "_sock", "address", "opened_at", "trusted", "unsigned")

    def __init__(self, sock: socket.socket, address: TcpAddress, now: float) -> None:
        self._sock = sock
        self._deframer = Deframer()
        self._out = bytearray()
        self.address = address
        self.opened_at = now
        self.trusted = False
        """Whether a signed check came over it."""
        self.unsigned = 0
        """How many datagrams came before that."""

    @property
    def waiting(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._out)

    def fileno(self) -> int:
        """For the event loop."""
        return self._sock.fileno()

    def read(self) -> list[bytes] | None:
        """The datagrams that have arrived; None where the connection has ended or speaks something else."""
        try:
            data = self._sock.recv(READ_SIZE)
            return self._deframer.feed(data) if data else None
        except (BlockingIOError, InterruptedError):
            return []
        except (OSError, FramingError):
            return None

    def queue(self, header: bytes, body: bytes, limit: int) -> bool:
        """Put one datagram, which may come in two parts, behind what waits; False where that would exceed `limit`."""
        size = len(header) + len(body)
        if len(self._out) + HEADER_SIZE + size > limit:
            return False
        self._out += frame(size) + header + body
        return True

    def flush(self) -> bool:
        """Send what the kernel takes now; False where the connection is broken."""
        try:
            sent = self._sock.send(self._out)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        del self._out[:sent]
        return True

    def close(self) -> None:
        """At once: what waits is lost, as datagrams are."""
        self._sock.close()
