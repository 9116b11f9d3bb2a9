"""`/api/v1/recording`: recordings from their start to their end. Their bytes are given by the edge.

A room's media process records it, and alone changes the recording while it does; what is here writes down that there
is to be one, asks that process, and reads. Participants, the meeting's creator and administrators may start, stop and
read; deleting is for who started it, and who runs the meeting.
"""

import logging
import time
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from meet import completion
from meet import recordings as ending
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.control import Kind
from meet.domain.job import Job
from meet.domain.meeting import Meeting
from meet.domain.recording import Measured, Recording, RecordingStatus
from meet.errors import Conflict, Unavailable
from meet.store import jobs
from meet.store import recordings as store
from meet.web.access import deletable_recording, readable_recording
from meet.web.auth import Principal, SignedIn
from meet.web.listing import meeting_filter, readable_by
from meet.web.live import presence
from meet.web.paging import Page, pagination
from meet.web.redis import redis

from .asking import ask, nobody_there
from .schemas import (
    PREFIX,
    DeletedAnswer,
    DetailedAnswer,
    OneRecording,
    RecordingAnswer,
    RecordingsAnswer,
    StartBody,
    StartedAnswer,
)

LEAST_STOP_S = 10.0
"""How long a stop is waited for at least: until all is in the bucket."""

router = APIRouter(prefix=PREFIX, tags=["recording"])
log = logging.getLogger("meet.recordings")


def health() -> dict[str, Any]:
    """How many rooms are recorded now, over all media processes."""
    rooms = presence().rooms()
    running = sum(one.get("kind") == "recording" for room in rooms for one in room.egress)
    return {"status": "healthy", "active_recordings": running, "timestamp": int(time.time())}


@router.post("/start")
def start(asked: StartBody, user: SignedIn) -> StartedAnswer:
    """Record what is said in a room from now on; 409 with the id of the other where it is recorded already."""
    meeting = asked.meeting_for(user)
    if presence().home(meeting.number) is None:
        raise nobody_there()
    recording = _created(asked, user, meeting)
    wanted = recording.wanted
    try:
        reply = ask(
            meeting.number,
            "start-recording",
            recording_id=recording.recording_id,
            quality=wanted.quality,
            audio=wanted.audio,
            video=wanted.video,
            screen=wanted.screen,
        )
    except Exception as error:
        # The caller is told that there is none, so there must be none: a media process that was slow finds it over.
        if store.withdraw(recording.recording_id, f"It did not begin: {error}", at=utcnow()) is not None:
            raise
        log.warning("recording %s began, though its media process was slow to say so", recording.recording_id)
    else:
        if reply is None:
            store.withdraw(recording.recording_id, "It did not begin: nobody was in the room.", at=utcnow())
            raise nobody_there()
    return StartedAnswer.of(store.get(recording.recording_id))


@router.post("/stop")
def stop(asked: OneRecording, user: SignedIn) -> DetailedAnswer:
    """Stop a recording, and wait for its file for a while (decision 19): `pending` where it takes longer.

    Stopping again is fine.
    """
    deadline = time.monotonic() + settings().recording_wait_s
    recording = readable_recording(user, asked.recording_id)
    if recording.is_live:
        recording = _stopped(recording, settings().recording_wait_s)
    if recording.job_id is not None and not recording.is_over:
        left_s = max(0.0, deadline - time.monotonic())
        ended = completion.wait(redis(), recording.job_id, lambda: _ended(asked.recording_id), timeout_s=left_s)
        recording = ended or recording
    return _detailed(recording)


@router.post("/pause")
def pause(asked: OneRecording, user: SignedIn) -> DetailedAnswer:
    """Leave out what follows; pausing again is fine."""
    return _switched(asked, user, "pause-recording")


@router.post("/resume")
def resume(asked: OneRecording, user: SignedIn) -> DetailedAnswer:
    """Record what follows again; where it isn't paused, that is fine."""
    return _switched(asked, user, "resume-recording")


@router.get("/status/{recording_id}")
def status(recording_id: str, user: SignedIn) -> DetailedAnswer:
    """All that is known of a recording, at this moment."""
    return _detailed(_as_it_runs(readable_recording(user, recording_id)))


