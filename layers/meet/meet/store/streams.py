"""Live streams in DynamoDB: what was started, who holds it, and how it ended.

While a stream lives only its media process changes the row. A row that is not over stands in the index `open` by the
time until which nothing more need be heard of it; one of which nothing was heard for longer is given up, by the
sweeper or by whoever wants to start the same one.

What a meeting is streamed to (`_target`) is a name that one stream alone may have: it is claimed in the transaction
that makes the row and dropped in the one that ends it, so two starts at once make one stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any, cast

from pynamodb.attributes import MapAttribute, NumberAttribute, TTLAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection

from meet.domain.recording import Quality
from meet.domain.stream import NEXT, Aired, Picture, Stream, StreamStatus, StreamType
from meet.errors import Conflict, NotFound, Unavailable
from meet.store import names
from meet.store.base import Row, condition_failed, reasons, transaction

ID_CHARS = 128
"""No stream id is longer; DynamoDB refuses to look for a key of more than 2048 bytes."""
KEPT = timedelta(days=30)
"""How long a stream that is over can be asked for."""
ATTEMPTS = 10
"""Rounds of a write that another's may come between."""
LOST = "The media process that streamed it is gone"
"""Why a stream failed of which nothing was heard any more."""

_OPEN = "open"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list is filtered and ordered by."""

    stream_id: str
    owner_id: str
    meeting_id: str
    meeting_number: int
    created_at: datetime
    stream_type: StreamType
    status: StreamStatus

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return not NEXT[self.status]


class _ByOwner(GlobalSecondaryIndex["_StreamRow"]):
    """The attributes of an `Entry`, as in the next; the streams of a page are read from the table."""

    class Meta:
        index_name = "by-owner"
        projection = IncludeProjection(["meeting_id", "meeting_number", "stream_type", "status"])

    owner_id = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class _ByMeeting(GlobalSecondaryIndex["_StreamRow"]):
    class Meta:
        index_name = "by-meeting"
        projection = IncludeProjection(["owner_id", "meeting_number", "stream_type", "status"])

    meeting_id = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class _Open(GlobalSecondaryIndex["_StreamRow"]):
    class Meta:
        index_name = "open"
        projection = KeysOnlyProjection()

    open = UnicodeAttribute(hash_key=True)
    due_at = NumberAttribute(range_key=True)


class _StreamRow(Row):
    table = "streams"

    stream_id = UnicodeAttribute(hash_key=True)
    meeting_id = UnicodeAttribute()
    meeting_number = NumberAttribute()
    owner_id = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    stream_type = UnicodeAttribute()
    quality = UnicodeAttribute()
    picture: MapAttribute[str, Any] = MapAttribute()
    rtmp_url = UnicodeAttribute(null=True)
    status = UnicodeAttribute()
    started_at = UTCDateTimeAttribute(null=True)
    stopped_at = UTCDateTimeAttribute(null=True)
    aired: MapAttribute[str, Any] = MapAttribute(default=dict)
    total_viewers = NumberAttribute(default=0)
    peak_viewers = NumberAttribute(default=0)
    error = UnicodeAttribute(null=True)
    open = UnicodeAttribute(null=True)
    """There as long as the stream isn't over."""
    due_at = NumberAttribute(null=True)
    """`held_until`, in Unix milliseconds: a number, since conditions compare it."""
    ttl = TTLAttribute(null=True)
    by_owner = _ByOwner()
    by_meeting = _ByMeeting()
    open_streams = _Open()


def create(stream: Stream) -> None:
    """Store a new stream, held until somebody must have begun it.

    `Conflict`, with the id of the other as its details, where the meeting is being streamed to there already; one
    whose media process is gone is no hindrance, and is ended.
    """
    if stream.held_until is None:
        raise ValueError("a stream that nobody has to begin would never end")
    for _ in range(ATTEMPTS):
        try:
            with transaction() as write:
                write.save(_row(stream), condition=_StreamRow.stream_id.does_not_exist())
                names.claim(write, _target(stream), stream.stream_id)
        except TransactWriteError as error:
            reasons(error)
            other = names.owner(_target(stream))
            if other is not None and fail_lapsed(other, LOST, at=stream.created_at) is None:
                raise Conflict("This meeting is being streamed there already", details=other) from error
        else:
            return
    raise Unavailable


