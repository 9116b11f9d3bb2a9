"""`/api/v1/media/uploads`: files that browsers and phones send to the bucket themselves, part by part.

    POST   /api/v1/media/uploads                a URL for each part, good for `upload_url_s`, its size signed with it
    GET    /api/v1/media/uploads/{id}           fresh URLs for the parts that haven't arrived
    POST   /api/v1/media/uploads/{id}/complete  makes the file of them; may be repeated
    DELETE /api/v1/media/uploads/{id}           forgets what arrived

The id of an upload is the media id of the file that it becomes. What a client says of it is checked against what has
arrived; until it is complete and was examined, there is no file. What was begun and not completed is swept.
"""

import asyncio
from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, Field, StrictInt, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from meet import multipart, objects
from meet.clock import iso, new_id, utcnow
from meet.config import settings
from meet.domain.media import Blob, MediaFile
from meet.envelope import CODES
from meet.errors import Conflict, MeetError, NotFound
from meet.store import media
from meet.web.auth import Principal
from meet.web.files import PREFIX, MediaAnswer
from sfu.edge.json_body import json_body
from sfu.edge.once import once
from sfu.edge.pending import PendingUpload, PendingUploads
from sfu.edge.registration import STORED_AS, Description, check_size, examined, forget, labels, register
from sfu.edge.slots import Slots

PART_BYTES = 16 << 20
"""Of a file of 1000 MB that is 60 URLs."""


class BeginBody(Description):
    """The file that is to come."""

    filename: Annotated[StrictStr, Field(min_length=1)]
    size: Annotated[StrictInt, Field(ge=1)]
    """In bytes."""


class PartAnswer(BaseModel):
    """A part to be sent by PUT to `url`, of exactly `size` bytes."""

    part_number: int
    size: int
    url: str


class UploadAnswer(BaseModel):
    """What is still to be sent, and until when."""

    upload_id: str
    media_id: str
    size: int
    part_size: int
    parts: list[PartAnswer]
    expires_at: str
    complete_url: str

    @classmethod
    def of(cls, upload: PendingUpload, numbers: set[int]) -> Self:
        """The parts with these numbers; signs a URL for each."""
        expires_s = settings().upload_url_s
        at = utcnow() + timedelta(seconds=expires_s)

        def part(number: int, size: int) -> PartAnswer:
            url = multipart.presigned_part(upload.key, upload.multipart_id, number, size, expires_s=expires_s)
            return PartAnswer(part_number=number, size=size, url=url)

        return cls(
            upload_id=upload.media_id,
            media_id=upload.media_id,
            size=upload.size,
            part_size=upload.part_size,
            parts=[part(number, size) for number, size in enumerate(upload.part_sizes, 1) if number in numbers],
            expires_at=iso(at),
            complete_url=f"{settings().base_url}{PREFIX}/uploads/{upload.media_id}/complete",
        )


class Ending(MeetError):
    """409: another request completes or deletes the upload at this moment."""

    def __init__(self) -> None:
        super().__init__(CODES[409], 409, "The upload is being completed or deleted already", retry_after_s=1)


