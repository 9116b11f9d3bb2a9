"""Who ever took part in a meeting: it gives the right to its history, and puts the meeting into one's list."""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.exceptions import PutError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from meet.store.base import Row, condition_failed


class _ByUser(GlobalSecondaryIndex["_ParticipantRow"]):
    class Meta:
        index_name = "by-user"
        projection = AllProjection()

    user_id = UnicodeAttribute(hash_key=True)
    meeting_created_at = UTCDateTimeAttribute(range_key=True)


class _ParticipantRow(Row):
    table = "participants"

    meeting_id = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute(range_key=True)
    meeting_created_at = UTCDateTimeAttribute()
    """A copy, so that a list can be ordered before its meetings are read."""
    joined_at = UTCDateTimeAttribute()
    by_user = _ByUser()


def add(meeting_id: str, user_id: str, *, meeting_created_at: datetime, joined_at: datetime) -> None:
    """Note that a user takes part; the first time counts, later ones change nothing."""
    row = _ParticipantRow(meeting_id, user_id, meeting_created_at=meeting_created_at, joined_at=joined_at)
    try:
        row.save(_ParticipantRow.meeting_id.does_not_exist())
    except PutError as error:
        if not condition_failed(error):
            raise


def took_part(meeting_id: str, user_id: str) -> bool:
    """Whether this user ever had a seat."""
    return _ParticipantRow.count(meeting_id, _ParticipantRow.user_id == user_id, consistent_read=True) > 0


def meetings_of(user_id: str) -> dict[str, datetime]:
    """The ids of the meetings that a user took part in, each with the time it was created."""
    return {row.meeting_id: row.meeting_created_at for row in _ParticipantRow.by_user.query(user_id)}


def forget(meeting_id: str) -> None:
    """Remove everybody of a meeting that was deleted."""
    with _ParticipantRow.batch_write() as batch:
        for row in _ParticipantRow.query(meeting_id):
            batch.delete(row)
