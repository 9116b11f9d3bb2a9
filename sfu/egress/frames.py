"""A track's packets made whole again: frames in order, each with the moment at which it was captured.

A packet that is missing is waited for. Once it is given up, so is its frame and, of video, all that builds on it:
everything up to the next key frame, which has to be asked for. So whatever comes out here can be decoded.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sfu.egress.depacketize import DEPACKETIZERS
from sfu.egress.sink import Track
from sfu.egress.sync import Sync
from sfu.rtp.packet import PacketError, RtpPacket
from sfu.rtp.parameters import AUDIO_LEVEL_URI, VIDEO_ORIENTATION_URI
from sfu.rtp.rtcp import SenderReport

WAIT_S = 0.5
"""For a packet: the SFU asks for it ten times in this (`sfu.rtp.nack`)."""
MOST_HELD = 4096
"""Packets behind one that is missing; 6 s of 8 Mbit/s."""
REPORT_S = 0.5
"""How long a track's first frames wait for its first sender report, which says when they were captured: it is here at
once, of a track that was there before."""
_STEP_S = 1e-4
"""Between two frames at least: no codec has shorter ones than 2.5 ms."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of video, or one packet of audio, that a decoder can take."""

    data: bytes
    """As FFmpeg takes it: a VP8 or VP9 frame (of several spatial layers a superframe), H.264 in Annex B, an AV1
    temporal unit without its delimiter, an Opus packet."""
    at: float
    """When it was captured, on the machine's monotonic clock; rises from frame to frame."""
    key_frame: bool
    """Whether a decoder can start here; always, of audio."""
    codec: str
    """`opus`, `vp8`, `vp9`, `h264`, `av1`."""
    timestamp: int
    """RTP's, of 32 bits."""
    lost: int = 0
    """Packets before this one, after those of the frame before, that never came."""
    level: int | None = None
    """Of audio, where its sender tells: 0 is the loudest, 127 silence (RFC 6464)."""
    rotation: int = 0
    """Of video: 0, 90, 180 or 270, the degrees clockwise to turn it by (3GPP TS 26.114 section 7.4.5)."""


class _Packet(NamedTuple):
    packet: RtpPacket
    codec: str


class Frames:
    """One track's."""

    def __init__(self, track: Track, sync: Sync, *, wait_s: float = WAIT_S) -> None:
        self.dropped = 0
        """Frames of video that never came whole, or that built on such, as far as anything of them came; those before
        the first key frame do not count."""
        self._video = track.kind == "video"
        known = [codec for codec in track.parameters.codecs if codec.name in DEPACKETIZERS]
        self._codecs = {codec.payload_type: codec.name for codec in known}
        rate = known[0].clock_rate if known else 90000
        self._clock = sync.clock(track.peer_id, rate)
        self._level_id = track.parameters.extension_id(AUDIO_LEVEL_URI)
        self._rotation_id = track.parameters.extension_id(VIDEO_ORIENTATION_URI)
        self._rotation = 0
        self._wait_s = wait_s
        self._held: dict[int, _Packet | None] = {}
        """By index; None for what only fills its place."""
        self._next = -1
        """The index that comes next, before which all is done; -1 until the first packet."""
        self._came = 0.0
        """When the first packet did."""
        self._blocked: float | None = None
        """Since when that is waited for, while later ones are here."""
        self._part: list[_Packet] = []
        """Of a frame of video whose end has not come."""
        self._part_at = 0.0
        self._broken = self._video
        self._began = False
        self._lost = 0
        self._dropped_timestamp = -1
        self._last_at = float("-inf")

    @property
    def wants_key_frame(self) -> bool:
        """Whether nothing comes before the next key frame: to be asked for, and again where none follows."""
        return self._broken

    def receive(self, packet: RtpPacket, now: float) -> None:
        """A packet came. One of an unknown codec only fills its place, as padding does."""
        if self._next < 0:
            self._next = packet.index
            self._came = now
        if packet.index < self._next or packet.index in self._held:
            return
        codec = self._codecs.get(packet.payload_type)
        self._held[packet.index] = None if codec is None or not packet.payload else _Packet(packet, codec)

    def report(self, report: SenderReport, now: float) -> None:
        """A sender report of the track came."""
        self._clock.report(report)

    def pop(self, now: float) -> list[Frame]:
        """The frames that are whole, in order; to be called every few 10 ms, as it is what gives packets up."""
        if not self._clock.reported and now - self._came < REPORT_S:
            return []
        frames = self._whole()
        while self._held:
            if self._blocked is None:
                self._blocked = now
            if now - self._blocked < self._wait_s and len(self._held) <= MOST_HELD:
                break
            self._give_up()
            frames += self._whole()
        return frames

    def flush(self) -> list[Frame]:
        """What there still is: nothing more will come."""
        frames = self._whole()
        while self._held:
            self._give_up()
            frames += self._whole()
        return frames

    def _whole(self) -> list[Frame]:
        """The frames that end before the next packet that is missing."""
        frames: list[Frame] = []
        while self._next in self._held:
            found = self._held.pop(self._next)
            self._next += 1
            self._blocked = None
            if found is None:
                continue
            at = self._clock.at(found.packet.timestamp, found.packet.arrival)
            frames += self._take_video(found, at) if self._video else self._made([found], at)
        return frames

    def _give_up(self) -> None:
        """Go on behind what is missing."""
        first = min(self._held)
        self._lost += first - self._next
        self._next, self._blocked = first, None
        if self._video:
            self._break(self._part)

    def _break(self, part: list[_Packet]) -> None:
        """This frame can't be had whole: nothing can, until the next key frame."""
        for one in part:
            self._drop(one.packet)
        self._part = []
        self._broken = True

    def _drop(self, packet: RtpPacket) -> None:
        if self._began and packet.timestamp != self._dropped_timestamp:
            self._dropped_timestamp = packet.timestamp
            self.dropped += 1

    def _take_video(self, one: _Packet, at: float) -> list[Frame]:
        frames: list[Frame] = []
        if self._part and self._part[0].packet.timestamp != one.packet.timestamp:  # some senders set no marker
            frames += self._finished()
        if self._broken:
            if not one.packet.key_frame:
                self._drop(one.packet)
                return frames
            self._broken = False
        if not self._part:
            self._part_at = at
        self._part.append(one)
        if one.packet.marker:
            frames += self._finished()
        return frames

    def _finished(self) -> list[Frame]:
        part, self._part = self._part, []
        return self._made(part, self._part_at)

    def _made(self, part: list[_Packet], at: float) -> list[Frame]:
        """The frame of these packets; none where they make no sense."""
        (packet, codec), *_ = part
        try:
            data = DEPACKETIZERS[codec]([one.packet.payload for one in part])
        except PacketError:
            data = b""
        if not data:
            self._lost += len(part)
            if self._video:
                self._break(part)
            return []
        at = max(at, self._last_at + _STEP_S)
        key_frame = not self._video or any(one.packet.key_frame for one in part)
        turned = _element(part[-1].packet, self._rotation_id)  # the last packet tells, of a frame that does
        if turned is not None:
            self._rotation = 90 * (turned & 3)
        level = _element(packet, self._level_id)
        frame = Frame(
            data,
            at,
            key_frame,
            codec,
            packet.timestamp,
            self._lost,
            None if level is None else level & 0x7F,
            self._rotation,
        )
        self._began, self._lost, self._last_at = True, 0, at
        return [frame]


def _element(packet: RtpPacket, element_id: int | None) -> int | None:
    """The first byte of a header extension element; None where there is none."""
    value = packet.elements.get(element_id) if element_id is not None else None
    return value[0] if value else None
