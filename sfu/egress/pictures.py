"""How large the picture of a key frame is, as its own header says; nothing is decoded."""

from sfu.rtp.av1 import sequence_size
from sfu.rtp.bits import KeyFrame
from sfu.rtp.h264 import h264
from sfu.rtp.packet import PacketError
from sfu.rtp.vp8 import vp8_key_frame
from sfu.rtp.vp9 import vp9_header

_START = b"\0\0\0\1"


def picture_of(codec: str, data: bytes) -> KeyFrame | None:
    """Of a key frame as `sfu.egress.frames.Frame` has it; of several spatial layers, the lowest. None where it does
    not say."""
    try:
        match codec:
            case "vp8":
                found = vp8_key_frame(data, 0)
            case "vp9":
                found = vp9_header(data)
            case "h264":
                found = next((size for unit in data.split(_START)[1:] if unit and (size := h264(unit))), None)
            case "av1":
                found = sequence_size(data)
            case _:
                found = None
    except PacketError:
        return None
    return found if found is not None and found.width and found.height else None
