"""Who may see what happens in a meeting, and its files (decision 43): participants, the creator, administrators."""

from meet.domain.media import MediaFile
from meet.domain.meeting import Meeting, MeetingRef
from meet.errors import Forbidden
from meet.store import media, meetings
from meet.web.auth import Principal


def may_see_room(user: Principal, meeting: Meeting) -> bool:
    """Whether a user may see a meeting's sessions, peers, messages, recordings, streams and files."""
    return meeting.is_run_by(user.user_id, user.role) or meetings.is_participant(meeting, user.user_id)


def meeting_of_room(user: Principal, text: str) -> Meeting:
    """The meeting that a request names in any spelling, if the user may see its room.

    Raises `NotFound` where there is none, and for a stranger, who may not know whether there is a room.
    """
    meeting = meetings.get(text)
    if not may_see_room(user, meeting):
        raise meetings.not_found(text)
    return meeting


def may_read_media(user: Principal, file: MediaFile) -> bool:
    """Whether a user may know of a file and have its bytes: also whoever may see the room of its meeting.

    When the meeting is deleted, its files are their owners' alone.
    """
    if user.user_id == file.owner_id or user.is_administrator:
        return True
    meeting = _meeting_of(file)
    return meeting is not None and may_see_room(user, meeting)


def may_change_media(user: Principal, file: MediaFile) -> bool:
    """Whether a user may delete a file: its owner, its meeting's creator, administrators."""
    if user.user_id == file.owner_id or user.is_administrator:
        return True
    meeting = _meeting_of(file)
    return meeting is not None and meeting.is_run_by(user.user_id, user.role)


def readable_media(user: Principal, media_id: str) -> MediaFile:
    """The file that a request names, if the user may read it.

    Raises `NotFound` where there is none, and for a stranger, who may not know whether there is one.
    """
    file = media.get(media_id)
    if not may_read_media(user, file):
        raise media.not_found()
    return file


def changeable_media(user: Principal, media_id: str) -> MediaFile:
    """The file that a request names, if the user may delete it; `Forbidden` beside what `readable_media` raises."""
    file = readable_media(user, media_id)
    if not may_change_media(user, file):
        raise Forbidden("Only the owner of a file, its meeting's creator and administrators may delete it")
    return file


def _meeting_of(file: MediaFile) -> Meeting | None:
    return None if file.meeting_id is None else meetings.find(MeetingRef(uuid=file.meeting_id))
