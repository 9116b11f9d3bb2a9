"""The rows of jobs: who may take, keep and end them, and that their outputs end with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meet.domain.job import Given, Job, JobKind, JobStatus, Step
from meet.domain.media import Blob, Facts, FileType, MediaFile, MediaStatus
from meet.domain.recording import Measured, Recording, RecordingStatus
from meet.errors import Conflict, NotFound
from meet.store import jobs, media, recordings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE_S = 30


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def output(media_id: str) -> MediaFile:
    return MediaFile(
        media_id, "alice", f"{media_id}.mp4", FileType.VIDEO, "video/mp4", NOW, MediaStatus.PROCESSING, job_id="j1"
    )


def made(media_id: str, attempt: int = 1) -> MediaFile:
    blob = Blob(f"media/{media_id}/{attempt}-x", 7, "e")
    return output(media_id).finished(blob, "video/mp4", Facts(duration_s=3.5, width=640, height=360), at=later(9))


def status(media_id: str) -> MediaStatus:
    return media.get(media_id).status


@pytest.fixture
def queued(tables: None) -> Job:
    """A job with two outputs, which nobody has taken yet."""
    job = Job(
        job_id="j1",
        kind=JobKind.PROCESS,
        owner_id="alice",
        inputs=("in-1", "in-2"),
        steps=(Step("out-1", "compress", {"quality": "low"}), Step("out-2", "thumbnail", {"timestamp": 0.5})),
        estimated_s=45,
        created_at=NOW,
    )
    jobs.create(job, [output("out-1"), output("out-2")])
    return job


@pytest.fixture
def held(queued: Job) -> Job:
    """The same, in its first attempt."""
    job = jobs.claim("j1", now=NOW, lease_s=LEASE_S)
    assert job is not None
    return job


def test_what_is_stored_comes_back(queued: Job) -> None:
    assert jobs.get("j1") == queued
    assert [status("out-1"), status("out-2")] == [MediaStatus.PROCESSING] * 2
    with pytest.raises(NotFound, match="'j2'"):
        jobs.get("j2")
    assert jobs.find("j2") is None


def test_one_worker_has_it_until_its_lease_lapses(held: Job) -> None:
    assert (held.attempt, held.status, held.started_at) == (1, JobStatus.PROCESSING, NOW)
    assert jobs.claim("j1", now=later(LEASE_S - 1), lease_s=LEASE_S) is None
    over = jobs.claim("j1", now=later(LEASE_S), lease_s=LEASE_S)
    assert over is not None
    assert (over.attempt, over.started_at, over.held_until) == (2, NOW, later(2 * LEASE_S))
    assert jobs.get("j1") == over


def test_of_two_that_read_the_same_one_has_it(queued: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other writes between the first one's read and write."""
    find: Callable[[str], Job | None] = jobs.find
    winners: list[Job | None] = []

    def find_and_be_overtaken(job_id: str) -> Job | None:
        found = find(job_id)
        monkeypatch.setattr(jobs, "find", find)
        winners.append(jobs.claim(job_id, now=NOW, lease_s=LEASE_S))
        return found

    monkeypatch.setattr(jobs, "find", find_and_be_overtaken)
    assert jobs.claim("j1", now=NOW, lease_s=LEASE_S) is None
    assert [won and won.attempt for won in winners] == [1]


def test_there_is_nothing_to_claim_of_what_is_over_or_never_was(held: Job) -> None:
    jobs.cancel(held)
    assert jobs.claim("j1", now=later(99), lease_s=LEASE_S) is None
    assert jobs.claim("j2", now=NOW, lease_s=LEASE_S) is None


def test_renewing_moves_the_lease_and_never_lowers_the_progress(held: Job) -> None:
    first = jobs.renew(held, progress=40, until=later(60))
    assert first is not None
    second = jobs.renew(first, progress=10, until=later(90))
    assert second is not None
    assert (second.progress, second.held_until) == (40, later(90))
    assert jobs.get("j1") == second


