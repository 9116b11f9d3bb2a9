"""From the payloads of one frame, in order and none missing, to what a decoder takes: a file a codec.

All raise `PacketError` for payloads that are cut, or make no sense together.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from sfu.egress.depacketize.av1 import av1
from sfu.egress.depacketize.h264 import h264
from sfu.egress.depacketize.opus import opus
from sfu.egress.depacketize.vp8 import vp8
from sfu.egress.depacketize.vp9 import vp9

Depacketizer = Callable[[Sequence[bytes]], bytes]

DEPACKETIZERS: Mapping[str, Depacketizer] = MappingProxyType(
    {"opus": opus, "vp8": vp8, "vp9": vp9, "h264": h264, "av1": av1}
)
"""By the codec's name in lower case. What is not here is not kept."""
