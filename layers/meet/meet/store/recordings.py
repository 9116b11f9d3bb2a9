"""Recordings in DynamoDB: what was started, who holds it, and what became of it.

While a recording is live only its media process changes the row: `began`, `renew`, `paused`, `resumed`, and `fail` or
the stop at its end. Whoever else wants it over asks that process; where there is none any more, the row's lease
lapses (`overdue`) and `meet.recordings.finish` stops it. A change of what is over, or gone, is answered with None:
then there is nothing to record any more.

A live recording has a name that one recording a meeting may have: it is claimed in the transaction that makes the row
and dropped in the one that ends or stops it, so of two starts at once one makes a recording.

A recording that was stopped ends together with the job that makes its file: `stop_in`, `finish_in`, `fail_in` and
`cancel_in` add to a transaction of `meet.store.jobs`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.exceptions import DeleteError, DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection
from pynamodb.transactions import TransactWrite

from meet.domain.media import Blob, Facts
from meet.domain.recording import Measured, RecordedTrack, Recording, RecordingStatus, Wanted
from meet.errors import Conflict, NotFound, Unavailable
from meet.store import names
from meet.store.base import Row, condition_failed, reasons, transaction

ID_CHARS = 128
"""No recording id is longer; DynamoDB refuses to look for a key of more than 2048 bytes."""
ATTEMPTS = 10
"""Rounds of a write that another's may come between."""

_OPEN = "open"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list is filtered and ordered by."""

    recording_id: str
    owner_id: str
    meeting_id: str
    meeting_number: int
    created_at: datetime
    status: RecordingStatus


class _ByOwner(GlobalSecondaryIndex["_RecordingRow"]):
    """The attributes of an `Entry`, as in the next; the recordings of a page are read from the table."""

    class Meta:
        index_name = "by-owner"
        projection = IncludeProjection(["meeting_id", "meeting_number", "status"])

    owner_id = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class _ByMeeting(GlobalSecondaryIndex["_RecordingRow"]):
    class Meta:
        index_name = "by-meeting"
        projection = IncludeProjection(["owner_id", "meeting_number", "status"])

    meeting_id = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class _Open(GlobalSecondaryIndex["_RecordingRow"]):
    class Meta:
        index_name = "open"
        projection = KeysOnlyProjection()

    open = UnicodeAttribute(hash_key=True)
    due_at = NumberAttribute(range_key=True)


class _RecordingRow(Row):
    table = "recordings"

    recording_id = UnicodeAttribute(hash_key=True)
    meeting_id = UnicodeAttribute()
    meeting_number = NumberAttribute()
    owner_id = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    wanted = JSONAttribute()
    status = UnicodeAttribute()
    started_at = UTCDateTimeAttribute(null=True)
    stopped_at = UTCDateTimeAttribute(null=True)
    measured = JSONAttribute()
    interrupted = BooleanAttribute(default=False)
    job_id = UnicodeAttribute(null=True)
    blob = JSONAttribute(null=True)
    mime_type = UnicodeAttribute(null=True)
    facts = JSONAttribute(null=True)
    tracks = BinaryAttribute(legacy_encoding=False, null=True)
    """JSON, compressed: a row has 400 KB, and people come and go all day. What can't be compressed of a track, its
    random names, is about 80 bytes."""
    error = UnicodeAttribute(null=True)
    open = UnicodeAttribute(null=True)
    """There as long as the recording is live."""
    due_at = NumberAttribute(null=True)
    """`held_until`, in Unix milliseconds: a number, since conditions compare it."""
    by_owner = _ByOwner()
    by_meeting = _ByMeeting()
    open_recordings = _Open()


def create(recording: Recording) -> None:
    """Store a new recording, held until its media process must have begun it.

    `Conflict` (`RECORDING_IN_PROGRESS`), with the id of the other as its details, where the meeting is being recorded
    already.
    """
    if recording.held_until is None:
        raise ValueError("a recording that nobody has to begin would never end")
    for _ in range(ATTEMPTS):
        try:
            with transaction() as write:
                write.save(_row(recording), condition=_RecordingRow.recording_id.does_not_exist())
                names.claim(write, _alias(recording.meeting_id), recording.recording_id)
        except TransactWriteError as error:
            reasons(error)
            if other := running(recording.meeting_id):
                raise Conflict(
                    "This meeting is being recorded already", code="RECORDING_IN_PROGRESS", details=other
                ) from error
        else:
            return
    raise Unavailable  # it is being started and stopped by others without pause


def running(meeting_id: str) -> str | None:
    """The id of the recording that a meeting's room is live with, paused or not; else None."""
    return names.owner(_alias(meeting_id))


