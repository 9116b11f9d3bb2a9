"""Records of rooms in DynamoDB: each time that people met, with how many they were and how much they said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute, UTCDateTimeAttribute

from meet.config import settings
from meet.domain.room import RoomRecord
from meet.store.base import Row


class _RoomRow(Row):
    table = "rooms"

    meeting_number = NumberAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)
    meeting_id = UnicodeAttribute()
    updated_at = UTCDateTimeAttribute()
    ended_at = UTCDateTimeAttribute(null=True)
    participant_count = NumberAttribute()
    peak_participants = NumberAttribute()
    total_messages = NumberAttribute()
    ttl = TTLAttribute()
    """As long as the messages are kept (decision 16)."""


def write(records: Iterable[RoomRecord]) -> None:
    """Put records as they are now, over what was there; each room at most once."""
    with _RoomRow.batch_write() as batch:
        for record in records:
            batch.save(_row(record))


def of_meeting(number: int) -> list[RoomRecord]:
    """Every time that people met in this meeting, the first one first."""
    return [_record(row) for row in _RoomRow.query(number, consistent_read=True)]


def _row(record: RoomRecord) -> _RoomRow:
    return _RoomRow(
        meeting_number=record.meeting_number,
        created_at=record.created_at,
        meeting_id=record.meeting_id,
        updated_at=record.updated_at,
        ended_at=record.ended_at,
        participant_count=record.participant_count,
        peak_participants=record.peak_participants,
        total_messages=record.total_messages,
        ttl=record.updated_at + timedelta(days=settings().message_history_days),
    )


def _record(row: _RoomRow) -> RoomRecord:
    return RoomRecord(
        meeting_number=int(row.meeting_number),
        meeting_id=row.meeting_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        participant_count=int(row.participant_count),
        peak_participants=int(row.peak_participants),
        total_messages=int(row.total_messages),
    )
