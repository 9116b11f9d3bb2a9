"""What is swept is what was left behind, and nothing that somebody may still be at."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.workers import sweeper
from meet import multipart, objects, queue
from meet.clock import utcnow
from meet.config import settings
from meet.domain import capture
from meet.domain.job import Job, JobKind, Step
from meet.domain.media import Facts, FileType, MediaFile, MediaStatus
from meet.domain.recording import Measured, RecordedTrack, Recording
from meet.domain.stream import Stream, StreamStatus, stream_prefix
from meet.errors import Unavailable
from meet.store import jobs, media, recordings, streams
from meet.store.base import transaction

NOW = utcnow()
LATER = NOW + timedelta(days=2)
TEXT = "text/plain"

JOB = Job("the-job", JobKind.EXTRACT_AUDIO, "alice", ("in",), (Step("out", "extract_audio"),), 30, NOW)
OUTPUT = MediaFile(
    "out", "alice", "a.mp3", FileType.AUDIO, "audio/mpeg", NOW, MediaStatus.PROCESSING, job_id="the-job"
)


@pytest.fixture(autouse=True)
def bucket(environment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_S3_ENDPOINT_URL", "")
    objects.ensure_bucket()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs that were queued."""
    ids: list[str] = []
    monkeypatch.setattr(queue, "send", lambda job: ids.append(job.job_id))
    return ids


def sweep(name: str, now: datetime, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sweeper, "utcnow", lambda: now)
    return sweeper.handler({"sweep": name}, None)["swept"]


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, datetime], int]:
    """`swept("jobs", now)`: how much the sweep of that name takes at that time."""
    return lambda name, now: sweep(name, now, monkeypatch)


Swept = Callable[[str, datetime], int]


def test_a_job_whose_message_was_lost_is_sent_again_once_in_a_while(swept: Swept, sent: list[str]) -> None:
    jobs.create(JOB, [OUTPUT])
    assert swept("jobs", NOW + timedelta(minutes=9)) == 0
    lost = NOW + timedelta(minutes=11)
    assert [swept("jobs", lost), swept("jobs", lost + timedelta(minutes=5))] == [1, 0]
    assert swept("jobs", lost + timedelta(minutes=75)) == 1
    assert sent == ["the-job", "the-job"]


def test_a_job_whose_worker_died_is_sent_again(swept: Swept, sent: list[str]) -> None:
    jobs.create(JOB, [OUTPUT])
    assert jobs.claim("the-job", now=NOW, lease_s=3600)
    assert swept("jobs", NOW + timedelta(minutes=69)) == 0
    assert swept("jobs", NOW + timedelta(minutes=71)) == 1
    assert sent == ["the-job"]


def test_a_job_that_is_over_stays_so(swept: Swept, sent: list[str]) -> None:
    jobs.create(JOB, [OUTPUT])
    jobs.cancel(JOB)
    assert swept("jobs", LATER) == 0
    assert sent == []


def test_an_upload_that_nobody_completed_is_forgotten(swept: Swept) -> None:
    key = objects.upload_key("x")
    upload_id = multipart.begin(key, TEXT)
    multipart.put(key, upload_id, 1, b"part")
    lifetime = timedelta(seconds=4 * settings().upload_url_s)
    assert swept("uploads", utcnow() + lifetime - timedelta(minutes=1)) == 0
    assert multipart.arrived(key, upload_id)
    assert swept("uploads", utcnow() + lifetime + timedelta(minutes=1)) == 1
    assert list(multipart.every()) == []


