"""What is changed of a packet besides its sequence number, so that a subscriber sees one stream.

A `Rewrite` holds for a segment of the munger, and what it makes of a packet depends on nothing else: a packet that is
sent again has the same bytes, as AES-GCM demands, without a copy of what was sent.

Numbers of frames, by codec:

- VP8 picture ids have no gap for frames that are left out: libwebrtc waits for a picture that is missing between a
  frame and the one it builds on (`RtpVp8RefFinder`), as it must, since nothing else tells it what is needed.
- VP9 picture ids, and frame numbers in the dependency descriptor, keep such gaps. References are differences of these
  numbers, and the structure says what may be missing. They are only moved when the stream goes on with another
  encoding or after a pause.
- TL0PICIDX counts frames of the lowest temporal layer, which are all sent.
"""

from typing import NamedTuple

from sfu.rtp.layers import EVERYTHING, LayerId
from sfu.rtp.packet import RtpPacket


class Rewrite(NamedTuple):
    """What is added to a packet's numbers, and which layers go out."""

    timestamp: int = 0
    pictures: int = 0
    tl0s: int = 0
    frames: int = 0
    limit: LayerId = EVERYTHING
    """What is above it is left out."""

    def leaves_out(self, packet: RtpPacket) -> bool:
        """Whether the packet is of a layer above the limit."""
        return packet.layer is not None and packet.layer.above(self.limit)

    def payload(self, packet: RtpPacket) -> bytes:
        """The payload under the subscriber's numbers."""
        descriptor = packet.descriptor
        if descriptor is None or not (self.pictures or self.tl0s):
            return packet.payload
        return descriptor.rewritten(packet.payload, self.pictures, self.tl0s)

    def marker_type(self, packet: RtpPacket, marker_type: int) -> int:
        """The second byte of the header: the last packet of the highest layer that is sent ends the picture."""
        layer = packet.layer
        if layer is not None and layer.ends and layer.spatial == self.limit.spatial:
            return marker_type | 0x80
        return marker_type

    def dependency(self, packet: RtpPacket) -> bytes | None:
        """The dependency descriptor to send instead of the packet's own; None where that is right as it is."""
        dependency = packet.dependency
        if dependency is None or not (self.frames or dependency.bounded(self.limit)):
            return None
        return dependency.rewritten(self.frames, self.limit)


class Numbers(NamedTuple):
    """The numbers of a frame as the subscriber has them."""

    picture: int
    tl0: int
    frame: int


class Numbering:
    """Where the numbers of frames go on."""

    def __init__(self) -> None:
        self._left_out = -1
        """The picture of the source that was left out last."""
        self._reserved: Numbers | None = None
        """Up to these, numbers are used, or may be those of packets that were lost before one that was left out."""

    def begin(self, packet: RtpPacket, last: tuple[RtpPacket, Rewrite] | None) -> Rewrite:
        """How to write a source from this packet on, whose numbers come next after those of `last`, the newest packet
        that was sent, and how. The very first source keeps its own."""
        self.reserve(last)
        self._left_out = -1
        if self._reserved is None:
            return Rewrite()
        used, own = self._reserved, _numbers(packet, Rewrite())
        return Rewrite(
            pictures=used.picture + 1 - own.picture, tl0s=used.tl0 + 1 - own.tl0, frames=used.frame + 1 - own.frame
        )

    def reserve(self, last: tuple[RtpPacket, Rewrite] | None) -> None:
        """Remember what was used up to `last`."""
        if last is not None:
            used = _numbers(*last)
            self._reserved = used if self._reserved is None else Numbers(*map(max, used, self._reserved))

    def left_out(self, packet: RtpPacket, last: RtpPacket | None, rewrite: Rewrite) -> Rewrite:
        """A packet is left out in order, `last` was the newest that was sent: how to write what follows."""
        descriptor = packet.descriptor
        if descriptor is not None and descriptor.picture_bits and not descriptor.gaps_tell:
            sent = last.descriptor.picture if last is not None and last.descriptor is not None else -1
            if descriptor.picture > max(sent, self._left_out):  # the first packet of its picture
                self._left_out = descriptor.picture
                rewrite = rewrite._replace(pictures=rewrite.pictures - 1)
        self._reserved = _numbers(packet, rewrite)
        return rewrite


def _numbers(packet: RtpPacket, rewrite: Rewrite) -> Numbers:
    """What a rewrite makes of a packet's numbers; those that it does not have count as 0."""
    descriptor, dependency = packet.descriptor, packet.dependency
    return Numbers(
        (descriptor.picture if descriptor is not None else 0) + rewrite.pictures,
        (descriptor.tl0 if descriptor is not None else 0) + rewrite.tl0s,
        (dependency.frame if dependency is not None else 0) + rewrite.frames,
    )
