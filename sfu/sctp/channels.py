"""The data channels of one connection (RFC 8831, RFC 8832): labels, protocols and messages over SCTP's streams."""

import struct
from dataclasses import dataclass
from typing import Protocol

from sfu.ortc.data import MAX_MESSAGE_SIZE, PORT
from sfu.sctp.association import MAX_STREAMS, Association
from sfu.sctp.inbound import Message
from sfu.sctp.queue import Reliability

MAX_PEER_CHANNELS = 32
"""That the peer may have open at once."""
MAX_NAME = 256
"""Bytes of a label or a protocol."""

DCEP, STRING, BINARY, EMPTY_STRING, EMPTY_BINARY = 50, 51, 53, 56, 57
"""Payload protocol identifiers (RFC 8831 section 8)."""
ACK, OPEN = 2, 3
OPEN_HEADER = struct.Struct("!BBHLHH")
UNORDERED, RETRANSMITS, LIFETIME = 0x80, 1, 2
"""Of a channel type (RFC 8832 section 5.1)."""


@dataclass(slots=True, eq=False)
class Channel:
    """One data channel of one connection."""

    stream: int
    label: str
    protocol: str
    reliability: Reliability
    local: bool = False
    """Whether we opened it."""
    acknowledged: bool = True
    """Whether the peer knows of it; before that its messages must stay in order (RFC 8832 section 6)."""
    closing: bool = False
    """Nothing is sent on it any more."""


class ChannelListener(Protocol):
    """Who is told of what the peer does."""

    def opened(self, channel: Channel) -> None:
        """The peer has opened a channel."""

    def said(self, channel: Channel, payload: bytes, *, text: bool) -> None:
        """A message came on a channel, whoever opened it."""

    def closed(self, channel: Channel) -> None:
        """The peer has closed a channel, whoever opened it."""


