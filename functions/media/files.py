"""`/api/v1/media`: what is known of files, and their end. Their bytes come and go through the edge."""

import logging
from operator import attrgetter
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from meet import objects
from meet.errors import Unavailable
from meet.store import media
from meet.web.access import changeable_media, readable_media
from meet.web.auth import SignedIn
from meet.web.files import PREFIX, MediaAnswer
from meet.web.listing import meeting_filter, readable_by
from meet.web.paging import Page

from .schemas import DeletedAnswer, Filters, MediaListAnswer, MediaPage

router = APIRouter(prefix=PREFIX, tags=["media"])
log = logging.getLogger("meet.media")

Filter = Annotated[str, Query(max_length=128)]


@router.get("")
def of_caller(
    user: SignedIn,
    page: Page,
    file_type: Literal["", "video", "audio", "image", "document"] = "",
    meeting_id: Filter = "",
    user_id: Filter = "",
) -> MediaListAnswer:
    """The files that the caller may read: their own, those of their meetings, for administrators all."""
    found = readable_by(
        user, media, meeting=meeting_filter(meeting_id), owner_id=user_id, age=attrgetter("uploaded_at", "media_id")
    )
    if file_type:
        found = [entry for entry in found if entry.file_type == file_type]
    files = media.find_many(entry.media_id for entry in page.of(found))
    return MediaListAnswer(
        data=MediaPage(
            media_files=[MediaAnswer.of(file) for file in files],
            page=page.page,
            page_size=page.page_size,
            total=len(found),
        ),
        filters=Filters(file_type=file_type, meeting_id=meeting_id, user_id=user_id),
        offset=page.offset,
    )


@router.get("/info/{media_id}")
@router.get("/{media_id}")
def read(media_id: str, user: SignedIn) -> MediaAnswer:
    """One file."""
    return MediaAnswer.of(readable_media(user, media_id))


@router.delete("/{media_id}")
def delete(media_id: str, user: SignedIn) -> DeletedAnswer:
    """Delete a file for good. A job that is about to make it makes the rest of its files."""
    changeable_media(user, media_id)
    file = media.delete(media_id)
    try:
        objects.delete_many(media.keys_of(file))
    except Unavailable:
        # Nobody can reach the bytes any more, and the sweeper deletes what has no row.
        log.warning("the objects of %s are left to the sweeper", media_id, exc_info=True)
    return DeletedAnswer(media_id=media_id)