def find(stream_id: str) -> Stream | None:
    """The stream as it is now, or None where there is none."""
    if not 1 <= len(stream_id) <= ID_CHARS:
        return None
    try:
        return _stream(_StreamRow.get(stream_id, consistent_read=True))
    except DoesNotExist:
        return None


def get(stream_id: str) -> Stream:
    """The stream as it is now; `NotFound` where there is none."""
    stream = find(stream_id)
    if stream is None:
        raise not_found(stream_id)
    return stream


def find_many(stream_ids: Iterable[str]) -> list[Stream]:
    """The streams with these ids, in their order, without those that aren't there; a hundred a read."""
    wanted = list(stream_ids)
    found = {row.stream_id: _stream(row) for row in _StreamRow.batch_get(set(wanted), consistent_read=True)}
    return [found[stream_id] for stream_id in wanted if stream_id in found]


def not_found(stream_id: str) -> NotFound:
    """The error for a stream that isn't there, or that the caller may not know of."""
    return NotFound(f"Stream with ID '{stream_id[:ID_CHARS]}' not found")


def became(stream_id: str, status: StreamStatus, *, at: datetime, until: datetime) -> Stream | None:
    """Its media process says: it is streaming, or reconnecting. It is held until then.

    The stream after it; None where it is over or gone, so that there is nothing to stream any more. Raises
    `TransitionError` where this status can't follow.
    """
    return _change(stream_id, lambda stream: stream.became(status, at=at, until=until))


def renew(stream_id: str, aired: Aired, *, until: datetime) -> Stream | None:
    """Its media process is still at it, with what it measured; None as in `became`."""
    return _change(stream_id, lambda stream: stream.renewed(aired, until=until))


def stop(stream_id: str, *, at: datetime, total_viewers: int, peak_viewers: int) -> Stream | None:
    """It ended as it should; the stream after it, or None where it was over before, or is gone."""
    return _change(
        stream_id, lambda stream: stream.stopped(at=at, total_viewers=total_viewers, peak_viewers=peak_viewers)
    )


def fail(stream_id: str, error: str, *, at: datetime) -> Stream | None:
    """It can't go on; `error` is a sentence for its owner. None as in `stop`."""
    return _change(stream_id, lambda stream: stream.failed(error, at=at))


def fail_lapsed(stream_id: str, error: str, *, at: datetime) -> Stream | None:
    """The same, but None as well where a media process holds it at that moment."""
    return _change(stream_id, lambda stream: None if _is_held(stream, at) else stream.failed(error, at=at))


def withdraw(stream_id: str, error: str, *, at: datetime) -> Stream | None:
    """The same, but None as well where it has begun: for who asked for it, and can't tell whether it will."""
    return _change(
        stream_id,
        lambda stream: stream.failed(error, at=at) if stream.status is StreamStatus.STARTING else None,
    )


def of_owner(owner_id: str) -> list[Entry]:
    """All streams that a user started; an index, which follows a write within about a second."""
    return [_entry(row) for row in _StreamRow.by_owner.query(owner_id)]


def of_meeting(meeting_id: str) -> list[Entry]:
    """All streams of a meeting; an index, which follows a write within about a second."""
    return [_entry(row) for row in _StreamRow.by_meeting.query(meeting_id)]


def every() -> list[Entry]:
    """All streams of everybody: reads the whole index, for administrators."""
    return [_entry(row) for row in _StreamRow.by_meeting.scan()]


def overdue(before: datetime, *, most: int = 100) -> Iterator[Stream]:
    """Streams that are not over and that nobody has held since `before`, the longest silent first.

    It reads an index, which follows a write within about a second; each stream is then read as it is.
    """
    rows = _StreamRow.open_streams.query(_OPEN, _StreamRow.due_at < _stamp(before), limit=most)
    for row in islice(rows, most):
        stream = find(row.stream_id)
        if stream is not None and not stream.is_over:
            yield stream


def _change(stream_id: str, change: Callable[[Stream], Stream | None]) -> Stream | None:
    """Replace a stream that isn't over by what `change` makes of it, which is asked again where another write came
    between; None where there is no such stream, or `change` wants nothing.
    """
    for _ in range(ATTEMPTS):
        before = find(stream_id)
        after = None if before is None or before.is_over else change(before)
        if before is None or after is None:
            return None
        if _replace(before, after):
            return after
    raise Unavailable


