"""The message history of rooms in DynamoDB. What must not be kept is cut out here, on the way in (decision 16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import (
    JSONAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)

from meet.config import settings
from meet.domain.message import Message, first_message_id, without_secrets
from meet.store.base import Row


class _MessageRow(Row):
    table = "messages"

    meeting_number = NumberAttribute(hash_key=True)
    message_id = UnicodeAttribute(range_key=True)
    type = UnicodeAttribute()
    from_user_id = UnicodeAttribute()
    to_user_id = UnicodeAttribute(null=True)
    payload = JSONAttribute()
    created_at = UTCDateTimeAttribute()
    ttl = TTLAttribute()


def write(messages: Iterable[Message]) -> None:
    """Put messages; one that is there already is put again."""
    with _MessageRow.batch_write() as batch:
        for message in messages:
            batch.save(_row(message))


def latest(number: int, *, limit: int, now: datetime) -> Iterator[Message]:
    """The latest messages of a meeting, at most `limit`, the newest first; read 1 MB at a time, as they are taken."""
    oldest = first_message_id(now - _kept_for())
    rows = _MessageRow.query(number, _MessageRow.message_id >= oldest, limit=limit, scan_index_forward=False)
    return map(_message, rows)


def _kept_for() -> timedelta:
    return timedelta(days=settings().message_history_days)


def _row(message: Message) -> _MessageRow:
    return _MessageRow(
        meeting_number=message.meeting_number,
        message_id=message.message_id,
        type=message.type,
        from_user_id=message.from_user_id,
        to_user_id=message.to_user_id,
        payload=without_secrets(message.payload),
        created_at=message.created_at,
        ttl=message.created_at + _kept_for(),
    )


def _message(row: _MessageRow) -> Message:
    payload: dict[str, Any] = row.payload
    return Message(
        message_id=row.message_id,
        type=row.type,
        from_user_id=row.from_user_id,
        to_user_id=row.to_user_id,
        meeting_number=int(row.meeting_number),
        payload=payload,
        created_at=row.created_at,
    )
