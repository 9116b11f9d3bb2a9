"""Data channels without a network that fuzzing says things on: whole chunks, in packets that are right."""

from __future__ import annotations

from collections.abc import Iterator

from sfu.data import DataPort, DataRouter
from sfu.ortc.data import DataAbility
from sfu.sctp import packet as wire
from sfu.sctp.channels import DCEP, STRING, _open_message
from sfu.sctp.inbound import WINDOW
from sfu.sctp.packet import BEGIN, END, MAX_PACKET, Chunk, Data, Init, Sack
from sfu.sctp.queue import MAX_BUFFERED, Reliability

FIRST = 1000
"""The first TSN of everybody here: what was found must be found again."""
NOW = 1000.0


class Peer:
    """A port of a room whose association is established, and what its browser says next."""

    def __init__(self, router: DataRouter, user_id: str) -> None:
        self.port: DataPort = router.join(user_id, DataAbility("2", 5000, 256 << 10), server=True, flush=self.drain)
        self.now = NOW
        self._association = self.port.channels._association
        self._association._first_tsn = FIRST
        parameters = ((0x8008, bytes((wire.RE_CONFIG, wire.FORWARD_TSN))), (0xC000, b""))
        self.say([wire.init_chunk(wire.INIT, Init(7, 1 << 20, 1023, 1023, FIRST, parameters))], tag=0)
        self.say([Chunk(wire.COOKIE_ECHO, 0, self._association._cookie)])
        assert self.port.channels.connected

    def say(self, chunks: list[Chunk], tag: int | None = None) -> None:
        """One packet."""
        tag = self._association._tag if tag is None else tag
        self.port.receive(wire.write(5000, 5000, tag, chunks), self.now)
        self.drain()

    def drain(self) -> None:
        """What is to be sent now is, and does not arrive."""
        for packet in self.port.outgoing(self.now):
            assert len(packet) <= MAX_PACKET

    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.port.tick(self.now)
        self.drain()


def talk(data: bytes) -> None:
    """Each chunk is a type, flags, two bytes of length and a body; a type of 255 is a second that passes."""
    router = DataRouter()
    alice, bob = Peer(router, "alice"), Peer(router, "bob")
    position = 0
    while position + 4 <= len(data):
        kind, flags = data[position : position + 2]
        size = int.from_bytes(data[position + 2 : position + 4]) % MAX_PACKET
        body = data[position + 4 : position + 4 + size]
        position += 4 + size
        if kind == 0xFF:
            alice.tick(1.0)
            bob.tick(1.0)
            continue
        alice.say([Chunk(kind, flags, body)])
        for peer in (alice, bob):
            assert peer.port.channels.buffered <= MAX_BUFFERED
            inbound = peer._association._inbound
            assert inbound is None or 0 <= inbound.window <= WINDOW


def written(*chunks: Chunk) -> bytes:
    """An input."""
    return b"".join(bytes((kind, flags)) + len(body).to_bytes(2) + body for kind, flags, body in chunks)


def talks() -> Iterator[bytes]:
    """A channel that is opened, used and closed; pieces, losses, things given up; answers to what bob says."""

    def data(tsn: int, payload: bytes, flags: int = BEGIN | END, protocol: int = STRING) -> Chunk:
        return wire.data_chunk(Data(flags, FIRST + tsn, 0, 0, protocol, payload))

    second = Chunk(0xFF, 0, b"")
    opened = data(0, _open_message("chat", "xy", Reliability()), protocol=DCEP)
    lossy = data(0, _open_message("cursor", "", Reliability(False, max_retransmits=0)), protocol=DCEP)
    reset = wire.write_parameters([(0x0D, FIRST.to_bytes(4) + bytes(4) + (FIRST + 2).to_bytes(4) + b"\0\0")])
    yield written(opened, data(1, b"hello"), data(2, b"again"), Chunk(wire.RE_CONFIG, 0, reset), second)
    yield written(opened, data(1, b"a", BEGIN), data(2, b"b", 0), data(4, b"x"), data(3, b"c", END), second)
    yield written(lossy, data(2, b"x", 7), Chunk(wire.FORWARD_TSN, 0, (FIRST + 1).to_bytes(4) + bytes(4)), second)
    yield written(opened, wire.sack_chunk(Sack(FIRST - 1, 1 << 20, ((2, 3),)), [5]), second, second)
    yield written(opened, wire.sack_chunk(Sack(FIRST, 0, ()), []), Chunk(wire.HEARTBEAT, 0, b"\0\1\0\x08time"))
    response = wire.write_parameters([(0x10, FIRST.to_bytes(4) + (1).to_bytes(4))])
    yield written(Chunk(wire.RE_CONFIG, 0, response), Chunk(wire.SHUTDOWN, 0, bytes(4)))
    yield written(Chunk(wire.INIT, 0, bytes(16)), Chunk(wire.COOKIE_ECHO, 0, bytes(16)), Chunk(wire.ABORT, 0, b""))
