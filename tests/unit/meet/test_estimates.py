"""Estimates grow with the work, and follow what jobs took of late."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakeredis import FakeRedis

from meet.domain.formats import FORMATS, PRESETS, VIDEO_CODECS
from meet.domain.job import Job, JobKind, JobStatus, Step
from meet.domain.media import Blob, Facts, FileType, MediaFile
from meet.estimates import ENCODE_S, MOST_FACTOR, START_S, Speeds, by_the_table_s, estimate_s, kind_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = MediaFile(
    "a",
    "alice",
    "talk.mp4",
    FileType.VIDEO,
    "video/mp4",
    NOW,
    blob=Blob("k", 15_000_000, "e"),
    facts=Facts(60.0, 1280, 720, 2_000_000, "h264", "aac", 30.0),
)
UNKNOWN = replace(MINUTE, facts=Facts(), blob=None)


def step(operation: str, **options: Any) -> Step:
    return Step("out", operation, options)


H264 = step("transcode", output_format="mp4", video_codec="h264", preset="medium")


def test_every_codec_and_preset_has_a_speed() -> None:
    assert {codec: tuple(speeds) for codec, speeds in ENCODE_S.items()} == dict.fromkeys(VIDEO_CODECS, PRESETS)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (step("extract_video", output_format="mp4"), step("extract_audio", output_format="mp3")),
        (step("extract_audio", output_format="mp3"), H264),
        (replace(H264, options={**H264.options, "preset": "ultrafast"}), H264),
        (H264, replace(H264, options={**H264.options, "resolution": "1080p"})),
        (H264, replace(H264, options={**H264.options, "resolution": "1920x1080"})),
        (replace(H264, options={**H264.options, "frame_rate": 15}), H264),
        (H264, step("transcode", output_format="webm", video_codec="vp9", preset="medium")),
        (step("compress", output_format="mp4", quality="low"), step("compress", output_format="mp4", quality="high")),
        (step("thumbnail", format="jpg"), H264),
    ],
)
def test_more_work_takes_longer(less: Step, more: Step) -> None:
    assert by_the_table_s(less, [MINUTE]) < by_the_table_s(more, [MINUTE])


def composed(**other: Any) -> Step:
    known = {"output_format": "mp4", "pictured": True, "width": 1280, "height": 720, "duration_s": 600.0}
    return step("compose", **known | {"participants": 4, "size": 10**8} | other)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (composed(pictured=False), composed()),
        (composed(width=854, height=480), composed()),
        (composed(participants=2), composed()),
        (composed(duration_s=300.0), composed()),
        (composed(size=10**7), composed()),
    ],
)
def test_more_of_a_recording_takes_longer(less: Step, more: Step) -> None:
    assert by_the_table_s(less, []) < by_the_table_s(more, [])


def test_compositions_are_of_the_kind_of_their_encoder() -> None:
    assert kind_of(composed()) == "compose:h264"
    assert kind_of(composed(output_format="webm")) == "compose:vp9"
    assert kind_of(composed(pictured=False)) == "compose"


def test_a_minute_takes_twice_as_long_as_half_of_it() -> None:
    half = replace(MINUTE, blob=None, facts=replace(MINUTE.facts, duration_s=30.0))
    once, twice = (by_the_table_s(H264, [one]) - START_S for one in (half, replace(MINUTE, blob=None)))
    assert twice == pytest.approx(2 * once)
    assert by_the_table_s(H264, [half, half]) - START_S == pytest.approx(twice)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("operation", ["transcode", "compress", "merge"])
def test_what_is_not_known_of_a_file_is_no_obstacle(operation: str, name: str) -> None:
    assert estimate_s([step(operation, output_format=name)], [UNKNOWN], [1.0]) == 1


def test_steps_add_up_and_have_factors_of_their_own() -> None:
    single = by_the_table_s(H264, [MINUTE])
    assert estimate_s([H264, H264], [MINUTE], [1.0, 3.0]) == pytest.approx(4 * single, abs=1)


def done(took_s: float, *, attempt: int = 1, steps: tuple[Step, ...] = (H264,)) -> Job:
    job = Job("j", JobKind.TRANSCODE, "alice", ("a",), steps, 9, NOW, attempt=attempt - 1)
    return job.claimed(at=NOW, until=NOW).completed(at=NOW + timedelta(seconds=took_s))


def test_what_jobs_took_is_learned() -> None:
    speeds = Speeds(FakeRedis())
    table_s = by_the_table_s(H264, [MINUTE])
    assert speeds.factors([kind_of(H264), "merge:vp9"]) == [1.0, 1.0]
    speeds.learn(done(table_s / 4), [MINUTE])
    assert speeds.factors([kind_of(H264), "merge:vp9"]) == [pytest.approx(0.25, rel=0.01), 1.0]
    for _ in range(40):
        speeds.learn(done(table_s * 2), [MINUTE])
    assert speeds.factors([kind_of(H264)]) == [pytest.approx(2.0, rel=0.01)]


def test_one_that_was_stuck_says_little() -> None:
    speeds = Speeds(FakeRedis())
    speeds.learn(done(1e6), [MINUTE])
    assert speeds.factors([kind_of(H264)]) == [MOST_FACTOR]


@pytest.mark.parametrize(
    "job",
    [
        done(5, attempt=2),
        done(5, steps=(H264, H264)),
        replace(done(5), status=JobStatus.FAILED),
    ],
)
def test_what_says_nothing_of_the_speed_is_left_out(job: Job) -> None:
    redis = FakeRedis()
    Speeds(redis).learn(job, [MINUTE])
    assert redis.keys() == []
