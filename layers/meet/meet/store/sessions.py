"""Sessions in DynamoDB: what is left of a connection when its process no longer tells of it in Redis.

A media process writes its sessions in batches, when they begin, change or end and again every so often while they
live. One that wasn't written for long lost its process.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pynamodb.attributes import (
    MapAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.exceptions import DoesNotExist
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from meet.config import settings
from meet.domain.session import MediaState, Session, SessionStatus
from meet.store.base import Row


class _ByMeeting(GlobalSecondaryIndex["_SessionRow"]):
    class Meta:
        index_name = "by-meeting"
        projection = AllProjection()

    meeting_number = NumberAttribute(hash_key=True)
    connected_at = UTCDateTimeAttribute(range_key=True)


class _SessionRow(Row):
    table = "sessions"

    session_id = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute()
    username = UnicodeAttribute()
    participant_id = UnicodeAttribute()
    meeting_id = UnicodeAttribute()
    meeting_number = NumberAttribute()
    connected_at = UTCDateTimeAttribute()
    last_activity = UTCDateTimeAttribute()
    status = UnicodeAttribute()
    peer_connections = NumberAttribute()
    media_state: MapAttribute[str, bool] = MapAttribute()
    ttl = TTLAttribute()
    """As long as the messages are kept (decision 16)."""
    by_meeting = _ByMeeting()


def write(sessions: Iterable[Session]) -> None:
    """Put sessions as they are now, over what was there; each `session_id` at most once."""
    with _SessionRow.batch_write() as batch:
        for session in sessions:
            batch.save(_row(session))


def get(session_id: str) -> Session | None:
    """The session as it was last written, or None."""
    try:
        return _session(_SessionRow.get(session_id, consistent_read=True))
    except DoesNotExist:
        return None


def of_meeting(number: int) -> list[Session]:
    """All kept sessions of a meeting by the time they began; an index, so about a second behind."""
    return [_session(row) for row in _SessionRow.by_meeting.query(number)]


def every() -> list[Session]:
    """All kept sessions of all meetings by the time they began: reads the whole table, for administrators."""
    return sorted((_session(row) for row in _SessionRow.scan()), key=lambda session: session.connected_at)


def delete_stale(*, before: datetime) -> int:
    """Delete the sessions that are over, or weren't heard of since `before`; how many those were."""
    stale = [row for row in _SessionRow.scan() if _session(row).is_stale(before=before)]
    with _SessionRow.batch_write() as batch:
        for row in stale:
            batch.delete(row)
    return len(stale)


def _row(session: Session) -> _SessionRow:
    return _SessionRow(
        session_id=session.session_id,
        user_id=session.user_id,
        username=session.username,
        participant_id=session.participant_id,
        meeting_id=session.meeting_id,
        meeting_number=session.meeting_number,
        connected_at=session.connected_at,
        last_activity=session.last_activity,
        status=session.status.value,
        peer_connections=session.peer_connections,
        media_state=session.media_state.as_dict(),
        ttl=session.last_activity + timedelta(days=settings().message_history_days),
    )


def _session(row: _SessionRow) -> Session:
    return Session(
        session_id=row.session_id,
        user_id=row.user_id,
        username=row.username,
        participant_id=row.participant_id,
        meeting_id=row.meeting_id,
        meeting_number=int(row.meeting_number),
        connected_at=row.connected_at,
        last_activity=row.last_activity,
        status=SessionStatus(row.status),
        peer_connections=int(row.peer_connections),
        media_state=MediaState.of(row.media_state.as_dict()),
    )
