"""What the SFU carries: codecs, feedback and header extensions, and the numbers that it gives them in its own offers.

Nothing is decoded here, so a codec is carried when its stream survives new sequence numbers and its key frames can be
found. Transport-wide numbers (`transport-cc`) are taken wherever they are offered, and `sfu.uplink` then sends their
feedback: answered without it they collapse Chromium's estimate (300 to 40 kbit/s, measured). Who does not know them
is steered by REMB. What is left out of every answer, and why:

- `ulpfec` with the `red` around it (RFC 5109) of publishers that can be asked to send again: at 5 % loss and 100 ms
  Chromium 156 sends as much parity as picture (192 and 179 kB in 12 s, measured), so the picture has half the bits;
  and as parity has numbers of the stream, but is never sent again, each that is lost would be asked for in vain and
  then cost a key frame. Who offers it without `nack` has nothing else, and is answered with it.
- `flexfec-03`: Chromium offers it as an experiment alone, other browsers not at all.
- G.722, PCMU, PCMA, CN, telephone-event: every browser that can meet speaks Opus (RFC 7874 section 3).
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
    VIDEO_ORIENTATION_URI,
    HeaderExtension,
    Kind,
    RtpCodec,
)

FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
"""The RTCP feedback that producers and consumers speak, in the order in which Chromium writes it."""

EXTENSIONS: dict[Kind, tuple[str, ...]] = {
    "audio": (MID_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI, AUDIO_LEVEL_URI),
    "video": (MID_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI, VIDEO_ORIENTATION_URI, DEPENDENCY_DESCRIPTOR_URI),
}
"""The header extensions that are taken from a publisher, by kind."""

PARITY_CODECS = ("vp8", "vp9")
"""What ULPFEC is taken for: their pictures have numbers of their own, by which a subscriber knows that it has all,
though a number of the stream stays away that was of parity. libwebrtc sends it for these too, and not for H.264
(`PayloadTypeSupportsSkippingFecPackets`)."""

SIMULCAST_EXTENSIONS = (RID_URI, REPAIRED_RID_URI)
"""Taken with a simulcast offer only: they name its streams, which have no SSRCs in SDP."""

OUR_EXTENSIONS = {
    uri: HeaderExtension(number, uri)
    for number, uri in enumerate(
        (
            AUDIO_LEVEL_URI,
            ABS_SEND_TIME_URI,
            MID_URI,
            VIDEO_ORIENTATION_URI,
            DEPENDENCY_DESCRIPTOR_URI,
            TRANSPORT_CC_URI,
        ),
        1,
    )
}
"""The ids in our own offers: one table for all sections, since a bundle shares them (RFC 9143 section 9)."""

_H264_PROFILES = {"42e0": 0x42, "4200": 0x42, "4d00": 0x4D, "640c": 0x64, "6400": 0x64, "f400": 0xF4}
"""Constrained baseline, baseline, main, constrained high, high, high 4:4:4 predictive (RFC 6184 table 5)."""


def _h264(profile: str, mode: str) -> RtpCodec:
    # Level 3.1, as browsers write it; with level asymmetry a level only limits what its author receives.
    fmtp = (
        ("level-asymmetry-allowed", "1"),
        ("packetization-mode", mode),
        ("profile-level-id", f"{profile}1f"),
    )
    return RtpCodec("video/H264", 0, 90000, None, fmtp, FEEDBACK)


def _our_codecs() -> dict[tuple[str, ...], RtpCodec]:
    """Each codec that is carried, by its identity, under a payload type that means nothing else anywhere."""
    opus = RtpCodec("audio/opus", 111, 48000, 2, (("minptime", "10"), ("useinbandfec", "1")), ("transport-cc",))
    red = RtpCodec("audio/red", 63, 48000, 2, (("111/111", ""),), ("transport-cc",))  # RFC 2198 section 5
    video = [
        RtpCodec("video/VP8", 0, 90000, feedback=FEEDBACK),
        *(RtpCodec("video/VP9", 0, 90000, None, (("profile-id", p),), FEEDBACK) for p in "0123"),
        *(
            RtpCodec("video/AV1", 0, 90000, None, (("level-idx", "5"), ("profile", p), ("tier", "0")), FEEDBACK)
            for p in "012"
        ),
        *(_h264(profile, mode) for profile in _H264_PROFILES for mode in "10"),
    ]
    # Pairs, a codec and then its RTX: the dynamic range, then what JSEP may use below the numbers of RTCP (RFC 5761
    # section 4).
    numbers = chain(range(96, opus.payload_type - 1, 2), range(opus.payload_type + 1, 128, 2), range(36, 64, 2))
    codecs = [
        opus,
        red,
        *(replace(codec, payload_type=number) for codec, number in zip(video, numbers, strict=False)),
    ]
    return {_identity(codec) or (): codec for codec in codecs}


def _identity(codec: RtpCodec) -> tuple[str, ...] | None:
    """What makes two payload types the same format, or None where it is not carried."""
    match codec.name, codec.clock_rate, codec.channels:
        case "opus", 48000, 2:
            return ("opus",)
        case "red", 48000, 2:
            return ("red",)
        case "vp8", 90000, _:
            return ("vp8",)
        case "vp9", 90000, _:
            return ("vp9", codec.parameter("profile-id") or "0")
        case "av1", 90000, _:
            return ("av1", codec.parameter("profile") or "0")
        case "h264", 90000, _:
            profile = _h264_profile(codec.parameter("profile-level-id") or "42000a")
            return ("h264", profile, codec.parameter("packetization-mode") or "0") if profile else None
    return None


def _h264_profile(profile_level_id: str) -> str | None:
    """The key of `_H264_PROFILES` for a `profile-level-id`, by the bit patterns of RFC 6184 table 5."""
    try:
        idc, constraints, _level = bytes.fromhex(profile_level_id)
    except ValueError:
        return None
    if constraints & 0x0F and not (idc == 0x64 and constraints == 0x0C):
        return None
    match idc:
        case 0x42:
            return "42e0" if constraints & 0x40 else "4200"
        case 0x4D:
            return "42e0" if constraints & 0x80 else "4d00"
        case 0x58 if constraints & 0x80:
            return "42e0" if constraints & 0x40 else "4200"
        case 0x64:
            return {0x00: "6400", 0x0C: "640c"}.get(constraints)
        case 0xF4 if not constraints:
            return "f400"
    return None


_OUR_CODECS = _our_codecs()


def our_codec(codec: RtpCodec) -> RtpCodec | None:
    """The same format as our own offers write it, or None where it is not carried. Never RTX."""
    identity = _identity(codec)
    return _OUR_CODECS.get(identity) if identity else None


def sent_codecs(codecs: Iterable[RtpCodec]) -> tuple[RtpCodec, ...]:
    """What a publisher who agreed on these sends: the first that we carry, and what is inside where that is RED."""
    carried = [codec for codec in codecs if our_codec(codec)]
    if not carried or carried[0].name != "red":
        return tuple(carried[:1])
    inside = next((codec for codec in carried if codec.name == "opus"), None)
    return () if inside is None else (carried[0], inside)


def our_rtx(codec: RtpCodec) -> RtpCodec:
    """The retransmission format (RFC 4588) of a codec that `our_codec` returned."""
    apt = (("apt", str(codec.payload_type)),)
    return RtpCodec("video/rtx", codec.payload_type + 1, codec.clock_rate, None, apt)
