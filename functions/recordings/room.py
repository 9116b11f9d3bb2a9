"""The room that a request names twice, as the document has it: by `meeting_id` and by `room_id`."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator

from meet.domain.meeting import Meeting, MeetingRef
from meet.errors import Invalid
from meet.web.access import meeting_of_room
from meet.web.auth import Principal


def _names_a_meeting(value: object) -> object:
    try:
        if not isinstance(value, int | str):
            raise ValueError("not a meeting id: a uuid, a number or meeting-<number>")
        MeetingRef.parse(value)
    except ValueError as error:
        raise ValueError(f"must be {str(error).removeprefix('not ')}") from None
    return value


MeetingName = Annotated[int | str, BeforeValidator(_names_a_meeting)]


class RoomBody(BaseModel):
    """Both in any spelling (decision 1)."""

    meeting_id: MeetingName
    room_id: MeetingName

    def meeting_for(self, user: Principal) -> Meeting:
        """The meeting, if the user may see its room, and the server may read what is said there.

        Raises `NotFound` where there is none, and for a stranger; `Invalid` where the two names are of different
        meetings; `Conflict` (`MEETING_ENCRYPTED`).
        """
        meeting = meeting_of_room(user, str(self.meeting_id))
        if MeetingRef.parse(self.room_id) not in (MeetingRef(meeting.meeting_id), MeetingRef(number=meeting.number)):
            raise Invalid(details={"room_id": f"Must name the same meeting as meeting_id, {meeting.room_id}"})
        meeting.require_readable()
        return meeting
