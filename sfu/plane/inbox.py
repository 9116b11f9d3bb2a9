"""What arrives on the UDP socket, with the time at which the kernel had it."""

import time
from typing import Any, Protocol

from sfu import udp
from sfu.plane.base import BATCH, Address

MAX_DATAGRAM = 2048
"""What is longer comes from no WebRTC stack; it is cut off and then fails its integrity check."""


class DatagramSource(Protocol):
    """The part of `socket.socket` that receives."""

    def recvmsg(self, size: int, ancillary_size: int, /) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        """As of `socket.socket`."""


class Inbox:
    """Reads one non-blocking UDP socket."""

    def __init__(self, sock: DatagramSource) -> None:
        self._sock = sock

    def receive(self) -> list[tuple[bytes, Address, float]]:
        """See `Plane.receive`."""
        recvmsg, wall = self._sock.recvmsg, time.time()
        arrivals: list[tuple[bytes, Address, float]] = []
        try:
            while len(arrivals) < BATCH:
                datagram, ancillary, _, address = recvmsg(MAX_DATAGRAM, udp.STAMP_BYTES)
                arrivals.append((datagram, address, udp.age(ancillary, wall)))
        except BlockingIOError:
            pass
        except OSError:
            if not arrivals:
                raise  # otherwise the next call meets it again
        return arrivals
