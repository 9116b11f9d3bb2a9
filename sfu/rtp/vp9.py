"""The VP9 payload descriptor (RFC 9628 section 4.2), read and rewritten, and where a key frame starts."""

from sfu.rtp.bits import Bits, KeyFrame, need
from sfu.rtp.layers import LayerId
from sfu.rtp.packet import PacketError

MAX_REFERENCES = 3
"""P_DIFFs of one picture in flexible mode."""


class Vp9Descriptor:
    """What precedes the VP9 data in a packet. Numbers that are missing are None."""

    __slots__ = (
        "ends",
        "inter_layer",
        "inter_picture",
        "layered",
        "picture",
        "picture_bits",
        "picture_id",
        "references",
        "size",
        "spatial",
        "starts",
        "structure",
        "switch",
        "temporal",
        "tl0",
        "tl0_at",
        "tl0_picture",
    )

    gaps_tell = True
    """A gap in the picture ids stands for a picture that was left out: the structure says whether it is needed."""

    targets = -1
    """No decode targets are named."""

    picture_at = 1
    """Where the picture id stands."""

    def __init__(self, payload: bytes) -> None:
        """Read it; raises `PacketError` where the payload ends too early or refers to too many pictures."""
        need(payload, 1)
        first, at = payload[0], 1
        self.inter_picture = bool(first & 0x40)
        """P: predicted from earlier pictures."""
        flexible = bool(first & 0x10)
        self.starts, self.ends = bool(first & 0x08), bool(first & 0x04)
        """B, E: the first and the last packet of a frame, of which a picture has one for each spatial layer."""
        self.picture_id: int | None = None
        self.picture_bits = 0
        """7 or 15; 0 where there is no picture id."""
        self.tl0_picture: int | None = None
        self.tl0_at = 0
        self.spatial = self.temporal = 0
        self.layered = bool(first & 0x20)
        """Whether it names its layer."""
        self.switch = False
        """U: what follows in higher temporal layers does not build on what came before in them."""
        self.inter_layer = False
        """D: predicted from the next lower spatial layer."""
        self.references: tuple[int, ...] = ()
        """In flexible mode: how many pictures back those are that this one builds on."""
        self.structure: tuple[KeyFrame, ...] | None = None
        """The size of each spatial layer, where the packet brings the structure; 0 x 0 of unknown ones."""
        self.picture = self.tl0 = 0
        """The two numbers unwrapped, once a stream took the packet in (`sfu.rtp.numbering`)."""
        if first & 0x80:
            need(payload, 2)
            if payload[1] & 0x80:
                need(payload, 3)
                self.picture_id, self.picture_bits, at = (payload[1] & 0x7F) << 8 | payload[2], 15, 3
            else:
                self.picture_id, self.picture_bits, at = payload[1], 7, 2
        if first & 0x20:
            need(payload, at + 1)
            layers = payload[at]
            self.temporal, self.spatial = layers >> 5, layers >> 1 & 7
            self.switch, self.inter_layer = bool(layers & 0x10), bool(layers & 1)
            at += 1
            if not flexible:
                need(payload, at + 1)
                self.tl0_picture, self.tl0_at = payload[at], at
                at += 1
        if flexible and self.inter_picture:
            at = self._read_references(payload, at)
        if first & 0x02:
            at = self._read_structure(payload, at)
        self.size = at
        """Bytes up to the VP9 data."""

    def above(self, limit: LayerId) -> bool:
        """Whether the packet is of a higher layer than this one."""
        return self.spatial > limit.spatial or self.temporal > limit.temporal

    def towards(self, limit: LayerId, goal: LayerId, *, fresh: bool) -> LayerId:
        """The limit from this packet on, the first of its frame, where it is to become `goal`; `fresh` is the first
        packet of a picture.

        Down with a picture. Up by one spatial layer at a frame of it that builds on nothing earlier; up to any
        temporal layer with a picture of those that are sent, after which the higher ones need nothing from before.
        """
        spatial, temporal = limit
        if fresh:
            spatial, temporal = min(spatial, goal.spatial), min(temporal, goal.temporal)
        if not self.inter_picture and spatial + 1 == self.spatial <= goal.spatial:
            spatial = self.spatial
        if fresh and self.switch and self.temporal <= temporal < goal.temporal:
            temporal = goal.temporal
        return LayerId(spatial, temporal)

    def rewritten(self, payload: bytes, pictures: int, tl0s: int) -> bytes:
        """The payload with this much added to its picture id and its TL0PICIDX, where it has them.

        References in flexible mode are differences of picture ids, and so is the structure: they stay as they are.
        """
        changed = bytearray(payload[: self.size])
        if self.picture_bits == 15:
            number = self.picture + pictures & 0x7FFF
            changed[1], changed[2] = 0x80 | number >> 8, number & 0xFF
        elif self.picture_bits:
            changed[1] = self.picture + pictures & 0x7F
        if self.tl0_picture is not None:
            changed[self.tl0_at] = self.tl0 + tl0s & 0xFF
        return bytes(changed) + payload[self.size :]

    def _read_references(self, payload: bytes, at: int) -> int:
        for _ in range(MAX_REFERENCES):
            need(payload, at + 1)
            self.references += (payload[at] >> 1,)
            at += 1
            if not payload[at - 1] & 1:
                return at
        raise PacketError("VP9: a picture with more than three references")

    def _read_structure(self, payload: bytes, at: int) -> int:
        """The scalability structure (section 4.2.1)."""
        need(payload, at + 1)
        head, at = payload[at], at + 1
        layers = (head >> 5) + 1
        if head & 0x10:
            need(payload, at + 4 * layers)
            self.structure = tuple(
                KeyFrame(int.from_bytes(payload[i : i + 2], "big"), int.from_bytes(payload[i + 2 : i + 4], "big"))
                for i in range(at, at + 4 * layers, 4)
            )
            at += 4 * layers
        else:
            self.structure = (KeyFrame(),) * layers
        if head & 0x08:
            need(payload, at + 1)
            pictures, at = payload[at], at + 1
            for _ in range(pictures):
                need(payload, at + 1)
                at += 1 + (payload[at] >> 2 & 3)
            need(payload, at)
        return at


def vp9(payload: bytes) -> KeyFrame | None:
    """The key frame that starts in this packet, with the size of its highest layer, or None."""
    return vp9_key_frame(payload, Vp9Descriptor(payload))


def vp9_key_frame(payload: bytes, descriptor: Vp9Descriptor) -> KeyFrame | None:
    """The same where the descriptor is read already: not predicted, start of a frame, lowest spatial layer."""
    if descriptor.inter_picture or not descriptor.starts or descriptor.spatial:
        return None
    if descriptor.structure is not None:
        return descriptor.structure[-1]
    return vp9_header(payload[descriptor.size :])


def vp9_header(frame: bytes) -> KeyFrame | None:
    """The size that a frame's uncompressed header tells (VP9 bitstream specification section 6.2); None where it is
    no key frame. `PacketError` for what is no frame."""
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
