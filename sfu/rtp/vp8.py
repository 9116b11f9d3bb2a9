"""The VP8 payload descriptor (RFC 7741 section 4.2), read and rewritten, and where a key frame starts."""

from sfu.rtp.bits import KeyFrame, need
from sfu.rtp.layers import LayerId
from sfu.rtp.packet import PacketError


class Vp8Descriptor:
    """What precedes the VP8 data in a packet. Numbers that are missing are None."""

    __slots__ = (
        "ends",
        "layered",
        "picture",
        "picture_bits",
        "picture_id",
        "size",
        "spatial",
        "starts",
        "sync",
        "temporal",
        "tl0",
        "tl0_at",
        "tl0_picture",
    )

    gaps_tell = False
    """A gap in the picture ids stands for a picture that is missing and may be needed."""

    targets = -1
    """No decode targets are named."""

    picture_at = 2
    """Where the picture id stands."""

    def __init__(self, payload: bytes) -> None:
        """Read it; raises `PacketError` where the payload ends too early."""
        need(payload, 1)
        first, at = payload[0], 1
        self.starts = first & 0x17 == 0x10
        """Whether this is the first packet of a frame: the start of partition 0."""
        self.ends = False
        """Only the marker bit says so."""
        self.picture_id: int | None = None
        self.picture_bits = 0
        """7 or 15; 0 where there is no picture id."""
        self.tl0_picture: int | None = None
        """TL0PICIDX: which frame of the lowest temporal layer this one builds on."""
        self.tl0_at = 0
        self.spatial = self.temporal = 0
        self.layered = False
        """Whether it names its layer."""
        self.sync = False
        """Y: the frame depends on the lowest temporal layer alone."""
        self.picture = self.tl0 = 0
        """The two numbers unwrapped, once a stream took the packet in (`sfu.rtp.numbering`)."""
        if first & 0x80:
            need(payload, 2)
            fields, at = payload[1], 2
            if fields & 0x80:
                need(payload, at + 1)
                if payload[at] & 0x80:
                    need(payload, at + 2)
                    self.picture_id = (payload[at] & 0x7F) << 8 | payload[at + 1]
                    self.picture_bits = 15
                    at += 2
                else:
                    self.picture_id, self.picture_bits = payload[at], 7
                    at += 1
            if fields & 0x40:
                need(payload, at + 1)
                self.tl0_picture, self.tl0_at = payload[at], at
                at += 1
            if fields & 0x30:
                need(payload, at + 1)
                if fields & 0x20:
                    self.layered = True
                    self.temporal = payload[at] >> 6
                    self.sync = bool(payload[at] & 0x20)
                at += 1
        self.size = at
        """Bytes up to the VP8 data."""

    def above(self, limit: LayerId) -> bool:
        """Whether the packet is of a higher layer than this one."""
        return self.temporal > limit.temporal

    def towards(self, limit: LayerId, goal: LayerId, *, fresh: bool) -> LayerId:
        """The limit from this packet on, the first of its frame, where it is to become `goal`.

        Down at once; up by one layer at a frame of it that builds on the lowest layer alone.
        """
        if limit.temporal > goal.temporal:
            return goal
        if self.sync and limit.temporal + 1 == self.temporal <= goal.temporal:
            return LayerId(goal.spatial, self.temporal)
        return LayerId(goal.spatial, limit.temporal)

    def rewritten(self, payload: bytes, pictures: int, tl0s: int) -> bytes:
        """The payload with this much added to its picture id and its TL0PICIDX, where it has them."""
        changed = bytearray(payload[: self.size])
        if self.picture_bits == 15:
            number = self.picture + pictures & 0x7FFF
            changed[2], changed[3] = 0x80 | number >> 8, number & 0xFF
        elif self.picture_bits:
            changed[2] = self.picture + pictures & 0x7F
        if self.tl0_picture is not None:
            changed[self.tl0_at] = self.tl0 + tl0s & 0xFF
        return bytes(changed) + payload[self.size :]


def vp8(payload: bytes) -> KeyFrame | None:
    """The key frame that starts in this packet (RFC 7741 section 4.3, RFC 6386 section 9.1), or None."""
    descriptor = Vp8Descriptor(payload)
    return vp8_key_frame(payload, descriptor.size) if descriptor.starts else None


def vp8_key_frame(payload: bytes, at: int) -> KeyFrame | None:
    """The same of the first packet of a frame, whose VP8 data starts at `at`."""
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
