"""`GET /api/v1/recording/download/{recording_id}` and `…/tracks/{number}`: what a recording became, and its parts."""

import asyncio
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from meet.domain.media import Blob
from meet.domain.recording import Recording, RecordingStatus
from meet.errors import Conflict, MeetError, NotFound
from meet.web.access import readable_recording
from meet.web.auth import Principal
from meet.web.jobs import RETRY_AFTER_S
from sfu.edge.content import content
from sfu.edge.fetcher import Fetcher
from sfu.edge.filenames import cleaned, content_disposition
from sfu.edge.ranges import Version


def finished(user: Principal, recording_id: str) -> tuple[Recording, Blob]:
    """A recording whose file is there, and where it is. Blocks.

    Raises `NotFound` where there is none that the user may know of, 409 `RECORDING_PROCESSING` with a time to wait
    where there is no file yet, and `Conflict` where there will never be one.
    """
    recording = readable_recording(user, recording_id)
    if not recording.is_over:
        said = "The recording still goes on" if recording.is_live else "The recording's file is still being made"
        raise MeetError("RECORDING_PROCESSING", 409, said, details=recording_id, retry_after_s=RETRY_AFTER_S)
    if recording.status is not RecordingStatus.COMPLETED or recording.blob is None:
        raise Conflict(f"There is no file: the recording is {recording.status}", details=recording.error)
    return recording, recording.blob


class Recordings:
    """The endpoints, for GET and HEAD."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def download(self, request: Request, user: Principal) -> Response:
        """The file."""
        recording, blob = await asyncio.to_thread(finished, user, request.path_params["recording_id"])
        mime_type = recording.mime_type or "application/octet-stream"
        return await self._answer(request, blob, _made_at(recording), mime_type, recording.filename)

    async def track(self, request: Request, user: Principal) -> Response:
        """One person's microphone, camera or screen, as it was sent; tracks are counted from 0."""
        recording, _ = await asyncio.to_thread(finished, user, request.path_params["recording_id"])
        number = request.path_params["number"]
        if not number.isascii() or not number.isdecimal() or len(number) > 6 or int(number) >= len(recording.tracks):
            raise NotFound("The recording has no such track")
        track = recording.tracks[int(number)]
        name = cleaned(f"{recording.room_id}-{track.username}-{track.source}.mkv", "mkv")
        return await self._answer(request, track.blob, _made_at(recording), track.mime_type, name)

    async def _answer(
        self, request: Request, blob: Blob, made_at: datetime, mime_type: str, filename: str
    ) -> Response:
        headers = {
            "Content-Type": mime_type,
            "Content-Disposition": content_disposition(filename, inline=_is_inline(request)),
        }
        answer, _ = await content(self._fetcher, request, blob, Version(blob.etag, made_at), headers)
        return answer


def _is_inline(request: Request) -> bool:
    """Browsers can play what is made, and none of it can run."""
    return request.query_params.get("disposition") == "inline"


def _made_at(recording: Recording) -> datetime:
    """When it is said to have been written: no byte of it changes after that."""
    return recording.stopped_at or recording.created_at