class DataChannels:
    """The channels of one connection. `listener` is called within `receive`; nothing raises or blocks."""

    def __init__(self, listener: ChannelListener, *, server: bool, peer_port: int, peer_limit: int) -> None:
        """`server`: we are DTLS's, and take odd stream numbers. `peer_limit` bytes are the peer's longest message."""
        self._listener = listener
        self._ours = 1 if server else 0
        self._peer_limit = peer_limit
        self._channels: dict[int, Channel] = {}
        self._next = self._ours
        self._now = 0.0
        self._association = Association(
            self._message, self._reset, port=PORT, peer_port=peer_port, max_message_size=MAX_MESSAGE_SIZE
        )

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self._association.state == "established"

    @property
    def buffered(self) -> int:
        """Bytes that wait to be sent."""
        return self._association.buffered

    @property
    def idle(self) -> bool:
        """Whether all that was sent has arrived."""
        return self._association.idle

    @property
    def reason(self) -> str:
        """Why the association has ended; empty as long as it has not."""
        return self._association.reason

    def receive(self, datagram: bytes, now: float) -> None:
        """Take one SCTP packet."""
        self._now = now
        self._association.receive(datagram, now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        self._now = now
        self._association.tick(now)

    def outgoing(self, now: float) -> list[bytes]:
        """The SCTP packets to send now."""
        return self._association.outgoing(now)

    def throttle(self, throttled: bool) -> None:
        """Have the peer wait, or go on."""
        self._association.throttle(throttled)

    def open(self, label: str, protocol: str, reliability: Reliability, now: float) -> Channel | None:
        """Open a channel, on which messages may follow at once; None where there is no room for one more."""
        stream = self._free_stream()
        if stream is None:
            return None
        if not self._association.send(stream, DCEP, _open_message(label, protocol, reliability), Reliability(), now):
            return None
        channel = Channel(stream, label, protocol, reliability, local=True, acknowledged=False)
        self._channels[stream] = channel
        return channel

    def send(self, channel: Channel, payload: bytes, *, text: bool, now: float) -> bool:
        """Send a message; False where it is too long for the peer, or does not fit behind what waits."""
        if channel.closing or self._channels.get(channel.stream) is not channel or len(payload) > self._peer_limit:
            return False
        kind = (STRING if text else BINARY) if payload else (EMPTY_STRING if text else EMPTY_BINARY)
        reliability = channel.reliability if channel.acknowledged else Reliability()
        return self._association.send(channel.stream, kind, payload or b"\0", reliability, now)

    def close_channel(self, channel: Channel, *, at_once: bool = False) -> None:
        """Close a channel when what waits on it has left, or `at_once`."""
        if self._channels.get(channel.stream) is channel and not channel.closing:
            channel.closing = True
            self._association.reset(channel.stream, at_once=at_once)

    def close(self) -> None:
        """End the association."""
        self._association.close()

    def _message(self, message: Message) -> None:
        channel = self._channels.get(message.stream)
        match message.protocol:
            case 50:
                self._control(message.stream, channel, message.payload)
            case 51 | 53 | 56 | 57 if channel is not None:
                channel.acknowledged = True  # RFC 8832 section 6: data says as much as an ACK
                empty = message.protocol in (EMPTY_STRING, EMPTY_BINARY)
                text = message.protocol in (STRING, EMPTY_STRING)
                self._listener.said(channel, b"" if empty else message.payload, text=text)

    def _control(self, stream: int, channel: Channel | None, payload: bytes) -> None:
        if payload[0] == ACK and channel is not None:
            channel.acknowledged = True
        elif payload[0] == OPEN and channel is None:
            opened = self._admit(stream, payload)
            if opened is None:
                self._association.reset(stream, at_once=True)
                return
            self._channels[stream] = opened
            self._association.send(stream, DCEP, bytes((ACK,)), Reliability(), self._now)
            self._listener.opened(opened)

    def _admit(self, stream: int, payload: bytes) -> Channel | None:
        """The channel that an OPEN asks for, or None where it can't be had."""
        if stream % 2 == self._ours or stream >= MAX_STREAMS:
            return None
        if sum(stream % 2 != self._ours for stream in self._channels) >= MAX_PEER_CHANNELS:
            return None
        return _read_open(stream, payload)

    def _reset(self, streams: tuple[int, ...]) -> None:
        """The peer has ended its half of these streams, or of all where none is named (RFC 6525 section 4.1)."""
        for stream in streams or tuple(self._channels):
            channel = self._channels.pop(stream, None)
            if channel is None:
                continue
            if not channel.closing:
                channel.closing = True
                self._association.reset(stream, at_once=True)  # RFC 8831 section 6.7: and we end ours
            self._listener.closed(channel)

    def _free_stream(self) -> int | None:
        """Ours in turn, so that one that was just closed is not taken again."""
        for _ in range(MAX_STREAMS // 2):
            stream, self._next = self._next, (self._next + 2) % MAX_STREAMS
            if stream not in self._channels:
                return stream
        return None


def _open_message(label: str, protocol: str, reliability: Reliability) -> bytes:
    kind, value = 0 if reliability.ordered else UNORDERED, 0
    if reliability.max_retransmits is not None:
        kind, value = kind | RETRANSMITS, reliability.max_retransmits
    elif reliability.lifetime_s is not None:
        kind, value = kind | LIFETIME, round(reliability.lifetime_s * 1000)
    names = label.encode(), protocol.encode()
    return OPEN_HEADER.pack(OPEN, kind, 0, value, *map(len, names)) + b"".join(names)


def _read_open(stream: int, payload: bytes) -> Channel | None:
    if len(payload) < OPEN_HEADER.size:
        return None
    _, kind, _, value, label_size, protocol_size = OPEN_HEADER.unpack_from(payload)
    names = payload[OPEN_HEADER.size :]
    if len(names) != label_size + protocol_size or max(label_size, protocol_size) > MAX_NAME:
        return None
    try:
        label, protocol = names[:label_size].decode(), names[label_size:].decode()
    except UnicodeDecodeError:
        return None
    ordered = not kind & UNORDERED
    match kind & ~UNORDERED:
        case 0:
            reliability = Reliability(ordered)
        case 1:
            reliability = Reliability(ordered, max_retransmits=value)
        case 2:
            reliability = Reliability(ordered, lifetime_s=value / 1000)
        case _:
            return None
    return Channel(stream, label, protocol, reliability)