def test_who_lost_a_job_renews_and_ends_nothing(held: Job) -> None:
    taker = jobs.claim("j1", now=later(31), lease_s=LEASE_S)
    assert taker is not None
    assert jobs.renew(held, progress=50, until=later(99)) is None
    assert not jobs.fail(held, "No.")
    assert jobs.complete(held, [made("out-1"), made("out-2")]) == []
    assert jobs.get("j1") == taker
    assert status("out-1") is MediaStatus.PROCESSING


def test_a_job_and_its_files_are_done_at_once(held: Job) -> None:
    files = [made("out-1"), made("out-2")]
    assert jobs.complete(held, files, now=later(10)) == files
    job = jobs.get("j1")
    assert (job.status, job.progress, job.held_until, job.processing_s) == (JobStatus.COMPLETED, 100, None, 10)
    assert media.get("out-1") == files[0]
    assert jobs.renew(held, progress=50, until=later(99)) is None


def test_completing_again_answers_the_same(held: Job) -> None:
    """The answer to the first may have been lost on its way."""
    files = [made("out-1"), made("out-2")]
    jobs.complete(held, files)
    assert jobs.complete(held, files) == files
    others = [replace(file, blob=Blob("media/other", 7, "e")) for file in files]
    assert jobs.complete(held, others) == []


def test_an_output_that_was_deleted_meanwhile_is_left_out(held: Job) -> None:
    media.delete("out-1")
    files = [made("out-1"), made("out-2")]
    assert jobs.complete(held, files) == files[1:]
    assert jobs.get("j1").status is JobStatus.COMPLETED
    assert media.find("out-1") is None


def test_a_job_that_made_less_than_it_promised_leaves_no_promise(held: Job) -> None:
    jobs.complete(held, [made("out-2")])
    assert [status("out-1"), status("out-2")] == [MediaStatus.FAILED, MediaStatus.READY]


def test_what_can_not_be_done_says_why(held: Job) -> None:
    assert jobs.fail(held, "The input has no sound.", now=later(5))
    job = jobs.get("j1")
    assert (job.status, job.error, job.completed_at) == (JobStatus.FAILED, "The input has no sound.", later(5))
    assert [status("out-1"), status("out-2")] == [MediaStatus.FAILED] * 2
    assert not jobs.fail(held, "Once more.")
    assert jobs.get("j1").error == "The input has no sound."


def test_who_cancels_need_not_know_who_works(queued: Job) -> None:
    held = jobs.claim("j1", now=NOW, lease_s=LEASE_S)
    assert held is not None
    cancelled = jobs.cancel(queued, now=later(3))
    assert cancelled == jobs.get("j1")
    assert (cancelled.status, cancelled.attempt) == (JobStatus.CANCELLED, 1)
    assert [status("out-1"), status("out-2")] == [MediaStatus.FAILED] * 2
    assert jobs.renew(held, progress=50, until=later(99)) is None
    assert jobs.complete(held, [made("out-1")]) == []
    assert jobs.cancel(queued) == cancelled


def test_what_is_made_is_no_longer_cancelled(held: Job) -> None:
    jobs.complete(held, [made("out-1"), made("out-2")])
    with pytest.raises(Conflict, match="completed"):
        jobs.cancel(held)
    assert status("out-1") is MediaStatus.READY


def overdue(seconds: float) -> list[str]:
    return [job.job_id for job in jobs.overdue(later(seconds))]


def test_a_job_that_nobody_took_is_found_until_it_is_put_off(queued: Job) -> None:
    assert overdue(0) == []
    assert overdue(1) == ["j1"]
    assert jobs.put_off(queued, now=later(1), until=later(60))
    assert not jobs.put_off(queued, now=later(1), until=later(60))
    assert overdue(60) == []
    assert overdue(61) == ["j1"]


def test_a_job_whose_worker_is_gone_is_found(held: Job) -> None:
    assert overdue(LEASE_S) == []
    assert overdue(LEASE_S + 1) == ["j1"]
    renewed = jobs.renew(held, progress=1, until=later(60))
    assert renewed is not None
    assert overdue(60) == []
    assert not jobs.put_off(held, now=later(99), until=later(120))
    assert jobs.put_off(renewed, now=later(99), until=later(120))


def test_a_job_that_is_over_is_never_found(held: Job) -> None:
    jobs.fail(held, "No.")
    assert overdue(9999) == []


