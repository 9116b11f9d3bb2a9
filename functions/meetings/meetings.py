"""`/api/v1/meetings`: making, reading, changing, joining and leaving meetings."""

import logging
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from redis.exceptions import RedisError

from meet.clock import iso, new_id, utcnow
from meet.config import settings
from meet.domain.meeting import Meeting, Status, TransitionError
from meet.errors import Conflict, Forbidden, Unavailable
from meet.store import meetings, recordings
from meet.web.auth import Principal, SignedIn
from meet.web.etag import etag, require_match
from meet.web.ice import ice_servers_for
from meet.web.live import ask_room
from meet.web.paging import Page, pagination

from .schemas import CreateBody, JoinAnswer, LeaveAnswer, MeetingAnswer, MeetingsAnswer, UpdateBody

router = APIRouter(prefix="/api/v1/meetings", tags=["meetings"])
log = logging.getLogger("meet.meetings")


@router.post("", status_code=201)
def create(asked: CreateBody, user: SignedIn, response: Response) -> MeetingAnswer:
    """Make a meeting; its number is the next of a counter."""
    now = utcnow()
    meeting = Meeting(
        meeting_id=new_id(),
        number=meetings.next_number(),
        creator_id=user.user_id,
        title=asked.title,
        description=asked.description,
        start_time=asked.start_time or now,
        duration_min=asked.duration,
        max_participants=asked.max_participants or settings().max_participants,
        require_e2ee=asked.require_e2ee,
        created_at=now,
        updated_at=now,
    )
    meetings.create(meeting)
    response.headers["Location"] = f"{router.prefix}/{meeting.meeting_id}"
    return _answer(meeting, response, now)


@router.get("")
def mine(user: SignedIn, page: Page, status: Annotated[Status | Literal[""], Query()] = "") -> MeetingsAnswer:
    """The meetings that the caller created or took part in, newest first."""
    found, total = meetings.of_user(
        user.user_id, offset=page.offset, limit=page.page_size, status=Status(status) if status else None
    )
    now = utcnow()
    recorded = recordings.running_in(meeting.meeting_id for meeting in found)
    answers = [MeetingAnswer.of(each, at=now, is_recording=each.meeting_id in recorded) for each in found]
    return MeetingsAnswer.model_validate({"meetings": answers, "pagination": pagination(page, total)})


@router.get("/{meeting_id}")
def read(meeting_id: str, user: SignedIn, response: Response) -> MeetingAnswer:
    """One meeting; whoever is signed in may read it."""
    return _answer(meetings.get(meeting_id), response, utcnow())


@router.put("/{meeting_id}")
def update(meeting_id: str, asked: UpdateBody, user: SignedIn, request: Request, response: Response) -> MeetingAnswer:
    """Change a meeting. Ending it (`status`) sends everybody out of its room."""
    now = utcnow()

    def change(meeting: Meeting) -> Meeting:
        _require_runs(user, meeting)
        require_match(request, meeting.version)
        try:
            return asked.applied_to(meeting, at=now)
        except TransitionError as error:
            raise Conflict(str(error)) from error

    meeting = meetings.update(meetings.get(meeting_id).meeting_id, change)
    if asked.status is Status.ENDED:
        _close_room(meeting, "meeting-ended")
    return _answer(meeting, response, now)


@router.delete("/{meeting_id}", status_code=204)
def delete(meeting_id: str, user: SignedIn) -> None:
    """Delete a meeting; everybody is sent out of its room."""
    meeting = meetings.get(meeting_id)
    _require_runs(user, meeting)
    meetings.delete(meeting)
    _close_room(meeting, "meeting-deleted")


@router.post("/{meeting_id}/join", response_model_exclude_none=True)
def join(meeting_id: str, user: SignedIn) -> JoinAnswer:
    """Take a seat. It is kept for a short while only, until the caller joins the room over the WebSocket."""
    now = utcnow()
    meeting = meetings.get(meeting_id)
    seat = meetings.take_seat(meeting.meeting_id, user.user_id, user.username, now=now)
    return JoinAnswer.model_validate(
        {
            "meeting_id": meeting.meeting_id,
            "meeting_number": meeting.number,
            "room_id": meeting.room_id,
            "participant_id": seat.participant_id,
            "signaling_url": settings().signaling_url,
            "ice_servers": ice_servers_for(user.user_id),
            "joined_at": iso(seat.joined_at),
        }
    )


@router.post("/{meeting_id}/leave")
def leave(meeting_id: str, user: SignedIn) -> LeaveAnswer:
    """Give the seat back and leave the room. Leaving again is fine, and takes 0 s."""
    now = utcnow()
    meeting = meetings.get(meeting_id)
    if not meetings.is_participant(meeting, user.user_id):
        raise Forbidden("You are not a participant of this meeting")
    # The room first: while it has the participant, it would take the seat again.
    ask_room(meeting.number, "remove-participant", user_id=user.user_id, reason="left")
    meetings.release_seat(meeting.meeting_id, user.user_id, now=now)
    seat = meeting.seats.get(user.user_id)
    duration_s = max(0, int((now - seat.joined_at).total_seconds())) if seat else 0
    return LeaveAnswer(message="Left meeting successfully", duration=duration_s)


def _answer(meeting: Meeting, response: Response, now: datetime) -> MeetingAnswer:
    response.headers["ETag"] = etag(meeting.version)
    is_recording = recordings.running(meeting.meeting_id) is not None
    return MeetingAnswer.of(meeting, at=now, is_recording=is_recording)


def _require_runs(user: Principal, meeting: Meeting) -> None:
    if not meeting.is_run_by(user.user_id, user.role):
        raise Forbidden("Only the meeting's creator and administrators may change it")


def _close_room(meeting: Meeting, reason: str) -> None:
    """Send everybody out. Where the node can't be asked, it learns of it when it next renews the room's seats."""
    try:
        ask_room(meeting.number, "close-room", reason=reason)
    except (Unavailable, RedisError):
        log.warning("room %s could not be closed at once", meeting.room_id, exc_info=True)
