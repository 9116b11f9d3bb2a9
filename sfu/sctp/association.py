"""One SCTP association over one DTLS connection (RFC 9260, RFC 8261): the handshake, and the peer's chunks.

Either end of a WebRTC connection may begin the association, and every browser does (RFC 8841 section 9.3), so we wait
for the peer's INIT and answer it. DTLS has shown who the peer is, and it has a connection of its own: the cookie need
not protect anything, and there is one path, whose liveness ICE watches.

| state | what holds | leaves to |
|---|---|---|
| waiting | an INIT is answered with an INIT ACK | established (COOKIE ECHO), closed |
| established | messages go both ways | closed |
| closed | by ABORT or SHUTDOWN, by silence, or because the peer broke the protocol: `reason` | |

`receive` and `tick` put datagrams and time in, `outgoing` takes out what is to be sent. Nothing raises.
"""

import secrets
from collections.abc import Callable
from typing import Literal

from sfu.sctp import packet as wire
from sfu.sctp.congestion import MAX_TIMEOUTS
from sfu.sctp.inbound import WINDOW, Inbound, Message
from sfu.sctp.outbound import Outbound
from sfu.sctp.packet import MAX_PACKET, Chunk, Init, Packet, SctpError
from sfu.sctp.queue import Reliability
from sfu.sctp.reset import Resets

AssociationState = Literal["waiting", "established", "closed"]

MAX_STREAMS = 1024
"""Each way: as many as Chromium uses; no state is kept for a stream that says nothing."""
COOKIE_PARAMETER = 0x0007
SUPPORTED_EXTENSIONS = 0x8008
FORWARD_TSN_SUPPORTED = 0xC000
ONCE = frozenset({wire.SACK, wire.FORWARD_TSN})
"""Chunks of which one packet has one: each says all that the one before it did, and looks at all that is on its way,
so that a packet full of them would keep us for tens of milliseconds."""
UNKNOWN_STOPS = 0x80
"""Section 3.2: an unknown chunk without this bit ends the reading of its packet."""


