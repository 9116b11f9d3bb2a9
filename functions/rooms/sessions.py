"""`/api/v1/sessions`: connections to rooms."""

from fastapi import APIRouter

from meet.clock import utcnow
from meet.domain.meeting import MeetingRef
from meet.errors import NotFound
from meet.store import meetings
from meet.web.access import may_see_room, meeting_of_room
from meet.web.auth import Principal, SignedIn
from meet.web.live import presence

from .schemas import RoomSession, RoomSessionsAnswer, SessionAnswer
from .view import SessionView, session_of

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])


@router.get("/room/{meeting_id}")
def of_room(meeting_id: str, user: SignedIn) -> RoomSessionsAnswer:
    """Who is connected to a meeting's room now; nobody where it isn't live."""
    room = presence().room(meeting_of_room(user, meeting_id).number)
    return RoomSessionsAnswer(data=[RoomSession.of(session) for session in room.sessions] if room else [])


@router.get("/{session_id}")
def read(session_id: str, user: SignedIn) -> SessionAnswer:
    """One session, for its owner and for those who may see the room; it is kept for a while after its end."""
    session = session_of(session_id, presence(), now=utcnow())
    if session is None or not _may_see(user, session):
        raise NotFound(f"Session with ID '{session_id}' not found")
    return SessionAnswer.of(session)


def _may_see(user: Principal, session: SessionView) -> bool:
    if user.user_id == session.user_id or user.is_administrator:
        return True
    meeting = meetings.find(MeetingRef(number=session.meeting_number))
    return meeting is not None and may_see_room(user, meeting)
