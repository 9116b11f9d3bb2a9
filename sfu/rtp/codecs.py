"""What a forwarder reads of a payload: where a key frame starts, and how large the picture is. Nothing is decoded.

Only the first packet of a key frame is recognised: there a subscriber may begin. VP8 (RFC 7741), VP9 (RFC 9628) and
RED (RFC 2198) are here, H.264 and AV1 in files of their own.
"""

from collections.abc import Callable

from sfu.rtp.av1 import av1
from sfu.rtp.bits import Bits, KeyFrame, need
from sfu.rtp.h264 import h264
from sfu.rtp.packet import PacketError

Detector = Callable[[bytes], KeyFrame | None]
"""From a payload: a `KeyFrame`, or None for any other packet. Raises `PacketError` for a payload that is cut."""


def detector(codec: str) -> Detector | None:
    """The detector for a codec's name in lower case; None where every packet is a place to begin, as in audio."""
    return _DETECTORS.get(codec)


def red_primary(payload: bytes) -> tuple[int, bytes]:
    """The payload type and payload of the newest block of a RED packet (RFC 2198 section 3)."""
    at = skipped = 0
    while True:
        need(payload, at + 1)
        if not payload[at] & 0x80:
            break
        need(payload, at + 4)
        skipped += (payload[at + 2] & 3) << 8 | payload[at + 3]
        at += 4
    start = at + 1 + skipped
    need(payload, start)
    return payload[at] & 0x7F, payload[start:]


def vp8(payload: bytes) -> KeyFrame | None:
    """RFC 7741 sections 4.2 and 4.3."""
    need(payload, 1)
    first, at = payload[0], 1
    if first & 0x1F != 0x10:  # not the start of partition 0 of a frame
        return None
    if first & 0x80:
        need(payload, 2)
        fields, at = payload[1], 2
        if fields & 0x80:
            need(payload, at + 1)
            at += 2 if payload[at] & 0x80 else 1
        at += bool(fields & 0x40) + bool(fields & 0x30)
    need(payload, at + 1)
    if payload[at] & 1:
        return None
    need(payload, at + 10)
    if payload[at + 3 : at + 6] != b"\x9d\x01\x2a":
        raise PacketError("VP8: a key frame without its start code")
    return KeyFrame(
        int.from_bytes(payload[at + 6 : at + 8], "little") & 0x3FFF,
        int.from_bytes(payload[at + 8 : at + 10], "little") & 0x3FFF,
    )


def vp9(payload: bytes) -> KeyFrame | None:
    """RFC 9628 section 4.2: not predicted, start of a frame, lowest spatial layer."""
    need(payload, 1)
    first, at = payload[0], 1
    if first & 0x48 != 0x08:
        return None
    if first & 0x80:
        need(payload, 2)
        at += 2 if payload[1] & 0x80 else 1
    if first & 0x20:
        need(payload, at + 1)
        if payload[at] & 0x0E:
            return None
        at += 1 if first & 0x10 else 2
    if first & 0x02:
        return _vp9_structure(payload, at)
    return _vp9_header(payload[at:])


def _vp9_structure(payload: bytes, at: int) -> KeyFrame:
    """The scalability structure (RFC 9628 section 4.2.1): the size of the highest layer."""
    need(payload, at + 1)
    if not payload[at] & 0x10:
        return KeyFrame()
    end = at + 1 + 4 * ((payload[at] >> 5) + 1)
    need(payload, end)
    return KeyFrame(int.from_bytes(payload[end - 4 : end - 2], "big"), int.from_bytes(payload[end - 2 : end], "big"))


def _vp9_header(frame: bytes) -> KeyFrame | None:
    """The uncompressed header (VP9 bitstream specification section 6.2)."""
    bits = Bits(frame)
    if bits.take(2) != 2:
        raise PacketError("VP9: no frame marker")
    profile = bits.take(1) | bits.take(1) << 1
    if profile == 3:
        bits.take(1)
    if bits.take(1) or bits.take(1):  # an existing frame shown again; an intra frame that is no key frame
        return None
    bits.take(2)
    if bits.take(24) != 0x498342:
        raise PacketError("VP9: no sync code")
    if profile >= 2:
        bits.take(1)
    colour_space = bits.take(3)
    if colour_space != 7:
        bits.take(1)
        if profile & 1:
            bits.take(3)
    elif profile & 1:
        bits.take(1)
    return KeyFrame(bits.take(16) + 1, bits.take(16) + 1)


_DETECTORS: dict[str, Detector] = {"vp8": vp8, "vp9": vp9, "h264": h264, "av1": av1}
