"""`GET /api/v1/media/download/{media_id}` and `.../thumbnail/{media_id}`: a file's bytes, whole or a range of them.

It is an attachment unless the caller asks for `?disposition=inline`, which is for what browsers show and can't run.
"""

import asyncio
import logging
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from meet.clock import utcnow
from meet.domain.media import Blob, MediaFile
from meet.errors import MeetError, NotFound
from meet.probe.kinds import kind_of
from meet.store import media
from meet.web.auth import Principal
from meet.web.jobs import input_file
from sfu.edge.content import content
from sfu.edge.fetcher import Fetcher
from sfu.edge.filenames import content_disposition
from sfu.edge.ranges import Version
from sfu.edge.registration import THUMBNAIL_MIME

log = logging.getLogger("meet.edge")

GLANCE_BYTES = 2
"""Safari asks for `bytes=0-1` to learn whether ranges are served: that is no download."""


def readable_bytes(user: Principal, media_id: str) -> tuple[MediaFile, Blob]:
    """A file that is there, and where its bytes are. Raises what `meet.web.jobs.input_file` does. Blocks."""
    file = input_file(user, media_id)
    if file.blob is None:
        raise media.not_found()
    return file, file.blob


class Downloads:
    """The endpoints, for GET and HEAD."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._counting: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what is still being counted."""
        await asyncio.gather(*self._counting)

    async def download(self, request: Request, user: Principal) -> Response:
        """The file. A GET from its first byte on counts as a download."""
        file, blob = await asyncio.to_thread(readable_bytes, user, request.path_params["media_id"])
        inline = request.query_params.get("disposition") == "inline" and kind_of(file.mime_type).shows
        headers = {
            "Content-Type": file.mime_type,
            "Content-Disposition": content_disposition(file.filename, inline=inline),
        }
        version = Version(blob.etag, file.uploaded_at)
        answer, span = await content(self._fetcher, request, blob, version, headers)
        if span is not None and span.first == 0 and span.length > min(GLANCE_BYTES, blob.size - 1):
            self._count(file.media_id)
        return answer

    async def thumbnail(self, request: Request, user: Principal) -> Response:
        """The file's picture, a JPEG that browsers may show; `NotFound` where it has none."""
        file, _ = await asyncio.to_thread(readable_bytes, user, request.path_params["media_id"])
        if file.thumbnail is None:
            raise NotFound("This media file has no thumbnail")
        headers = {"Content-Type": THUMBNAIL_MIME, "Content-Disposition": "inline"}
        version = Version(file.thumbnail.etag, file.uploaded_at)
        answer, _ = await content(self._fetcher, request, file.thumbnail, version, headers)
        return answer

    def _count(self, media_id: str) -> None:
        """Beside the answer, which doesn't wait for it."""
        task = asyncio.create_task(_touch(media_id, utcnow()))
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)


async def _touch(media_id: str, at: datetime) -> None:
    try:
        await asyncio.to_thread(media.touched, media_id, 1, at)
    except MeetError as error:
        log.warning("a download of %s is not counted: %s", media_id, error)
