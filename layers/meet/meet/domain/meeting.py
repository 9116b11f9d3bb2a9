"""A meeting: what was planned, who sits in it now, and how it ends.

A meeting is scheduled when it is made, in progress from the first seat taken, and ended for good when its creator
says so; `NEXT` is the whole table. A value never changes: a transition returns a new one with the next `version`,
by which the store notices that two writers began from the same value.

A seat is one participant's place. It is held until a moment that whoever is connected keeps moving; once that has
passed, the seat counts for nothing, and the store takes it away when somebody needs it.

Where `require_e2ee` is set, clients encrypt what they send before it reaches the server, which forwards it and can't
read it. Whatever needs to read a meeting asks `require_readable` first. The setting is changed only while nobody sits
there: who is inside was told, and acts on it, when they joined.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID, uuid5

from meet.errors import Conflict


class Status(StrEnum):
    """Where a meeting is in its life, in the document's words."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    ENDED = "ended"


NEXT: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.SCHEDULED: frozenset({Status.IN_PROGRESS, Status.ENDED}),
        Status.IN_PROGRESS: frozenset({Status.ENDED}),
        Status.ENDED: frozenset(),
    }
)
"""Which statuses may follow which."""


class TransitionError(ValueError):
    """A status that can't follow the present one."""

    def __init__(self, before: Status, after: Status) -> None:
        super().__init__(f"A meeting that is {before} cannot become {after}")
        self.before = before
        self.after = after


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"(?:meeting-)?([1-9][0-9]{0,14})", re.ASCII)
_MOST = 10**15 - 1


@dataclass(frozen=True, slots=True)
class MeetingRef:
    """How a caller names a meeting: by its uuid or by its number, exactly one of which is set."""

    uuid: str | None = None
    number: int | None = None

    @classmethod
    def parse(cls, value: str | int) -> MeetingRef:
        """Read a uuid, `123`, `"123"` or `"meeting-123"`; `ValueError` for anything else."""
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST:
            return cls(number=value)
        if isinstance(value, str):
            if found := _NUMBER.fullmatch(value):
                return cls(number=int(found[1]))
            if _UUID.fullmatch(value):
                return cls(uuid=value.lower())
        raise ValueError("not a meeting id: a uuid, a number or meeting-<number>")


def participant_id(meeting_id: str, user_id: str) -> str:
    """The identity of a user in a meeting: the same at every join, known without asking anybody."""
    return str(uuid5(UUID(meeting_id), user_id))


@dataclass(frozen=True, slots=True)
class Seat:
    """One participant's place in a meeting."""

    participant_id: str
    username: str
    joined_at: datetime
    held_until: datetime

    def is_held(self, at: datetime) -> bool:
        """Whether it still counts."""
        return at < self.held_until


@dataclass(frozen=True, slots=True)
class Meeting:
    """One meeting. `duration_min` is in minutes, as the document has it; `seats` are by user id."""

    meeting_id: str
    number: int
    creator_id: str
    title: str
    description: str
    start_time: datetime
    duration_min: int
    max_participants: int
    created_at: datetime
    updated_at: datetime
    status: Status = Status.SCHEDULED
    require_e2ee: bool = False
    """Whether what is said in it is end-to-end encrypted."""
    seats: Mapping[str, Seat] = field(default_factory=dict)
    version: int = 1

    @property
    def room_id(self) -> str:
        """The alias that signaling and media use: `meeting-123`."""
        return f"meeting-{self.number}"

    def current_participants(self, at: datetime) -> int:
        """How many seats are held."""
        return sum(seat.is_held(at) for seat in self.seats.values())

    def is_run_by(self, user_id: str, role: str) -> bool:
        """Whether this user may change the meeting and see all of it: its creator, or an administrator."""
        return user_id == self.creator_id or role == "admin"

    def require_readable(self) -> None:
        """Raise `Conflict` (`MEETING_ENCRYPTED`) where the server can't read what is said in the meeting.

        Recording, streaming and AI call this before they begin anything of a meeting's media.
        """
        if self.require_e2ee:
            raise Conflict(
                "This meeting is end-to-end encrypted: the server cannot read it, "
                "so it cannot be recorded, streamed or processed",
                code="MEETING_ENCRYPTED",
            )

    def updated(
        self,
        *,
        at: datetime,
        title: str | None = None,
        description: str | None = None,
        start_time: datetime | None = None,
        duration_min: int | None = None,
        max_participants: int | None = None,
        require_e2ee: bool | None = None,
    ) -> Meeting:
        """The meeting with these fields changed; None leaves a field as it is.

        Fewer seats than are taken is allowed: nobody is sent away, and nobody else comes in. Another `require_e2ee`
        while a seat is held raises `Conflict` (`MEETING_IN_USE`).
        """
        if require_e2ee is not None and require_e2ee != self.require_e2ee and self.current_participants(at):
            raise Conflict("require_e2ee can be changed only while nobody is in the meeting", code="MEETING_IN_USE")
        return replace(
            self,
            title=self.title if title is None else title,
            description=self.description if description is None else description,
            start_time=start_time or self.start_time,
            duration_min=duration_min or self.duration_min,
            max_participants=max_participants or self.max_participants,
            require_e2ee=self.require_e2ee if require_e2ee is None else require_e2ee,
            updated_at=at,
            version=self.version + 1,
        )

    def moved_to(self, status: Status, *, at: datetime) -> Meeting:
        """The meeting in another status; in that status already: the same value.

        Nobody sits in a meeting that has ended. Raises `TransitionError` where `NEXT` doesn't allow it.
        """
        if status is self.status:
            return self
        if status not in NEXT[self.status]:
            raise TransitionError(self.status, status)
        seats = {} if status is Status.ENDED else self.seats
        return replace(self, status=status, seats=seats, updated_at=at, version=self.version + 1)
