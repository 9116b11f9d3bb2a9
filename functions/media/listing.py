"""Which files a list shows: those that the caller may read (decision 43), newest first."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from meet.domain.meeting import MeetingRef
from meet.store import media, meetings
from meet.store.media import Entry
from meet.web.access import may_see_room
from meet.web.auth import Principal

QUERIES_AT_ONCE = 8
"""Each meeting's files are a query of their own, of a few milliseconds."""


def readable_by(user: Principal, *, meeting: MeetingRef | None, owner_id: str) -> list[Entry]:
    """All files that a user may read, newest first: those of a meeting, or of an owner unless "", where one is given.

    It reads indexes, which follow a write within about a second.
    """
    if meeting is not None:
        found = _of_meeting(user, meeting)
    elif user.is_administrator:
        found = media.of_owner(owner_id) if owner_id else media.every()
    else:
        found = media.of_owner(user.user_id)
        if owner_id != user.user_id:
            found += _of_meetings(meetings.ids_of_user(user.user_id))
    once = {entry.media_id: entry for entry in found if owner_id in ("", entry.owner_id)}
    return sorted(once.values(), key=lambda entry: (entry.uploaded_at, entry.media_id), reverse=True)


def _of_meeting(user: Principal, ref: MeetingRef) -> list[Entry]:
    """Everybody's files for those who may see its room; others, and when it was deleted, see their own."""
    meeting = meetings.find(ref)
    if meeting is not None and may_see_room(user, meeting):
        return media.of_meeting(meeting.meeting_id)
    mine = media.every() if user.is_administrator else media.of_owner(user.user_id)
    return [entry for entry in mine if ref in (MeetingRef(entry.meeting_id), MeetingRef(number=entry.meeting_number))]


def _of_meetings(meeting_ids: Iterable[str]) -> list[Entry]:
    with ThreadPoolExecutor(QUERIES_AT_ONCE) as threads:
        return list(chain.from_iterable(threads.map(media.of_meeting, meeting_ids)))