def test_an_upload_that_is_completed_meanwhile_is_left_alone(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    key = objects.upload_key("x")
    monkeypatch.setattr(multipart, "every", lambda: iter([multipart.Upload(key, "gone", NOW)]))
    assert swept("uploads", LATER) == 0


def stored(media_id: str, **changes: Any) -> MediaFile:
    """A file with its objects."""
    key = objects.upload_key(media_id)
    file = MediaFile(
        media_id,
        "alice",
        "notes.txt",
        FileType.DOCUMENT,
        TEXT,
        NOW,
        blob=objects.put_bytes(key, b"text", TEXT),
        thumbnail=objects.put_bytes(objects.thumbnail_key(key), b"jpeg", "image/jpeg"),
    )
    media.create(replace(file, **changes))
    return file


def keys() -> set[str]:
    return {found.key for found in objects.every()}


def test_objects_that_stand_in_no_row_are_deleted(swept: Swept) -> None:
    file = stored("kept")
    lost_race = objects.put_bytes(objects.upload_key("kept"), b"another", TEXT).key
    no_row = objects.put_bytes(objects.upload_key("never"), b"text", TEXT).key
    young = NOW + timedelta(hours=23)
    assert swept("objects", young) == 0
    assert keys() == {*media.keys_of(file), lost_race, no_row}
    assert swept("objects", LATER) == 2
    assert keys() == set(media.keys_of(file))


def test_what_a_worker_is_at_is_left_to_it_until_the_job_is_over(swept: Swept) -> None:
    jobs.create(JOB, [OUTPUT])
    made = objects.put_bytes(objects.output_key("out", 1), b"sound", "audio/mpeg")
    assert swept("objects", LATER) == 0
    jobs.cancel(JOB)
    assert swept("objects", LATER) == 1
    assert objects.head(made.key) is None


def test_of_two_attempts_the_one_in_the_row_is_kept(swept: Swept) -> None:
    media.create(OUTPUT)
    first, second = (objects.put_bytes(objects.output_key("out", attempt), b"sound", TEXT) for attempt in (1, 2))
    assert media.finish(OUTPUT.finished(second, "audio/mpeg", Facts(), at=NOW))
    assert swept("objects", LATER) == 1
    assert keys() == {second.key}
    assert first.key != second.key


def test_more_objects_than_one_read_takes(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "ROWS_AT_ONCE", 2)
    kept = {key for number in range(3) for key in media.keys_of(stored(f"kept-{number}"))}
    for number in range(5):
        objects.put_bytes(objects.upload_key(f"lost-{number}"), b"text", TEXT)
    assert swept("objects", LATER) == 5
    assert keys() == kept


def recorded(recording_id: str) -> Recording:
    """A recording that its media process has begun, in a meeting of its own."""
    lease = timedelta(seconds=settings().recording_lease_s)
    recordings.create(Recording(recording_id, f"m-{recording_id}", 7, "alice", NOW, held_until=NOW + lease))
    begun = recordings.began(recording_id, at=NOW, until=NOW + lease)
    assert begun is not None
    return begun


def test_a_recording_whose_media_process_died_is_finished(swept: Swept, sent: list[str]) -> None:
    recorded("r1")
    recorded("r2")
    assert recordings.renew("r2", Measured(), until=NOW + timedelta(seconds=100))
    assert swept("recordings", NOW + timedelta(seconds=44)) == 0
    assert [swept("recordings", NOW + timedelta(seconds=46)) for _ in range(2)] == [1, 0]
    stopped = recordings.get("r1")
    assert (stopped.status, stopped.interrupted, stopped.stopped_at) == ("pending", True, NOW)
    assert sent == [stopped.job_id]
    assert recordings.get("r2").is_live


def test_a_recording_that_can_not_be_finished_holds_up_no_other(
    swept: Swept, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded("r1")
    recorded("r2")
    send = queue.send

    def refuse_once(job: Job) -> None:
        monkeypatch.setattr(queue, "send", send)
        raise Unavailable

    monkeypatch.setattr(queue, "send", refuse_once)
    assert swept("recordings", LATER) == 1
    assert len(sent) == 1
    # The other is stopped all the same, and its job is one that the sweep of jobs sends again.
    assert swept("jobs", LATER) == 2
    assert {recordings.get(name).job_id for name in ("r1", "r2")} == set(sent)


def test_a_stream_whose_media_process_died_is_over(swept: Swept) -> None:
    streams.create(Stream("s1", "m1", 7, "alice", NOW, "hls", held_until=NOW + timedelta(seconds=45)))
    assert swept("streams", NOW + timedelta(seconds=44)) == 0
    assert [swept("streams", NOW + timedelta(seconds=46)) for _ in range(2)] == [1, 0]
    assert streams.get("s1").status is StreamStatus.FAILED


def test_of_a_completed_recording_its_files_are_kept(swept: Swept, sent: list[str]) -> None:
    prefix = capture.recording_prefix("r1")
    fragment = capture.fragment_key("r1", 0, 0, 1)
    mine = [f"{prefix}files/2-x.mp4", f"{prefix}files/2-track-0.mkv"]
    for key in (fragment, f"{prefix}files/1-y.mp4", capture.fragment_key("gone", 0, 0, 1), *mine):
        objects.put_bytes(key, b"x", TEXT)
    recorded("r1")
    assert swept("recordings", LATER) == 1
    stopped = recordings.get("r1")
    assert swept("objects", LATER) == 1, "nothing but what is of no recording, while its file is being made"
    file, track = (objects.there(key) for key in mine)
    sound = RecordedTrack("t", "u", "alice", "audio", "microphone", "opus", 0.0, 1.0, track)
    with transaction() as write:
        recordings.finish_in(write, stopped.completed(file, "video/mp4", Facts(), (sound,), Measured()))
    assert swept("objects", NOW) == 0, "it may just have been written"
    assert swept("objects", LATER) == 2
    assert {one.key for one in objects.every("")} == set(mine)


@pytest.mark.parametrize(("end", "left"), [("fail", 1), ("cancel", 0)])
def test_of_one_that_failed_all_is_kept_and_of_one_that_nobody_wants_nothing(
    swept: Swept, sent: list[str], end: str, left: int
) -> None:
    objects.put_bytes(capture.fragment_key("r1", 0, 0, 1), b"x", TEXT)
    recorded("r1")
    assert swept("recordings", LATER) == 1
    [job_id] = sent
    if end == "fail":
        assert jobs.fail(jobs.get(job_id), "No.")
    else:
        jobs.cancel(jobs.get(job_id))
    swept("objects", LATER)
    assert len(list(objects.every(""))) == left


def test_of_a_stream_nothing_is_kept(swept: Swept) -> None:
    for name in ("s1", "s2", "s3"):
        objects.put_bytes(f"{stream_prefix(name)}0.m4s", b"x", TEXT)
    for name in ("s1", "s2"):
        streams.create(Stream(name, f"m-{name}", 7, "alice", NOW, "hls", held_until=LATER + timedelta(days=9)))
    assert streams.fail("s2", "No.", at=NOW)
    assert swept("objects", LATER) == 2
    assert {one.key for one in objects.every("")} == {f"{stream_prefix('s1')}0.m4s"}


def test_an_unknown_sweep_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        sweeper.handler({"sweep": "everything"}, None)
