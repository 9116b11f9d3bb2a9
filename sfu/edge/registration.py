"""From bytes in the bucket to a media file: what they are is found out, and only then is there a row that names them.

Before the row, nobody can reach the object; whoever put it there deletes it where it can't be a file. What can't be
deleted now, or whose row may have been written although no answer came, is left to the sweeper, which knows both.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, StrictInt, StrictStr

from meet import objects
from meet.clock import utcnow
from meet.config import settings
from meet.domain.media import Blob, FileType, MediaFile
from meet.envelope import CODES
from meet.errors import Conflict, MeetError, Unavailable
from meet.probe import client as probe
from meet.probe.client import Found
from meet.store import media
from meet.web.access import meeting_of_room
from meet.web.auth import Principal
from sfu.edge.filenames import cleaned

log = logging.getLogger("meet.edge")

MEGABYTE = 1_000_000
STORED_AS = "application/octet-stream"
"""Every object's type in the bucket: what a file is stands in its row, and only the edge gives it to browsers."""
THUMBNAIL_MIME = "image/jpeg"


def _absent(value: object) -> object:
    """A field of a form that was left empty isn't there."""
    return None if value == "" else value


class Description(BaseModel):
    """What its owner says of a file. The type is the content's to tell: what is said is checked, and not believed."""

    meeting_id: Annotated[StrictStr | StrictInt | None, BeforeValidator(_absent)] = None
    file_type: Annotated[FileType | None, BeforeValidator(_absent)] = None
    description: Annotated[StrictStr, Field(max_length=5000)] = ""


class TooLarge(MeetError):
    """413 in the document's words."""

    def __init__(self, limit_mb: int) -> None:
        super().__init__(CODES[413], 413, f"File size exceeds maximum limit of {limit_mb}MB")


def check_size(size: int, file_type: FileType | None) -> None:
    """`TooLarge` where a file of this type may not have so many bytes; None: of no type."""
    limits = settings().upload_limit_mb
    limit_mb = max(limits.values()) if file_type is None else limits[file_type]
    if size > limit_mb * MEGABYTE:
        raise TooLarge(limit_mb)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the probe reads it."""

    key: str
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes, which the object has."""
        return objects.read_bytes(self.key, first=offset, last=offset + length - 1)


@dataclass(frozen=True, slots=True)
class Labels:
    """What stands on a file, whatever is in it; checked."""

    filename: str
    """As the client sent it; it may be empty."""
    description: str
    meeting_id: str | None
    meeting_number: int | None


async def labels(user: Principal, filename: str, said: Description) -> Labels:
    """The labels of a new file; `NotFound` where the user may not see the meeting that it is to belong to."""
    if said.meeting_id is None:
        return Labels(filename, said.description, None, None)
    meeting = await asyncio.to_thread(meeting_of_room, user, str(said.meeting_id))
    return Labels(filename, said.description, meeting.meeting_id, meeting.number)


@dataclass(frozen=True, slots=True)
class Examined:
    """An object of which it is known what it is."""

    blob: Blob
    found: Found
    thumbnail: Blob | None


async def examined(blob: Blob) -> Examined:
    """What an object is, with its thumbnail beside it. Raises `Unreadable` (400), `TooLarge`, and `Unavailable`."""
    found = await probe.examine(Stored(blob.key, blob.size))
    check_size(blob.size, found.kind.file_type)
    thumbnail = None
    if found.thumbnail is not None:
        key = objects.thumbnail_key(blob.key)
        thumbnail = await asyncio.to_thread(objects.put_bytes, key, found.thumbnail, THUMBNAIL_MIME)
    return Examined(blob, found, thumbnail)


async def register(user: Principal, media_id: str, content: Examined, labelled: Labels) -> MediaFile:
    """The file with this content, or the one that was registered with it before.

    Where this raises `Unavailable`, the row may be there all the same.
    """
    found = content.found
    file = MediaFile(
        media_id=media_id,
        owner_id=user.user_id,
        filename=cleaned(labelled.filename, found.kind.extension),
        file_type=found.kind.file_type,
        mime_type=found.kind.mime_type,
        uploaded_at=utcnow(),
        blob=content.blob,
        thumbnail=content.thumbnail,
        facts=found.facts,
        meeting_id=labelled.meeting_id,
        meeting_number=labelled.meeting_number,
        description=labelled.description,
    )
    return await asyncio.to_thread(_create, file)


async def forget(key: str) -> None:
    """Delete an object that no row names, and its thumbnail."""
    try:
        await asyncio.to_thread(objects.delete_many, [key, objects.thumbnail_key(key)])
    except Unavailable as error:
        log.warning("object %s is left to the sweeper: %s", key, error)


def _create(file: MediaFile) -> MediaFile:
    try:
        media.create(file)
    except Conflict:  # perhaps with ourselves: an attempt whose answer was lost, or the same upload completed twice
        there = media.find(file.media_id)
        if there is None or there.blob is None or file.blob is None or there.blob.key != file.blob.key:
            raise
        return there
    return file