def running_in(meeting_ids: Iterable[str]) -> dict[str, str]:
    """The same of several meetings: the id of the recording by the meeting's, of those that have one."""
    meetings = {_alias(meeting_id): meeting_id for meeting_id in meeting_ids}
    return {meetings[alias]: recording_id for alias, recording_id in names.owners(meetings).items()}


def find(recording_id: str) -> Recording | None:
    """The recording as it is now, or None where there is none."""
    if not 1 <= len(recording_id) <= ID_CHARS:
        return None
    try:
        return _recording(_RecordingRow.get(recording_id, consistent_read=True))
    except DoesNotExist:
        return None


def get(recording_id: str) -> Recording:
    """The recording as it is now; `NotFound` where there is none."""
    recording = find(recording_id)
    if recording is None:
        raise not_found(recording_id)
    return recording


def find_many(recording_ids: Iterable[str]) -> list[Recording]:
    """The recordings with these ids, in their order, without those that aren't there; a hundred a read."""
    wanted = list(recording_ids)
    found = {row.recording_id: _recording(row) for row in _RecordingRow.batch_get(set(wanted), consistent_read=True)}
    return [found[recording_id] for recording_id in wanted if recording_id in found]


def not_found(recording_id: str) -> NotFound:
    """The error for a recording that isn't there, or that the caller may not know of."""
    return NotFound(f"Recording with ID '{recording_id[:ID_CHARS]}' not found")


def of_owner(owner_id: str) -> list[Entry]:
    """All recordings that a user started; an index, which follows a write within about a second."""
    return [_entry(row) for row in _RecordingRow.by_owner.query(owner_id)]


def of_meeting(meeting_id: str) -> list[Entry]:
    """All recordings of a meeting; an index, which follows a write within about a second."""
    return [_entry(row) for row in _RecordingRow.by_meeting.query(meeting_id)]


def every() -> list[Entry]:
    """All recordings of everybody: reads the whole index, for administrators."""
    return [_entry(row) for row in _RecordingRow.by_owner.scan()]


def began(recording_id: str, *, at: datetime, until: datetime) -> Recording | None:
    """Its media process records it, held until then. May be repeated: the first time counts, a pause stays one."""
    return _change(
        recording_id,
        lambda before: before.began(at=at, until=until) if before.status is RecordingStatus.PENDING else before,
    )


def renew(recording_id: str, measured: Measured, *, until: datetime) -> bool:
    """Its media process is still at it, with what was measured so far; False where it is over or gone: stop it."""
    actions: list[Action] = [_RecordingRow.measured.set(asdict(measured)), _RecordingRow.due_at.set(_stamp(until))]
    return _update(recording_id, actions, _RecordingRow.open.exists())


def paused(recording_id: str) -> Recording | None:
    """What follows is left out; paused already is fine. Raises `TransitionError` where it has not begun."""
    return _change(
        recording_id, lambda before: before if before.status is RecordingStatus.PAUSED else before.paused()
    )


def resumed(recording_id: str) -> Recording | None:
    """What follows is kept again; not paused at all is fine. Raises `TransitionError` where it has not begun."""
    return _change(
        recording_id, lambda before: before if before.status is RecordingStatus.RECORDING else before.resumed()
    )


def fail(recording_id: str, error: str, *, at: datetime) -> Recording | None:
    """End a live recording of which there will never be a file; `error` is a sentence for its owner.

    The recording after it; None where it was stopped or over before, or is gone.
    """
    return _end(recording_id, lambda before: before.failed(error, at=at))


def withdraw(recording_id: str, error: str, *, at: datetime) -> Recording | None:
    """The same, but None as well where it has begun: for who asked for it, and can't tell whether it will."""
    return _end(
        recording_id,
        lambda before: before.failed(error, at=at) if before.status is RecordingStatus.PENDING else None,
    )


