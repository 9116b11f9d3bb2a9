"""Who may see what happens in a meeting, and what comes of it (decision 43): participants, creator, administrators.

Files, recordings and streams are alike: who made one may see it and delete it, whoever may see its meeting's room may
see it, whoever runs the meeting may delete it. When the meeting is deleted, they are their owners' alone.
"""

from meet.domain.media import MediaFile
from meet.domain.meeting import Meeting, MeetingRef
from meet.domain.recording import Recording
from meet.errors import Forbidden
from meet.store import media, meetings, recordings
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


def may_see(user: Principal, owner_id: str, meeting_id: str | None) -> bool:
    """Whether a user may know of what an owner has made, in a meeting or in none."""
    if user.user_id == owner_id or user.is_administrator:
        return True
    meeting = _meeting(meeting_id)
    return meeting is not None and may_see_room(user, meeting)


def may_delete(user: Principal, owner_id: str, meeting_id: str | None) -> bool:
    """Whether a user may delete it: its owner, its meeting's creator, administrators."""
    if user.user_id == owner_id or user.is_administrator:
        return True
    meeting = _meeting(meeting_id)
    return meeting is not None and meeting.is_run_by(user.user_id, user.role)


def readable_media(user: Principal, media_id: str) -> MediaFile:
    """The file that a request names, if the user may read it.

    Raises `NotFound` where there is none, and for a stranger, who may not know whether there is one.
    """
    file = media.get(media_id)
    if not may_see(user, file.owner_id, file.meeting_id):
        raise media.not_found()
    return file


def changeable_media(user: Principal, media_id: str) -> MediaFile:
    """The file that a request names, if the user may delete it; `Forbidden` beside what `readable_media` raises."""
    file = readable_media(user, media_id)
    if not may_delete(user, file.owner_id, file.meeting_id):
        raise Forbidden("Only the owner of a file, its meeting's creator and administrators may delete it")
    return file


def readable_recording(user: Principal, recording_id: str) -> Recording:
    """The recording that a request names, if the user may know of it; `NotFound` as in `readable_media`."""
    recording = recordings.get(recording_id)
    if not may_see(user, recording.owner_id, recording.meeting_id):
        raise recordings.not_found(recording_id)
    return recording


def deletable_recording(user: Principal, recording_id: str) -> Recording:
    """The same, if the user may delete it; `Forbidden` beside what `readable_recording` raises."""
    recording = readable_recording(user, recording_id)
    if not may_delete(user, recording.owner_id, recording.meeting_id):
        raise Forbidden("Only who started a recording, its meeting's creator and administrators may delete it")
    return recording


def _meeting(meeting_id: str | None) -> Meeting | None:
    return None if meeting_id is None else meetings.find(MeetingRef(uuid=meeting_id))
