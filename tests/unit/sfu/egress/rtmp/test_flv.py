"""FLV in tags, as FFmpeg's muxer writes it."""

from fractions import Fraction
from io import BytesIO

import av
import pytest

from sfu.egress.rtmp.chunks import AUDIO, DATA, VIDEO
from sfu.egress.rtmp.flv import FlvError, Parser, Tag


def flv() -> bytes:
    """Ten pictures of H.264, a key frame each five, by FFmpeg."""
    out = BytesIO()
    with av.open(out, "w", format="flv", options={"flvflags": "no_duration_filesize"}) as muxer:
        stream = muxer.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 5
        stream.options = {"tune": "zerolatency", "preset": "ultrafast"}
        stream.time_base = Fraction(1, 10)
        for number in range(10):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("cut", [1, 7, 100, 1_000_000])
def test_what_ffmpeg_writes(cut: int) -> None:
    data = flv()
    parser = Parser()
    tags = [tag for at in range(0, len(data), cut) for tag in parser.feed(data[at : at + cut])]
    setup, pictures = tags[:2], [tag for tag in tags[2:] if tag.data[1] == 1]
    assert [(tag.kind, tag.is_setup) for tag in setup] == [(DATA, True), (VIDEO, True)]
    assert [tag.timestamp for tag in pictures] == [100 * number for number in range(10)]
    assert [number for number, tag in enumerate(pictures) if tag.is_key_frame] == [0, 5]
    assert not any(tag.is_setup for tag in pictures)


def test_aac() -> None:
    assert Tag(AUDIO, 0, b"\xaf\x00\x12\x10").is_setup
    assert not Tag(AUDIO, 0, b"\xaf\x01\x21").is_setup
    assert not Tag(AUDIO, 0, b"\xaf\x01\x21").is_key_frame


def test_times_have_32_bits() -> None:
    tag = bytes([AUDIO, 0, 0, 2, 0x02, 0x03, 0x04, 0x01, 0, 0, 0]) + b"\xaf\x01" + bytes(4)
    (found,) = Parser().feed(b"FLV\x01\x04\x00\x00\x00\x09" + bytes(4) + tag)
    assert found == Tag(AUDIO, 0x01020304, b"\xaf\x01")


@pytest.mark.parametrize("data", [bytes(20), b"FLV\x01\x04\x00\x00\x00\x09" + bytes(4) + bytes([7]) + bytes(20)])
def test_what_is_no_flv(data: bytes) -> None:
    with pytest.raises(FlvError):
        Parser().feed(data)