class Association:
    """One association. `on_message` gets each message, `on_reset` the streams that the peer has ended."""

    def __init__(
        self,
        on_message: Callable[[Message], None],
        on_reset: Callable[[tuple[int, ...]], None],
        *,
        port: int,
        peer_port: int,
        max_message_size: int,
    ) -> None:
        self._on_message = on_message
        self._on_reset = on_reset
        self._port = port
        self._max_message_size = max_message_size
        self._peer_port = peer_port
        self._tag = secrets.randbits(32) or 1
        self._peer_tag = 0
        self._first_tsn = secrets.randbits(32)
        self._cookie = secrets.token_bytes(16)
        self._inbound: Inbound | None = None
        self._outbound: Outbound | None = None
        self._resets: Resets | None = None
        self._control: list[Chunk] = []
        self.state: AssociationState = "waiting"
        self.reason = ""
        """Why it is closed."""

    @property
    def buffered(self) -> int:
        """Bytes that wait to be sent."""
        return self._outbound.queue.buffered if self._outbound else 0

    @property
    def idle(self) -> bool:
        """Whether all that was sent has arrived."""
        return self._outbound is None or self._outbound.idle

    def throttle(self, throttled: bool) -> None:
        """Take no messages for a while; the peer is told to wait."""
        if self._inbound is not None:
            self._inbound.throttled = throttled

    def receive(self, datagram: bytes, now: float) -> None:
        """Take one packet."""
        try:
            packet = wire.parse(datagram)
        except SctpError:
            return
        try:
            self._receive(packet, now)
        except SctpError as error:
            self._abort(str(error))

    def send(self, stream: int, protocol: int, payload: bytes, reliability: Reliability, now: float) -> bool:
        """Queue a message, which must not be empty; False where there is no room, or no association."""
        if self.state != "established" or self._outbound is None:
            return False
        return self._outbound.queue.put(stream, protocol, payload, reliability, now)

    def reset(self, stream: int, *, at_once: bool = False) -> None:
        """End our half of a stream, after what waits on it; `at_once`: that is forgotten."""
        if self._resets is None or self._outbound is None:
            return
        if at_once:
            self._outbound.queue.clear(stream)
        self._resets.ask(stream)

    def close(self) -> None:
        """End it (ABORT), with what `outgoing` then has."""
        if self.state == "established":
            self._abort("closed here")
        self.state = "closed"

    def tick(self, now: float) -> None:
        """Let time pass; every 50 ms or so."""
        if self.state != "established" or not (self._inbound and self._outbound and self._resets):
            return
        self._outbound.tick(now)
        self._resets.tick(now)
        if self._outbound.lost or self._resets.failures > MAX_TIMEOUTS:
            self._abort("the peer has not answered")
            return
        sack = self._inbound.sack(late=True)
        if sack is not None:
            self._control.append(sack)

    def outgoing(self, now: float) -> list[bytes]:
        """The packets to send now."""
        chunks, self._control = self._control, []
        if self.state == "established" and self._inbound and self._outbound and self._resets:
            sack = self._inbound.sack()
            if sack is not None:
                chunks.append(sack)
            chunks += self._outbound.chunks(now)
            chunks += self._resets.chunks(self._outbound, now)
        packets: list[list[Chunk]] = []
        room = 0
        for chunk in chunks:
            if not packets or wire.size(chunk) > room:
                packets.append([])
                room = MAX_PACKET - wire.HEADER.size
            packets[-1].append(chunk)
            room -= wire.size(chunk)
        return [wire.write(self._port, self._peer_port, self._peer_tag, packet) for packet in packets]

    def _receive(self, packet: Packet, now: float) -> None:
        if self.state == "closed" or (packet.source_port, packet.destination_port) != (self._peer_port, self._port):
            return
        first = packet.chunks[0] if packet.chunks else None
        if first is not None and first.type == wire.INIT:
            if len(packet.chunks) == 1 and packet.tag == 0:
                self._begin(first)
            return
        if packet.tag != self._tag:
            return
        has_data = False
        seen: set[int] = set()
        for chunk in packet.chunks:
            if chunk.type in ONCE and chunk.type in seen:
                continue
            seen.add(chunk.type)
            has_data |= chunk.type == wire.DATA
            if not self._take(chunk, now):
                break
        if has_data and self._inbound is not None:
            self._inbound.packet_received()

    def _begin(self, chunk: Chunk) -> None:
        """Answer an INIT, and take what it says: one that is repeated says the same."""
        if self.state != "waiting":
            return
        init = wire.read_init(chunk)
        self._peer_tag = init.tag
        extensions = next((value for kind, value in init.parameters if kind == SUPPORTED_EXTENSIONS), b"")
        gives_up = wire.FORWARD_TSN in extensions or any(k == FORWARD_TSN_SUPPORTED for k, _ in init.parameters)
        self._inbound = Inbound(init.tsn, self._max_message_size)
        self._outbound = Outbound(self._first_tsn, init.window, gives_up=gives_up)
        self._resets = Resets(self._first_tsn, init.tsn)
        parameters = (
            (COOKIE_PARAMETER, self._cookie),
            (FORWARD_TSN_SUPPORTED, b""),
            (SUPPORTED_EXTENSIONS, bytes((wire.RE_CONFIG, wire.FORWARD_TSN))),
        )
        answer = Init(self._tag, WINDOW, MAX_STREAMS, MAX_STREAMS, self._first_tsn, parameters)
        self._control = [wire.init_chunk(wire.INIT_ACK, answer)]

    def _take(self, chunk: Chunk, now: float) -> bool:
        """Take one chunk; False where the rest of its packet is not to be read."""
        match chunk.type:
            case wire.COOKIE_ECHO if chunk.body == self._cookie:
                self.state = "established"
                self._control.append(Chunk(wire.COOKIE_ACK, 0, b""))
                return True
            case wire.ABORT | wire.SHUTDOWN_COMPLETE:
                self._close("the peer has ended it")
            case wire.SHUTDOWN:
                self._close("the peer has ended it")
                self._control = [Chunk(wire.SHUTDOWN_ACK, 0, b"")]
            case wire.HEARTBEAT:
                self._control.append(Chunk(wire.HEARTBEAT_ACK, 0, chunk.body))
                return True
        if self.state != "established" or not (self._inbound and self._outbound and self._resets):
            return False
        match chunk.type:
            case wire.DATA:
                for message in self._inbound.receive(wire.read_data(chunk)):
                    self._on_message(message)
            case wire.SACK:
                self._outbound.acknowledged(wire.read_sack(chunk), now)
            case wire.FORWARD_TSN:
                if len(chunk.body) < 4:
                    raise SctpError("a FORWARD TSN that is cut off")
                for message in self._inbound.skip_to(int.from_bytes(chunk.body[:4])):
                    self._on_message(message)
            case wire.RE_CONFIG:
                answers, ended = self._resets.receive(chunk, self._inbound, self._outbound)
                self._control += answers
                if ended:
                    self._on_reset(ended)
            case wire.COOKIE_ECHO | wire.COOKIE_ACK | wire.INIT_ACK | wire.ERROR | wire.HEARTBEAT_ACK:
                pass
            case unknown:
                return bool(unknown & UNKNOWN_STOPS)
        return True

    def _abort(self, reason: str) -> None:
        if self.state == "established":
            self._control = [Chunk(wire.ABORT, 0, b"")]
        self._close(reason)

    def _close(self, reason: str) -> None:
        if self.state != "closed":
            self.state = "closed"
            self.reason = reason
            self._inbound = self._outbound = self._resets = None
