"""A recording's life: which status may follow which, and what each change keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meet.domain.media import Blob, Facts
from meet.domain.recording import (
    NEXT,
    Measured,
    RecordedTrack,
    Recording,
    RecordingStatus,
    TransitionError,
    Wanted,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FILE = Blob("recordings/r/files/1-x.mp4", 9, "e")
SOUND = Blob("recordings/r/files/1-track-0.mkv", 4, "f")
TRACK = RecordedTrack("t", "u", "alice", "audio", "microphone", "opus", 0.5, 3.0, SOUND)

PENDING = Recording("r", "m", 7, "alice", NOW, held_until=NOW)
RECORDING = PENDING.began(at=NOW, until=NOW)
PAUSED = RECORDING.paused()
STOPPED = RECORDING.stopped("job", at=NOW)
COMPLETED = STOPPED.completed(FILE, "video/mp4", Facts(), (), Measured())
FAILED = RECORDING.failed("No.", at=NOW)
CANCELLED = STOPPED.cancelled(at=NOW)

CHANGES: dict[str, Callable[[Recording], Recording]] = {
    "begin": lambda one: one.began(at=NOW, until=NOW),
    "renew": lambda one: one.renewed(Measured(), until=NOW),
    "pause": Recording.paused,
    "resume": Recording.resumed,
    "stop": lambda one: one.stopped("job", at=NOW),
    "complete": lambda one: one.completed(FILE, "video/mp4", Facts(), (), Measured()),
    "fail": lambda one: one.failed("No.", at=NOW),
    "cancel": lambda one: one.cancelled(at=NOW),
}

ALLOWED = {
    "pending": (PENDING, {"begin", "renew", "fail", "cancel"}),
    "recording": (RECORDING, {"renew", "pause", "stop", "fail", "cancel"}),
    "paused": (PAUSED, {"renew", "resume", "stop", "fail", "cancel"}),
    "stopped": (STOPPED, {"complete", "fail", "cancel"}),
    "completed": (COMPLETED, set()),
    "failed": (FAILED, set()),
    "cancelled": (CANCELLED, set()),
}


@pytest.mark.parametrize("before", ALLOWED)
@pytest.mark.parametrize("change", CHANGES)
def test_what_may_follow_what(before: str, change: str) -> None:
    recording, allowed = ALLOWED[before]
    if change in allowed:
        CHANGES[change](recording)
    else:
        with pytest.raises(TransitionError, match=f"is {recording.status}"):
            CHANGES[change](recording)


def test_the_table_has_every_status_and_ends() -> None:
    assert set(NEXT) == set(RecordingStatus)
    assert {status for status, after in NEXT.items() if not after} == {"completed", "failed", "cancelled"}


@pytest.mark.parametrize(
    ("recording", "is_live", "is_over"),
    [
        (PENDING, True, False),
        (RECORDING, True, False),
        (PAUSED, True, False),
        (STOPPED, False, False),
        (COMPLETED, False, True),
        (FAILED, False, True),
        (CANCELLED, False, True),
    ],
)
def test_it_is_live_until_its_stop_and_over_at_its_end(recording: Recording, is_live: bool, is_over: bool) -> None:
    assert (recording.is_live, recording.is_over) == (is_live, is_over)


def test_its_media_process_holds_it_from_the_beginning_on() -> None:
    later = NOW + timedelta(seconds=9)
    begun = PENDING.began(at=NOW, until=later)
    assert (begun.started_at, begun.held_until, begun.status) == (NOW, later, RecordingStatus.RECORDING)


def test_a_stop_lets_go_of_it_and_names_the_job() -> None:
    stopped = PAUSED.stopped("job", at=NOW + timedelta(seconds=5), interrupted=True)
    assert (stopped.status, stopped.job_id, stopped.held_until) == (RecordingStatus.PENDING, "job", None)
    assert (stopped.stopped_at, stopped.interrupted) == (NOW + timedelta(seconds=5), True)


def test_its_end_has_what_was_made() -> None:
    measured = Measured(duration_s=3.5, size=13)
    done = STOPPED.completed(FILE, "video/mp4", Facts(duration_s=3.4), (TRACK,), measured)
    assert (done.blob, done.mime_type, done.tracks, done.measured) == (FILE, "video/mp4", (TRACK,), measured)
    assert done.facts.duration_s == 3.4


def test_what_ends_later_keeps_the_time_of_its_stop() -> None:
    assert STOPPED.failed("No.", at=NOW + timedelta(hours=1)).stopped_at == NOW
    assert PENDING.failed("No.", at=NOW + timedelta(hours=1)).stopped_at == NOW + timedelta(hours=1)
    assert FAILED.error == "No."


def test_what_people_see_of_it() -> None:
    webm = replace(PENDING, wanted=Wanted(format="webm"))
    assert webm.room_id == "meeting-7"
    assert webm.output_path == "/recordings/meeting-7/r.webm"
    assert webm.filename == "meeting-7-recording.webm"


def test_what_a_recorder_says_is_read_without_what_is_not_known() -> None:
    assert Measured.from_dict({"duration_s": 1.5, "size": 7, "newer": True}) == Measured(duration_s=1.5, size=7)
