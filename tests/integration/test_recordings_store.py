"""Recordings under concurrency against a real DynamoDB: a meeting has one at a time, and it makes one job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from meet import queue, recordings
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.recording import Measured, Recording, RecordingStatus
from meet.errors import Conflict
from meet.queue import Queue
from meet.store import base, jobs
from meet.store import recordings as store

CALLERS = 10
ROUNDS = 5
LEASE = timedelta(seconds=45)


@pytest.fixture(scope="module", autouse=True)
def own_tables(backend: dict[str, str]) -> Iterator[None]:
    """Tables and queues of these tests alone."""
    caches = [settings, base._connect, queue._connect]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in backend.items():
            environment.setenv(name, value)
        environment.setenv("MEET_TABLE_PREFIX", f"recordings-{new_id()}-")
        environment.setenv("MEET_QUEUE_PREFIX", f"recordings-{new_id()}-")
        for cache in caches:
            cache.cache_clear()
        base.create_tables()
        queue.ensure_queues()
        yield
    for cache in caches:
        cache.cache_clear()


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """What comes of all these at the same moment, errors included."""
    start = Barrier(len(acts))

    def one(act: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return act()
        except Conflict as error:
            return error

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(one, acts))


def new(meeting_id: str) -> Recording:
    now = utcnow()
    return Recording(new_id(), meeting_id, 7, "alice", now, held_until=now + LEASE)


def running() -> str:
    recording = new(new_id())
    store.create(recording)
    now = utcnow()
    assert store.began(recording.recording_id, at=now, until=now + LEASE)
    return recording.recording_id


def test_two_starts_at_once_make_one_recording() -> None:
    for _ in range(ROUNDS):
        meeting_id = new_id()
        tried = [new(meeting_id) for _ in range(CALLERS)]
        answers = at_once([partial(store.create, recording) for recording in tried])
        [winner] = [one for one, answer in zip(tried, answers, strict=True) if answer is None]
        assert store.running(meeting_id) == winner.recording_id
        assert [error.details for error in answers if error is not None] == [winner.recording_id] * (CALLERS - 1)
        assert [one for one in tried if store.find(one.recording_id)] == [winner]


def test_all_who_finish_it_at_once_make_one_job() -> None:
    """The media process, whoever stops it, and the sweeper; each sends, and one job is done once."""
    for _ in range(ROUNDS):
        recording_id = running()
        found = at_once([partial(recordings.finish, recording_id, at=utcnow()) for _ in range(CALLERS)])
        assert len({one.job_id for one in found}) == 1
        assert jobs.get(found[0].job_id).steps[0].media_id == recording_id
        bodies = [received.body for received in iter(partial(_next, Queue.FFMPEG), None)]
        assert {queue.job_id_of(body) for body in bodies} == {found[0].job_id}


def test_a_start_and_its_withdrawal_agree() -> None:
    """Who asked and heard nothing takes it back, at the moment when the media process begins."""
    for _ in range(ROUNDS):
        recording = new(new_id())
        store.create(recording)
        now = utcnow()
        began, withdrawn = at_once(
            [
                partial(store.began, recording.recording_id, at=now, until=now + LEASE),
                partial(store.withdraw, recording.recording_id, "It did not begin.", at=now),
            ]
        )
        assert (began is None) != (withdrawn is None)
        expected = RecordingStatus.RECORDING if began else RecordingStatus.FAILED
        assert store.get(recording.recording_id).status is expected


def test_a_lease_that_is_moved_while_it_is_stopped_brings_nothing_back() -> None:
    for _ in range(ROUNDS):
        recording_id = running()
        at_once(
            [
                partial(store.renew, recording_id, Measured(size=9), until=utcnow() + LEASE),
                partial(store.paused, recording_id),
                partial(recordings.finish, recording_id, at=utcnow()),
            ]
        )
        found = store.get(recording_id)
        assert (found.status, found.is_live, found.held_until) == ("pending", False, None)
        assert recording_id not in [one.recording_id for one in store.overdue(utcnow() + 9 * LEASE)]
        assert not store.renew(recording_id, Measured(), until=utcnow() + LEASE)


def _next(where: Queue) -> queue.Received | None:
    found = queue.receive(where, wait_s=0)
    for one in found:
        queue.done(where, one.receipt)
    return found[0] if found else None