class DirectUploads:
    """The endpoints."""

    def __init__(self, pending: PendingUploads, slots: Slots) -> None:
        self._pending = pending
        self._slots = slots

    async def begin(self, request: Request, user: Principal) -> Response:
        """201 with where to send the file. Raises `TooLarge`, `TooManyAtOnce`, and what `labels` does."""
        body = await json_body(request)
        asked = body.read(BeginBody)
        check_size(asked.size, asked.file_type)

        async def made() -> Response:
            labelled = await labels(user, asked.filename, asked)
            media_id = new_id()
            await self._hold(user, media_id)
            key = objects.upload_key(media_id)
            try:
                multipart_id = await asyncio.to_thread(multipart.begin, key, STORED_AS)
                upload = PendingUpload(
                    media_id=media_id,
                    owner_id=user.user_id,
                    key=key,
                    multipart_id=multipart_id,
                    size=asked.size,
                    part_size=PART_BYTES,
                    labels=labelled,
                )
                await self._pending.put(upload)
            except BaseException:
                await self._slots.free(user.user_id, media_id)
                raise
            numbers = set(range(1, 1 + len(upload.part_sizes)))
            answer = await asyncio.to_thread(UploadAnswer.of, upload, numbers)
            return JSONResponse(answer.model_dump(), 201, {"Location": f"{PREFIX}/uploads/{media_id}"})

        return await once(request, user, body.content, made)

    async def read(self, request: Request, user: Principal) -> Response:
        """What is still to be sent, with fresh URLs."""
        upload = await self._pending.get(request.path_params["upload_id"], user.user_id)
        arrived = await asyncio.to_thread(multipart.arrived, upload.key, upload.multipart_id)
        await self._hold(user, upload.media_id)
        answer = await asyncio.to_thread(UploadAnswer.of, upload, missing(upload, arrived))
        return JSONResponse(answer.model_dump(), headers={"Cache-Control": "no-store"})

    async def complete(self, request: Request, user: Principal) -> Response:
        """201 with the file. 409 `UPLOAD_INCOMPLETE` where parts haven't arrived; 400 and 413 as an upload."""
        await json_body(request)
        media_id = request.path_params["upload_id"]
        upload = await self._pending.find(media_id, user.user_id)
        if upload is None:
            file = await asyncio.to_thread(media.find, media_id)
            if file is None or file.owner_id != user.user_id or file.job_id is not None:
                raise NotFound("There is no such upload, or it was begun too long ago")
        else:
            file = await self._made(upload, user)
        answer = MediaAnswer.of(file).model_dump()
        return JSONResponse(answer, 201, {"Location": f"{PREFIX}/{file.media_id}"})

    async def delete(self, request: Request, user: Principal) -> Response:
        """204: what arrived is forgotten."""
        upload = await self._pending.get(request.path_params["upload_id"], user.user_id)
        if await self._end(upload):
            await asyncio.to_thread(multipart.abort, upload.key, upload.multipart_id)
            await forget(upload.key)
        return Response(status_code=204)

    async def _made(self, upload: PendingUpload, user: Principal) -> MediaFile:
        blob = await asyncio.to_thread(assembled, upload)
        try:
            content = await examined(blob)
        except MeetError as error:
            # Its own fault is for good; what was ours is examined again when it is completed again.
            if error.status < 500 and await self._end(upload):
                await forget(upload.key)
            raise
        if not await self._end(upload):
            raise Ending
        try:
            return await register(user, upload.media_id, content, upload.labels)
        except BaseException:
            await self._pending.put(upload)
            raise

    async def _hold(self, user: Principal, media_id: str) -> None:
        await self._slots.take(user.user_id, media_id, lease_s=settings().upload_url_s)

    async def _end(self, upload: PendingUpload) -> bool:
        """Whether this is the one request that ends it: of several, one has the object to itself."""
        ended = await self._pending.drop(upload.media_id)
        await self._slots.free(upload.owner_id, upload.media_id)
        return ended


def missing(upload: PendingUpload, arrived: list[multipart.Part]) -> set[int]:
    """The numbers of the parts that haven't arrived as they were announced."""
    sizes = {part.number: part.size for part in arrived}
    return {number for number, size in enumerate(upload.part_sizes, 1) if sizes.get(number) != size}


def assembled(upload: PendingUpload) -> Blob:
    """The object of all parts, whoever put them together; `Conflict` where some are missing. Blocks."""
    try:
        arrived = multipart.arrived(upload.key, upload.multipart_id)
        if lacking := missing(upload, arrived):
            some = ", ".join(map(str, sorted(lacking)[:20]))
            raise Conflict(f"Parts of the upload have not arrived: {some}", code="UPLOAD_INCOMPLETE")
        announced = [part for part in arrived if part.number <= len(upload.part_sizes)]
        return multipart.complete(upload.key, upload.multipart_id, announced)
    except NotFound:
        return objects.there(upload.key)
