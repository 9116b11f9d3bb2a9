"""Meetings in DynamoDB, and who has a seat in them.

Every seat of a meeting is in its row, so that "is there room?" and "sit down" are one conditional write, whoever
asks and however many ask at once. Two maps have the user's id as their key: `seats` says who sits there, and `held`
until when. They are two because a write can then keep the seat that is there (`if_not_exists`) and still move its
lease, and because the leases of a whole room can be moved without knowing who has left meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import islice
from operator import and_
from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition, size
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from meet.config import settings
from meet.domain.meeting import Meeting, MeetingRef, Seat, Status, participant_id
from meet.errors import Conflict, NotFound, Unavailable
from meet.store import names, participants
from meet.store.base import Row, condition_failed, reasons, transaction

ATTEMPTS = 20
"""Rounds of an optimistic write. Each lost round means that another writer's succeeded."""
AT_ONCE = 100
"""Leases moved by one write: DynamoDB takes 4 KB of expression and 300 operators and functions in it."""
LAPSED_AT_ONCE = 20
"""Seats taken away by one write, which has a condition for each."""


class _ByCreator(GlobalSecondaryIndex["_MeetingRow"]):
    class Meta:
        index_name = "by-creator"
        projection = KeysOnlyProjection()

    creator_id = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class _MeetingRow(Row):
    table = "meetings"

    meeting_id = UnicodeAttribute(hash_key=True)
    number = NumberAttribute()
    creator_id = UnicodeAttribute()
    title = UnicodeAttribute()
    description = UnicodeAttribute()
    start_time = UTCDateTimeAttribute()
    duration_min = NumberAttribute()
    max_participants = NumberAttribute()
    status = UnicodeAttribute()
    require_e2ee = BooleanAttribute(default=False)
    created_at = UTCDateTimeAttribute()
    updated_at = UTCDateTimeAttribute()
    version = NumberAttribute()
    seats: MapAttribute[str, Any] = MapAttribute(default=dict)
    held: MapAttribute[str, Any] = MapAttribute(default=dict)
    by_creator = _ByCreator()


_SEATS, _HELD = Path("seats"), Path("held")


def create(meeting: Meeting) -> None:
    """Store a new meeting together with its number's alias; the number comes from `next_number`."""
    with transaction() as write:
        write.save(_row(meeting), condition=_MeetingRow.meeting_id.does_not_exist())
        names.claim(write, _alias(meeting.number), meeting.meeting_id)


def next_number() -> int:
    """A number that no meeting has had; one that isn't used is lost."""
    return names.count_up("meeting")


def find(ref: MeetingRef) -> Meeting | None:
    """The meeting as it is now, or None where there is none."""
    meeting_id = ref.uuid
    if meeting_id is None and ref.number is not None:
        meeting_id = names.owner(_alias(ref.number))
    return _read(meeting_id) if meeting_id else None


def get(text: str | int) -> Meeting:
    """The meeting that a caller names in any of the spellings of `MeetingRef.parse`; else `NotFound`."""
    try:
        meeting = find(MeetingRef.parse(text))
    except ValueError:
        meeting = None
    if meeting is None:
        raise not_found(text)
    return meeting


def ids_of_user(user_id: str) -> dict[str, datetime]:
    """The ids of the meetings that a user created or took part in, each with the time it was created.

    It reads indexes, which follow a write within about a second.
    """
    known = participants.meetings_of(user_id)
    return known | {row.meeting_id: row.created_at for row in _MeetingRow.by_creator.query(user_id)}


def of_user(user_id: str, *, offset: int, limit: int, status: Status | None = None) -> tuple[list[Meeting], int]:
    """The meetings that a user created or took part in, newest first: one page of them, and how many there are.

    It is as late as `ids_of_user`.
    """
    known = ids_of_user(user_id)
    newest = sorted(known, key=lambda meeting_id: (known[meeting_id], meeting_id), reverse=True)
    if status is None:
        return _read_all(newest[offset : offset + limit]), len(newest)
    found = [meeting for meeting in _read_all(newest) if meeting.status is status]
    return found[offset : offset + limit], len(found)


def update(meeting_id: str, change: Callable[[Meeting], Meeting]) -> Meeting:
    """Replace a meeting by what `change` makes of it; `change` is called again where another write came between.

    Raises `NotFound`, and whatever `change` raises.
    """
    for _ in range(ATTEMPTS):
        before = _read(meeting_id)
        if before is None:
            raise not_found(meeting_id)
        after = change(before)
        if after is before or _replace(before, after):
            return after
    raise Unavailable


