"""A publisher and a subscriber of one video track that do as libwebrtc does, without a codec and without a clock.

What they do is read off libwebrtc: the publisher repeats a packet at most once a round trip
(`rtp_packet_history.cc`); the subscriber asks at once for what it misses and then once a round trip, ten times
(`nack_requester.cc`), skips what is incomplete for a newer key frame, and asks for one after three seconds without a
picture (`video_receive_stream2.cc`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from sfu.rtp import rtcp
from sfu.rtp.packet import RtpPacket, header, parse
from sfu.rtp.parameters import Encoding, RtpCodec, RtpParameters
from sfu.rtp.seq import unwrap

FRAME_RATE = 25
PACKET = 1100
"""Bytes of a payload."""
KEY_FRAME_PACKETS = 9
FRAME_PACKETS = (1, 2, 3, 4, 6)
HISTORY = 600
"""Packets that the publisher keeps."""
MAX_ASKED = 10
NO_ROUND_TRIP_S = 0.1
"""What libwebrtc's receiver takes for the round trip on a connection that only receives."""
NO_PICTURE_S = 3.0
_VP8, _RTX = 96, 97
_KEY_START = bytes.fromhex("10 000000 9d012a 8002 6801")
_DELTA_START = b"\x10\x01"
_GOING_ON = b"\0"

Send = Callable[[bytes], None]


def parameters(ssrc: int, rtx_ssrc: int) -> RtpParameters:
    """VP8 with RTX under these SSRCs."""
    codecs = (
        RtpCodec("video/VP8", _VP8, 90000, feedback=("nack", "nack pli")),
        RtpCodec("video/rtx", _RTX, 90000, None, (("apt", str(_VP8)),)),
    )
    return RtpParameters("0", "video", codecs, encodings=(Encoding(ssrc, rtx_ssrc),), cname="p")


class Publisher:
    """Sends frames of one to nine packets, and again what is asked for."""

    def __init__(self, send: Send, ssrc: int, rtx_ssrc: int, rng: Random, *, rtt_s: float) -> None:
        self.repeats = True
        """Whether it answers a NACK."""
        self.frames = self.key_frames = self.repeated = 0
        self._send = send
        self._ssrc, self._rtx_ssrc = ssrc, rtx_ssrc
        self._rng = rng
        self._rtt_s = rtt_s
        self._history: dict[int, tuple[bytes, float]] = {}
        self._number, self._rtx_number = rng.randrange(1 << 16), 1
        self._key_wanted = True

    def send_frame(self) -> None:
        """The next one; a key frame where one was asked for."""
        timestamp = self.frames * 90000 // FRAME_RATE
        key, self._key_wanted = self._key_wanted, False
        self.frames += 1
        self.key_frames += key
        start = _KEY_START if key else _DELTA_START
        packets = KEY_FRAME_PACKETS if key else self._rng.choice(FRAME_PACKETS)
        for at in range(packets):
            last = at == packets - 1
            head = header(_VP8 | last << 7, self._number, timestamp, self._ssrc)
            data = head + (_GOING_ON if at else start) + bytes(PACKET)
            self._history[self._number] = data, float("-inf")
            self._history.pop(self._number - HISTORY & 0xFFFF, None)
            self._number = self._number + 1 & 0xFFFF
            self._send(data)

    def receive(self, data: bytes, now: float) -> None:
        """Feedback."""
        for packet in rtcp.parse(data):
            match packet:
                case rtcp.Nack() if self.repeats:
                    for number in packet.sequence_numbers:
                        self._repeat(number, now)
                case rtcp.PictureLoss():
                    self._key_wanted = True

    def _repeat(self, number: int, now: float) -> None:
        data, repeated_at = self._history.get(number, (b"", 0.0))
        if not data or now - repeated_at < self._rtt_s:
            return
        self._history[number] = data, now
        self.repeated += 1
        packet = parse(data)
        head = header(packet.marker_type & 0x80 | _RTX, self._rtx_number, packet.timestamp, self._rtx_ssrc)
        self._rtx_number = self._rtx_number + 1 & 0xFFFF
        self._send(head + number.to_bytes(2, "big") + packet.payload)


@dataclass
class _Asked:
    at: float
    times: int = 1


class Subscriber:
    """Decodes what is whole, and asks for what is not."""

    def __init__(self, send: Send, ssrc: int, *, rtt_s: float = NO_ROUND_TRIP_S) -> None:
        self.decoded: list[tuple[float, int]] = []
        """When each frame was, and its timestamp."""
        self._send = send
        self._ssrc = ssrc
        self._rtt_s = rtt_s
        self._packets: dict[int, RtpPacket] = {}
        self._missing: dict[int, _Asked] = {}
        self._highest = -1
        self._next = -1
        """The first packet after the last decoded frame."""
        self._key_asked_at = 0.0

    def receive(self, data: bytes, now: float) -> None:
        """RTP, or RTCP, which says nothing that is of use here."""
        if 200 <= data[1] < 208:
            return
        packet = parse(data)
        if packet.payload_type == _RTX:
            packet.sequence_number = int.from_bytes(packet.payload[:2], "big")
            packet.payload = packet.payload[2:]
        if self._highest < 0:
            self._highest, self._next = packet.sequence_number - 1, packet.sequence_number
        index = unwrap(packet.sequence_number, self._highest)
        self._missing.pop(index, None)
        if index < self._next or index in self._packets:
            return
        self._packets[index] = packet
        if index > self._highest:
            gap = range(self._highest + 1, index)
            self._highest = index
            self._missing.update((lost, _Asked(now)) for lost in gap)
            self._ask(gap)
        self._decode(now)

    def tick(self, now: float) -> None:
        """What time brings, every 20 ms."""
        due = [
            index
            for index, asked in self._missing.items()
            if now - asked.at >= self._rtt_s and asked.times < MAX_ASKED
        ]
        for index in due:
            self._missing[index] = _Asked(now, self._missing[index].times + 1)
        self._ask(due)
        newest = max(self.decoded[-1][0] if self.decoded else 0.0, self._key_asked_at)
        if self._highest >= 0 and now - newest > NO_PICTURE_S:
            self._key_asked_at = now
            self._say(rtcp.picture_loss(1, self._ssrc))

    def _ask(self, indices: Sequence[int]) -> None:
        if indices:
            self._say(rtcp.nack(1, self._ssrc, [index & 0xFFFF for index in indices]))

    def _say(self, feedback: bytes) -> None:
        self._send(rtcp.receiver_report(rtcp.ReceiverReport(1)) + feedback)

    def _decode(self, now: float) -> None:
        """Whole frames in order; a whole key frame whatever is missing before it."""
        while (found := self._next_frame()) is not None:
            begin, self._next = found
            self.decoded.append((now, self._packets[begin].timestamp))
            self._packets = {index: packet for index, packet in self._packets.items() if index >= self._next}
            self._missing = {index: asked for index, asked in self._missing.items() if index >= self._next}

    def _next_frame(self) -> tuple[int, int] | None:
        """Its first packet and the one after its last."""
        keys = (
            i for i in sorted(self._packets) if i > self._next and self._packets[i].payload.startswith(_KEY_START)
        )
        for begin in (self._next, *keys):
            index = begin
            while (packet := self._packets.get(index)) is not None:
                index += 1
                if packet.marker:
                    return begin, index
        return None
