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

    def payload(self, packet: RtpPacket) -> bytes:
        """What a subscriber gets of a packet; nothing, which a receiver takes for padding, of one above the limit.

        That happens to a packet that was late, and for which a number was left free.
        """
        if packet.layer is not None and packet.layer.above(*self.limit):
            return b""
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


class Numbering:
    """The highest numbers of frames that a subscriber was given, so that they go on from there."""

    def __init__(self) -> None:
        self._picture: int | None = None
        self._tl0: int | None = None
        self._frame: int | None = None

    def begin(self, packet: RtpPacket, timestamp: int, limit: LayerId) -> Rewrite:
        """How to write a source from this packet on, whose numbers come next; the very first keeps its own."""
        pictures = tl0s = frames = 0
        if packet.descriptor is not None:
            pictures = _next(self._picture, packet.descriptor.picture)
            tl0s = _next(self._tl0, packet.descriptor.tl0)
        if packet.dependency is not None:
            frames = _next(self._frame, packet.dependency.frame)
        return Rewrite(timestamp, pictures, tl0s, frames, limit)

    def sent(self, packet: RtpPacket, rewrite: Rewrite) -> None:
        """A packet goes out in order."""
        if (descriptor := packet.descriptor) is not None:
            self._picture = _highest(self._picture, descriptor.picture + rewrite.pictures)
            self._tl0 = _highest(self._tl0, descriptor.tl0 + rewrite.tl0s)
        if (dependency := packet.dependency) is not None:
            self._frame = _highest(self._frame, dependency.frame + rewrite.frames)

    def left_out(self, packet: RtpPacket, rewrite: Rewrite) -> Rewrite:
        """A packet is left out in order: how to write what follows."""
        descriptor = packet.descriptor
        if descriptor is None or descriptor.gaps_tell or self._picture is None:
            return rewrite
        if descriptor.picture + rewrite.pictures <= self._picture:  # not the first of its picture
            return rewrite
        rewrite = rewrite._replace(pictures=rewrite.pictures - 1)
        self._picture = descriptor.picture + rewrite.pictures
        return rewrite


def _next(highest: int | None, number: int) -> int:
    return 0 if highest is None else highest + 1 - number


def _highest(highest: int | None, number: int) -> int:
    return number if highest is None or number > highest else highest
