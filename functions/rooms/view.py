"""One view of a session, from two sources: what its process publishes now, and what was last stored of it.

What is published is fresher and wins. A stored session that says it is open, and that no process has told of for
longer than its snapshot would live, lost its process: it is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from meet.clock import iso
from meet.domain.session import Session, SessionStatus
from meet.presence import ROOM_TTL_S, Presence, RoomSnapshot, SessionSnapshot
from meet.store import sessions

ID_CHARS = 128
"""No session id is longer; DynamoDB refuses to look for a key of more than 2048 bytes."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session in the words of the document."""

    session_id: str
    user_id: str
    username: str
    participant_id: str
    meeting_number: int
    connected_at: str
    last_activity: str
    status: str
    """`active`, `reconnecting` or `closed`."""
    peer_connections: int
    media_state: Mapping[str, bool]

    @classmethod
    def of_live(cls, session: SessionSnapshot, meeting_number: int) -> SessionView:
        """As its process says."""
        return cls(
            session_id=session.session_id,
            user_id=session.user_id,
            username=session.username,
            participant_id=session.participant_id,
            meeting_number=meeting_number,
            connected_at=session.connected_at,
            last_activity=session.last_activity,
            status=session.status,
            peer_connections=session.peer_connections,
            media_state=session.media_state,
        )

    @classmethod
    def of_stored(cls, session: Session, *, now: datetime) -> SessionView:
        """As it was last written, where no process tells of it."""
        lost = session.last_activity < now - timedelta(seconds=ROOM_TTL_S)
        status = SessionStatus.CLOSED if lost else session.status
        return cls(
            session_id=session.session_id,
            user_id=session.user_id,
            username=session.username,
            participant_id=session.participant_id,
            meeting_number=session.meeting_number,
            connected_at=iso(session.connected_at),
            last_activity=iso(session.last_activity),
            status=status.value,
            peer_connections=0 if status is SessionStatus.CLOSED else session.peer_connections,
            media_state=session.media_state.as_dict(),
        )


def session_of(session_id: str, presence: Presence, *, now: datetime) -> SessionView | None:
    """One session, live or kept; None where nothing is known of it."""
    if len(session_id) > ID_CHARS:
        return None
    stored = sessions.get(session_id)
    if stored is not None:
        room = presence.room(stored.meeting_number)
        rooms = [room] if room else []
    else:
        rooms = presence.rooms()  # it may be too young to be stored
    for session in _live(rooms):
        if session.session_id == session_id:
            return session
    return SessionView.of_stored(stored, now=now) if stored else None


def every_session(presence: Presence, *, now: datetime) -> list[SessionView]:
    """All sessions, live or kept, by the time they began."""
    found = {session.session_id: SessionView.of_stored(session, now=now) for session in sessions.every()}
    found |= {session.session_id: session for session in _live(presence.rooms())}
    return sorted(found.values(), key=lambda session: (session.connected_at, session.session_id))


def _live(rooms: Iterable[RoomSnapshot]) -> Iterator[SessionView]:
    return (SessionView.of_live(session, room.meeting_number) for room in rooms for session in room.sessions)
