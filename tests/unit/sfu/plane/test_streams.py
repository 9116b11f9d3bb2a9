from dataclasses import dataclass, field

from sfu.plane.base import TcpAddress
from sfu.plane.outbox import ENDED
from sfu.plane.streams import StreamOutbox

PEER = TcpAddress("192.0.2.1", 9, 1)


@dataclass
class Connections:
    """Takes what there is room for."""

    room: int = 2
    queued: list[bytes] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def queue(self, address: TcpAddress, header: bytes, body: bytes) -> bool:
        if len(self.queued) == self.room:
            return False
        self.queued.append(header + body)
        return True

    def send(self, datagram: bytes, address: TcpAddress) -> bool:
        self.sent.append(datagram)
        return True

    def flush(self) -> None:
        self.sent += self.queued
        self.queued.clear()


def test_packets_wait_for_the_flush_each_for_itself() -> None:
    connections = Connections()
    outbox = StreamOutbox(connections)
    assert outbox.begin(PEER, b"a", b"b", 2) is ENDED
    assert outbox.begin(PEER, b"c", b"d", 2) is ENDED
    assert outbox.begin(PEER, b"e", b"f", 2) is None
    outbox.send(b"answer", PEER)
    assert connections.sent == [b"answer"]
    outbox.flush()
    assert connections.sent == [b"answer", b"ab", b"cd"]
    assert (outbox.departed, outbox.dropped) == (3, 1)


def test_without_a_tcp_port_everything_is_dropped() -> None:
    outbox = StreamOutbox(None)
    assert outbox.begin(PEER, b"a", b"b", 2) is None
    outbox.send(b"answer", PEER)
    outbox.flush()
    assert (outbox.departed, outbox.dropped) == (0, 2)
