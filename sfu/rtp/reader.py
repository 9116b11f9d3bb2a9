"""What a forwarder finds out about each video packet of a stream: its layer, its numbers, where a key frame starts.

A dependency descriptor is believed before the payload, which may be encrypted end to end. Of VP8 alone its descriptor
says better which temporal layers can begin: libwebrtc's dependency descriptor calls every frame of VP8 a place to
switch to all temporal layers above it (`RtpPayloadParams::Vp8ToGeneric`).
"""

from sfu.rtp.bits import KeyFrame
from sfu.rtp.codecs import Detector, detector
from sfu.rtp.dependency import Dependency
from sfu.rtp.layers import LayerId
from sfu.rtp.numbers import Unwrapper
from sfu.rtp.packet import PacketError, RtpPacket
from sfu.rtp.vp8 import Vp8Descriptor, vp8_key_frame
from sfu.rtp.vp9 import Vp9Descriptor, vp9_key_frame


class PayloadReader:
    """Reads the packets of one stream, as they arrive. Nothing is decoded."""

    def __init__(self, codec: str) -> None:
        """`codec` is a name in lower case."""
        self.codec = codec
        self.sizes: tuple[KeyFrame, ...] = ()
        """The size of each spatial layer, where a key frame told it; one entry where there are no such layers."""
        self._detector: Detector | None = detector(codec)
        self._pictures, self._tl0s, self._frames = Unwrapper(), Unwrapper(), Unwrapper()
        self._last: Dependency | None = None
        """The dependency descriptor that tells the structure, and the active decode targets, until the next one."""

    def read(self, packet: RtpPacket, payload: bytes, dependency: bytes | None = None) -> KeyFrame | None:
        """Set the packet's layer and descriptors; the key frame that starts here, or None.

        `payload` is the codec's: that of the packet, unless it is wrapped (RED), when nothing in it can be rewritten.
        `dependency` is the header extension, where the packet has one.

        Raises `PacketError` for a payload that is cut or makes no sense; the packet then has no layer.
        """
        if dependency is not None:
            self._read_dependency(packet, dependency)
        descriptor = self._read_descriptor(packet, payload)
        found = self._key_frame(packet.dependency, payload, descriptor)
        if packet.dependency is not None and packet.dependency.structure.sizes:
            self.sizes = packet.dependency.structure.sizes
        elif isinstance(descriptor, Vp9Descriptor) and descriptor.structure is not None:
            self.sizes = descriptor.structure
        elif found is not None and found.width and len(self.sizes) < 2:
            self.sizes = (found,)
        return found

    @property
    def structured(self) -> Dependency | None:
        """What tells the structure and the active decode targets of a stream whose layers are told by that."""
        return None if self.codec == "vp8" else self._last

    def needs_key_frame(self, limit: LayerId, goal: LayerId) -> bool:
        """Whether to send what `goal` lets through, after what `limit` did, may take a key frame."""
        if self.structured is None:
            return goal.spatial > limit.spatial and len(self.sizes) > limit.spatial + 1
        structure, active = self.structured.structure, self.structured.active
        before, after = structure.target(limit, active), structure.target(goal, active)
        same = structure.layers[before].spatial == structure.layers[after].spatial
        return not same and not structure.nested(after, before)

    def _read_dependency(self, packet: RtpPacket, data: bytes) -> None:
        """One that makes no sense is left alone, as if it were not there."""
        last = self._last
        try:
            found = Dependency(data, last.structure, last.active) if last else Dependency(data)
        except PacketError:
            return
        found.frame = self._frames.take(found.frame_number, 16)
        if last is None or found.attached or found.says_active:
            self._last = found
        packet.dependency = packet.layer = found
        packet.layered = True

    def _read_descriptor(self, packet: RtpPacket, payload: bytes) -> Vp8Descriptor | Vp9Descriptor | None:
        if self.codec == "vp8":
            found: Vp8Descriptor | Vp9Descriptor = Vp8Descriptor(payload)
        elif self.codec == "vp9":
            found = Vp9Descriptor(payload)
        else:
            return None
        if found.size > 1 and payload is packet.payload:
            if found.picture_id is not None:
                found.picture = self._pictures.take(found.picture_id, found.picture_bits)
            if found.tl0_picture is not None:
                found.tl0 = self._tl0s.take(found.tl0_picture, 8)
            packet.descriptor = found
            if found.layered and (self.codec == "vp8" or packet.layer is None):
                packet.layer, packet.layered = found, True
        return found

    def _key_frame(
        self, dependency: Dependency | None, payload: bytes, descriptor: Vp8Descriptor | Vp9Descriptor | None
    ) -> KeyFrame | None:
        if dependency is None:
            return self._detect(payload, descriptor)
        if not dependency.key_frame:
            return None
        try:
            return self._detect(payload, descriptor) or KeyFrame()
        except PacketError:  # what is encrypted makes no sense to us
            return KeyFrame()

    def _detect(self, payload: bytes, descriptor: Vp8Descriptor | Vp9Descriptor | None) -> KeyFrame | None:
        if isinstance(descriptor, Vp8Descriptor):
            return vp8_key_frame(payload, descriptor.size) if descriptor.starts else None
        if isinstance(descriptor, Vp9Descriptor):
            return vp9_key_frame(payload, descriptor)
        return self._detector(payload) if self._detector is not None else None
