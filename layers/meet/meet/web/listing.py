"""Which of a kind of thing a list shows: those that the caller may know of (decision 43), newest first."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain
from typing import Protocol, TypeVar

from meet.domain.meeting import MeetingRef
from meet.errors import Invalid
from meet.store import meetings
from meet.web.access import may_see_room
from meet.web.auth import Principal

QUERIES_AT_ONCE = 8
"""Each meeting's things are a query of their own, of a few milliseconds."""


class Entry(Protocol):
    """What a list is filtered by. A thing belongs to its owner, and to a meeting or to none."""

    @property
    def owner_id(self) -> str: ...
    @property
    def meeting_id(self) -> str | None: ...
    @property
    def meeting_number(self) -> int | None: ...


Found = TypeVar("Found", bound=Entry)
Known_co = TypeVar("Known_co", bound=Entry, covariant=True)


class Store(Protocol[Known_co]):
    """Where the entries are: a module of `meet.store`, whose indexes follow a write within about a second."""

    def of_owner(self, owner_id: str) -> Sequence[Known_co]: ...
    def of_meeting(self, meeting_id: str) -> Sequence[Known_co]: ...
    def every(self) -> Sequence[Known_co]: ...


def meeting_filter(text: str) -> MeetingRef | None:
    """The meeting that a list's `meeting_id` names in any spelling, None for ""; `Invalid` for what names none."""
    try:
        return MeetingRef.parse(text) if text else None
    except ValueError as error:
        raise Invalid(details={"meeting_id": f"Must be {str(error).removeprefix('not ')}"}) from None


def readable_by(
    user: Principal,
    store: Store[Found],
    *,
    meeting: MeetingRef | None,
    owner_id: str = "",
    age: Callable[[Found], tuple[datetime, str]],
) -> list[Found]:
    """All that a user may know of: a meeting's, or an owner's unless "", where one is given.

    `age` orders them, oldest first, and tells each from every other: its time and its id.
    """
    if meeting is not None:
        found = _of_meeting(user, store, meeting)
    elif user.is_administrator:
        found = [*(store.of_owner(owner_id) if owner_id else store.every())]
    else:
        found = [*store.of_owner(user.user_id)]
        if owner_id != user.user_id:
            found += _of_meetings(store, meetings.ids_of_user(user.user_id))
    once = {age(entry): entry for entry in found if owner_id in ("", entry.owner_id)}
    return [once[key] for key in sorted(once, reverse=True)]


def _of_meeting(user: Principal, store: Store[Found], ref: MeetingRef) -> list[Found]:
    """Everybody's for those who may see its room; others, and when it was deleted, see their own."""
    meeting = meetings.find(ref)
    if meeting is not None and may_see_room(user, meeting):
        return [*store.of_meeting(meeting.meeting_id)]
    mine = store.every() if user.is_administrator else store.of_owner(user.user_id)
    return [entry for entry in mine if ref in (MeetingRef(entry.meeting_id), MeetingRef(number=entry.meeting_number))]


def _of_meetings(store: Store[Found], meeting_ids: Iterable[str]) -> list[Found]:
    with ThreadPoolExecutor(QUERIES_AT_ONCE) as threads:
        return list(chain.from_iterable(threads.map(store.of_meeting, meeting_ids)))