def test_a_job_for_a_model_keeps_what_it_is_about_and_its_result(tables: None) -> None:
    about = Job("j2", JobKind.TRANSCRIPTION, "alice", (), (), 9, NOW, options={"language": "en", "timestamps": True})
    jobs.create(replace(about, given=Given("inference/j2/given", "audio/flac"), part_of="j1"), [])
    claimed = jobs.claim("j2", now=NOW, lease_s=LEASE_S, worker="node-1")
    assert claimed is not None
    assert claimed == jobs.get("j2")
    assert (claimed.given, claimed.part_of) == (Given("inference/j2/given", "audio/flac"), "j1")
    assert claimed.options == {"language": "en", "timestamps": True}
    assert claimed.worker == "node-1"
    other = jobs.claim("j2", now=later(LEASE_S + 1), lease_s=LEASE_S, worker="node-2")
    assert other is not None
    assert not jobs.answer(claimed, {"transcription": "mine"})
    assert jobs.answer(other, {"transcription": "yes", "segments": [{"start": 0.5}]}, "inference/j2/2-x")
    ended = jobs.get("j2")
    assert (ended.status, ended.progress, ended.worker) == (JobStatus.COMPLETED, 100, "node-2")
    assert ended.result == {"transcription": "yes", "segments": [{"start": 0.5}]}
    assert ended.result_key == "inference/j2/2-x"


def composition() -> tuple[Job, Recording]:
    """A recording that was stopped, and the job that makes its file, in its first attempt."""
    live = Recording("r1", "m1", 7, "alice", NOW, held_until=later(45))
    recordings.create(live)
    assert recordings.began("r1", at=NOW, until=later(45))
    began = recordings.get("r1")
    job = Job("j2", JobKind.COMPOSE, "alice", (), (Step("r1", "compose"),), 10, NOW)
    assert jobs.create_composition(job, began.stopped("j2", at=later(60)))
    held = jobs.claim("j2", now=NOW, lease_s=LEASE_S)
    assert held is not None
    return held, recordings.get("r1")


def composed(recording: Recording, attempt: int = 1) -> Recording:
    blob = Blob(f"recordings/r1/files/{attempt}-x.mp4", 7, "e")
    return recording.completed(blob, "video/mp4", Facts(duration_s=60.0), (), Measured(duration_s=60.0))


def test_a_recording_and_its_job_are_done_at_once(tables: None) -> None:
    job, stopped = composition()
    for _ in range(2):  # and once more, since the answer may be lost
        assert jobs.complete_composition(job, composed(stopped), now=later(70))
    ended = recordings.get("r1")
    assert (ended.status, ended.facts.duration_s) == (RecordingStatus.COMPLETED, 60.0)
    assert jobs.get("j2").status is JobStatus.COMPLETED


def test_who_lost_a_composition_completes_nothing(tables: None) -> None:
    job, stopped = composition()
    other = jobs.claim("j2", now=later(LEASE_S + 1), lease_s=LEASE_S)
    assert other is not None
    assert not jobs.complete_composition(job, composed(stopped))
    assert recordings.get("r1").status is RecordingStatus.PENDING
    assert jobs.complete_composition(other, composed(stopped, 2))
    assert not jobs.complete_composition(job, composed(stopped))


def test_a_recording_that_was_deleted_meanwhile_has_no_file(tables: None) -> None:
    job, stopped = composition()
    recordings.delete("r1")
    assert not jobs.complete_composition(job, composed(stopped))
    assert jobs.get("j2").status is JobStatus.COMPLETED
    assert recordings.find("r1") is None


def test_a_recording_fails_with_its_job(tables: None) -> None:
    job, _ = composition()
    assert jobs.fail(job, "Nothing was recorded.", now=later(70))
    assert (recordings.get("r1").status, recordings.get("r1").error) == (
        RecordingStatus.FAILED,
        "Nothing was recorded.",
    )


def test_a_composition_that_is_cancelled_leaves_its_recording_so(tables: None) -> None:
    job, _ = composition()
    jobs.cancel(job)
    assert recordings.get("r1").status is RecordingStatus.CANCELLED
