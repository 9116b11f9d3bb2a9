"""A track's pictures: decoded when they are due, and no others than can be."""

from fractions import Fraction

import av
import pytest

from sfu.egress.face import Face
from sfu.egress.frames import Frame
from tests.unit.sfu.egress.senders import FPS, encoded_video


def frames(codec: str, count: int = 10, **size: int) -> list[Frame]:
    encoded = encoded_video(codec, count, **size)
    return [Frame(one.data, 100 + number / FPS, one.key_frame, codec, 0) for number, one in enumerate(encoded)]


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_every_frame_is_there_when_it_is_due(codec: str) -> None:
    face = Face()
    for frame in frames(codec):
        face.receive(frame)
    assert face.picture is None
    assert not face.advance(99.9)
    for number in range(10):
        assert face.advance(100 + number / FPS)
        assert not face.advance(100 + number / FPS)
    assert face.errors == 0
    assert not face.wants_key_frame
    assert face.picture is not None
    assert (face.picture.width, face.picture.height) == (160, 120)


def test_it_is_scaled() -> None:
    face = Face()
    for frame in frames("vp8", 1):
        face.receive(frame)
    with pytest.raises(LookupError):
        face.scaled(64, 48)
    face.advance(101)
    luma, *colours = face.scaled(64, 48)
    assert luma.stride >= 64
    assert len(luma.data) >= 48 * 64
    assert all(len(one.data) >= 24 * 32 for one in colours)


@pytest.mark.parametrize(
    ("rotation", "size", "brightest"), [(0, (64, 48), "left"), (90, (48, 64), "top"), (180, (64, 48), "right")]
)
def test_a_phone_that_was_turned_is_seen_upright(rotation: int, size: tuple[int, int], brightest: str) -> None:
    face = Face()
    context = av.CodecContext.create("libvpx", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = 64, 48, "yuv420p", Fraction(1, 10)
    picture = av.VideoFrame(64, 48, "yuv420p")
    for plane in picture.planes:
        plane.update((bytes([200]) * 8 + bytes([40]) * (plane.line_size - 8)) * plane.height)
    packets = [*context.encode(picture), *context.encode(None)]
    face.receive(Frame(bytes(packets[0]), 100, True, "vp8", 0, rotation=rotation))
    face.advance(100)
    assert face.size == size
    luma, *_ = face.scaled(*size)
    width, height = size
    at = {"left": (2, height // 2), "right": (width - 3, height // 2), "top": (width // 2, 2)}
    seen = {side: luma.data[y * luma.stride + x] for side, (x, y) in at.items()}
    assert max(seen, key=lambda side: seen[side]) == brightest
    assert seen[brightest] > 150


def test_without_a_key_frame_nothing_is_decoded() -> None:
    face = Face()
    for frame in frames("vp8")[1:]:
        face.receive(frame)
    assert not face.advance(101)
    assert face.wants_key_frame
    assert face.errors == 0


def test_what_cannot_be_decoded_is_counted_and_a_key_frame_wanted() -> None:
    face = Face()
    first, second, *rest = frames("h264")
    face.receive(first)
    face.receive(Frame(b"\x00\x00\x00\x01\x65" + bytes(range(250)), second.at, False, "h264", 0))
    for frame in rest:
        face.receive(frame)
    face.advance(102)
    assert face.errors == 1
    assert face.wants_key_frame
    face.receive(Frame(first.data, 103, True, "h264", 0))
    assert face.advance(103)
    assert not face.wants_key_frame


def test_a_sender_may_change_its_size_and_its_codec() -> None:
    face = Face()
    small, large, other = frames("vp8", 1)[0], frames("vp8", 1, width=320, height=240)[0], frames("vp9", 1)[0]
    sizes = []
    for number, frame in enumerate((small, large, other)):
        face.receive(Frame(frame.data, 100 + number, True, frame.codec, 0))
        face.advance(100 + number)
        assert face.picture is not None
        sizes.append((face.picture.width, face.picture.height))
    assert sizes == [(160, 120), (320, 240), (160, 120)]
    assert face.errors == 0
