"""What a body may say, whatever file it names."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from functions.ffmpeg.schemas import AudioFormat, ExtractAudioBody, MergeBody, MergedFormat, TranscodeBody
from meet.domain.formats import AUDIO_FORMATS, FORMATS


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"output_format": "exe"}, "output_format"),
        ({"output_format": None}, "output_format"),
        ({"video_codec": "av2"}, "video_codec"),
        ({"audio_codec": "midi"}, "audio_codec"),
        ({"resolution": "100000x100000"}, "resolution"),
        ({"resolution": "4096x4096"}, "resolution"),
        ({"resolution": "1280x"}, "resolution"),
        ({"resolution": "0x0"}, "resolution"),
        ({"resolution": "721p"}, "resolution"),
        ({"resolution": "-1x720"}, "resolution"),
        ({"resolution": "١٢٨٠x720"}, "resolution"),
        ({"resolution": "1280x720,scale=9"}, "resolution"),
        ({"resolution": "1280x720\n"}, "resolution"),
        ({"bitrate": "fast"}, "bitrate"),
        ({"bitrate": "-5M"}, "bitrate"),
        ({"bitrate": "5G"}, "bitrate"),
        ({"bitrate": "999999M"}, "bitrate"),
        ({"bitrate": "1"}, "bitrate"),
        ({"frame_rate": 0}, "frame_rate"),
        ({"frame_rate": 100000}, "frame_rate"),
        ({"frame_rate": "30"}, "frame_rate"),
        ({"preset": "placebo"}, "preset"),
        ({"input_media_id": ""}, "input_media_id"),
        ({"input_media_id": None}, "input_media_id"),
        ({"input_media_id": ["a"]}, "input_media_id"),
        ({"input_media_id": "x" * 129}, "input_media_id"),
    ],
)
def test_a_transcoding_that_is_none(changes: dict[str, Any], field: str) -> None:
    assert fields(TranscodeBody, {"input_media_id": "a", "output_format": "mp4"} | changes) == [field]


@pytest.mark.parametrize(
    "changes",
    [
        {"resolution": "1080p"},
        {"resolution": "4K"},
        {"resolution": "1081x721"},
        {"bitrate": "5M"},
        {"bitrate": "1.5m"},
        {"bitrate": "128000"},
        {"frame_rate": 60, "preset": "ultrafast"},
    ],
)
def test_a_transcoding_that_is_one(changes: dict[str, Any]) -> None:
    body = TranscodeBody.model_validate({"input_media_id": "a", "output_format": "mp4"} | changes)
    assert body.model_dump(include=set(changes)) == changes


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"media_ids": ["a"]}, "media_ids"),
        ({"media_ids": []}, "media_ids"),
        ({"media_ids": ["a"] * 21}, "media_ids"),
        ({"media_ids": "ab"}, "media_ids"),
        ({"media_ids": ["a", ""]}, "media_ids"),
        ({"output_format": "gif"}, "output_format"),
        ({"transition": "star-wipe"}, "transition"),
        ({"transition_duration": 0}, "transition_duration"),
        ({"transition_duration": 11}, "transition_duration"),
        ({"transition_duration": "1"}, "transition_duration"),
    ],
)
def test_a_merge_that_is_none(changes: dict[str, Any], field: str) -> None:
    assert fields(MergeBody, {"media_ids": ["a", "b"]} | changes) == [field]


@pytest.mark.parametrize("bitrate", ["1M", "7k", "loud"])
def test_a_bit_rate_of_no_sound(bitrate: str) -> None:
    assert fields(ExtractAudioBody, {"media_id": "a", "audio_bitrate": bitrate}) == ["audio_bitrate"]


@pytest.mark.parametrize("alias", ["media_id", "input_media_id", "video_media_id"])
def test_one_file_has_three_names(alias: str) -> None:
    assert TranscodeBody.model_validate({alias: "a", "output_format": "mp4"}).input_media_id == "a"
    assert ExtractAudioBody.model_validate({alias: "a"}).video_media_id == "a"


def test_names_that_disagree() -> None:
    with pytest.raises(ValidationError, match="these differ"):
        ExtractAudioBody.model_validate({"media_id": "a", "video_media_id": "b"})
    with pytest.raises(ValidationError, match="these differ"):
        ExtractAudioBody.model_validate({"media_id": "a", "video_media_id": ["a"]})


def test_the_formats_of_a_body_are_those_that_are_made() -> None:
    assert MergedFormat.__args__ == tuple(FORMATS)
    assert AudioFormat.__args__ == AUDIO_FORMATS


def fields(kind: type[BaseModel], body: object) -> list[object]:
    """Which fields of a body are refused."""
    with pytest.raises(ValidationError) as refused:
        kind.model_validate(body)
    return [error["loc"][0] for error in refused.value.errors()]
