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
    told = [MessageAnswer.of(message) for message in messages.history(number, limit=limit, now=utcnow())]
    fitting = _latest_that_fit(told)
    return HistoryAnswer(data=fitting, truncated=len(fitting) < len(told))


def _latest_that_fit(told: list[MessageAnswer]) -> list[MessageAnswer]:
    room = MOST_BYTES
    for count, message in enumerate(reversed(told)):
        room -= len(message.model_dump_json().encode())
        if room < 0:
            return told[len(told) - count :]
    return told
