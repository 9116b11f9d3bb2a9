"""`POST /api/v1/ffmpeg/thumbnail`: a picture of a video's moment, or of an image, as a file of its own, at once."""

import asyncio
from typing import Annotated, Self

from pydantic import BaseModel, Field, StrictFloat, StrictInt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from meet import objects
from meet.clock import new_id, utcnow
from meet.domain.media import Facts, FileType, MediaFile
from meet.errors import Invalid
from meet.probe import client as probe
from meet.probe.kinds import MOST_SIDE, Format
from meet.store import media
from meet.web.auth import Principal
from meet.web.files import PREFIX, download_url
from meet.web.jobs import MediaId, OneFile, one_media_id
from sfu.edge.downloads import readable_bytes
from sfu.edge.filenames import MOST_CHARS
from sfu.edge.json_body import json_body
from sfu.edge.once import once
from sfu.edge.registration import STORED_AS, Stored

MIMES: dict[Format, str] = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
CODECS: dict[Format, str] = {"jpg": "mjpeg", "png": "png", "webp": "webp"}
"""FFmpeg's names, as the probe says them of what is uploaded."""

Side = Annotated[StrictInt, Field(ge=1, le=MOST_SIDE)]


class ThumbnailBody(OneFile):
    """What is wanted. The picture has exactly this size: the whole of the source in its own shape, on black."""

    media_id: MediaId = one_media_id("media_id")
    timestamp: StrictFloat | StrictInt = Field(0, ge=0)
    """Seconds from the start of a video; an image has one moment."""
    width: Side = 320
    height: Side = 180
    format: Format = "jpg"


class ThumbnailAnswer(BaseModel):
    """The picture that was made; `thumbnail_id` is a media id as any other."""

    thumbnail_id: str
    media_id: str
    """The file that it was made of."""
    url: str
    width: int
    height: int
    format: str
    size: int

    @classmethod
    def of(cls, made: MediaFile, source_id: str, asked: ThumbnailBody) -> Self:
        """The answer to a request."""
        return cls(
            thumbnail_id=made.media_id,
            media_id=source_id,
            url=download_url(made.media_id),
            width=asked.width,
            height=asked.height,
            format=asked.format,
            size=made.blob.size if made.blob else 0,
        )


async def make(request: Request, user: Principal) -> Response:
    """The endpoint. 404 for a file that the user may not read, 409 while a job makes it, 400 if it shows nothing."""
    body = await json_body(request)
    asked = body.read(ThumbnailBody)

    async def made() -> Response:
        source, blob = await asyncio.to_thread(readable_bytes, user, asked.media_id)
        _check(source, asked.timestamp)
        picture = await probe.thumbnail(
            Stored(blob.key, blob.size),
            at_s=float(asked.timestamp),
            width=asked.width,
            height=asked.height,
            format=asked.format,
        )
        file = await asyncio.to_thread(_keep, picture, source, asked, user)
        answer = ThumbnailAnswer.of(file, source.media_id, asked).model_dump()
        return JSONResponse(answer, headers={"Location": f"{PREFIX}/{file.media_id}"})

    return await once(request, user, body.content, made)


def _check(source: MediaFile, timestamp: float) -> None:
    if source.file_type not in (FileType.VIDEO, FileType.IMAGE):
        raise Invalid(details={"media_id": f"There is no picture in a file of type {source.file_type}"})
    length_s = source.facts.duration_s
    if source.file_type is FileType.VIDEO and length_s is not None and timestamp > length_s:
        raise Invalid(details={"timestamp": f"The video ends after {length_s:g} seconds"})


def _keep(picture: bytes, source: MediaFile, asked: ThumbnailBody, user: Principal) -> MediaFile:
    """A file of the caller's, which belongs to the same meeting as its source."""
    media_id = new_id()
    blob = objects.put_bytes(objects.upload_key(media_id), picture, STORED_AS)
    ending = f"-thumbnail.{asked.format}"
    stem = source.filename.rpartition(".")[0] or source.filename
    file = MediaFile(
        media_id=media_id,
        owner_id=user.user_id,
        filename=stem[: MOST_CHARS - len(ending)] + ending,
        file_type=FileType.IMAGE,
        mime_type=MIMES[asked.format],
        uploaded_at=utcnow(),
        blob=blob,
        facts=Facts(width=asked.width, height=asked.height, codec=CODECS[asked.format]),
        meeting_id=source.meeting_id,
        meeting_number=source.meeting_number,
    )
    media.create(file)
    return file
