"""Frames that FFmpeg packetized come out as its encoders made them, and are decoded."""

from contextlib import suppress

import av
import pytest

from sfu.egress.depacketize import DEPACKETIZERS
from sfu.egress.depacketize.av1 import av1
from sfu.egress.depacketize.h264 import h264
from sfu.egress.depacketize.opus import opus
from sfu.egress.depacketize.vp8 import vp8
from sfu.egress.depacketize.vp9 import vp9
from sfu.rtp.packet import PacketError

from .senders import encoded_video


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_frames_that_ffmpeg_packetized_are_decoded(codec: str) -> None:
    frames = encoded_video(codec, 12, 320, 240)
    decoder = av.CodecContext.create("libdav1d" if codec == "av1" else codec, "r")
    pictures = 0
    for frame in frames:
        pictures += len(decoder.decode(av.Packet(DEPACKETIZERS[codec](frame.payloads))))
    pictures += len(decoder.decode(None))
    assert pictures == 12
    assert any(len(frame.payloads) > 1 for frame in frames)


@pytest.mark.parametrize("codec", ["vp8", "vp9"])
def test_frames_are_the_same_bytes(codec: str) -> None:
    for frame in encoded_video(codec, 12, 320, 240):
        assert DEPACKETIZERS[codec](frame.payloads) == frame.data


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_a_frame_without_its_beginning_is_none(codec: str) -> None:
    frame = next(one for one in encoded_video(codec, 12, 320, 240) if len(one.payloads) > 2)
    with pytest.raises(PacketError):
        DEPACKETIZERS[codec](frame.payloads[-1:])


@pytest.mark.parametrize("codec", ["opus", "vp8", "vp9", "h264", "av1"])
@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x10", b"\x7c\x85", b"\x90\x80\x80"])
def test_rubbish_is_read_or_refused(codec: str, payload: bytes) -> None:
    with suppress(PacketError):
        assert isinstance(DEPACKETIZERS[codec]([payload]), bytes)


def test_opus_is_taken_as_it_comes() -> None:
    assert opus([b"\xfc\xff\xfe"]) == b"\xfc\xff\xfe"
    with pytest.raises(PacketError):
        opus([b""])


def test_vp8_loses_its_descriptors() -> None:
    assert vp8([b"\x90\x80\x01abc", b"\x80\x80\x01def"]) == b"abcdef"


def test_vp9_of_one_layer_is_a_frame() -> None:
    assert vp9([b"\x08ab", b"\x04cd"]) == b"abcd"


def test_vp9_of_several_layers_is_a_superframe() -> None:
    first, rest, second = b"\x28\x00\x01" + b"a" * 200, b"\x24\x00\x01" + b"b" * 100, b"\x2c\x02\x01" + b"c" * 5
    assert vp9([first, rest, second]) == (
        b"a" * 200 + b"b" * 100 + b"c" * 5 + b"\xc9" + b"\x2c\x01" + b"\x05\x00" + b"\xc9"
    )


def test_h264_units_get_start_codes() -> None:
    aggregate = b"\x78" + b"\x00\x03\x67sp" + b"\x00\x02\x68p"
    fragments = [b"\x7c\x85ab", b"\x7c\x05cd", b"\x7c\x45ef"]
    assert h264([aggregate, *fragments]) == (b"\0\0\0\1\x67sp" + b"\0\0\0\1\x68p" + b"\0\0\0\1\x65abcdef")


@pytest.mark.parametrize(
    "payloads",
    [
        [b"\x7c\x05cd", b"\x7c\x45ef"],
        [b"\x7c\x85ab"],
        [b"\x7c\x85ab", b"\x41x"],
        [b"\x7c\x85ab", b"\x7c\x85ab"],
        [b"\x78\x00\x09a"],
        [b"\x7d\x85ab"],
    ],
)
def test_h264_that_makes_no_sense(payloads: list[bytes]) -> None:
    with pytest.raises(PacketError):
        h264(payloads)


def test_av1_obus_get_sizes_and_lose_the_delimiter() -> None:
    # W = 0: each with a length; a delimiter, a sequence header, and a frame that goes on in the next packet
    first = b"\x48" + b"\x01\x10" + b"\x03\x08xy" + b"\x03\x30ab"
    second = b"\x90" + b"cd"
    assert av1([first, second]) == b"\x0a\x02xy" + b"\x32\x04abcd"


def test_av1_keeps_extensions_and_sizes_that_are_there() -> None:
    assert av1([b"\x10" + b"\x34\x20ab"]) == b"\x36\x20\x02ab"
    assert av1([b"\x10" + b"\x32\x02ab"]) == b"\x32\x02ab"


def test_av1_of_more_than_127_bytes() -> None:
    assert av1([b"\x10\x30" + b"a" * 300]) == b"\x32\xac\x02" + b"a" * 300


@pytest.mark.parametrize("payloads", [[b"\x90ab"], [b"\x50\x30a"], [b"\x50\x30a", b"\x10\x30b"], [b"\x00\x7f"]])
def test_av1_that_makes_no_sense(payloads: list[bytes]) -> None:
    with pytest.raises(PacketError):
        av1(payloads)
