"""What FFmpeg is called with for a recording, by value."""

from __future__ import annotations

import pytest

from functions.workers.ffmpeg.compose.plan import Plan, Voice
from functions.workers.ffmpeg.compose_commands import copied, encoded
from meet.domain.recording import Quality, Wanted

BEGIN = "-hide_banner -nostdin -nostats -loglevel error -progress pipe:1 -stats_period 0.25"
PIPE = "-f nut -protocol_whitelist pipe -i pipe:0"
PLAN = Plan(12.5, 1280, 720, voices=(Voice("a.mkv", 0, 12),))


@pytest.mark.parametrize(
    ("format", "arguments"),
    [
        (
            "mp4",
            "-map 0:v:0 -c:v libx264 -preset veryfast -crf 23 -g 120 -map 0:a:0 -c:a aac -b:a 128000 "
            "-movflags +faststart -f mp4 -y file:out.mp4",
        ),
        (
            "webm",
            "-map 0:v:0 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -row-mt 1 -crf 31 -b:v 0 -g 120 "
            "-map 0:a:0 -c:a libopus -b:a 96000 -f webm -y file:out.webm",
        ),
        (
            "mkv",
            "-map 0:v:0 -c:v libx264 -preset veryfast -crf 23 -g 120 -map 0:a:0 -c:a aac -b:a 128000 "
            "-f matroska -y file:out.mkv",
        ),
    ],
)
def test_each_format(format: str, arguments: str) -> None:
    made = encoded(PLAN, Wanted(format=format), "out")  # type: ignore[arg-type]  # each is one
    assert " ".join(made.arguments) == f"{BEGIN} {PIPE} {arguments}"
    assert (made.output, made.duration_s) == (f"out.{format}", 12.5)


@pytest.mark.parametrize(("quality", "crf", "bits"), [("low", "28", "96000"), ("high", "18", "192000")])
def test_each_quality(quality: Quality, crf: str, bits: str) -> None:
    made = encoded(PLAN, Wanted(quality=quality), "out").arguments
    assert made[made.index("-crf") + 1] == crf
    assert made[made.index("-b:a") + 1] == bits


def test_what_is_not_there_is_not_encoded() -> None:
    assert "-c:v" not in encoded(Plan(3.0, voices=PLAN.voices), Wanted(), "out").arguments
    assert "-c:a" not in encoded(Plan(3.0, 1280, 720), Wanted(), "out").arguments


def test_tracks_are_copied_side_by_side() -> None:
    made = copied(["track-0.mkv", "track-1.mkv"], 60.0, "out")
    reading = "-protocol_whitelist file -format_whitelist matroska -f matroska -i"
    assert " ".join(made.arguments) == (
        f"{BEGIN} -copyts {reading} file:track-0.mkv {reading} file:track-1.mkv "
        "-map 0:0 -map 1:0 -c copy -f webm -y file:out.webm"
    )
