"""Media files in DynamoDB: what is known of each, and whose object in the bucket is its content.

A file's row is written after its object and deleted before it, so a row that is ready has its bytes. An object
without a row is nobody's, and swept.

A file that a job makes begins with the job and ends with it, in one transaction each: `add`, `finish_in` and
`fail_in` add to a transaction of `meet.store.jobs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pynamodb.attributes import MapAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection
from pynamodb.transactions import TransactWrite

from meet.domain.media import Blob, Facts, FileType, MediaFile, MediaStatus
from meet.errors import Conflict, NotFound, Unavailable
from meet.store.base import Row, condition_failed

ID_CHARS = 128
"""No media id is longer; DynamoDB refuses to look for a key of more than 2048 bytes."""
ATTEMPTS = 5
"""Rounds of a delete that a change may come between; but for what is counted, a file changes once in its life."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list is filtered and ordered by."""

    media_id: str
    owner_id: str
    file_type: FileType
    uploaded_at: datetime
    meeting_id: str | None
    meeting_number: int | None


class _ByOwner(GlobalSecondaryIndex["_MediaRow"]):
    """The attributes of an `Entry`, as in the other; the files of a page are read from the table."""

    class Meta:
        index_name = "by-owner"
        projection = IncludeProjection(["file_type", "meeting_id", "meeting_number"])

    owner_id = UnicodeAttribute(hash_key=True)
    uploaded_at = UTCDateTimeAttribute(range_key=True)


class _ByMeeting(GlobalSecondaryIndex["_MediaRow"]):
    class Meta:
        index_name = "by-meeting"
        projection = IncludeProjection(["file_type", "owner_id", "meeting_number"])

    meeting_id = UnicodeAttribute(hash_key=True)
    uploaded_at = UTCDateTimeAttribute(range_key=True)


class _MediaRow(Row):
    table = "media"

    media_id = UnicodeAttribute(hash_key=True)
    owner_id = UnicodeAttribute()
    filename = UnicodeAttribute()
    file_type = UnicodeAttribute()
    mime_type = UnicodeAttribute()
    uploaded_at = UTCDateTimeAttribute()
    status = UnicodeAttribute()
    blob: MapAttribute[str, Any] = MapAttribute(null=True)
    thumbnail: MapAttribute[str, Any] = MapAttribute(null=True)
    facts: MapAttribute[str, Any] = MapAttribute(default=dict)
    meeting_id = UnicodeAttribute(null=True)
    meeting_number = NumberAttribute(null=True)
    description = UnicodeAttribute()
    job_id = UnicodeAttribute(null=True)
    download_count = NumberAttribute(default=0)
    last_accessed = UTCDateTimeAttribute(null=True)
    by_owner = _ByOwner()
    by_meeting = _ByMeeting()


def create(file: MediaFile) -> None:
    """Store a new file, whose bytes are in the bucket already; `Conflict` where its id is taken."""
    try:
        _row(file).save(_MediaRow.media_id.does_not_exist())
    except PutError as error:
        if not condition_failed(error):
            raise
        raise Conflict("This media file exists already") from error


def add(write: TransactWrite, file: MediaFile) -> None:
    """Add the put of a new file to a transaction that is cancelled where its id is taken."""
    write.save(_row(file), condition=_MediaRow.media_id.does_not_exist())


def find(media_id: str) -> MediaFile | None:
    """The file as it is now, or None where there is none."""
    if not 1 <= len(media_id) <= ID_CHARS:
        return None
    try:
        return _file(_MediaRow.get(media_id, consistent_read=True))
    except DoesNotExist:
        return None


def get(media_id: str) -> MediaFile:
    """The file as it is now; else `NotFound`."""
    file = find(media_id)
    if file is None:
        raise not_found()
    return file


def find_many(media_ids: Iterable[str]) -> list[MediaFile]:
    """The files with these ids, in their order, without those that aren't there; a hundred a read."""
    wanted = list(media_ids)
    found = {row.media_id: _file(row) for row in _MediaRow.batch_get(set(wanted), consistent_read=True)}
    return [found[media_id] for media_id in wanted if media_id in found]


def of_owner(owner_id: str) -> list[Entry]:
    """All files of a user; an index, which follows a write within about a second."""
    return [_entry(row) for row in _MediaRow.by_owner.query(owner_id)]


def of_meeting(meeting_id: str) -> list[Entry]:
    """All files of a meeting; an index, which follows a write within about a second."""
    return [_entry(row) for row in _MediaRow.by_meeting.query(meeting_id)]


def every() -> list[Entry]:
    """All files of everybody: reads the whole index, for administrators."""
    return [_entry(row) for row in _MediaRow.by_owner.scan()]


def finish(file: MediaFile) -> bool:
    """Store a file that has become ready (`MediaFile.finished`); False where it is gone or no longer processing."""
    return _update(file.media_id, _finished(file), _processing())


