"""`GET /api/v1/media/download/{media_id}` and `.../thumbnail/{media_id}`: a file's bytes, whole or a range of them.

What is given is given as what it was found to be, and a browser is told to keep to that: no sniffing, no scripts, and
an attachment unless the caller asks for `?disposition=inline`, which is for what browsers show and can't run.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from meet.clock import utcnow
from meet.domain.media import Blob, MediaFile
from meet.errors import MeetError, NotFound
from meet.probe.kinds import kind_of
from meet.store import media
from meet.web.auth import Principal
from meet.web.etag import PreconditionFailed
from meet.web.jobs import input_file
from sfu.edge.fetcher import Fetcher, Piped
from sfu.edge.filenames import content_disposition
from sfu.edge.ranges import Span, Version
from sfu.edge.registration import THUMBNAIL_MIME

log = logging.getLogger("meet.edge")

GLANCE_BYTES = 2
"""Safari asks for `bytes=0-1` to learn whether ranges are served: that is no download."""

POLICY = {
    "sandbox": "",
    "default-src": "'none'",
    # A browser that shows a picture or a video makes a page around it, with a style of its own.
    "img-src": "'self'",
    "media-src": "'self'",
    "style-src": "'unsafe-inline'",
}

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "; ".join(f"{name} {value}".strip() for name, value in POLICY.items()),
    "Cache-Control": "private, no-cache",
    "Accept-Ranges": "bytes",
}
"""Of every answer with bytes of a file. Browsers keep them for their user, and ask each time whether they may."""


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
        answer, span = await self._answer(request, blob, version, headers)
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
        answer, _ = await self._answer(request, file.thumbnail, version, headers)
        return answer

    async def _answer(
        self, request: Request, blob: Blob, version: Version, headers: Mapping[str, str]
    ) -> tuple[Response, Span | None]:
        """The answer, and the bytes that it has, if it has any."""
        whole = Span(0, blob.size - 1)
        told = {**SAFE, **version.headers}
        status = version.status_for(request.headers)
        if status == 412:
            raise PreconditionFailed
        if status == 304:
            return Response(status_code=304, headers=told), None
        told |= headers
        span = version.span(request.headers, blob.size) if request.method == "GET" else None
        told["Content-Length"] = str((span or whole).length)
        if span is not None:
            told["Content-Range"] = f"bytes {span.first}-{span.last}/{blob.size}"
        if request.method == "HEAD":
            return Response(headers=told), None
        source = await self._fetcher.open(blob, span or whole)
        return Piped(source, 206 if span else 200, told), span or whole

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