def stop_in(write: TransactWrite, recording: Recording) -> None:
    """Add the stop of a live recording (`Recording.stopped`) to a transaction, cancelled where it is live no more."""
    names.drop(write, _alias(recording.meeting_id))
    write.update(_RecordingRow(recording.recording_id), _over(recording), condition=_RecordingRow.open.exists())


def finish_in(write: TransactWrite, recording: Recording) -> None:
    """Add the end of a stopped recording (`Recording.completed`) to a transaction.

    It is cancelled where the recording was deleted, or is not waiting for its file any more.
    """
    if recording.blob is None or recording.mime_type is None:
        raise ValueError("a recording is completed with its bytes")
    actions: list[Action] = [
        _RecordingRow.status.set(recording.status.value),
        _RecordingRow.measured.set(asdict(recording.measured)),
        _RecordingRow.blob.set(asdict(recording.blob)),
        _RecordingRow.mime_type.set(recording.mime_type),
        _RecordingRow.facts.set(asdict(recording.facts)),
        _RecordingRow.tracks.set(_packed(recording.tracks)),
    ]
    write.update(_RecordingRow(recording.recording_id), actions, condition=_waits())


def fail_in(write: TransactWrite, recording_id: str, error: str) -> None:
    """Note in a transaction that a stopped recording will never have a file; cancelled as in `finish_in`."""
    actions: list[Action] = [_RecordingRow.status.set(RecordingStatus.FAILED.value), _RecordingRow.error.set(error)]
    write.update(_RecordingRow(recording_id), actions, condition=_waits())


def cancel_in(write: TransactWrite, recording_id: str) -> None:
    """Note in a transaction that nobody wants a stopped recording's file any more; cancelled as in `finish_in`."""
    actions: list[Action] = [_RecordingRow.status.set(RecordingStatus.CANCELLED.value)]
    write.update(_RecordingRow(recording_id), actions, condition=_waits())


def overdue(before: datetime, *, most: int = 100) -> Iterator[Recording]:
    """Live recordings that nobody has held since `before`, the longest silent first.

    It reads an index, which follows a write within about a second; each recording is then read as it is.
    """
    rows = _RecordingRow.open_recordings.query(_OPEN, _RecordingRow.due_at < _stamp(before), limit=most)
    for row in islice(rows, most):
        recording = find(row.recording_id)
        if recording is not None and recording.held_until is not None and recording.held_until < before:
            yield recording


def delete(recording_id: str) -> Recording:
    """Delete a recording's row; the recording as it was. Its objects are nobody's from here on, and the caller's to
    delete. `NotFound` where there is none: of two who delete it, one does. `Conflict` where it is live.
    """
    for _ in range(ATTEMPTS):
        before = get(recording_id)
        if before.is_live:
            raise Conflict("The recording is still going on: stop it first", code="RECORDING_IN_PROGRESS")
        try:
            _RecordingRow(recording_id).delete(_RecordingRow.status == before.status.value)
        except DeleteError as error:
            if not condition_failed(error):
                raise
            continue  # its job has ended meanwhile
        return before
    raise Unavailable


def keys_of(recording: Recording) -> list[str]:
    """The keys of a completed recording's objects: its file, and those of its tracks."""
    return [blob.key for blob in (recording.blob, *(track.blob for track in recording.tracks)) if blob]


def _change(recording_id: str, change: Callable[[Recording], Recording]) -> Recording | None:
    """Replace a live recording by what `change` makes of it, which is asked again where another write came between.

    None where it is not live.
    """
    for _ in range(ATTEMPTS):
        before = find(recording_id)
        if before is None or not before.is_live:
            return None
        after = change(before)
        if after is before or _update(recording_id, _lives(before, after), _is_as(before)):
            return after
    raise Unavailable


def _end(recording_id: str, change: Callable[[Recording], Recording | None]) -> Recording | None:
    """The same where it is over afterwards; None where `change` wants nothing."""
    for _ in range(ATTEMPTS):
        before = find(recording_id)
        after = change(before) if before is not None and before.is_live else None
        if before is None or after is None:
            return None
        try:
            with transaction() as write:
                names.drop(write, _alias(before.meeting_id))
                write.update(_RecordingRow(recording_id), _over(after), condition=_is_as(before))
        except TransactWriteError as error:
            reasons(error)
        else:
            return after
    raise Unavailable


