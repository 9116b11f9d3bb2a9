"""Publishers made for tests: FFmpeg encodes and packetizes, these number and time the packets, and lose some."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from math import sin, tau
from struct import pack

import av

from sfu.egress.sink import Track
from sfu.rtp.codecs import detector
from sfu.rtp.packet import ONE_BYTE_PROFILE, RtpPacket, parse
from sfu.rtp.parameters import AUDIO_LEVEL_URI, HeaderExtension, Kind, RtpCodec, RtpParameters, Source
from sfu.rtp.rtcp import SenderReport

OPUS = RtpCodec("audio/opus", 111, 48000, 2)
VIDEO = {name: RtpCodec(f"video/{name.upper()}", 96, 90000) for name in ("vp8", "vp9", "h264", "av1")}
LEVEL_ID = 1
FPS = 15
PACKET_S = 0.02

_REALTIME = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
_ENCODERS = {
    "vp8": ("libvpx", _REALTIME),
    "vp9": ("libvpx-vp9", _REALTIME),
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:rtc=1:scm=0"}),
}


@dataclass(frozen=True)
class Encoded:
    """A frame as its encoder made it, and the payloads that FFmpeg made of it."""

    data: bytes
    key_frame: bool
    payloads: tuple[bytes, ...]


@cache
def encoded_video(codec: str, count: int, width: int = 160, height: int = 120, gop: int = 30) -> tuple[Encoded, ...]:
    """So many frames, of a pattern that moves; a key frame first, and every `gop` frames."""
    av.logging.set_level(av.logging.ERROR)
    name, options = _ENCODERS[codec]
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, FPS), Fraction(FPS)
    context.gop_size = gop
    context.options = options
    packets = []
    for number in range(count):
        packets += context.encode(_picture(width, height, number))
    packets += context.encode(None)
    assert len(packets) == count
    return tuple(_packetized(codec, [(bytes(one), one.is_keyframe) for one in packets]))


@cache
def encoded_audio(count: int) -> tuple[Encoded, ...]:
    """So many packets of 20 ms, of a tone."""
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.format = 48000, "stereo", "s16"
    context.time_base = Fraction(1, 48000)
    packets = []
    for number in range(count):
        frame = av.AudioFrame("s16", "stereo", 960)
        samples = (int(8000 * sin(tau * 440 * (960 * number + i) / 48000)) for i in range(960))
        frame.planes[0].update(b"".join(pack("<hh", one, one) for one in samples))
        frame.sample_rate, frame.pts, frame.time_base = 48000, 960 * number, Fraction(1, 48000)
        packets += context.encode(frame)
    return tuple(Encoded(bytes(one), True, (bytes(one),)) for one in packets[:count])


def _picture(width: int, height: int, number: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        row = bytes((4 * x + 8 * number) % 256 for x in range(plane.line_size))
        plane.update(b"".join(bytes((one + y) % 256 for one in row) for y in range(plane.buffer_size // len(row))))
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


class _Packets:
    """Takes each packet that FFmpeg's muxer writes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.written.append(bytes(data))
        return len(data)


def _packetized(codec: str, frames: list[tuple[bytes, bool]]) -> Iterator[Encoded]:
    packets = _Packets()
    with av.open(packets, "w", format="rtp", buffer_size=1200, options={"strict": "experimental"}) as muxer:
        stream = muxer.add_mux_stream(codec, width=160, height=120, time_base=Fraction(1, 90000))
        for number, (data, key_frame) in enumerate(frames):
            packet = av.Packet(data)
            packet.pts = packet.dts = 6000 * number
            packet.time_base, packet.is_keyframe, packet.stream = Fraction(1, 90000), key_frame, stream
            muxer.mux_one(packet)
            rtp = [parse(one) for one in packets.written if not 192 <= one[1] <= 223]  # RTCP (RFC 5761 section 4)
            packets.written.clear()
            yield Encoded(data, key_frame, tuple(one.payload for one in rtp))


def track_of(
    codec: RtpCodec, *, track_id: str = "", peer_id: str = "peer", user_id: str = "", source: Source | None = None
) -> Track:
    """A track as the media process tells of it."""
    kind: Kind = "audio" if codec is OPUS else "video"
    extensions = (HeaderExtension(LEVEL_ID, AUDIO_LEVEL_URI),) if kind == "audio" else ()
    return Track(
        track_id=track_id or f"{peer_id}-{codec.name}",
        user_id=user_id or f"user of {peer_id}",
        username=f"Name of {peer_id}",
        peer_id=peer_id,
        kind=kind,
        source=source or ("microphone" if kind == "audio" else "camera"),
        parameters=RtpParameters("0", kind, (codec,), extensions),
    )


@dataclass
class Clocks:
    """A publisher's clocks: `skew` is how much faster than ours they run, `wall` what they say at our zero."""

    skew: float = 0.0
    wall: float = 3_900_000_000.0

    def wall_at(self, now: float) -> float:
        return self.wall + now * (1 + self.skew)


@dataclass
class Sender:
    """One track's packets."""

    codec: RtpCodec
    clocks: Clocks = field(default_factory=Clocks)
    first_timestamp: int = 0xFFFF_0000
    index: int = 65_500
    level: int = 30

    def timestamp(self, captured: float) -> int:
        """Of what was captured at that moment of our clock."""
        return self.first_timestamp + round(captured * (1 + self.clocks.skew) * self.codec.clock_rate) & 0xFFFFFFFF

    def report(self, now: float) -> SenderReport:
        return SenderReport(1, int(self.clocks.wall_at(now) * 2**32), self.timestamp(now), 0, 0)

    def packets(self, frame: Encoded, captured: float, arrival: float) -> list[RtpPacket]:
        """The packets of a frame."""
        detect = detector(self.codec.name)
        made = []
        for number, payload in enumerate(frame.payloads):
            marker = self.codec.name != "opus" and number == len(frame.payloads) - 1
            marker_type = self.codec.payload_type | 0x80 * marker
            extension = bytes((LEVEL_ID << 4, self.level, 0, 0)) if detect is None else b""
            packet = RtpPacket(
                marker_type, self.index & 0xFFFF, self.timestamp(captured), 1, payload, ONE_BYTE_PROFILE, extension
            )
            packet.index, packet.arrival = self.index, arrival
            packet.key_frame = detect is not None and detect(payload) is not None
            made.append(packet)
            self.index += 1
        return made
