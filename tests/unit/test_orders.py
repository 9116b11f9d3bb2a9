"""What a request is promised the worker can do: every order that isn't refused becomes arguments of FFmpeg."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from functions.ffmpeg.schemas import MergeBody, TranscodeBody
from functions.media.process import order_of
from functions.media.schemas import Operation
from functions.workers.ffmpeg.commands import command
from functions.workers.ffmpeg.inputs import Input
from meet import orders
from meet.domain.formats import (
    AUDIO_CODECS,
    AUDIO_FORMATS,
    FORMATS,
    NAMED_HEIGHTS,
    PICTURE_FORMATS,
    PRESETS,
    QUALITIES,
    TRANSCODED,
    TRANSITIONS,
    VIDEO_CODECS,
)
from meet.domain.job import Step
from meet.domain.media import Facts, FileType, MediaFile
from meet.errors import Invalid
from meet.estimates import estimate_s
from meet.orders import Order
from meet.probe.kinds import KINDS, Kind

NOW = datetime(2026, 1, 1, tzinfo=UTC)

seconds = st.floats(0.04, 36_000)
sides = st.integers(2, 8192)


@st.composite
def files(draw: st.DrawFn, types: frozenset[FileType] = frozenset(FileType)) -> MediaFile:
    """A file of any accepted kind of these types, with facts as they may be found."""
    kind: Kind = draw(st.sampled_from([kind for kind in KINDS if kind.file_type in types]))
    sound = draw(st.sampled_from(["aac", "mp3", "opus", "pcm_s16le"]))
    match kind.file_type:
        case FileType.VIDEO:
            rate = draw(st.none() | st.floats(1, 240))
            facts = Facts(
                draw(seconds | st.none()),
                draw(sides),
                draw(sides),
                draw(st.none() | st.integers(1, 10**9)),
                draw(st.sampled_from(["h264", "av1", "mpeg4"])),
                draw(st.sampled_from([None, sound])),
                rate,
            )
        case FileType.AUDIO:
            facts = Facts(duration_s=draw(seconds | st.none()), audio_codec=sound)
        case FileType.IMAGE:
            facts = Facts(width=draw(sides), height=draw(sides), codec="png")
        case FileType.DOCUMENT:
            facts = Facts()
    return MediaFile("a", "alice", f"a.{kind.extension}", kind.file_type, kind.mime_type, NOW, facts=facts)


def optional(values: Any) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(tuple(values))


def check(order: Order, inputs: list[MediaFile]) -> None:
    """The worker makes what the file was promised to be; of pictures, Pillow makes one of its formats."""
    step = Step("out", order.operation, order.options)
    assert estimate_s([step], inputs, [1.0]) >= 1
    if order.operation == "thumbnail":
        assert order.options["format"] in PICTURE_FORMATS
        return
    read = [Input(f"input-{index}", file.mime_type, file.facts) for index, file in enumerate(inputs)]
    made = command(step, read, "output-0")
    name = order.name.rpartition(".")[2]
    assert made.output == f"output-0.{name}"
    assert FORMATS[name].mime_type == order.mime_type
    assert ("-c:v" in made.arguments) is (order.file_type is FileType.VIDEO)


@given(
    files(frozenset({FileType.VIDEO, FileType.DOCUMENT})),
    st.sampled_from(TRANSCODED),
    st.fixed_dictionaries(
        {
            "video_codec": optional(VIDEO_CODECS),
            "audio_codec": optional(AUDIO_CODECS),
            "resolution": optional([*NAMED_HEIGHTS, "1081x721", "32x4096"]),
            "bitrate": optional(["10k", "5M", "1.5m", "200M"]),
            "frame_rate": optional([1, 24, 120]),
            "preset": st.sampled_from(PRESETS),
        }
    ),
)
def test_transcoding(file: MediaFile, output_format: str, asked: dict[str, Any]) -> None:
    TranscodeBody.model_validate({"input_media_id": "a", "output_format": output_format, **asked})
    try:
        order = orders.transcode(file, output_format, **asked)
    except Invalid:
        return
    check(order, [file])


@given(files(), optional(AUDIO_FORMATS), optional(["8k", "192k", "512k"]))
def test_extracting_sound(file: MediaFile, audio_format: str | None, audio_bitrate: str | None) -> None:
    try:
        order = orders.extract_audio(file, audio_format, audio_bitrate=audio_bitrate)
    except Invalid:
        return
    check(order, [file])


several = st.sampled_from([{FileType.VIDEO}, {FileType.AUDIO}, set(FileType)]).flatmap(
    lambda types: st.lists(files(frozenset(types)), min_size=2, max_size=4)
)


@given(several, st.sampled_from(tuple(FORMATS)), st.sampled_from(TRANSITIONS))
def test_merging(inputs: list[MediaFile], output_format: str, transition: str) -> None:
    MergeBody.model_validate({"media_ids": ["a"] * len(inputs), "output_format": output_format})
    try:
        order = orders.merge(inputs, output_format, transition=transition)
    except Invalid:
        return
    check(order, inputs)


@given(st.sampled_from(get_args(Operation)), files(), optional([*FORMATS, *PICTURE_FORMATS]), optional(QUALITIES))
def test_processing(operation: Operation, file: MediaFile, output_format: str | None, quality: str | None) -> None:
    try:
        order = order_of(operation, file, output_format, quality)
    except Invalid:
        return
    check(order, [file])