def delete(meeting: Meeting) -> bool:
    """Delete a meeting, its number's alias and its participants; False where it was gone already."""
    try:
        with transaction() as write:
            write.delete(_MeetingRow(meeting.meeting_id), condition=_MeetingRow.meeting_id.exists())
            names.drop(write, _alias(meeting.number))
    except TransactWriteError as error:
        reasons(error)
        return False
    participants.forget(meeting.meeting_id)
    return True


def is_participant(meeting: Meeting, user_id: str) -> bool:
    """Whether this user sits in the meeting or ever did."""
    return user_id in meeting.seats or participants.took_part(meeting.meeting_id, user_id)


def take_seat(meeting_id: str, user_id: str, username: str, *, now: datetime, lease_s: int | None = None) -> Seat:
    """Give a user a seat, or the one they have, held for `lease_s` (None: `settings().seat_lease_s`) from now.

    The first seat starts a scheduled meeting. May be repeated: a seat still held keeps its `joined_at`. Raises
    `NotFound`, or `Conflict` with the code `ROOM_FULL` or `MEETING_ENDED`.
    """
    held_until = now + timedelta(seconds=settings().seat_lease_s if lease_s is None else lease_s)
    seat = {
        "participant_id": participant_id(meeting_id, user_id),
        "username": username,
        "joined_at": _stamp(now),
    }
    mine, lease = _SEATS[user_id], _HELD[user_id]
    sits = mine.exists() & (lease > _stamp(now))
    fits = mine.does_not_exist() & (size(_SEATS) < Path("max_participants"))
    for _ in range(ATTEMPTS):
        row = _write(
            meeting_id,
            [
                mine.set(mine | seat),
                lease.set(_stamp(held_until)),
                _MeetingRow.status.set(Status.IN_PROGRESS.value),
            ],
            (_MeetingRow.status != Status.ENDED.value) & (sits | fits),
        )
        if row is not None:
            meeting = _meeting(row)
            taken = meeting.seats[user_id]
            participants.add(meeting_id, user_id, meeting_created_at=meeting.created_at, joined_at=taken.joined_at)
            return taken
        _make_room(meeting_id, user_id, now)
    raise Unavailable


def release_seat(meeting_id: str, user_id: str, *, now: datetime) -> int:
    """Give a user's seat back. The seconds since it was taken; 0 where there was none, or no such meeting."""
    meeting = _read(meeting_id)
    seat = meeting.seats.get(user_id) if meeting else None
    if seat is None:
        return 0
    mine = _SEATS[user_id]
    released = _write(meeting_id, [mine.remove(), _HELD[user_id].remove()], mine.exists())
    return max(0, int((now - seat.joined_at).total_seconds())) if released else 0


def renew_seats(meeting_id: str, user_ids: Collection[str], *, held_until: datetime) -> frozenset[str]:
    """Hold the seats of these users until then; one write for up to `AT_ONCE` of them.

    Returns the users who have no seat any more, because it had lapsed and was needed, or was given back elsewhere:
    who is still there takes one anew. Raises `NotFound` where the meeting was deleted.
    """
    seated: set[str] = set()
    waiting = iter(user_ids)
    while users := list(islice(waiting, AT_ONCE)):
        row = _write(meeting_id, [_HELD[user_id].set(_stamp(held_until)) for user_id in users])
        if row is None:
            raise not_found(meeting_id)
        seated |= _meeting(row).seats.keys()
    return frozenset(user_ids) - seated


def _make_room(meeting_id: str, user_id: str, now: datetime) -> None:
    """Take away seats that have lapsed, this user's first; where none has, say why there is no seat to be had."""
    meeting = _read(meeting_id)
    if meeting is None:
        raise not_found(meeting_id)
    if meeting.status is Status.ENDED:
        raise Conflict("The meeting has ended", code="MEETING_ENDED")
    lapsed = [other for other, seat in meeting.seats.items() if not seat.is_held(now)]
    if not lapsed:
        if len(meeting.seats) >= meeting.max_participants:
            raise Conflict("The meeting is full", code="ROOM_FULL")
        return  # somebody left meanwhile
    lapsed.sort(key=lambda other: other != user_id)
    del lapsed[LAPSED_AT_ONCE:]
    actions: list[Action] = [path[other].remove() for other in lapsed for path in (_SEATS, _HELD)]
    # A lease that was moved meanwhile spares its seat; then the caller comes again and looks anew.
    still_lapsed = reduce(and_, (_HELD[other] <= _stamp(now) for other in lapsed))
    _write(meeting_id, actions, still_lapsed)


