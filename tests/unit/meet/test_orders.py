"""What can be made of which file, and what is refused with the name of the field that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from meet import orders
from meet.domain.formats import FORMATS
from meet.domain.media import Facts, FileType, MediaFile
from meet.domain.recording import Measured, Recording, Wanted
from meet.errors import Invalid
from meet.orders import Order

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def file(kind: str, name: str, facts: Facts) -> MediaFile:
    known = {"video": FileType.VIDEO, "audio": FileType.AUDIO, "image": FileType.IMAGE}
    file_type = known.get(kind.partition("/")[0], FileType.DOCUMENT)
    return MediaFile("a", "alice", name, file_type, kind, NOW, facts=facts)


VIDEO = file("video/mp4", "talk.mp4", Facts(10.0, 1280, 720, 2_000_000, "h264", "aac", 30.0))
SILENT = file("video/webm", "talk.webm", Facts(5.0, 640, 360, 900_000, "vp9", None, 25.0))
ENDLESS = replace(VIDEO, facts=replace(VIDEO.facts, duration_s=None))
SONG = file("audio/mpeg", "song.mp3", Facts(duration_s=60.0, audio_codec="mp3", codec="mjpeg"))
WAVE = file("audio/wav", "song.wav", Facts(duration_s=60.0, audio_codec="pcm_s16le"))
PHOTO = file("image/jpeg", "photo.jpg", Facts(width=640, height=480, codec="mjpeg"))
PAPER = file("application/pdf", "paper.pdf", Facts())

REFUSED: list[tuple[str, Callable[[], Order]]] = [
    ("video_codec", lambda: orders.transcode(VIDEO, "webm", video_codec="h264")),
    ("video_codec", lambda: orders.transcode(VIDEO, "mp4", video_codec="vp8")),
    ("video_codec", lambda: orders.transcode(VIDEO, "avi", video_codec="h265")),
    ("audio_codec", lambda: orders.transcode(VIDEO, "webm", audio_codec="aac")),
    ("audio_codec", lambda: orders.transcode(VIDEO, "mp4", audio_codec="vorbis")),
    ("audio_codec", lambda: orders.transcode(VIDEO, "avi", audio_codec="opus")),
    *(("input_media_id", lambda one=one: orders.transcode(one, "mp4")) for one in (SONG, PHOTO, PAPER)),
    *(("video_media_id", lambda one=one: orders.extract_audio(one)) for one in (SILENT, PHOTO, PAPER)),
    ("audio_bitrate", lambda: orders.extract_audio(VIDEO, "wav", audio_bitrate="192k")),
    ("audio_bitrate", lambda: orders.extract_audio(VIDEO, "flac", audio_bitrate="192k")),
    *(("media_id", lambda one=one: orders.extract_video(one)) for one in (SONG, PHOTO, PAPER)),
    *(("media_id", lambda one=one: orders.thumbnail(one)) for one in (SONG, PAPER)),
    ("timestamp", lambda: orders.thumbnail(VIDEO, timestamp=10.001)),
    ("timestamp", lambda: orders.thumbnail(ENDLESS, timestamp=1)),
    ("timestamp", lambda: orders.thumbnail(PHOTO, timestamp=0.1)),
    *(("media_id", lambda one=one: orders.compress(one, None, None)) for one in (PHOTO, PAPER)),
    ("output_format", lambda: orders.compress(SONG, "mp4", None)),
    ("output_format", lambda: orders.compress(SILENT, "mp3", None)),
    ("output_format", lambda: orders.compress(VIDEO, "wav", None)),
    ("output_format", lambda: orders.convert(SONG, "mp4", None)),
    ("output_format", lambda: orders.convert(SILENT, "mp3", None)),
    ("output_format", lambda: orders.convert(PAPER, "mp3", None)),
    ("media_ids.1", lambda: orders.merge([VIDEO, PAPER], "mp4")),
    ("media_ids.0", lambda: orders.merge([PHOTO, VIDEO], "mp4")),
    ("media_ids.0", lambda: orders.merge([ENDLESS, VIDEO], "mp4")),
    ("media_ids", lambda: orders.merge([VIDEO, SONG], "mp4")),
    ("output_format", lambda: orders.merge([SONG, SONG], "mp4")),
    ("output_format", lambda: orders.merge([VIDEO, SILENT], "mp3")),
    (
        "transition_duration",
        lambda: orders.merge([VIDEO, SILENT], "mp4", transition="fade", transition_duration=5.1),
    ),
]


@pytest.mark.parametrize(("field", "ask"), REFUSED)
def test_what_can_not_be_done_is_refused(field: str, ask: Callable[[], Order]) -> None:
    with pytest.raises(Invalid) as refused:
        ask()
    assert isinstance(refused.value.details, dict)
    assert list(refused.value.details) == [field]


ACCEPTED: list[tuple[Order, tuple[str, dict[str, object], str, str]]] = [
    (
        orders.transcode(VIDEO, "mkv", resolution="720p", frame_rate=24),
        (
            "transcode",
            {
                "output_format": "mkv",
                "video_codec": "h264",
                "audio_codec": "aac",
                "resolution": "720p",
                "frame_rate": 24,
                "preset": "medium",
            },
            "talk.mkv",
            "video/x-matroska",
        ),
    ),
    (
        orders.extract_audio(SONG, "opus", audio_bitrate="96k"),
        (
            "extract_audio",
            {"output_format": "opus", "audio_format": "opus", "audio_bitrate": "96k"},
            "song.opus",
            "audio/ogg",
        ),
    ),
    (
        orders.extract_video(SILENT),
        ("extract_video", {"output_format": "webm"}, "talk (video only).webm", "video/webm"),
    ),
    (
        orders.thumbnail(VIDEO, "png", timestamp=10),
        (
            "thumbnail",
            {"timestamp": 10, "width": 320, "height": 180, "format": "png"},
            "talk (thumbnail).png",
            "image/png",
        ),
    ),
    (
        orders.compress(VIDEO, None, "low"),
        ("compress", {"output_format": "mp4", "quality": "low"}, "talk (compressed).mp4", "video/mp4"),
    ),
    (
        orders.compress(WAVE, None, None),
        ("compress", {"output_format": "m4a"}, "song (compressed).m4a", "audio/mp4"),
    ),
    (
        orders.convert(VIDEO, "webm", "high"),
        (
            "transcode",
            {"output_format": "webm", "quality": "high", "audio_codec": "opus", "video_codec": "vp9"},
            "talk.webm",
            "video/webm",
        ),
    ),
    (
        orders.convert(VIDEO, "wav", None),
        ("transcode", {"output_format": "wav", "audio_codec": "pcm"}, "talk.wav", "audio/wav"),
    ),
    (
        orders.merge([SONG, WAVE], "flac", transition="fade"),
        (
            "merge",
            {"output_format": "flac", "transition": "fade", "transition_duration": 1.0},
            "song (merged).flac",
            "audio/flac",
        ),
    ),
]


@pytest.mark.parametrize(("order", "expected"), ACCEPTED)
def test_what_can_be_done_is_an_order(order: Order, expected: tuple[str, dict[str, object], str, str]) -> None:
    assert (order.operation, order.options, order.name, order.mime_type) == expected


def test_sound_is_sound_and_pictures_are_pictures() -> None:
    assert orders.convert(VIDEO, "mp3", None).file_type is FileType.AUDIO
    assert orders.thumbnail(PHOTO).file_type is FileType.IMAGE
    assert orders.transcode(VIDEO, "mp4").file_type is FileType.VIDEO


@pytest.mark.parametrize(
    ("filename", "made"),
    [
        ("a.b.mp4", "a.b.mp3"),
        ("nothing", "nothing.mp3"),
        (".mp4", ".mp4.mp3"),
        ("x" * 255, "x" * 251 + ".mp3"),
        ("日本語.mov", "日本語.mp3"),
    ],
)
def test_the_name_of_what_is_made(filename: str, made: str) -> None:
    assert orders.extract_audio(replace(VIDEO, filename=filename), "mp3").name == made


def test_a_format_gets_codecs_that_it_carries() -> None:
    for name, one in FORMATS.items():
        order = orders.convert(VIDEO, name, None)
        assert order.options["audio_codec"] in one.audio
        assert order.options.get("video_codec") in (one.video or (None,))


def test_the_step_that_composes_a_recording_says_how_much_there_is_to_do() -> None:
    wanted = Wanted(format="webm", quality="low", screen=False)
    measured = Measured(duration_s=61.0004, size=5_000_000, participants=3)
    step = orders.compose(Recording("r", "m", 7, "alice", NOW, wanted, measured=measured))
    assert (step.media_id, step.operation) == ("r", "compose")
    assert step.options == {
        "output_format": "webm",
        "pictured": True,
        "width": 854,
        "height": 480,
        "duration_s": 61.0,
        "participants": 3,
        "size": 5_000_000,
    }
    heard = Wanted(video=False, screen=False)
    assert not orders.compose(Recording("r", "m", 7, "alice", NOW, heard)).options["pictured"]
