"""`POST /api/v1/media/upload`: a form with a file, streamed into the bucket as it arrives.

The first 4 KB say what the file is, and so how large it may be: nothing is taken of one that is refused. When all of
it has arrived it is examined, and only then is there a media file. Until then it is an object, or parts of one, that
nobody knows of, and that are deleted whatever happens.

A request under an `Idempotency-Key` is compared with the first by a hash of its content, which is known when all of
it has arrived; so it is sent again, and then found to be there.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from meet import objects
from meet.clock import new_id
from meet.config import settings
from meet.domain.media import Blob, FileType
from meet.envelope import CODES
from meet.errors import Invalid, MeetError
from meet.probe.sniff import SNIFFED, sniff
from meet.web.auth import Principal
from meet.web.errors import field_messages
from meet.web.files import PREFIX, MediaAnswer
from meet.web.idempotency import Attempt
from sfu.edge.deposit import Deposit, Threads
from sfu.edge.form import MOST_FIELD_BYTES, MOST_FIELDS, UploadForm
from sfu.edge.once import attempt_of, begin, kept
from sfu.edge.registration import (
    MEGABYTE,
    STORED_AS,
    Description,
    TooLarge,
    check_size,
    examined,
    forget,
    labels,
    register,
)
from sfu.edge.slots import Slots

STALL_S = 60.0
"""A client that sends nothing for so long is gone."""
MOST_AROUND = MOST_FIELDS * MOST_FIELD_BYTES
"""What a body may have besides the file."""


class Reception:
    """One file on its way in. `take` the body's pieces; then `finish`, or `abort`."""

    def __init__(self, media_id: str, content_type: str, threads: Threads, *, hashed: bool) -> None:
        self.media_id = media_id
        self.form = UploadForm(content_type, self._file_data)
        self.hash = sha256() if hashed else None
        self._deposit = Deposit(objects.upload_key(media_id), STORED_AS, threads)
        self._head = bytearray()
        self._file_type: FileType | None = None
        self._taken = 0

    async def take(self, piece: bytes) -> None:
        """The next piece. Raises `TooLarge` as soon as that is known, and `Invalid` for what isn't accepted."""
        self._taken += len(piece)
        check_body(self._taken)
        self.form.feed(piece)
        await self._deposit.flow()

    async def finish(self) -> Blob:
        """The body has ended: the object, whole. `Invalid` where there is no file in it."""
        self.form.close()
        if self._file_type is None:
            self._sniff()
        return await self._deposit.finish()

    async def abort(self) -> None:
        """Leave nothing of it behind."""
        await self._deposit.abort()

    def _file_data(self, data: memoryview) -> None:
        if self.hash is not None:
            self.hash.update(data)
        self._deposit.write(data)
        if self._file_type is None:
            self._head += data[: SNIFFED - len(self._head)]
            if len(self._head) == SNIFFED:
                self._sniff()
        check_size(self._deposit.size, self._file_type)

    def _sniff(self) -> None:
        if not self._head:
            raise Invalid(details={"file": "The file is empty"})
        kind = sniff(bytes(self._head))
        if kind is None:
            raise Invalid(details={"file": "The file is of no supported format"})
        self._file_type = kind.file_type


def check_body(size: int) -> None:
    """`TooLarge` where no form with a file may be so large."""
    limit_mb = max(settings().upload_limit_mb.values())
    if size > limit_mb * MEGABYTE + MOST_AROUND:
        raise TooLarge(limit_mb)


class Uploads:
    """The endpoint. `slots` bounds the uploads of one user, `threads` those that are written at once."""

    def __init__(self, slots: Slots, threads: Threads) -> None:
        self._slots = slots
        self._threads = threads
        self._aborting: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait until nothing is left of what was broken off."""
        await asyncio.gather(*self._aborting)

    async def upload(self, request: Request, user: Principal) -> Response:
        """Take a file; 201 with what is known of it."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            check_body(int(declared[:20]))
        attempt = attempt_of(request, user)
        content_type = request.headers.get("content-type", "")
        reception = Reception(new_id(), content_type, self._threads, hashed=attempt is not None)
        async with self._slots.held(user.user_id):
            return await self._receive(request, user, reception, attempt)

    async def _receive(
        self, request: Request, user: Principal, reception: Reception, attempt: Attempt | None
    ) -> Response:
        try:
            async for piece in pieces(request):
                await reception.take(piece)
            form = reception.form
            labelled = await labels(user, form.filename or "", _description(form.fields))
            blob = await reception.finish()
        except BaseException:
            await self._abort(reception)
            raise

        async def made() -> Response:
            try:
                content = await examined(blob)
            except BaseException:
                await forget(blob.key)
                raise
            file = await register(user, reception.media_id, content, labelled)
            answer = MediaAnswer.of(file).model_dump()
            return JSONResponse(answer, 201, {"Location": f"{PREFIX}/{file.media_id}"})

        if attempt is None or reception.hash is None:
            return await made()
        said = json.dumps([form.filename, sorted(form.fields.items())]).encode()
        try:
            first = await begin(attempt, request, reception.hash.digest(), said)
        except BaseException:
            await forget(blob.key)
            raise
        if first is not None:
            await forget(blob.key)
            return first
        return await kept(attempt, made())

    async def _abort(self, reception: Reception) -> None:
        """To its end, also where this process is told to stop and the request is cancelled again."""
        task = asyncio.create_task(reception.abort())
        self._aborting.add(task)
        task.add_done_callback(self._aborting.discard)
        await asyncio.shield(task)


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """A request's body; `ClientDisconnect` where its client goes away in the middle, 408 where it stops."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(STALL_S):
                piece = await anext(stream, b"")
        except TimeoutError:
            message = f"Nothing of the request body arrived for {STALL_S:.0f} seconds"
            raise MeetError(CODES[408], 408, message, headers={"Connection": "close"}) from None
        if not piece:
            return
        yield piece


def _description(fields: dict[str, str]) -> Description:
    try:
        return Description.model_validate(fields)
    except ValidationError as error:
        raise Invalid(details=field_messages(error.errors())) from None
