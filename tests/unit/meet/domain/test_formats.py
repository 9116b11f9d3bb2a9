"""Words of requests, as numbers and names."""

import pytest

from meet.domain.formats import AUDIO_FORMATS, FORMATS, LOSSLESS, VIDEO_FORMATS, bits_a_second, format_of, size_of
from meet.domain.media import FileType
from meet.probe.kinds import KINDS


@pytest.mark.parametrize(
    ("text", "bps"),
    [("2000k", 2_000_000), ("5M", 5_000_000), ("1.5m", 1_500_000), ("128000", 128_000), ("0.128M", 128_000)],
)
def test_a_bit_rate(text: str, bps: int) -> None:
    assert bits_a_second(text, least=1000, most=10_000_000) == bps


@pytest.mark.parametrize(
    "text", ["", "k", "5 M", "5G", "-5M", "1e6", "5M\n", ".5M", "٥M", "5.1234M", "1234567890123"]
)
def test_no_bit_rate(text: str) -> None:
    with pytest.raises(ValueError, match="must be a bit rate"):
        bits_a_second(text, least=1000, most=10_000_000)


@pytest.mark.parametrize("text", ["999", "0k", "10.001M"])
def test_a_bit_rate_out_of_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="must be from 1k to 10000k"):
        bits_a_second(text, least=1000, most=10_000_000)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1280x720", (1280, 720)), ("720x1280", (720, 1280)), ("32x32", (32, 32)), ("4096x2304", (4096, 2304))],
)
def test_a_size(text: str, size: tuple[int, int]) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["720p", "1080P", "4k", "4K"])
def test_a_size_with_a_name(text: str) -> None:
    assert size_of(text) is None


@pytest.mark.parametrize("text", ["", "x", "1280", "1280x", "1280X720", "1280x720\n", "721p", "-1x720", "100000x1"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        size_of(text)


@pytest.mark.parametrize("text", ["31x720", "4097x720", "4096x2305"])
def test_a_size_out_of_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="pixels a side"):
        size_of(text)


def test_every_kind_that_plays_has_a_format_to_be_written_in() -> None:
    for kind in KINDS:
        name = format_of(kind.mime_type)
        if kind.file_type in (FileType.VIDEO, FileType.AUDIO):
            assert name is not None, kind
            assert FORMATS[name].file_type is kind.file_type
        else:
            assert name is None


def test_a_format_is_of_one_kind() -> None:
    assert {*VIDEO_FORMATS, *AUDIO_FORMATS} == set(FORMATS)
    assert set(LOSSLESS) <= set(AUDIO_FORMATS)
    for one in FORMATS.values():
        assert one.audio
        assert (one.file_type is FileType.VIDEO) is bool(one.video)
