"""What the Meeting Service reads and answers."""

import re
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictBool, StringConstraints, WithJsonSchema

from meet.clock import iso
from meet.config import settings
from meet.domain.meeting import Meeting, Status
from meet.web.ice import IceServerAnswer

LONGEST_MIN = 366 * 24 * 60
"""The longest meeting: a year of it."""

# RFC 3339 section 5.6; `fromisoformat` alone takes more, such as dates without a time.
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        raise ValueError("must be an RFC 3339 date and time, such as 2025-10-05T14:00:00Z")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("is no date and time that exists") from error
    if moment.year < 1970:
        raise ValueError("must not be before 1970")
    return moment


def _seats(value: int) -> int:
    most = settings().max_participants
    if value > most:
        raise ValueError(f"must not be more than {most}")
    return value


DateTime = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
Title = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200)]
Description = Annotated[str, StringConstraints(strict=True, max_length=5000)]
Minutes = Annotated[int, Field(strict=True, ge=1, le=LONGEST_MIN)]
Seats = Annotated[int, Field(strict=True, ge=1), AfterValidator(_seats)]


class CreateBody(BaseModel):
    """A new meeting. `duration` is in minutes; `start_time` may be in the past, and is now where it is absent."""

    title: Title
    description: Description = ""
    start_time: DateTime | None = None
    duration: Minutes = 60
    max_participants: Seats | None = None
    """As many as the server allows where it is absent."""
    require_e2ee: StrictBool = False
    """Clients encrypt what they send end to end; the server forwards it and refuses to record, stream or process."""


class UpdateBody(BaseModel):
    """What to change; what is absent or null stays."""

    title: Title | None = None
    description: Description | None = None
    start_time: DateTime | None = None
    duration: Minutes | None = None
    max_participants: Seats | None = None
    require_e2ee: StrictBool | None = None
    """Changed only while nobody is in the meeting."""
    status: Status | None = None

    def applied_to(self, meeting: Meeting, *, at: datetime) -> Meeting:
        """The meeting with these changes; the same value where there are none.

        Raises `TransitionError` where the meeting's status can't become this one, and what `Meeting.updated` does.
        """
        if self.status is not None:
            meeting = meeting.moved_to(self.status, at=at)
        if not self.model_dump(exclude={"status"}, exclude_none=True):
            return meeting
        return meeting.updated(
            at=at,
            title=self.title,
            description=self.description,
            start_time=self.start_time,
            duration_min=self.duration,
            max_participants=self.max_participants,
            require_e2ee=self.require_e2ee,
        )


class MeetingAnswer(BaseModel):
    """A meeting as it is answered, whole, by every endpoint."""

    meeting_id: str
    meeting_number: int
    room_id: str
    title: str
    description: str
    creator_id: str
    start_time: str
    duration: int
    max_participants: int
    current_participants: int
    require_e2ee: bool
    is_recording: bool
    """Whether what is said in its room is recorded now, or paused."""
    status: str
    join_url: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, meeting: Meeting, *, at: datetime, is_recording: bool) -> Self:
        """The meeting as it stands at a moment."""
        return cls(
            meeting_id=meeting.meeting_id,
            meeting_number=meeting.number,
            room_id=meeting.room_id,
            title=meeting.title,
            description=meeting.description,
            creator_id=meeting.creator_id,
            start_time=iso(meeting.start_time),
            duration=meeting.duration_min,
            max_participants=meeting.max_participants,
            current_participants=meeting.current_participants(at),
            require_e2ee=meeting.require_e2ee,
            is_recording=is_recording,
            status=meeting.status.value,
            join_url=f"{settings().base_url}/meetings/{meeting.meeting_id}/join",
            created_at=iso(meeting.created_at),
            updated_at=iso(meeting.updated_at),
        )


class Pagination(BaseModel):
    """Which page this is; `pages` is 0 where there is nothing."""

    page: int
    page_size: int
    total: int
    pages: int


class MeetingsAnswer(BaseModel):
    """One page of the caller's meetings, newest first."""

    meetings: list[MeetingAnswer]
    pagination: Pagination


class JoinAnswer(BaseModel):
    """A seat, and what the client needs to take it."""

    meeting_id: str
    meeting_number: int
    room_id: str
    participant_id: str
    signaling_url: str
    ice_servers: list[IceServerAnswer]
    joined_at: str


class LeaveAnswer(BaseModel):
    """`duration` is in seconds since the seat was taken."""

    message: str
    duration: int
