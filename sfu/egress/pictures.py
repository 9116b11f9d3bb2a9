"""How large the picture of a key frame is, as its own header says; nothing is decoded."""

from collections.abc import Iterator

from sfu.rtp.av1 import sequence_size
from sfu.rtp.bits import Bits, KeyFrame
from sfu.rtp.h264 import h264
from sfu.rtp.packet import PacketError
from sfu.rtp.vp8 import vp8_key_frame
from sfu.rtp.vp9 import vp9_header

_START = b"\0\0\0\1"


def picture_of(codec: str, data: bytes) -> KeyFrame | None:
    """Of a key frame as `sfu.egress.frames.Frame` has it; of several spatial layers, the largest. None where it does
    not say."""
    try:
        match codec:
            case "vp8":
                found = vp8_key_frame(data, 0)
            case "vp9":
                found = _vp9(data)
            case "h264":
                found = next((size for unit in data.split(_START)[1:] if unit and (size := h264(unit))), None)
            case "av1":
                found = sequence_size(data)
            case _:
                found = None
    except PacketError:
        return None
    return found if found is not None and found.width and found.height else None


def _vp9(data: bytes) -> KeyFrame | None:
    """Of a frame, or of the last of a superframe, which is built on a key frame below it."""
    first, *others = _frames(data)
    found = vp9_header(first)
    return found if found is None or not others else _vp9_upper(others[-1]) or found


def _frames(superframe: bytes) -> Iterator[bytes]:
    """VP9 bitstream specification, annex B."""
    marker = superframe[-1] if superframe else 0
    count, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = superframe[-2 - count * width :]
    if marker & 0xE0 != 0xC0 or len(index) != 2 + count * width or index[0] != marker:
        yield superframe
        return
    at = 0
    for number in range(count):
        end = at + int.from_bytes(index[1 + number * width : 1 + (number + 1) * width], "little")
        yield superframe[at:end]
        at = end


def _vp9_upper(frame: bytes) -> KeyFrame | None:
    """The size of a frame that is predicted, where it has one of its own (section 6.2: `frame_size_with_refs`)."""
    bits = Bits(frame)
    bits.take(2)
    if bits.take(1) | bits.take(1) << 1 == 3:  # the profile
        bits.take(1)
    if bits.take(1) or not bits.take(1) or not bits.take(1):  # shown before; a key frame; not shown
        return None
    if not bits.take(1):  # error resilient frames don't say which contexts are reset
        bits.take(2)
    bits.take(8 + 3 * 4)
    if any(bits.take(1) for _ in range(3)):
        return None
    return KeyFrame(bits.take(16) + 1, bits.take(16) + 1)
