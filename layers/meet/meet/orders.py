"""What is asked for of media files, checked, before there is a job: each function makes the order of one output.

An order is refused (`Invalid`, whose `details` name the field of the request) where it can't be carried out whoever
tries: a codec that the container can't carry, sound of a file that has none, a time past the end. So a job that
exists fails for reasons that nobody could know before. That each value is one of its kind's (`meet.domain.formats`)
is the caller's to check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from meet.domain import formats
from meet.domain.formats import AUDIO_FORMATS, FORMATS, LOSSLESS, PICTURE_FORMATS, VIDEO_FORMATS
from meet.domain.job import Step
from meet.domain.media import FileType, MediaFile
from meet.domain.recording import HEIGHTS, Recording
from meet.errors import Invalid


@dataclass(frozen=True, slots=True)
class Order:
    """One output: how it is made (`Step.operation`, `Step.options`), and what it will be."""

    operation: str
    options: Mapping[str, Any]
    name: str
    """Of the file, for people."""
    mime_type: str
    file_type: FileType


def transcode(
    file: MediaFile,
    output_format: str,
    *,
    video_codec: str | None = None,
    audio_codec: str | None = None,
    resolution: str | None = None,
    bitrate: str | None = None,
    frame_rate: int | None = None,
    preset: str | None = None,
) -> Order:
    """The video in another format, encoded anew."""
    _require_picture(file, "input_media_id")
    container = FORMATS[output_format]
    for field, codec, carried in (
        ("video_codec", video_codec, container.video),
        ("audio_codec", audio_codec, container.audio),
    ):
        if codec is not None and codec not in carried:
            _refuse(field, f"{output_format} can't carry {codec}: choose one of {', '.join(carried)}")
    asked = {
        "video_codec": video_codec or container.video[0],
        "audio_codec": audio_codec or container.audio[0],
        "resolution": resolution,
        "bitrate": bitrate,
        "frame_rate": frame_rate,
        "preset": preset or "medium",
    }
    return _of_format("transcode", output_format, _renamed(file, output_format), asked)


def convert(file: MediaFile, output_format: str, quality: str | None) -> Order:
    """The file in another format; a video in a format of sound alone is its sound."""
    container = FORMATS[output_format]
    if container.video:
        _require_picture(file, "output_format")
    else:
        _require_sound(file, "output_format")
    asked = {"quality": quality, "audio_codec": container.audio[0]}
    if container.video:
        asked["video_codec"] = container.video[0]
    return _of_format("transcode", output_format, _renamed(file, output_format), asked)


def compress(file: MediaFile, output_format: str | None, quality: str | None) -> Order:
    """The same in fewer bytes; in the format that it has, where no other is asked for."""
    _require_playable(file, "media_id")
    name = output_format or formats.format_of(file.mime_type) or ("mp4" if _has_picture(file) else "mp3")
    if not output_format and name in LOSSLESS:
        name = "m4a"  # what is lossless has no smaller form of its own
    if FORMATS[name].video:
        _require_picture(file, "output_format")
    else:
        _require_sound(file, "output_format")
        if name in LOSSLESS:
            _refuse("output_format", f"{name} does not compress: choose another format")
    return _of_format("compress", name, _renamed(file, name, " (compressed)"), {"quality": quality})


def extract_audio(
    file: MediaFile,
    audio_format: str | None = None,
    *,
    audio_bitrate: str | None = None,
    quality: str | None = None,
    field: str = "video_media_id",
) -> Order:
    """The sound alone, as MP3 where no other format is asked for."""
    _require_sound(file, field)
    name = audio_format or "mp3"
    if audio_bitrate is not None and name in LOSSLESS:
        _refuse("audio_bitrate", f"{name} is lossless and has no bit rate to choose")
    asked = {"audio_format": name, "audio_bitrate": audio_bitrate, "quality": quality}
    return _of_format("extract_audio", name, _renamed(file, name), asked)


def extract_video(file: MediaFile, *, field: str = "media_id") -> Order:
    """The picture alone, as it is, in the format that it is in."""
    _require_picture(file, field)
    name = formats.format_of(file.mime_type) or "mkv"
    return _of_format("extract_video", name, _renamed(file, name, " (video only)"), {})


def thumbnail(
    file: MediaFile, picture_format: str | None = None, *, timestamp: float = 0, width: int = 320, height: int = 180
) -> Order:
    """A picture of the file, in just that size."""
    if file.file_type is not FileType.IMAGE:
        _require_picture(file, "media_id")
    end_s = file.facts.duration_s
    if timestamp and (end_s is None or timestamp > end_s):
        _refuse("timestamp", "must not be past the end" + (f", which is at {end_s:.3f} s" if end_s else ""))
    name = picture_format or "jpg"
    asked = {"timestamp": timestamp, "width": width, "height": height, "format": name}
    title = _renamed(file, name, " (thumbnail)")
    return Order("thumbnail", _known(asked), title, PICTURE_FORMATS[name], FileType.IMAGE)


def merge(
    files: Sequence[MediaFile], output_format: str, *, transition: str = "none", transition_duration: float = 1.0
) -> Order:
    """Files of one kind, one after the other."""
    for index, file in enumerate(files):
        _require_playable(file, f"media_ids.{index}")
        if file.facts.duration_s is None:
            _refuse(f"media_ids.{index}", "It can't be told how long this file is")
    if len({_has_picture(file) for file in files}) > 1:
        _refuse("media_ids", "Files with a picture and files without one can't be merged")
    pictured = _has_picture(files[0])
    if pictured is not bool(FORMATS[output_format].video):
        kind = "video" if pictured else "sound"
        known = VIDEO_FORMATS if pictured else AUDIO_FORMATS
        _refuse("output_format", f"{output_format} is no format of {kind}: choose one of {', '.join(known)}")
    shortest_s = min(file.facts.duration_s or 0 for file in files)
    if transition != "none" and transition_duration > shortest_s:
        _refuse("transition_duration", f"must not be longer than the shortest file, which is {shortest_s:.3f} s")
    asked = {"transition": transition, "transition_duration": transition_duration}
    return _of_format("merge", output_format, _renamed(files[0], output_format, " (merged)"), asked)


def compose(recording: Recording) -> Step:
    """The one step of the job that makes a stopped recording's file.

    What is to be made stands in the recording; the options say as much as an estimate needs to know.
    """
    wanted = recording.wanted
    height = HEIGHTS[wanted.quality]
    options = {
        "output_format": wanted.format,
        "pictured": wanted.video or wanted.screen,
        "width": round(height * 16 / 9 / 2) * 2,
        "height": height,
        "duration_s": round(recording.measured.duration_s, 3),
        "participants": recording.measured.participants,
        "size": recording.measured.size,
    }
    return Step(recording.recording_id, "compose", options)


def _of_format(operation: str, name: str, title: str, options: Mapping[str, Any]) -> Order:
    made = FORMATS[name]
    return Order(operation, _known({"output_format": name, **options}), title, made.mime_type, made.file_type)


def _known(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _has_picture(file: MediaFile) -> bool:
    return file.file_type is FileType.VIDEO


def _require_picture(file: MediaFile, field: str) -> None:
    if not _has_picture(file):
        _refuse(field, f"This {file.file_type} has no moving pictures")


def _require_sound(file: MediaFile, field: str) -> None:
    if file.facts.audio_codec is None:
        _refuse(field, f"This {file.file_type} has no sound")


def _require_playable(file: MediaFile, field: str) -> None:
    if file.file_type not in (FileType.VIDEO, FileType.AUDIO):
        _refuse(field, f"This {file.file_type} has neither sound nor moving pictures")


def _renamed(file: MediaFile, extension: str, added: str = "") -> str:
    """The file's name for something made of it, at most 255 characters, as `MediaFile.filename` asks."""
    stem, dot, _ = file.filename.rpartition(".")
    ending = f"{added}.{extension}"
    return (stem if dot and stem else file.filename)[: 255 - len(ending)] + ending


def _refuse(field: str, why: str) -> NoReturn:
    raise Invalid(details={field: why})
