"""What a forwarder reads of a payload: where a key frame starts, and how large the picture is. Nothing is decoded.

Only the first packet of a key frame is recognised: there a subscriber may begin. Each codec has a file of its own.
"""

from collections.abc import Callable

from sfu.rtp.av1 import av1
from sfu.rtp.bits import KeyFrame
from sfu.rtp.h264 import h264
from sfu.rtp.vp8 import vp8
from sfu.rtp.vp9 import vp9

Detector = Callable[[bytes], KeyFrame | None]
"""From a payload: a `KeyFrame`, or None for any other packet. Raises `PacketError` for a payload that is cut."""


def detector(codec: str) -> Detector | None:
    """The detector for a codec's name in lower case; None where every packet is a place to begin, as in audio."""
    return _DETECTORS.get(codec)


_DETECTORS: dict[str, Detector] = {"vp8": vp8, "vp9": vp9, "h264": h264, "av1": av1}