def finish_in(write: TransactWrite, file: MediaFile) -> None:
    """The same as an update of a transaction, which is cancelled where it would be False."""
    write.update(_MediaRow(file.media_id), _finished(file), condition=_processing())


def fail(media_id: str) -> bool:
    """Note that a file will never have bytes; False where it is gone or no longer processing."""
    return _update(media_id, _failed(), _processing())


def fail_in(write: TransactWrite, media_id: str) -> None:
    """The same as an update of a transaction, which is cancelled where it would be False."""
    write.update(_MediaRow(media_id), _failed(), condition=_processing())


def touched(media_id: str, downloads: int, at: datetime) -> None:
    """Count downloads, the last of which was then; fine where the file is gone."""
    actions: list[Action] = [_MediaRow.download_count.add(downloads), _MediaRow.last_accessed.set(at)]
    _update(media_id, actions, _MediaRow.media_id.exists())


def delete(media_id: str) -> MediaFile:
    """Delete a file's row; the file as it was. Its objects (`keys_of`) are nobody's from here on, and the caller's to
    delete. `NotFound` where there is none: of two who delete it, one does.
    """
    for _ in range(ATTEMPTS):
        file = get(media_id)
        try:
            _MediaRow(media_id).delete(_MediaRow.status == file.status.value)
        except DeleteError as error:
            if not condition_failed(error):
                raise
            continue  # its job has ended meanwhile: now it has objects
        return file
    raise Unavailable


def keys_of(file: MediaFile) -> list[str]:
    """The keys of a file's objects."""
    return [blob.key for blob in (file.blob, file.thumbnail) if blob]


def not_found() -> NotFound:
    """The error for a file that isn't there, or that the caller may not know of."""
    return NotFound("Media file not found")


def _processing() -> Condition:
    condition: Condition = _MediaRow.status == MediaStatus.PROCESSING.value
    return condition


def _finished(file: MediaFile) -> list[Action]:
    if file.blob is None:
        raise ValueError("a file is finished with its bytes")
    actions: list[Action] = [
        _MediaRow.status.set(file.status.value),
        _MediaRow.mime_type.set(file.mime_type),
        _MediaRow.uploaded_at.set(file.uploaded_at),
        _MediaRow.blob.set(asdict(file.blob)),
        _MediaRow.facts.set(_known(file.facts)),
    ]
    if file.thumbnail is not None:
        actions.append(_MediaRow.thumbnail.set(asdict(file.thumbnail)))
    return actions


def _failed() -> list[Action]:
    return [_MediaRow.status.set(MediaStatus.FAILED.value)]


def _update(media_id: str, actions: list[Action], condition: Condition) -> bool:
    try:
        _MediaRow(media_id).update(actions, condition=condition)
    except UpdateError as error:
        if not condition_failed(error):
            raise
        return False
    return True


def _known(facts: Facts) -> dict[str, Any]:
    return {name: value for name, value in asdict(facts).items() if value is not None}


def _blob(found: MapAttribute[str, Any] | None) -> Blob | None:
    return None if found is None else Blob(**found.as_dict())


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _entry(row: _MediaRow) -> Entry:
    return Entry(
        media_id=row.media_id,
        owner_id=row.owner_id,
        file_type=FileType(row.file_type),
        uploaded_at=row.uploaded_at,
        meeting_id=row.meeting_id,
        meeting_number=_whole(row.meeting_number),
    )


def _row(file: MediaFile) -> _MediaRow:
    return _MediaRow(
        media_id=file.media_id,
        owner_id=file.owner_id,
        filename=file.filename,
        file_type=file.file_type.value,
        mime_type=file.mime_type,
        uploaded_at=file.uploaded_at,
        status=file.status.value,
        blob=asdict(file.blob) if file.blob else None,
        thumbnail=asdict(file.thumbnail) if file.thumbnail else None,
        facts=_known(file.facts),
        meeting_id=file.meeting_id,
        meeting_number=file.meeting_number,
        description=file.description,
        job_id=file.job_id,
        download_count=file.download_count,
        last_accessed=file.last_accessed,
    )


def _file(row: _MediaRow) -> MediaFile:
    return MediaFile(
        media_id=row.media_id,
        owner_id=row.owner_id,
        filename=row.filename,
        file_type=FileType(row.file_type),
        mime_type=row.mime_type,
        uploaded_at=row.uploaded_at,
        status=MediaStatus(row.status),
        blob=_blob(row.blob),
        thumbnail=_blob(row.thumbnail),
        facts=Facts(**row.facts.as_dict()),
        meeting_id=row.meeting_id,
        meeting_number=_whole(row.meeting_number),
        description=row.description,
        job_id=row.job_id,
        download_count=int(row.download_count),
        last_accessed=row.last_accessed,
    )
