"""Jobs under concurrency against a real DynamoDB: one worker has a job, and it ends once. Messages of a real SQS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from meet import queue
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.job import Job, JobKind, JobStatus, Step
from meet.domain.media import Blob, Facts, FileType, MediaFile, MediaStatus
from meet.errors import Conflict
from meet.queue import MOST_RECEIVES, Queue
from meet.store import base, jobs, media

WORKERS = 12
ROUNDS = 12


@pytest.fixture(scope="module", autouse=True)
def own_tables(backend: dict[str, str]) -> Iterator[None]:
    """Tables and queues of these tests alone."""
    caches = [settings, base._connect, queue._connect]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in backend.items():
            environment.setenv(name, value)
        environment.setenv("MEET_TABLE_PREFIX", f"jobs-{new_id()}-")
        environment.setenv("MEET_QUEUE_PREFIX", f"jobs-{new_id()}-")
        for cache in caches:
            cache.cache_clear()
        base.create_tables()
        queue.ensure_queues()
        yield
    for cache in caches:
        cache.cache_clear()


def new_job() -> Job:
    """A queued job with two outputs."""
    now = utcnow()
    job_id = new_id()
    steps = (Step(new_id(), "extract_audio"), Step(new_id(), "extract_video"))
    job = Job(job_id, JobKind.PROCESS, "alice", ("in",), steps, 10, now)
    jobs.create(job, [_output(step, job_id, now) for step in steps])
    return job


def _output(step: Step, job_id: str, now: datetime) -> MediaFile:
    status = MediaStatus.PROCESSING
    return MediaFile(step.media_id, "alice", "a.mp3", FileType.AUDIO, "audio/mpeg", now, status, job_id=job_id)


def made(job: Job) -> list[MediaFile]:
    """What an attempt made."""
    return [
        _output(step, job.job_id, job.created_at).finished(
            Blob(f"media/{step.media_id}/{job.attempt}", 7, "e"), "audio/mpeg", Facts(duration_s=1.5), at=utcnow()
        )
        for step in job.steps
    ]


def claimed(job: Job) -> Job:
    held = jobs.claim(job.job_id, now=utcnow(), lease_s=60)
    assert held is not None
    return held


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """All of these at the same moment."""
    start = Barrier(len(acts))

    def one(act: Callable[[], Any]) -> Any:
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(one, acts))


def test_of_many_workers_one_has_the_job() -> None:
    for _ in range(ROUNDS):
        job = new_job()
        claims = at_once(*[partial(jobs.claim, job.job_id, now=utcnow(), lease_s=60)] * WORKERS)
        assert [won.attempt for won in claims if won] == [1]


def test_of_many_who_find_it_abandoned_one_takes_it_over() -> None:
    for _ in range(ROUNDS):
        job = claimed(new_job())
        later = utcnow() + timedelta(seconds=61)
        claims = at_once(*[partial(jobs.claim, job.job_id, now=later, lease_s=60)] * WORKERS)
        assert [won.attempt for won in claims if won] == [2]


def test_a_job_is_either_made_or_cancelled() -> None:
    def cancelled(job: Job) -> bool:
        try:
            return jobs.cancel(job).status is JobStatus.CANCELLED
        except Conflict:
            return False

    for _ in range(ROUNDS):
        job = claimed(new_job())
        kept, was_cancelled = at_once(partial(jobs.complete, job, made(job)), partial(cancelled, job))
        expected = JobStatus.CANCELLED if was_cancelled else JobStatus.COMPLETED
        assert jobs.get(job.job_id).status is expected
        assert bool(kept) is not was_cancelled
        files = [media.get(step.media_id) for step in job.steps]
        assert {file.status for file in files} == {MediaStatus.FAILED if was_cancelled else MediaStatus.READY}


def test_two_attempts_leave_one_output() -> None:
    for _ in range(ROUNDS):
        first = claimed(new_job())
        second = jobs.claim(first.job_id, now=utcnow() + timedelta(seconds=61), lease_s=60)
        assert second is not None
        mine, others = at_once(
            partial(jobs.complete, first, made(first)),
            partial(jobs.complete, second, made(second)),
        )
        assert (mine, [file.media_id for file in others]) == ([], [step.media_id for step in second.steps])
        blobs = [media.get(step.media_id).blob for step in first.steps]
        assert [blob and blob.key for blob in blobs] == [f"media/{step.media_id}/2" for step in first.steps]


def test_an_output_that_is_deleted_meanwhile_holds_nothing_up() -> None:
    for _ in range(ROUNDS):
        job = claimed(new_job())
        gone, stays = (step.media_id for step in job.steps)
        kept, deleted = at_once(partial(jobs.complete, job, made(job)), partial(media.delete, gone))
        assert jobs.get(job.job_id).status is JobStatus.COMPLETED
        assert media.get(stays).status is MediaStatus.READY
        assert media.find(gone) is None
        # its object was deleted by who deleted the row, or is the worker's to delete
        assert deleted.blob is not None or gone not in {file.media_id for file in kept}


def test_a_message_is_one_workers_until_it_is_given_back_or_done() -> None:
    job = new_job()
    queue.send(job)
    [first] = queue.receive(Queue.FFMPEG, wait_s=5)
    assert queue.job_id_of(first.body) == job.job_id
    assert queue.receive(Queue.FFMPEG, wait_s=0) == []
    assert queue.extend(Queue.FFMPEG, first.receipt, visibility_s=0)
    [second] = queue.receive(Queue.FFMPEG, wait_s=5)
    assert (second.message_id, second.times) == (first.message_id, 2)
    assert queue.done(Queue.FFMPEG, second.receipt)
    assert queue.receive(Queue.FFMPEG, wait_s=0) == []


def test_poison_ends_in_the_dead_letter_queue() -> None:
    url = queue.url(Queue.FFMPEG_LONG)
    queue.client().send_message(QueueUrl=url, MessageBody="poison")
    for times in range(1, MOST_RECEIVES + 1):
        [message] = queue.receive(Queue.FFMPEG_LONG, wait_s=5, visibility_s=0)
        assert message.times == times
    assert queue.receive(Queue.FFMPEG_LONG, wait_s=0) == []
    dead = queue.client().get_queue_url(QueueName=Queue.FFMPEG_LONG.dead_name)["QueueUrl"]
    [kept] = queue.client().receive_message(QueueUrl=dead, WaitTimeSeconds=1)["Messages"]
    assert kept["Body"] == "poison"
