"""Where a key frame of H.264 starts (RFC 6184), and the size of its picture (ITU-T H.264)."""

from collections.abc import Iterator

from sfu.rtp.bits import Bits, KeyFrame, need
from sfu.rtp.packet import PacketError


def h264(payload: bytes) -> KeyFrame | None:
    """RFC 6184: a packet that brings a sequence parameter set, alone, in a STAP-A or at the start of an FU-A.

    In WebRTC parameter sets travel in the stream (RFC 7742 section 6.2), before each IDR picture: a subscriber
    that began at the picture itself could not decode it.
    """
    need(payload, 1)
    kind = payload[0] & 0x1F
    if kind == 7:
        return _sps_size(payload)
    if kind == 24:
        for unit in _aggregated(payload):
            if unit[0] & 0x1F == 7:
                return _sps_size(unit)
    elif kind == 28:
        need(payload, 2)
        if payload[1] & 0x9F == 0x87:
            return _sps_size(payload[1:])
    return None


def _aggregated(payload: bytes) -> Iterator[bytes]:
    at = 1
    while at < len(payload):
        need(payload, at + 2)
        end = at + 2 + int.from_bytes(payload[at : at + 2], "big")
        need(payload, end)
        if end > at + 2:
            yield payload[at + 2 : end]
        at = end


_CHROMA_PROFILES = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))


def _sps_size(unit: bytes) -> KeyFrame:
    """ITU-T H.264 section 7.3.2.1.1; a set that is cut or makes no sense is a key frame of unknown size."""
    try:
        return _read_sps(Bits(unit[1:].replace(b"\0\0\3", b"\0\0")))
    except PacketError:
        return KeyFrame()


def _read_sps(bits: Bits) -> KeyFrame:
    profile = bits.take(8)
    bits.take(16)
    bits.exp_golomb()
    chroma = 1
    if profile in _CHROMA_PROFILES:
        chroma = bits.exp_golomb()
        if chroma == 3 and bits.take(1):
            chroma = 0  # separate planes: cropped in units of one sample
        bits.exp_golomb()
        bits.exp_golomb()
        bits.take(1)
        if bits.take(1):
            for i in range(12 if chroma in (0, 3) else 8):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if i < 6 else 64)
    bits.exp_golomb()
    order = bits.exp_golomb()
    if order == 0:
        bits.exp_golomb()
    elif order == 1:
        bits.take(1)
        bits.exp_golomb()
        bits.exp_golomb()
        for _ in range(min(bits.exp_golomb(), 255)):
            bits.exp_golomb()
    bits.exp_golomb()
    bits.take(1)
    width = 16 * (bits.exp_golomb() + 1)
    map_units = bits.exp_golomb() + 1
    frames_only = bits.take(1)
    height = 16 * map_units * (2 - frames_only)
    if not frames_only:
        bits.take(1)
    bits.take(1)
    if bits.take(1):
        across = 2 if chroma in (1, 2) else 1
        down = (2 if chroma == 1 else 1) * (2 - frames_only)
        width -= across * (bits.exp_golomb() + bits.exp_golomb())
        height -= down * (bits.exp_golomb() + bits.exp_golomb())
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise PacketError("H.264: a picture of no possible size")
    return KeyFrame(width, height)


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = scale = 8
    for _ in range(size):
        if scale:
            code = bits.exp_golomb()
            delta = (code + 1) // 2 if code & 1 else -(code // 2)
            scale = (last + delta) % 256
        last = scale or last
