"""Sending in batches: packets for one address that are equally long leave in one system call (UDP GSO).

On Linux a `UDP_SEGMENT` control message makes the kernel cut one large send into datagrams of that size, where the
last may be shorter. With six packets of 1140 bytes it halves the cost of each. Where the kernel or the network card
will not, the same packets leave one by one.
"""

import errno
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sfu.plane.base import Address

SOL_UDP, UDP_SEGMENT = 17, 103
"""linux/udp.h; Python's socket module does not have the names."""
MAX_SEGMENTS = 64
"""UDP_MAX_SEGMENTS of linux/udp.h; newer kernels take 128."""
MAX_BYTES = 65_000
"""Below what an IPv4 datagram holds: 65 507."""
MAX_RUNS = 512
"""Batches that are kept at most while the kernel's buffer is full; about 3 MB of video."""

NO_SEGMENTATION = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""What a segmented send may fail with where a plain one would not: no checksum offload (EIO), a segment above the
path MTU (EINVAL; EMSGSIZE on Linux 6.18), or an old kernel."""


class DatagramSocket(Protocol):
    """The part of `socket.socket` that sends."""

    def sendto(self, data: bytes, address: Any, /) -> int:
        """As of `socket.socket`."""

    def sendmsg(
        self, buffers: Iterable[bytes], ancdata: Iterable[tuple[int, int, bytes]], flags: int, address: Any, /
    ) -> int:
        """As of `socket.socket`."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """As of `socket.socket`."""


class Run:
    """Packets for one address: all as long as the first, the last maybe shorter, each in two buffers.

    `free` is how many more fit; 0 once it is sent or ended by a shorter packet.
    """

    __slots__ = ("address", "buffers", "free", "segment")

    def __init__(self, address: Address, segment: int, buffers: list[bytes], free: int) -> None:
        self.address = address
        self.segment = segment
        self.buffers = buffers
        self.free = free


ENDED = Run(("", 0), 0, [], 0)
"""A run that takes nothing, for a sender to begin with."""


class Outbox:
    """What waits to be sent on one socket. `wake` is called when there is something, once until the next flush."""

    def __init__(self, sock: DatagramSocket, wake: Callable[[], None]) -> None:
        self._sock = sock
        self._wake = wake
        self._runs: list[Run] = []
        self._control: dict[int, list[tuple[int, int, bytes]]] = {}
        self.segments = _takes_segments(sock)
        """Whether equal packets leave together."""
        self.departed = 0
        """Packets that were given to the kernel."""
        self.dropped = 0
        """Packets that the kernel would not take."""

    def __len__(self) -> int:
        """Batches that wait."""
        return len(self._runs)

    def begin(self, address: Address, header: bytes, body: bytes, size: int) -> Run | None:
        """Queue the first packet of a run; None where the box is full and stays so: the packet is dropped."""
        if len(self._runs) >= MAX_RUNS:
            self.flush()
            if len(self._runs) >= MAX_RUNS:
                self.dropped += 1
                return None
        if not self._runs:
            self._wake()
        run = Run(address, size, [header, body], min(MAX_SEGMENTS, MAX_BYTES // size) - 1 if self.segments else 0)
        self._runs.append(run)
        return run

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one datagram now; what the kernel does not take is dropped (its sender repeats it)."""
        try:
            self._sock.sendto(datagram, address)
        except OSError:
            self.dropped += 1

    def flush(self) -> None:
        """Send everything, or as much as the kernel takes; the rest waits for the next flush."""
        runs, self._runs = self._runs, []
        for done, run in enumerate(runs):
            run.free = 0
            if not self._send(run):
                self._runs = runs[done:]
                for waiting in self._runs:
                    waiting.free = 0
                return

    def _send(self, run: Run) -> bool:
        """False where the kernel has no room for now."""
        together = len(run.buffers) > 2
        try:
            self._sock.sendmsg(run.buffers, self._segments_of(run.segment) if together else (), 0, run.address)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                return False
            if not together or error.errno not in NO_SEGMENTATION:
                self.dropped += len(run.buffers) // 2
                return True
            if error.errno not in (errno.EINVAL, errno.EMSGSIZE):  # which may be about this one address's path
                self.segments = False
            return self._send_singly(run)
        self.departed += len(run.buffers) // 2
        return True

    def _send_singly(self, run: Run) -> bool:
        while run.buffers:
            try:
                self._sock.sendmsg(run.buffers[:2], (), 0, run.address)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                    return False
                self.dropped += 1
            else:
                self.departed += 1
            del run.buffers[:2]
        return True

    def _segments_of(self, size: int) -> list[tuple[int, int, bytes]]:
        control = self._control.get(size)
        if control is None:
            control = self._control[size] = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))]
        return control


def _takes_segments(sock: DatagramSocket) -> bool:
    """Ask the kernel by setting the option to 0, its default."""
    try:
        sock.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
    except OSError:
        return False
    return True
