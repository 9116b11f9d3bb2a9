"""What becomes of a message, whatever becomes of the work; the store is moto's, the queue and the work are told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from functions.workers.ffmpeg import handler as worker
from functions.workers.ffmpeg.binary import Binary
from functions.workers.ffmpeg.formats import ENCODERS
from functions.workers.ffmpeg.run import Failed
from functions.workers.ffmpeg.work import Elsewhere
from meet import orders
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.job import Job, JobKind, JobStatus, Step
from meet.domain.media import Blob, Facts, FileType, MediaFile, MediaStatus
from meet.domain.recording import Measured, Recording, RecordingStatus
from meet.errors import Unavailable
from meet.queue import Queue
from meet.store import jobs, media, recordings
from tests.unit.tables import empty_tables


@dataclass
class Told:
    """What the worker did to the queue and the bucket."""

    visibility_s: list[int] = field(default_factory=list)
    sent: list[tuple[str, Queue | None]] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_TABLE_PREFIX", "unit-")
    monkeypatch.setenv("MEET_REDIS_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    told = Told()

    def extend(_: Queue, __: str, *, visibility_s: int) -> bool:
        told.visibility_s.append(visibility_s)
        return True

    monkeypatch.setattr(worker.queue, "extend", extend)
    monkeypatch.setattr(worker.queue, "send", lambda job, to=None: told.sent.append((job.job_id, to)))
    monkeypatch.setattr(worker.objects, "delete_many", told.taken_back.extend)
    monkeypatch.setattr(worker.objects, "every", lambda prefix: [])
    monkeypatch.setattr(worker, "ffmpeg", lambda: Binary("ffmpeg", "8.1", ENCODERS))
    with empty_tables():
        yield told
    settings.cache_clear()


@pytest.fixture
def job(told: Told) -> Job:
    step = Step(new_id(), "extract_audio", {"output_format": "mp3"})
    made = Job(new_id(), JobKind.EXTRACT_AUDIO, "alice", (new_id(),), (step,), estimated_s=1, created_at=utcnow())
    output = MediaFile(
        step.media_id, "alice", "film.mp3", FileType.AUDIO, "audio/mpeg", utcnow(), status=MediaStatus.PROCESSING
    )
    jobs.create(made, [output])
    return made


def deliver(body: str, *, where: Queue = Queue.FFMPEG, times: int = 1) -> bool:
    """Whether the message is done."""
    record = {
        "messageId": "message-1",
        "receiptHandle": "receipt",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(times)},
        "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{where.full_name}",
    }
    failures = worker.handler({"Records": [record]}, None)["batchItemFailures"]
    assert failures in ([], [{"itemIdentifier": "message-1"}])
    return not failures


def of(job: Job) -> str:
    return f'{{"job_id": "{job.job_id}"}}'


def works(monkeypatch: pytest.MonkeyPatch, act: Callable[[list[str]], Any]) -> None:
    """The work is `act`, which is given the list of what was written."""

    def make(_job: Job, _binary: Binary, _folder: object, _lease: object, written: list[str]) -> Any:
        return act(written)

    monkeypatch.setattr(worker, "make_outputs", make)


def raises(error: Exception) -> Callable[[list[str]], Any]:
    def act(written: list[str]) -> Any:
        written.append("media/x/1-abc")
        raise error

    return act


@pytest.mark.parametrize("body", ["", "nonsense", "[]", "{}", '{"job_id": 7}'])
def test_what_names_no_job_comes_again_at_once_until_it_is_put_aside(told: Told, body: str) -> None:
    assert not deliver(body)
    assert told.visibility_s == [0]


def test_a_job_that_is_not_there_is_done(told: Told) -> None:
    assert deliver('{"job_id": "gone"}')


def test_a_job_that_is_over_is_done(job: Job, told: Told) -> None:
    jobs.cancel(job)
    assert deliver(of(job))
    assert jobs.get(job.job_id).attempt == 0


def test_a_job_that_another_holds_is_left_to_it(job: Job, told: Told) -> None:
    assert jobs.claim(job.job_id, now=utcnow(), lease_s=60)
    assert not deliver(of(job))
    assert jobs.get(job.job_id).attempt == 1


def test_what_can_not_be_done_fails_and_leaves_nothing(job: Job, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    works(monkeypatch, raises(Failed("It is no film.")))
    assert deliver(of(job))
    ended = jobs.get(job.job_id)
    assert (ended.status, ended.error) == (JobStatus.FAILED, "It is no film.")
    assert media.get(job.steps[0].media_id).status is MediaStatus.FAILED
    assert told.taken_back == ["media/x/1-abc"]


@pytest.mark.parametrize(
    ("error", "waits"), [(Unavailable(), (1, 2)), (RuntimeError("a bug"), (3, 8)), (Unavailable(), (20, 300))]
)
def test_what_may_be_done_later_is_given_back(
    job: Job, told: Told, monkeypatch: pytest.MonkeyPatch, error: Exception, waits: tuple[int, int]
) -> None:
    times, wait_s = waits
    works(monkeypatch, raises(error))
    assert not deliver(of(job), times=times)
    assert told.visibility_s[-1] == wait_s
    assert not jobs.get(job.job_id).is_held(utcnow() + timedelta(seconds=0.1))
    assert told.taken_back == []  # it may be that the job was completed with them


@pytest.fixture
def composition(told: Told) -> Job:
    """The job of a recording that was stopped."""
    recordings.create(Recording("r1", "m1", 7, "alice", utcnow(), held_until=utcnow()))
    live = recordings.began("r1", at=utcnow(), until=utcnow())
    assert live is not None
    made = Job(new_id(), JobKind.COMPOSE, "alice", (), (orders.compose(live),), estimated_s=1, created_at=utcnow())
    assert jobs.create_composition(made, live.stopped(made.job_id, at=utcnow()))
    return made


def composes(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any] = lambda: None) -> None:
    """A composition writes one object, does `act`, and is made."""

    def make(job: Job, _binary: Binary, _folder: object, _lease: object, written: list[str]) -> Recording:
        key = f"recordings/r1/files/{job.attempt}-x.mp4"
        written.append(key)
        recording = recordings.get("r1")
        act()
        return recording.completed(Blob(key, 7, "e"), "video/mp4", Facts(), (), Measured())

    monkeypatch.setattr(worker, "compose", make)


def test_a_recording_is_composed_and_what_it_was_made_of_deleted(
    composition: Job, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(worker, "discard", lambda recording_id, keep: kept.append((recording_id, list(keep))))
    composes(monkeypatch)
    assert deliver(of(composition))
    assert recordings.get("r1").status is RecordingStatus.COMPLETED
    assert kept == [("r1", ["recordings/r1/files/1-x.mp4"])]


def test_the_file_of_a_recording_that_was_deleted_is_taken_back(
    composition: Job, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    composes(monkeypatch, lambda: recordings.delete("r1"))
    assert deliver(of(composition))
    assert told.taken_back == ["recordings/r1/files/1-x.mp4"]


def test_a_recording_that_can_not_be_composed_fails_with_the_reason(
    composition: Job, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> None:
        raise Failed("Nothing was recorded.")

    composes(monkeypatch, act)
    assert deliver(of(composition))
    ended = recordings.get("r1")
    assert (ended.status, ended.error) == (RecordingStatus.FAILED, "Nothing was recorded.")
    assert told.taken_back == ["recordings/r1/files/1-x.mp4"]


def test_what_needs_another_worker_is_handed_on(job: Job, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    works(monkeypatch, raises(Elsewhere("FFmpeg 8.1 here has no libvorbis")))
    assert deliver(of(job))
    assert told.sent == [(job.job_id, Queue.FFMPEG_LONG)]
    assert not jobs.get(job.job_id).is_over
    assert deliver(of(job), where=Queue.FFMPEG_LONG)
    assert jobs.get(job.job_id).error == "The job can't be done: FFmpeg 8.1 here has no libvorbis."


def test_a_job_whose_workers_all_died_fails(job: Job, told: Told) -> None:
    for _ in range(worker.MOST_ATTEMPTS):
        assert jobs.claim(job.job_id, now=utcnow(), lease_s=-1)
    assert deliver(of(job))
    ended = jobs.get(job.job_id)
    assert ended.status is JobStatus.FAILED
    assert "tried 5 times" in (ended.error or "")
