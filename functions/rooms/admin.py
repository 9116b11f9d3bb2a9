"""`/admin`: sessions, for administrators."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from meet.clock import iso, utcnow
from meet.config import settings
from meet.domain.session import SessionStatus
from meet.store import sessions
from meet.web.auth import Administrator
from meet.web.live import presence

from .schemas import CleanupAnswer, ListedSession, SessionsAnswer
from .view import every_session

STALE_LEASES = 5
"""A session that is alive is written several times in each seat lease; after so many without, its process is gone."""
MOST_LISTED = 1000

router = APIRouter(prefix="/admin", tags=["admin"])


@router.post("/cleanup/sessions")
def cleanup(user: Administrator) -> CleanupAnswer:
    """Forget the sessions that are over, and those whose process died."""
    now = utcnow()
    silent = timedelta(seconds=STALE_LEASES * settings().seat_lease_s)
    cleaned = sessions.delete_stale(before=now - silent)
    return CleanupAnswer(message="Cleanup completed", cleaned_sessions=cleaned, timestamp=iso(now))


@router.get("/sessions")
def every(
    user: Administrator,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=MOST_LISTED)] = MOST_LISTED,
) -> SessionsAnswer:
    """All sessions, live or kept, by the time they began. The counts are of all, whichever page is asked for."""
    found = every_session(presence(), now=utcnow())
    active = sum(session.status == SessionStatus.ACTIVE for session in found)
    listed = found[(page - 1) * page_size : page * page_size]
    return SessionsAnswer(
        data=[ListedSession.of(session) for session in listed],
        total=len(found),
        active=active,
        inactive=len(found) - active,
    )
