"""The size of a key frame."""

import pytest

from sfu.egress.depacketize import DEPACKETIZERS
from sfu.egress.depacketize.vp9 import vp9
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


def upper_layer(width: int, height: int, found_ref: str = "000") -> bytes:
    """The uncompressed header of a VP9 frame that is predicted from the spatial layer below (section 6.2)."""
    bits = "10" + "00" + "0" + "1" + "1" + "0" + "00" + "0" * 8 + "0" * 12
    bits += found_ref + f"{width - 1:016b}" + f"{height - 1:016b}"
    return int(bits.ljust(80, "0"), 2).to_bytes(10, "big")


@pytest.mark.parametrize(("found_ref", "size"), [("000", (320, 240)), ("100", (160, 120))])
def test_of_several_layers_the_largest_counts(found_ref: str, size: tuple[int, int]) -> None:
    base = encoded_video("vp9", 2)[0].payloads
    picture = vp9([*base, b"\x0c" + upper_layer(320, 240, found_ref)])
    assert picture_of("vp9", picture) == size
