"""`/api/v1/messages`: what was said in rooms."""

from typing import Annotated

from fastapi import APIRouter, Query

from meet.clock import utcnow
from meet.store import messages
from meet.web.access import meeting_of_room
from meet.web.auth import SignedIn

from .schemas import HistoryAnswer, MessageAnswer

MOST_BYTES = 2_500_000
"""A Lambda's answer holds 6 MB, and has this JSON in a string: quotes and line ends are escaped once more."""

router = APIRouter(prefix="/api/v1/messages", tags=["messages"])


@router.get("/history/{meeting_id}")
def history(meeting_id: str, user: SignedIn, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> HistoryAnswer:
    """The latest messages of a meeting, the oldest of them first, for participants and administrators.

    Fewer than were asked for, and `truncated`, where they are too large for one answer.
    """
    number = meeting_of_room(user, meeting_id).number
    fitting: list[MessageAnswer] = []
    room = MOST_BYTES
    for message in messages.latest(number, limit=limit, now=utcnow()):  # what comes after the break is never read
        told = MessageAnswer.of(message)
        room -= len(told.model_dump_json().encode())
        if room < 0:
            break
        fitting.append(told)
    return HistoryAnswer(data=fitting[::-1], truncated=room < 0)
