"""A live stream's life: which status may follow which, its picture, and what of its URL others may see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from meet.domain.stream import Aired, Picture, Stream, StreamStatus, TransitionError, masked, stream_prefix

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=9)
URL = "rtmp://live.example.com/app/secret-key"

STARTING = Stream("s", "m", 7, "alice", NOW, "rtmp", rtmp_url=URL, held_until=NOW)
STREAMING = STARTING.became(StreamStatus.STREAMING, at=NOW, until=NOW)
RECONNECTING = STREAMING.became(StreamStatus.RECONNECTING, at=NOW, until=NOW)
STOPPED = STREAMING.stopped(at=NOW, total_viewers=3, peak_viewers=2)
FAILED = RECONNECTING.failed("It was away for 2 minutes", at=NOW)

CHANGES: dict[str, Callable[[Stream], Stream]] = {
    "stream": lambda one: one.became(StreamStatus.STREAMING, at=NOW, until=NOW),
    "reconnect": lambda one: one.became(StreamStatus.RECONNECTING, at=NOW, until=NOW),
    "renew": lambda one: one.renewed(Aired(), until=NOW),
    "stop": lambda one: one.stopped(at=NOW, total_viewers=0, peak_viewers=0),
    "fail": lambda one: one.failed("No.", at=NOW),
}

ALLOWED = {
    "starting": (STARTING, {"stream", "renew", "stop", "fail"}),
    "streaming": (STREAMING, {"stream", "reconnect", "renew", "stop", "fail"}),
    "reconnecting": (RECONNECTING, {"stream", "reconnect", "renew", "stop", "fail"}),
    "stopped": (STOPPED, set()),
    "failed": (FAILED, set()),
}


@pytest.mark.parametrize("before", ALLOWED)
@pytest.mark.parametrize("change", CHANGES)
def test_what_may_follow_what(before: str, change: str) -> None:
    stream, allowed = ALLOWED[before]
    assert stream.is_over == (not allowed)
    if change in allowed:
        CHANGES[change](stream)
    else:
        with pytest.raises(TransitionError):
            CHANGES[change](stream)


def test_it_began_when_it_was_first_on_air() -> None:
    later = RECONNECTING.became(StreamStatus.STREAMING, at=LATER, until=LATER)
    assert (later.started_at, later.held_until) == (NOW, LATER)
    assert later.renewed(Aired(9), until=NOW).aired == Aired(9)


def test_what_ended_is_held_by_nobody() -> None:
    assert (STOPPED.held_until, STOPPED.stopped_at, STOPPED.total_viewers, STOPPED.peak_viewers) == (None, NOW, 3, 2)
    assert (FAILED.held_until, FAILED.stopped_at, FAILED.error) == (None, NOW, "It was away for 2 minutes")


@pytest.mark.parametrize(("quality", "size"), [("low", (854, 480)), ("medium", (1280, 720)), ("high", (1920, 1080))])
def test_a_quality_is_a_picture(quality: str, size: tuple[int, int]) -> None:
    picture = Picture.of(quality)  # type: ignore[arg-type]  # one of its words
    assert (picture.width, picture.height) == size
    chosen = Picture.of(quality, bitrate_bps=700_000, resolution=(640, 360))  # type: ignore[arg-type]
    assert chosen == Picture(640, 360, 700_000, 30)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "rtmp://live.example.com/app/***"),
        ("rtmps://live.example.com:443/a/b/secret-key", "rtmps://live.example.com:443/a/b/***"),
        ("rtmp://live.example.com/app/name?key=secret-key", "rtmp://live.example.com/app/***"),
        ("rtmp://user:secret-key@live.example.com/app/key", "rtmp://live.example.com/app/***"),
        ("rtmp://[2001:db8::1]/app/secret-key", "rtmp://[2001:db8::1]/app/***"),
        ("rtmp://live.example.com/secret-key", "rtmp://live.example.com/***"),
        ("rtmp://live.example.com/", "rtmp://live.example.com"),
        ("rtmp://live.example.com?secret-key", "rtmp://live.example.com"),
    ],
)
def test_others_see_where_a_stream_goes_and_no_key(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert "secret-key" not in shown


def test_a_stream_says_nothing_of_its_key() -> None:
    assert "secret-key" not in repr(STREAMING)
    assert STREAMING.masked_rtmp_url == "rtmp://live.example.com/app/***"
    assert Stream("s", "m", 7, "alice", NOW, "hls").masked_rtmp_url is None


def test_names() -> None:
    assert (STREAMING.room_id, stream_prefix("s")) == ("meeting-7", "streams/s/")
