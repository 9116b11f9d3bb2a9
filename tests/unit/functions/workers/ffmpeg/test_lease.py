"""When a worker goes on with a job and when it stops; the store is told, and so is the queue."""

import time
from collections.abc import Callable, Iterator
from threading import Event

import pytest

from functions.workers.ffmpeg.lease import MOVES, Lease
from meet.clock import utcnow
from meet.config import settings
from meet.domain.job import Job, JobKind
from meet.errors import Unavailable
from meet.store import jobs

LEASE_S = 1
SOON_S = 20.0
"""For what takes a second on a machine that is busy."""

Renew = Callable[..., Job | None]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    monkeypatch.setenv("MEET_JOB_LEASE_S", str(LEASE_S))
    settings.cache_clear()
    made = Job("job", JobKind.TRANSCODE, "alice", ("input",), (), estimated_s=1, created_at=utcnow())
    yield made.claimed(at=utcnow(), until=utcnow())
    settings.cache_clear()


def renewing(monkeypatch: pytest.MonkeyPatch, renew: Renew) -> None:
    monkeypatch.setattr(jobs, "renew", renew)


def test_the_lease_and_the_message_are_moved_with_the_progress(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    moves: list[int] = []
    extended = Event()

    def renew(job: Job, *, progress: int, **_: object) -> Job:
        moves.append(progress)
        return job

    renewing(monkeypatch, renew)
    with Lease(job, extended.set, quitting=Event()) as lease:
        lease.progress = 40
        assert extended.wait(SOON_S)
    assert moves[0] == 40
    assert not lease.stop.is_set()


def test_a_job_of_another_is_let_go(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    renewing(monkeypatch, lambda job, **_: None)
    extended = Event()
    with Lease(job, extended.set, quitting=Event()) as lease:
        assert lease.stop.wait(SOON_S)
    assert lease.lost
    assert not extended.is_set(), "the message is the other's to keep"


def test_what_could_not_be_moved_in_time_counts_as_lost(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    tried = []

    def renew(*_: object, **__: object) -> Job:
        tried.append(time.monotonic())
        raise Unavailable

    renewing(monkeypatch, renew)
    began = time.monotonic()
    with Lease(job, lambda: None, quitting=Event()) as lease:
        assert lease.stop.wait(SOON_S)
    assert lease.lost
    assert len(tried) >= MOVES - 1, "one failure is no reason to stop"
    assert time.monotonic() - began >= LEASE_S


def test_a_process_that_ends_stops_and_gives_back(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    given_back = []

    def renew(job: Job, *, until: object, **_: object) -> Job:
        given_back.append(until)
        return job

    renewing(monkeypatch, renew)
    quitting = Event()
    quitting.set()
    with Lease(job, lambda: None, quitting=quitting) as lease:
        assert lease.stop.wait(SOON_S)
    assert not lease.lost
    lease.give_back()
    assert given_back[-1] <= utcnow(), "another may take it at once"


def test_time_that_is_over_stops_the_work(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    renewing(monkeypatch, lambda job, **_: job)
    with Lease(job, lambda: None, quitting=Event(), deadline=time.monotonic() - 1) as lease:
        assert lease.stop.wait(SOON_S)
    assert lease.is_late
    assert not lease.lost