def _write(meeting_id: str, actions: list[Action], condition: Condition | None = None) -> _MeetingRow | None:
    """Update the meeting's row: the row after it, or None where there is none or the condition didn't hold."""
    row = _MeetingRow(meeting_id)
    exists = _MeetingRow.meeting_id.exists()
    try:
        row.update(actions, condition=exists if condition is None else exists & condition)
    except UpdateError as error:
        if not condition_failed(error):
            raise
        return None
    return row


def _replace(before: Meeting, after: Meeting) -> bool:
    """Write what differs; False where the stored version is no longer `before`'s."""
    actions: list[Action] = [
        _MeetingRow.title.set(after.title),
        _MeetingRow.description.set(after.description),
        _MeetingRow.start_time.set(after.start_time),
        _MeetingRow.duration_min.set(after.duration_min),
        _MeetingRow.max_participants.set(after.max_participants),
        _MeetingRow.updated_at.set(after.updated_at),
        _MeetingRow.version.set(after.version),
    ]
    if after.status is not before.status:
        # Only then: a seat taken since `before` was read has started the meeting, without a new version.
        actions.append(_MeetingRow.status.set(after.status.value))
    if after.status is Status.ENDED:
        actions += [_SEATS.set({}), _HELD.set({})]
    unchanged = _MeetingRow.version == before.version
    if after.require_e2ee != before.require_e2ee:
        # Nobody sat there, and so it must still be: a seat taken or renewed has a new lease and no new version.
        actions.append(_MeetingRow.require_e2ee.set(after.require_e2ee))
        leases = {user_id: _stamp(seat.held_until) for user_id, seat in before.seats.items()}
        unchanged &= size(_SEATS) == len(leases)
        unchanged = reduce(and_, (_HELD[user_id] == lease for user_id, lease in leases.items()), unchanged)
    return _write(before.meeting_id, actions, unchanged) is not None


def _read(meeting_id: str) -> Meeting | None:
    try:
        return _meeting(_MeetingRow.get(meeting_id, consistent_read=True))
    except DoesNotExist:
        return None


def _read_all(meeting_ids: Iterable[str]) -> list[Meeting]:
    """The meetings with these ids, in their order, without those that are gone."""
    wanted = list(meeting_ids)
    found = {row.meeting_id: _meeting(row) for row in _MeetingRow.batch_get(wanted, consistent_read=True)}
    return [found[meeting_id] for meeting_id in wanted if meeting_id in found]


def _alias(number: int) -> str:
    return f"meeting#{number}"


def not_found(text: str | int) -> NotFound:
    """The error for a meeting that isn't there, or that the caller may not know of."""
    return NotFound(f"Meeting with ID '{text}' not found")


def _stamp(moment: datetime) -> int:
    """Unix time in milliseconds: a number, since conditions compare it."""
    return int(moment.timestamp() * 1000)


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp / 1000, UTC)


def _row(meeting: Meeting) -> _MeetingRow:
    return _MeetingRow(
        meeting_id=meeting.meeting_id,
        number=meeting.number,
        creator_id=meeting.creator_id,
        title=meeting.title,
        description=meeting.description,
        start_time=meeting.start_time,
        duration_min=meeting.duration_min,
        max_participants=meeting.max_participants,
        status=meeting.status.value,
        require_e2ee=meeting.require_e2ee,
        created_at=meeting.created_at,
        updated_at=meeting.updated_at,
        version=meeting.version,
    )


def _meeting(row: _MeetingRow) -> Meeting:
    held = row.held.as_dict()
    seats = {
        user_id: Seat(
            participant_id=seat["participant_id"],
            username=seat["username"],
            joined_at=_moment(seat["joined_at"]),
            held_until=_moment(held[user_id]),
        )
        for user_id, seat in row.seats.as_dict().items()
    }
    return Meeting(
        meeting_id=row.meeting_id,
        number=int(row.number),
        creator_id=row.creator_id,
        title=row.title,
        description=row.description,
        start_time=row.start_time,
        duration_min=int(row.duration_min),
        max_participants=int(row.max_participants),
        status=Status(row.status),
        require_e2ee=row.require_e2ee,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=int(row.version),
        seats=seats,
    )
