"""The record of a room: one time that people met, from the first who came to the last who left."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RoomRecord:
    """What is kept of a room; while it is live, `meet.presence.RoomSnapshot` is the fresher word."""

    meeting_number: int
    meeting_id: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    """None while it is live, or where its process died."""
    participant_count: int
    peak_participants: int
    total_messages: int
