"""What a media process and an egress process say to each other over their socket: frames in a stream of bytes.

    frame    length of the rest (4 bytes, network order), kind (1 byte), body
    kind 0   a message, either way: a JSON object that has a `type`
    kind 1   packets, to the egress process: entries, one after the other
    entry    length of the packet (2), number of the track (2), what it is (1), arrival (8, a double), index (8), and
             the packet

Messages to the egress process:

    configure  {kind, take, begins_s, begins_at, …}: the first one; `kind` is `recorder` or `streamer`, the rest is
               what the command asked for. At the monotonic moment `begins_at` the timeline stands at `begins_s`.
    begin      {number, track, muted}: a track, as `Track.as_dict` has it, and its number in what follows
    end        {track_id}
    mute       {track_id, muted}
    rename     {user_id, username}
    pause, resume  {at}: the monotonic moment
    stop       {at}: keep what is there, say `ended`, and be gone. The end of the stream means the same.

Messages to the media process:

    ready      {}: it takes packets
    stats      {…}: once a second, what `Sink.stats` says
    key-frame  {track_id}: this track can only go on with one
    ended      {…}: what `Sink.close` says, the last message; or {error} where the first take can't begin at all
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any

from sfu.rtp.packet import RtpPacket, parse

Message = dict[str, Any]

MOST_FRAME_BYTES = 1 << 24
"""What is longer is none of ours."""
MOST_ANSWER_BYTES = 1 << 18
"""Of a frame from an egress process, which decodes what strangers send and is trusted no further."""

_HEAD = Struct("!LB")
_ENTRY = Struct("!HHBdq")
_MESSAGE, _PACKETS = 0, 1


class WireError(ValueError):
    """The other end does not speak this protocol; there is no way to find the next frame."""


class What(IntEnum):
    """What an entry is."""

    RTP = 0
    KEY_FRAME = 1
    """RTP, too: a decoder can start here."""
    RTCP = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One packet on its way."""

    number: int
    """Of the track."""
    what: What
    arrival: float
    """When it reached the machine, by the monotonic clock."""
    index: int
    """The sequence number without its wrapping; 0 of RTCP."""
    data: bytes

    def packet(self) -> RtpPacket:
        """The RTP packet as a `Sink` takes it. Raises `PacketError` where it is none."""
        packet = parse(self.data)
        packet.index = self.index
        packet.arrival = self.arrival
        packet.key_frame = self.what is What.KEY_FRAME
        return packet


def message(kind: str, /, **values: Any) -> bytes:
    """A message as it is sent."""
    body = json.dumps({"type": kind, **values}, separators=(",", ":"), allow_nan=False).encode()
    return _HEAD.pack(len(body) + 1, _MESSAGE) + body


class Batch:
    """Packets that wait to be sent as one frame."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes that it takes so far, without the head of the frame."""
        self.packets = 0
        self._parts: list[bytes] = []

    def add(  # noqa: PLR0917 - the fields of an entry, in their order
        self, number: int, what: What, arrival: float, index: int, header: bytes, payload: bytes = b""
    ) -> None:
        """One more; its bytes are `header` and `payload`. The hot path: once per packet and egress."""
        size = len(header) + len(payload)
        self._parts += (_ENTRY.pack(size, number, what, arrival, index), header, payload)
        self.size += _ENTRY.size + size
        self.packets += 1

    def take(self) -> bytes:
        """All that waits as a frame, after which nothing does; b"" where nothing did."""
        if not self._parts:
            return b""
        frame = b"".join((_HEAD.pack(self.size + 1, _PACKETS), *self._parts))
        self._parts.clear()
        self.size = self.packets = 0
        return frame


class Deframer:
    """Cuts a stream into its frames. Keeps less than one of them."""

    def __init__(self, most_bytes: int = MOST_FRAME_BYTES) -> None:
        self._most_bytes = most_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message | tuple[Entry, ...]]:
        """What is whole now: messages, and packets as they were put together.

        Raises:
            WireError: this is not the protocol.
        """
        rest = self._rest
        rest += data
        frames: list[Message | tuple[Entry, ...]] = []
        at = 0
        while at + _HEAD.size <= len(rest):
            size, kind = _HEAD.unpack_from(rest, at)
            if not 0 < size <= self._most_bytes:
                raise WireError(f"a frame of {size} bytes")
            end = at + _HEAD.size - 1 + size
            if end > len(rest):
                break
            body = bytes(rest[at + _HEAD.size : end])
            at = end
            if kind == _MESSAGE:
                frames.append(_message(body))
            elif kind == _PACKETS:
                frames.append(tuple(_entries(body)))
            else:
                raise WireError(f"a frame of kind {kind}")
        del rest[:at]
        return frames


def _message(body: bytes) -> Message:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise WireError("a message that is no JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise WireError("a message without a type")
    return found


def _entries(body: bytes) -> Iterator[Entry]:
    at = 0
    try:
        while at < len(body):
            size, number, what, arrival, index = _ENTRY.unpack_from(body, at)
            at += _ENTRY.size
            if at + size > len(body):
                raise WireError("a packet beyond the end of its frame")
            yield Entry(number, What(what), arrival, index, body[at : at + size])
            at += size
    except (ValueError, struct.error) as error:
        raise WireError(f"packets that cannot be read: {error}") from error
