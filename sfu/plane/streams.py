"""Sending by TCP: packets for one connection leave together, written as one piece of its stream."""

from sfu.plane.base import Address, Streams, TcpAddress
from sfu.plane.outbox import ENDED, Run


class StreamOutbox:
    """What `sfu.plane.outbox.Outbox` is to the UDP socket, for addresses that are TCP connections."""

    def __init__(self, streams: Streams | None) -> None:
        """Without `streams` there is no TCP, and everything is dropped."""
        self._streams = streams
        self.departed = 0
        """Packets that were taken."""
        self.dropped = 0
        """Packets whose connection has ended, or is read too slowly."""

    def begin(self, address: Address, header: bytes, body: bytes, size: int) -> Run | None:
        """Queue one packet. No further one joins its run: each needs a length of its own before it."""
        return ENDED if self._count(self._take(address, header, body)) else None

    def send(self, datagram: bytes, address: TcpAddress) -> None:
        """Send one datagram now; what is not taken is dropped (its sender repeats it)."""
        self._count(self._streams is not None and self._streams.send(datagram, address))

    def flush(self) -> None:
        """Send what was queued."""
        if self._streams is not None:
            self._streams.flush()

    def _take(self, address: Address, header: bytes, body: bytes) -> bool:
        if self._streams is None or not isinstance(address, TcpAddress):
            return False
        return self._streams.queue(address, header, body)

    def _count(self, taken: bool) -> bool:
        if taken:
            self.departed += 1
        else:
            self.dropped += 1
        return taken
