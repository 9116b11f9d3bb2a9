"""VP8 over RTP (RFC 7741): partitions one after the other, behind a descriptor in each packet."""

from collections.abc import Sequence

from sfu.rtp.packet import PacketError
from sfu.rtp.vp8 import Vp8Descriptor


def vp8(payloads: Sequence[bytes]) -> bytes:
    """The frame (section 4.4: descriptors taken off, the rest put together)."""
    descriptors = [Vp8Descriptor(payload) for payload in payloads]
    if not descriptors[0].starts:
        raise PacketError("VP8: the beginning of the frame is missing")
    return b"".join(payload[one.size :] for payload, one in zip(payloads, descriptors, strict=True))
