"""The rows of recordings: one live one a meeting, changed by who holds it, and ended together with its job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pynamodb.exceptions import TransactWriteError

from meet.domain.job import Job, JobKind, JobStatus, Step
from meet.domain.media import Blob, Facts
from meet.domain.recording import (
    Measured,
    RecordedTrack,
    Recording,
    RecordingStatus,
    TransitionError,
    Wanted,
)
from meet.errors import Conflict, NotFound
from meet.store import jobs, names, recordings
from meet.store.base import reasons, transaction

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MEASURED = Measured(12.5, 4096, 2, 1_000_000, 1_500_000, 3, 1)
WANTED = Wanted("webm", "high", "speaker", screen=False)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def new(recording_id: str, meeting_id: str = "m1", owner_id: str = "alice") -> Recording:
    return Recording(recording_id, meeting_id, 7, owner_id, NOW, WANTED, held_until=later(45))


def compose(recording_id: str, job_id: str = "j1") -> Job:
    return Job(job_id, JobKind.COMPOSE, "alice", (), (Step(recording_id, "compose"),), 5, NOW)


def track(number: int) -> RecordedTrack:
    blob = Blob(f"recordings/r1/files/1-track-{number}.mkv", 70, "f")
    return RecordedTrack(f"t{number}", "bob", "bob", "video", "camera", "vp8", 0.25, 12.0, blob)


def status(recording_id: str = "r1") -> RecordingStatus:
    return recordings.get(recording_id).status


@pytest.fixture
def pending(tables: None) -> Recording:
    """A recording that nobody has begun yet."""
    recordings.create(new("r1"))
    return new("r1")


@pytest.fixture
def running(pending: Recording) -> Recording:
    """One that its media process holds."""
    begun = recordings.began("r1", at=later(1), until=later(46))
    assert begun is not None
    return begun


@pytest.fixture
def stopped(running: Recording) -> Recording:
    """One whose file is being made."""
    after = replace(running, measured=MEASURED).stopped("j1", at=later(20))
    assert jobs.create_composition(compose("r1"), after)
    return after


def test_what_is_stored_comes_back(pending: Recording) -> None:
    assert recordings.get("r1") == pending
    assert recordings.running("m1") == "r1"
    assert recordings.find("r2") is None
    for unknown in ("r2", "", "x" * 3000):
        with pytest.raises(NotFound):
            recordings.get(unknown)


def test_one_that_nobody_has_to_begin_is_a_mistake(tables: None) -> None:
    with pytest.raises(ValueError, match="never end"):
        recordings.create(replace(new("r1"), held_until=None))


def test_a_meeting_has_one_at_a_time(pending: Recording) -> None:
    with pytest.raises(Conflict) as refused:
        recordings.create(new("r2"))
    assert (refused.value.code, refused.value.details) == ("RECORDING_IN_PROGRESS", "r1")
    assert recordings.find("r2") is None
    recordings.create(new("r3", "m2"))
    assert recordings.running_in(["m1", "m2", "m3"]) == {"m1": "r1", "m2": "r3"}


def test_it_begins_once(running: Recording) -> None:
    assert (running.status, running.started_at, running.held_until) == ("recording", later(1), later(46))
    assert recordings.began("r1", at=later(9), until=later(99)) == running == recordings.get("r1")


def test_it_is_held_with_what_was_measured(running: Recording) -> None:
    assert recordings.renew("r1", MEASURED, until=later(60))
    found = recordings.get("r1")
    assert (found.measured, found.held_until, found.status) == (MEASURED, later(60), "recording")


def test_a_pause_and_its_end(running: Recording) -> None:
    for expected, change in (("paused", recordings.paused), ("recording", recordings.resumed)):
        for _ in range(2):
            after = change("r1")
            assert after is not None
            assert after.status == status() == expected
    assert recordings.get("r1") == running


def test_what_has_not_begun_is_not_paused(pending: Recording) -> None:
    for change in (recordings.paused, recordings.resumed):
        with pytest.raises(TransitionError):
            change("r1")


def test_a_pause_takes_nothing_from_a_lease_that_is_moved_meanwhile(
    running: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = recordings.find

    def find_and_be_overtaken(recording_id: str) -> Recording | None:
        found = find(recording_id)
        monkeypatch.setattr(recordings, "find", find)
        assert recordings.renew(recording_id, MEASURED, until=later(99))
        return found

    monkeypatch.setattr(recordings, "find", find_and_be_overtaken)
    assert recordings.paused("r1")
    assert recordings.get("r1") == replace(running.paused(), measured=MEASURED, held_until=later(99))


@pytest.mark.parametrize("recording_id", ["r1", "never-there"])
def test_there_is_nothing_to_record_of_what_is_stopped_or_gone(stopped: Recording, recording_id: str) -> None:
    assert recordings.began(recording_id, at=NOW, until=later(99)) is None
    assert not recordings.renew(recording_id, Measured(), until=later(99))
    assert recordings.paused(recording_id) is None
    assert recordings.resumed(recording_id) is None
    assert recordings.fail(recording_id, "No.", at=NOW) is None
    assert recordings.withdraw(recording_id, "No.", at=NOW) is None
    assert recordings.get("r1") == stopped


def test_a_stop_makes_one_job_and_lets_another_begin(stopped: Recording) -> None:
    assert recordings.get("r1") == stopped
    assert jobs.get("j1").status is JobStatus.QUEUED
    assert not jobs.create_composition(compose("r1", "j2"), replace(stopped, job_id="j2"))
    assert jobs.find("j2") is None
    assert recordings.running("m1") is None
    recordings.create(new("r2"))
    assert recordings.running("m1") == "r2"


def test_one_that_fails_lets_another_begin(running: Recording) -> None:
    failed = recordings.fail("r1", "The disk was full.", at=later(5))
    assert failed is not None
    assert (failed.status, failed.error, failed.stopped_at) == ("failed", "The disk was full.", later(5))
    assert recordings.get("r1") == failed
    recordings.create(new("r2"))


def test_only_what_has_not_begun_is_withdrawn(pending: Recording) -> None:
    recordings.create(new("r2", "m2"))
    assert recordings.began("r2", at=NOW, until=later(45))
    assert recordings.withdraw("r2", "It did not begin.", at=NOW) is None
    assert status("r2") is RecordingStatus.RECORDING
    withdrawn = recordings.withdraw("r1", "It did not begin.", at=NOW)
    assert withdrawn is not None
    assert status("r1") is RecordingStatus.FAILED
    assert recordings.began("r1", at=NOW, until=later(45)) is None


def test_of_a_withdrawal_and_a_beginning_one_counts(pending: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    find = recordings.find

    def find_and_be_overtaken(recording_id: str) -> Recording | None:
        found = find(recording_id)
        monkeypatch.setattr(recordings, "find", find)
        assert recordings.began(recording_id, at=NOW, until=later(45))
        return found

    monkeypatch.setattr(recordings, "find", find_and_be_overtaken)
    assert recordings.withdraw("r1", "It did not begin.", at=NOW) is None
    assert status() is RecordingStatus.RECORDING


def test_it_is_completed_with_its_file_and_hundreds_of_tracks(stopped: Recording) -> None:
    tracks = tuple(map(track, range(900)))
    facts = Facts(duration_s=12.4, width=1920, height=1080, codec="vp9")
    done = stopped.completed(Blob("recordings/r1/files/1-x.webm", 99, "e"), "video/webm", facts, tracks, MEASURED)
    with transaction() as write:
        recordings.finish_in(write, done)
    assert recordings.get("r1") == done
    keys = recordings.keys_of(done)
    assert (keys[0], keys[900], len(keys)) == ("recordings/r1/files/1-x.webm", tracks[899].blob.key, 901)


def test_it_ends_once(stopped: Recording) -> None:
    with transaction() as write:
        recordings.fail_in(write, "r1", "There is nothing in it.")
    assert (status(), recordings.get("r1").error) == (RecordingStatus.FAILED, "There is nothing in it.")
    write = transaction()
    recordings.cancel_in(write, "r1")
    with pytest.raises(TransactWriteError) as refused, write:
        pass
    assert reasons(refused.value) == [True]


@pytest.mark.parametrize("end", ["finish", "fail", "cancel"])
def test_what_goes_on_is_ended_by_no_job(running: Recording, end: str) -> None:
    file = Blob("recordings/r1/files/1-x.webm", 99, "e")
    write = transaction()
    if end == "finish":
        done = running.stopped("j1", at=NOW).completed(file, "video/webm", Facts(), (), MEASURED)
        recordings.finish_in(write, done)
    elif end == "fail":
        recordings.fail_in(write, "r1", "No.")
    else:
        recordings.cancel_in(write, "r1")
    with pytest.raises(TransactWriteError), write:
        pass
    assert recordings.get("r1") == running


def test_what_is_deleted_was_not_live(running: Recording) -> None:
    with pytest.raises(Conflict, match="stop it first"):
        recordings.delete("r1")
    ended = recordings.fail("r1", "No.", at=NOW)
    assert recordings.delete("r1") == ended
    with pytest.raises(NotFound):
        recordings.delete("r1")


def test_those_are_overdue_that_nobody_holds(running: Recording) -> None:
    recordings.create(replace(new("r2", "m2"), held_until=later(10)))
    recordings.create(new("r3", "m3"))
    assert recordings.fail("r3", "No.", at=NOW)
    assert list(recordings.overdue(later(10))) == []
    assert [one.recording_id for one in recordings.overdue(later(11))] == ["r2"]
    assert [one.recording_id for one in recordings.overdue(later(99))] == ["r2", "r1"]
    assert [one.recording_id for one in recordings.overdue(later(99), most=1)] == ["r2"]


def test_lists_by_meeting_and_owner(stopped: Recording) -> None:
    recordings.create(new("r2", "m1", "bob"))
    recordings.create(new("r3", "m2", "alice"))
    assert {one.recording_id for one in recordings.of_meeting("m1")} == {"r1", "r2"}
    assert {one.recording_id for one in recordings.of_owner("alice")} == {"r1", "r3"}
    assert {one.recording_id for one in recordings.every()} == {"r1", "r2", "r3"}
    [entry] = recordings.of_owner("bob")
    assert (entry.meeting_id, entry.meeting_number, entry.status, entry.created_at) == ("m1", 7, "pending", NOW)
    assert [one.recording_id for one in recordings.find_many(["r3", "r9", "r1"])] == ["r3", "r1"]


def test_the_names_of_recordings_are_no_others(pending: Recording) -> None:
    assert names.owners(["recording#m1", "user#m1"]) == {"recording#m1": "r1"}
