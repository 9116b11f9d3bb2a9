"""What is found in files of every format, and pictures of them. The files are our own, so no child is needed."""

from io import BytesIO

import pytest
from PIL import Image

from meet.domain.media import Facts
from meet.probe.examine import examine, picture
from meet.probe.kinds import Found, Unreadable
from tests.data.samples import CODECS, HEIGHT, MIME_TYPES, RATE, SECONDS, WIDTH, film, image, sample

PICTURES = ("jpg", "png", "gif", "webp", "bmp")
NAMES = {
    "libx264": "h264",
    "libvpx": "vp8",
    "mpeg4": "mpeg4",
    "aac": "aac",
    "libmp3lame": "mp3",
    "libopus": "opus",
    "pcm_s16le": "pcm_s16le",
    "flac": "flac",
}
"""What an encoder makes."""


def found(content: bytes) -> Found:
    return examine(BytesIO(content), len(content))


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    return Image.open(BytesIO(content))


def shown(content: bytes, at_s: float = 0, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    return opened(picture(BytesIO(content), at_s, width, height, "png"))


@pytest.mark.parametrize("extension", CODECS)
def test_video_and_sound(extension: str) -> None:
    _, video, audio = CODECS[extension]
    one = found(sample(extension))
    assert one.kind.mime_type == MIME_TYPES[extension]
    facts = one.facts
    assert facts.duration_s == pytest.approx(SECONDS, abs=0.25)
    assert facts.audio_codec == (NAMES[audio] if audio else None)
    assert facts.bitrate_bps == pytest.approx(8 * len(sample(extension)) / SECONDS, rel=0.2)
    if video:
        assert (facts.codec, facts.resolution, facts.frame_rate) == (NAMES[video], f"{WIDTH}x{HEIGHT}", RATE)
        assert opened(one.thumbnail).size == (WIDTH, HEIGHT)
    else:
        assert (facts.codec, facts.resolution, facts.frame_rate, one.thumbnail) == (None, None, None, None)


@pytest.mark.parametrize("extension", PICTURES)
def test_pictures(extension: str) -> None:
    one = found(sample(extension))
    codec = {"jpg": "mjpeg"}.get(extension, extension)
    assert one.kind.mime_type == MIME_TYPES[extension]
    assert one.facts == Facts(width=WIDTH, height=HEIGHT, codec=codec)
    small = opened(one.thumbnail)
    assert (small.format, small.size) == ("JPEG", (WIDTH, HEIGHT))


@pytest.mark.parametrize("extension", ["pdf", "txt"])
def test_documents(extension: str) -> None:
    one = found(sample(extension))
    assert (one.kind.mime_type, one.facts, one.thumbnail) == (MIME_TYPES[extension], Facts(), None)


@pytest.mark.parametrize(("muxer", "codec"), [("webm", "libvpx"), ("matroska", "libx264")])
def test_what_a_browser_recorded_has_no_length_and_is_counted(muxer: str, codec: str) -> None:
    one = found(film(muxer, codec, "libopus", live=True))
    assert one.facts.duration_s == pytest.approx(SECONDS, abs=0.1)
    assert one.facts.frame_rate == pytest.approx(RATE, rel=0.05)


@pytest.mark.parametrize(
    ("muxer", "codec", "mime_type"),
    [("webm", "libopus", "audio/webm"), ("matroska", "flac", "audio/x-matroska"), ("mp4", "aac", "audio/mp4")],
)
def test_sound_alone_is_sound(muxer: str, codec: str, mime_type: str) -> None:
    one = found(film(muxer, None, codec))
    assert (one.kind.mime_type, one.kind.file_type) == (mime_type, "audio")


@pytest.mark.parametrize("extension", ["mp3", "aac", "flac"])
def test_a_tag_before_sound_hides_nothing(extension: str) -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x08\x00" + bytes(1024)
    one = found(tag + sample(extension).removeprefix(b"ID3"))
    assert one.kind.mime_type == MIME_TYPES[extension]


def test_a_turned_video_is_measured_and_shown_upright() -> None:
    content = film("mp4", "libx264", None, rotation=90)
    one = found(content)
    assert one.facts.resolution == f"{HEIGHT}x{WIDTH}"
    assert opened(one.thumbnail).size == (HEIGHT, WIDTH)


def test_a_turned_photograph_is_measured_and_shown_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    one = found(image("JPEG", exif=exif))
    assert one.facts.resolution == f"{HEIGHT}x{WIDTH}"
    top, bottom = (opened(one.thumbnail).getpixel((10, y)) for y in (10, WIDTH - 10))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 2 * top[2]  # red was left
    assert bottom[2] > 2 * bottom[0]


@pytest.mark.parametrize(
    ("width", "height", "small"), [(1920, 1080, (320, 180)), (100, 4000, (16, 640)), (1, 1, (1, 1))]
)
def test_a_thumbnail_fits(width: int, height: int, small: tuple[int, int]) -> None:
    assert opened(found(image("PNG", width, height)).thumbnail).size == small


@pytest.mark.parametrize("extension", ["mp4", "webm", "mkv", "avi", "mov", "flv"])
@pytest.mark.parametrize(("at_s", "grey"), [(0, 0), (1.0, 134), (1.04, 134), (99, 255)])
def test_a_picture_is_of_the_frame_that_is_seen_then(extension: str, at_s: float, grey: int) -> None:
    pixel = shown(sample(extension), at_s).getpixel((WIDTH // 2, HEIGHT // 2))
    assert pixel == pytest.approx((grey, grey, grey), abs=16)  # a frame's neighbours are 13 away


def test_a_picture_of_a_recording_without_an_index() -> None:
    pixel = shown(film("webm", "libvpx", None, live=True), 1.0).getpixel((5, 5))
    assert pixel == pytest.approx((134, 134, 134), abs=8)


@pytest.mark.parametrize(("format", "named"), [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_a_picture_is_of_the_asked_for_size_and_format(format: str, named: str) -> None:
    made = opened(picture(BytesIO(sample("mp4")), 1.9, 200, 200, format))  # type: ignore[arg-type]  # one of them
    assert (made.format, made.size) == (named, (200, 200))
    above = made.convert("RGB").getpixel((100, 5))
    middle = made.convert("RGB").getpixel((100, 100))
    assert above == pytest.approx((0, 0, 0), abs=8)  # the whole of the picture, in the middle of black
    assert middle == pytest.approx((255, 255, 255), abs=8)


def test_what_can_be_seen_through_is_before_white() -> None:
    file = BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(file, "PNG")
    assert shown(file.getvalue(), 0, 8, 8).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("extension", ["mp3", "pdf", "txt"])
def test_what_has_no_picture(extension: str) -> None:
    with pytest.raises(Unreadable, match="no picture"):
        shown(sample(extension))
