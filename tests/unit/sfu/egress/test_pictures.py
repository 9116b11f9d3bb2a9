"""The size of a key frame."""

import pytest

from sfu.egress.depacketize import DEPACKETIZERS
from sfu.egress.pictures import picture_of

from .senders import encoded_video


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_a_key_frame_tells_its_size(codec: str) -> None:
    for width, height in ((160, 120), (320, 240)):
        key_frame = encoded_video(codec, 2, width, height)[0]
        assert picture_of(codec, DEPACKETIZERS[codec](key_frame.payloads)) == (width, height)


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_others_do_not(codec: str) -> None:
    frame = encoded_video(codec, 2)[1]
    assert picture_of(codec, DEPACKETIZERS[codec](frame.payloads)) is None


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1", "opus"])
@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\1", b"\0\0\0\1\x67", b"\x0a\x7f\0", bytes(20)])
def test_rubbish_has_no_size(codec: str, data: bytes) -> None:
    assert picture_of(codec, data) is None
