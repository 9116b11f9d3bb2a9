"""What FFmpeg is told, and what is known of one that is gone."""

from collections.abc import Iterator

import pytest

from meet.config import settings
from meet.domain.stream import Picture
from sfu.egress import encoder as encoding
from sfu.egress.encoder import WAITING_PICTURES, Encoder, EncoderError, arguments

PICTURE = Picture(640, 360, 800_000, 25)
URL = "http://127.0.0.1:1/secret/manifest.mpd"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def value_of(option: str, told: list[str]) -> str:
    return told[told.index(option) + 1]


def test_what_was_asked_for_is_what_ffmpeg_is_told() -> None:
    told = arguments(PICTURE, URL, 3, None)
    assert [value_of(option, told) for option in ("-b:v", "-maxrate", "-vf")] == ["800000", "800000", "fps=25"]
    assert value_of("-g", told) == value_of("-keyint_min", told) == "25", "a key frame a segment"
    (output,) = told[-1:]
    assert output.endswith(f"]{URL}")
    assert "seg_duration=1:" in output
    assert "init_seg_name=3-init-$RepresentationID$.mp4:media_seg_name=3-$RepresentationID$-$Number$.m4s" in output
    assert "flv" not in output


def test_it_is_encoded_once_for_both() -> None:
    told = arguments(PICTURE, URL, 0, 7)
    assert told.count("-c:v") == 1
    dash, flv = told[-1].split("|")
    assert dash.endswith(URL)
    assert flv == "[f=flv:flvflags=no_duration_filesize:onfail=ignore]pipe:7"


async def test_an_ffmpeg_that_ends_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_FFMPEG", "/bin/false")
    encoder = await Encoder.start(PICTURE, URL, 0)
    await encoder.close()
    with pytest.raises(EncoderError, match="ended with 1"):
        encoder.sound(0, bytes(4))
    with pytest.raises(EncoderError, match="ended with 1"):
        encoder.picture(0, bytes(4))


async def test_an_ffmpeg_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(EncoderError, match="can't be started"):
        await Encoder.start(PICTURE, URL, 0)


async def test_an_ffmpeg_that_takes_nothing_makes_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_FFMPEG", "/bin/sleep")
    monkeypatch.setattr(encoding, "arguments", lambda *_: ["600"])
    monkeypatch.setattr(encoding, "ENDS_S", 0.1)
    encoder = await Encoder.start(PICTURE, URL, 0)
    encoder._has_begun = True
    pixels = bytes(640 * 360 * 3 // 2)
    for number in range(100):
        encoder.picture(number, pixels)
    in_the_pipe = 1 + encoding.PIPE_BYTES // len(pixels) + 2  # what is being written, and NUT's own interleaving
    assert 100 - WAITING_PICTURES - in_the_pipe <= encoder.dropped_frames <= 100 - WAITING_PICTURES
    await encoder.close()
