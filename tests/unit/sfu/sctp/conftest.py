"""The peer's end of an association, and a wire between both that can lose what it is given."""

from collections.abc import Callable

import pytest

from sfu.sctp import packet as wire
from sfu.sctp.association import Association
from sfu.sctp.inbound import WINDOW, Inbound, Message
from sfu.sctp.outbound import Outbound
from sfu.sctp.packet import Chunk, Init
from sfu.sctp.reset import Resets

STEP_S = 0.05
"""How often time passes for a transport."""


class Dialer(Association):
    """An association that begins by itself, as a browser's does."""

    def __init__(self, *, gives_up: bool = True) -> None:
        self.heard: list[Message] = []
        self.ended: list[int] = []
        super().__init__(self.heard.append, self.ended.extend, port=5000, peer_port=5000, max_message_size=256 << 10)
        extensions: list[tuple[int, bytes]] = [(0xC000, b"")] if gives_up else []
        init = Init(self._tag, WINDOW, 1023, 1023, self._first_tsn, tuple(extensions))
        self._control = [wire.init_chunk(wire.INIT, init)]

    def _take(self, chunk: Chunk, now: float) -> bool:
        if chunk.type == wire.INIT_ACK and self._inbound is None:
            init = wire.read_init(chunk)
            self._peer_tag = init.tag
            self._inbound = Inbound(init.tsn, 256 << 10)
            self._outbound = Outbound(self._first_tsn, init.window, gives_up=True)
            self._resets = Resets(self._first_tsn, init.tsn)
            cookie = next(value for kind, value in init.parameters if kind == 7)
            self._control.append(Chunk(wire.COOKIE_ECHO, 0, cookie))
            return True
        if chunk.type == wire.COOKIE_ACK:
            self.state = "established"
        return super()._take(chunk, now)


class Wire:
    """Carries packets between a `Dialer` and what we have, 10 ms each way, and time with them.

    `lose(number, packet)` says which of the packets, counted from 0 in both directions together, do not arrive.
    """

    def __init__(
        self, near: Dialer, far: Association, lose: Callable[[int, bytes], bool] = lambda n, p: False
    ) -> None:
        self.near, self.far, self.lose = near, far, lose
        self.now = 100.0
        self.carried = 0
        self.bytes = 0
        self._there: list[bytes] = []
        self._back: list[bytes] = []

    def run(self, seconds: float = 1.0, until: Callable[[], object] = lambda: False) -> None:
        """Let time pass in steps of 10 ms, until it is so or the time is over."""
        for step in range(round(seconds / 0.01)):
            if step % 5 == 0:
                self.near.tick(self.now)
                self.far.tick(self.now)
            there = self._there + self.near.outgoing(self.now)
            back = self._back + self.far.outgoing(self.now)
            self.now += 0.01
            self._there = self._deliver(back, self.near)
            self._back = self._deliver(there, self.far)
            if until():
                return

    def _deliver(self, packets: list[bytes], to: Association) -> list[bytes]:
        """What `to` has to say, asked after each packet as a transport does."""
        said: list[bytes] = []
        for packet in packets:
            assert len(packet) <= wire.MAX_PACKET
            self.bytes += len(packet)
            number, self.carried = self.carried, self.carried + 1
            if not self.lose(number, packet):
                to.receive(packet, self.now)
                said += to.outgoing(self.now)
        return said


@pytest.fixture
def far() -> Association:
    """Ours; what it hears is in its `heard`, the streams that ended in `ended`."""
    heard: list[Message] = []
    ended: list[int] = []
    association = Association(heard.append, ended.extend, port=5000, peer_port=5000, max_message_size=256 << 10)
    association.heard, association.ended = heard, ended  # type: ignore[attr-defined]
    return association
