"""Who may see what happens in a meeting (decision 43): its participants, its creator, administrators."""

from meet.domain.meeting import Meeting
from meet.store import meetings
from meet.web.auth import Principal


def may_see_room(user: Principal, meeting: Meeting) -> bool:
    """Whether a user may see a meeting's sessions, peers, messages, recordings and streams."""
    return meeting.is_run_by(user.user_id, user.role) or meetings.is_participant(meeting, user.user_id)


def meeting_of_room(user: Principal, text: str) -> Meeting:
    """The meeting that a request names in any spelling, if the user may see its room.

    Raises `NotFound` where there is none, and for a stranger, who may not know whether there is a room.
    """
    meeting = meetings.get(text)
    if not may_see_room(user, meeting):
        raise meetings.not_found(text)
    return meeting