@router.get("/list")
def listed(
    user: SignedIn,
    page: Page,
    meeting_id: Annotated[str, Query(max_length=128)] = "",
    status: Annotated[RecordingStatus | Literal[""], Query()] = "",
) -> RecordingsAnswer:
    """The recordings that the caller may know of, newest first."""
    found = readable_by(user, store, meeting=meeting_filter(meeting_id), age=attrgetter("created_at", "recording_id"))
    if status:
        found = [entry for entry in found if entry.status is status]
    recordings = store.find_many(entry.recording_id for entry in page.of(found))
    return RecordingsAnswer.model_validate(
        {
            "recordings": [RecordingAnswer.of(recording) for recording in recordings],
            "pagination": pagination(page, len(found)),
        }
    )


@router.delete("/{recording_id}")
def delete(recording_id: str, user: SignedIn) -> DeletedAnswer:
    """Delete a recording and all that was kept of it; one that goes on must be stopped before."""
    recording = deletable_recording(user, recording_id)
    if not recording.is_live and not recording.is_over:
        _cancel(recording)
    store.delete(recording_id)
    try:
        ending.discard(recording_id)
    except Unavailable:
        # Nobody can reach the bytes any more, and the sweeper deletes what has no row.
        log.warning("the objects of recording %s are left to the sweeper", recording_id, exc_info=True)
    return DeletedAnswer(recording_id=recording_id)


def _created(asked: StartBody, user: Principal, meeting: Meeting) -> Recording:
    """A new recording, that its media process must begin within a lease. One whose process is gone is finished."""
    now = utcnow()
    lease = timedelta(seconds=settings().recording_lease_s)
    recording = Recording(
        recording_id=new_id(),
        meeting_id=meeting.meeting_id,
        meeting_number=meeting.number,
        owner_id=user.user_id,
        created_at=now,
        wanted=asked.wanted,
        held_until=now + lease,
    )
    other = store.running(meeting.meeting_id)
    if other is not None:
        ending.finish_lapsed(other, now=now)
    store.create(recording)
    return recording


def _stopped(recording: Recording, timeout_s: float) -> Recording:
    """A recording that was live, stopped by its media process; where there is none any more, here."""
    recording_id = recording.recording_id
    reply = ask(
        recording.meeting_number, "stop-recording", timeout_s=max(timeout_s, LEAST_STOP_S), recording_id=recording_id
    )
    if reply is None:
        found = store.get(recording_id)
        if found.status is RecordingStatus.PENDING and found.is_live:
            raise Conflict("The recording is only about to begin", code="RECORDING_STARTING")
        ending.finish(recording_id, at=utcnow(), interrupted=True)
    return store.get(recording_id)


def _ended(recording_id: str) -> Recording | None:
    """The recording once it is over; `NotFound` where it was deleted while somebody waited."""
    recording = store.get(recording_id)
    return recording if recording.is_over else None


def _switched(asked: OneRecording, user: Principal, kind: Kind) -> DetailedAnswer:
    recording = readable_recording(user, asked.recording_id)
    if not recording.is_live:
        raise Conflict("The recording is over: it can be neither paused nor resumed", code="RECORDING_OVER")
    if ask(recording.meeting_number, kind, recording_id=recording.recording_id) is None:
        raise Conflict("The room is not being recorded any more", code="RECORDING_OVER")
    return _detailed(_as_it_runs(store.get(recording.recording_id)))


def _as_it_runs(recording: Recording) -> Recording:
    """A live recording with what its media process measured last, which it publishes more often than it stores it.

    Its status is as stored: that is written before anybody is told of a change.
    """
    if not recording.is_live:
        return recording
    room = presence().room(recording.meeting_number)
    told = next((one for one in room.egress if one.get("id") == recording.recording_id), None) if room else None
    if told is None:
        return recording
    return replace(recording, measured=Measured.from_dict(told["stats"]))


def _detailed(recording: Recording) -> DetailedAnswer:
    job = _job_of(recording)
    return DetailedAnswer.at(recording, job.progress if job else 0)


def _job_of(recording: Recording) -> Job | None:
    """The job that makes its file, while it does."""
    waits = recording.job_id is not None and not recording.is_over
    return jobs.find(recording.job_id) if waits and recording.job_id else None


def _cancel(recording: Recording) -> None:
    """Nobody wants the file any more that is being made."""
    job = _job_of(recording)
    if job is None:
        return
    try:
        jobs.cancel(job)
    except Conflict:  # it ended at this moment, which is as good
        log.debug("the job of recording %s is over", recording.recording_id)