def _lives(before: Recording, after: Recording) -> list[Action]:
    actions: list[Action] = [_RecordingRow.status.set(after.status.value)]
    if after.started_at is not None:
        actions.append(_RecordingRow.started_at.set(after.started_at))
    if after.held_until is not None and after.held_until != before.held_until:
        actions.append(_RecordingRow.due_at.set(_stamp(after.held_until)))
    return actions


def _over(recording: Recording) -> list[Action]:
    """Stopped, or over: no media process has it any more."""
    assert recording.stopped_at is not None  # noqa: S101 - what ended has an end
    actions: list[Action] = [
        _RecordingRow.status.set(recording.status.value),
        _RecordingRow.stopped_at.set(recording.stopped_at),
        _RecordingRow.measured.set(asdict(recording.measured)),
        _RecordingRow.interrupted.set(recording.interrupted),
        _RecordingRow.open.remove(),
        _RecordingRow.due_at.remove(),
    ]
    if recording.job_id is not None:
        actions.append(_RecordingRow.job_id.set(recording.job_id))
    if recording.error is not None:
        actions.append(_RecordingRow.error.set(recording.error))
    return actions


def _is_as(recording: Recording) -> Condition:
    """Still live, in the same status; its lease may have moved."""
    condition: Condition = _RecordingRow.open.exists() & (_RecordingRow.status == recording.status.value)
    return condition


def _waits() -> Condition:
    """Stopped, and its file is still to come."""
    condition: Condition = _RecordingRow.open.does_not_exist() & (
        _RecordingRow.status == RecordingStatus.PENDING.value
    )
    return condition


def _update(recording_id: str, actions: list[Action], condition: Condition) -> bool:
    try:
        _RecordingRow(recording_id).update(actions, condition=condition)
    except UpdateError as error:
        if not condition_failed(error):
            raise
        return False
    return True


def _alias(meeting_id: str) -> str:
    return f"recording#{meeting_id}"


def _stamp(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp / 1000, UTC)


def _packed(tracks: tuple[RecordedTrack, ...]) -> bytes:
    return zlib.compress(json.dumps([asdict(track) for track in tracks], separators=(",", ":")).encode())


def _unpacked(data: bytes) -> tuple[RecordedTrack, ...]:
    tracks: list[dict[str, Any]] = json.loads(zlib.decompress(data))
    return tuple(RecordedTrack(**track | {"blob": Blob(**track["blob"])}) for track in tracks)


def _entry(row: _RecordingRow) -> Entry:
    return Entry(
        recording_id=row.recording_id,
        owner_id=row.owner_id,
        meeting_id=row.meeting_id,
        meeting_number=int(row.meeting_number),
        created_at=row.created_at,
        status=RecordingStatus(row.status),
    )


def _row(recording: Recording) -> _RecordingRow:
    """Of a new recording."""
    return _RecordingRow(
        recording_id=recording.recording_id,
        meeting_id=recording.meeting_id,
        meeting_number=recording.meeting_number,
        owner_id=recording.owner_id,
        created_at=recording.created_at,
        wanted=asdict(recording.wanted),
        status=recording.status.value,
        measured=asdict(recording.measured),
        open=_OPEN,
        due_at=None if recording.held_until is None else _stamp(recording.held_until),
    )


def _recording(row: _RecordingRow) -> Recording:
    return Recording(
        recording_id=row.recording_id,
        meeting_id=row.meeting_id,
        meeting_number=int(row.meeting_number),
        owner_id=row.owner_id,
        created_at=row.created_at,
        wanted=Wanted(**row.wanted),
        status=RecordingStatus(row.status),
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        held_until=None if row.due_at is None else _moment(row.due_at),
        measured=Measured(**row.measured),
        interrupted=row.interrupted,
        job_id=row.job_id,
        blob=Blob(**row.blob) if row.blob else None,
        mime_type=row.mime_type,
        facts=Facts(**row.facts) if row.facts else Facts(),
        tracks=_unpacked(row.tracks) if row.tracks else (),
        error=row.error,
    )
