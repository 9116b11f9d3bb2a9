"""VP9 over RTP (RFC 9628): of a picture, a frame for each spatial layer.

A decoder of one layer gets the picture as it is. Where there are several, FFmpeg has to be told where each frame
ends: by the index of a superframe (VP9 bitstream specification, annex B). It gives out all of them, the largest last.
"""

from collections.abc import Sequence

from sfu.rtp.packet import PacketError
from sfu.rtp.vp9 import Vp9Descriptor

_MOST_FRAMES = 8
_INDEX_MARKER = 0b110_00_000


def vp9(payloads: Sequence[bytes]) -> bytes:
    """The picture: a frame, or a superframe of all its layers."""
    frames: list[bytes] = []
    for payload in payloads:
        descriptor = Vp9Descriptor(payload)
        if descriptor.starts:
            frames.append(b"")
        elif not frames:
            raise PacketError("VP9: the beginning of the picture is missing")
        frames[-1] += payload[descriptor.size :]
    return frames[0] if len(frames) == 1 else _superframe(frames)


def _superframe(frames: list[bytes]) -> bytes:
    if len(frames) > _MOST_FRAMES:
        raise PacketError("VP9: more frames than a superframe holds")
    width = (max(map(len, frames)).bit_length() + 7) // 8
    marker = bytes((_INDEX_MARKER | width - 1 << 3 | len(frames) - 1,))
    sizes = b"".join(len(frame).to_bytes(width, "little") for frame in frames)
    return b"".join(frames) + marker + sizes + marker
