"""How a recording is finished: stopped once, its job queued, whoever asks and however often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from meet import objects, queue, recordings
from meet.config import settings
from meet.domain import capture
from meet.domain.job import JobKind, JobStatus
from meet.domain.recording import Measured, Recording, RecordingStatus
from meet.errors import Unavailable
from meet.store import jobs
from meet.store import recordings as store
from tests.unit.tables import empty_tables

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MEASURED = Measured(duration_s=60, size=4_000_000, participants=2)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_S3_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_TABLE_PREFIX", "unit-")
    settings.cache_clear()
    with empty_tables():
        objects.ensure_bucket()
        yield
    settings.cache_clear()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs that were queued."""
    ids: list[str] = []
    monkeypatch.setattr(queue, "send", lambda job: ids.append(job.job_id))
    return ids


@pytest.fixture
def pending() -> Recording:
    made = Recording("r1", "m1", 7, "alice", NOW, held_until=later(45))
    store.create(made)
    return made


@pytest.fixture
def running(pending: Recording) -> Recording:
    begun = store.began("r1", at=later(1), until=later(46))
    assert begun is not None
    assert store.renew("r1", MEASURED, until=later(76))
    return store.get("r1")


def test_it_is_stopped_and_its_job_is_queued(running: Recording, sent: list[str]) -> None:
    stopped = recordings.finish("r1", at=later(60))
    assert stopped == store.get("r1")
    assert stopped is not None
    assert (stopped.status, stopped.stopped_at, stopped.interrupted) == ("pending", later(60), False)
    assert sent == [stopped.job_id]
    job = jobs.get(sent[0])
    assert (job.kind, job.owner_id, job.steps[0].media_id) == (JobKind.COMPOSE, "alice", "r1")
    assert job.estimated_s > 1, "of a minute of two people"


def test_the_last_word_of_the_recorder_counts(running: Recording, sent: list[str]) -> None:
    stopped = recordings.finish("r1", at=later(60), measured=Measured(duration_s=61.5, size=5))
    assert stopped is not None
    assert store.get("r1").measured == Measured(duration_s=61.5, size=5)


def test_who_comes_again_makes_no_second_job(running: Recording, sent: list[str]) -> None:
    """But where no worker has taken the first yet, its message may have been lost."""
    first = recordings.finish("r1", at=later(60))
    assert recordings.finish("r1", at=later(99), interrupted=True) == first
    assert len(set(sent)) == 1
    assert len(sent) == 2
    assert jobs.claim(sent[0], now=later(99), lease_s=30)
    assert recordings.finish("r1", at=later(99)) == first
    assert len(sent) == 2


def test_of_two_at_once_one_makes_the_job(
    running: Recording, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = store.find

    def find_and_be_overtaken(recording_id: str) -> Recording | None:
        found = find(recording_id)
        monkeypatch.setattr(store, "find", find)
        recordings.finish(recording_id, at=later(60))
        return found

    monkeypatch.setattr(store, "find", find_and_be_overtaken)
    second = recordings.finish("r1", at=later(61), interrupted=True)
    assert second is not None
    assert (second.stopped_at, second.interrupted) == (later(60), False)
    assert set(sent) == {second.job_id}


def test_a_queue_that_is_away_loses_nothing(
    running: Recording, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(queue, "send", away)
        with pytest.raises(Unavailable):
            recordings.finish("r1", at=later(60))
    stopped = recordings.finish("r1", at=later(70))
    assert stopped is not None
    assert stopped.stopped_at == later(60)
    assert sent == [stopped.job_id]
    assert jobs.get(sent[0]).status is JobStatus.QUEUED


def test_what_never_began_has_failed(pending: Recording, sent: list[str]) -> None:
    failed = recordings.finish("r1", at=later(60))
    assert failed is not None
    assert (failed.status, failed.error) == (RecordingStatus.FAILED, recordings.NEVER_BEGAN)
    assert sent == []


def test_what_was_deleted_is_nothing_to_finish(sent: list[str]) -> None:
    assert recordings.finish("r1", at=NOW) is None
    assert recordings.finish_lapsed("r1", now=NOW) is None


def test_what_somebody_holds_has_not_lapsed(running: Recording, sent: list[str]) -> None:
    assert recordings.finish_lapsed("r1", now=later(75)) is None
    assert store.get("r1") == running


def test_what_lapsed_ended_when_it_was_last_heard_of(running: Recording, sent: list[str]) -> None:
    stopped = recordings.finish_lapsed("r1", now=later(200))
    assert stopped is not None
    assert (stopped.stopped_at, stopped.interrupted) == (later(76 - settings().recording_lease_s), True)
    assert recordings.finish_lapsed("r1", now=later(300)) is None, "it is over"
    assert sent == [stopped.job_id]


def test_all_objects_of_one_recording_are_discarded_and_no_others() -> None:
    mine = [capture.fragment_key("r1", 0, 0, number) for number in range(3)] + [capture.manifest_key("r1", 0)]
    others = [capture.manifest_key("r10", 0), "media/r1/x"]
    for key in (*mine, *others):
        objects.put_bytes(key, b"x", "text/plain")
    assert recordings.discard("r1", keep=[mine[0]]) == 3
    assert {one.key for one in objects.every("")} == {mine[0], *others}
    assert recordings.discard("r1") == 1
    assert recordings.discard("r1") == 0