def _replace(before: Stream, after: Stream) -> bool:
    """Write what differs; False where the row isn't as `before` any more."""
    if not after.is_over:
        try:
            _StreamRow(before.stream_id).update(_lives(after), condition=_is_as(before))
        except UpdateError as error:
            if not condition_failed(error):
                raise
            return False
        return True
    try:
        with transaction() as write:
            names.drop(write, _target(before))
            write.update(_StreamRow(before.stream_id), _ended(after), condition=_is_as(before))
    except TransactWriteError as error:
        reasons(error)
        return False
    return True


def _lives(stream: Stream) -> list[Action]:
    assert stream.held_until is not None  # noqa: S101 - what lives is held
    actions: list[Action] = [
        _StreamRow.status.set(stream.status.value),
        _StreamRow.aired.set(asdict(stream.aired)),
        _StreamRow.due_at.set(_stamp(stream.held_until)),
    ]
    if stream.started_at is not None:
        actions.append(_StreamRow.started_at.set(stream.started_at))
    return actions


def _ended(stream: Stream) -> list[Action]:
    assert stream.stopped_at is not None  # noqa: S101 - what ended has an end
    actions: list[Action] = [
        _StreamRow.status.set(stream.status.value),
        _StreamRow.stopped_at.set(stream.stopped_at),
        _StreamRow.total_viewers.set(stream.total_viewers),
        _StreamRow.peak_viewers.set(stream.peak_viewers),
        _StreamRow.ttl.set(stream.stopped_at + KEPT),
        _StreamRow.open.remove(),
        _StreamRow.due_at.remove(),
    ]
    if stream.error is not None:
        actions.append(_StreamRow.error.set(stream.error))
    return actions


def _is_as(stream: Stream) -> Condition:
    """Nobody has written it since, but with the same status until the same moment."""
    assert stream.held_until is not None  # noqa: S101 - asked of those that live
    unchanged: Condition = (_StreamRow.status == stream.status.value) & (
        _StreamRow.due_at == _stamp(stream.held_until)
    )
    return unchanged


def _is_held(stream: Stream, now: datetime) -> bool:
    return stream.held_until is not None and stream.held_until > now


def _target(stream: Stream) -> str:
    """What only one stream at a time may be: a URL in full would be a secret among names."""
    digest = sha256((stream.rtmp_url or "").encode()).hexdigest()
    return f"stream#{stream.meeting_id}#{stream.stream_type}#{digest}"


def _stamp(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp / 1000, UTC)


def _entry(row: _StreamRow) -> Entry:
    return Entry(
        stream_id=row.stream_id,
        owner_id=row.owner_id,
        meeting_id=row.meeting_id,
        meeting_number=int(row.meeting_number),
        created_at=row.created_at,
        stream_type=cast("StreamType", row.stream_type),
        status=StreamStatus(row.status),
    )


def _row(stream: Stream) -> _StreamRow:
    return _StreamRow(
        stream_id=stream.stream_id,
        meeting_id=stream.meeting_id,
        meeting_number=stream.meeting_number,
        owner_id=stream.owner_id,
        created_at=stream.created_at,
        stream_type=stream.stream_type,
        quality=stream.quality,
        picture=asdict(stream.picture),
        rtmp_url=stream.rtmp_url,
        status=stream.status.value,
        aired=asdict(stream.aired),
        open=_OPEN,
        due_at=None if stream.held_until is None else _stamp(stream.held_until),
    )


def _stream(row: _StreamRow) -> Stream:
    return Stream(
        stream_id=row.stream_id,
        meeting_id=row.meeting_id,
        meeting_number=int(row.meeting_number),
        owner_id=row.owner_id,
        created_at=row.created_at,
        stream_type=cast("StreamType", row.stream_type),
        quality=cast("Quality", row.quality),
        picture=Picture(**{name: int(value) for name, value in row.picture.as_dict().items()}),
        rtmp_url=row.rtmp_url,
        status=StreamStatus(row.status),
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        held_until=None if row.due_at is None else _moment(row.due_at),
        aired=Aired(**row.aired.as_dict()),
        total_viewers=int(row.total_viewers),
        peak_viewers=int(row.peak_viewers),
        error=row.error,
    )
