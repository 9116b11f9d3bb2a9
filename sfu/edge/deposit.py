"""Bytes on their way into the bucket: an object of unknown length, written while it arrives.

One part is filled while the one before is sent, so a file of any size takes the memory of two. What is smaller than a
part is one plain object. `meet.objects` blocks, so what it does for many runs in threads of its own here: a slow
bucket then holds up uploads, and nothing else.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from meet import multipart, objects
from meet.domain.media import Blob
from meet.errors import Unavailable

log = logging.getLogger("meet.edge")

PART_BYTES = 8 << 20
"""S3 takes 10 000 parts of 5 MiB and more."""
SENT_AT_ONCE = 16
"""Parts, of all uploads."""

Answer = TypeVar("Answer")


class Threads:
    """The threads in which this process's deposits wait for S3."""

    def __init__(self, count: int = SENT_AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="deposit")

    async def run(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """What `work` returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def close(self) -> None:
        """Let what runs end."""
        self._pool.shutdown()


class Deposit:
    """One object. `write` takes bytes at once; call `flow` after it, which waits until there is room for more.

    It ends with `finish` or with `abort`, of which there can be nothing in the bucket afterwards.
    """

    def __init__(self, key: str, mime: str, threads: Threads) -> None:
        self.key = key
        self.size = 0
        """Bytes written so far."""
        self._mime = mime
        self._threads = threads
        self._filling = bytearray()
        self._upload_id: str | None = None
        self._sending: asyncio.Future[multipart.Part] | None = None
        self._parts: list[multipart.Part] = []
        self._finishing = False

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._filling += data
        self.size += len(data)

    async def flow(self) -> None:
        """Send what fills a part."""
        if len(self._filling) >= PART_BYTES:
            await self._send()

    async def finish(self) -> Blob:
        """Everything was written: the object."""
        self._finishing = True
        if self._upload_id is None:
            return await self._threads.run(objects.put_bytes, self.key, bytes(self._filling), self._mime)
        if self._filling:
            await self._send()
        await self._sent()
        return await self._threads.run(multipart.complete, self.key, self._upload_id, self._parts)

    async def abort(self) -> None:
        """Nothing of it is wanted, wherever it broke off. What can't be deleted now is left to the sweeper."""
        self._filling.clear()
        try:
            if self._upload_id is not None:
                if self._sending is not None:  # a part that arrives after an abort would stay
                    await asyncio.wait([self._sending])
                await self._threads.run(multipart.abort, self.key, self._upload_id)
            if self._finishing:  # it may be there although no answer came
                await self._threads.run(objects.delete, self.key)
        except Unavailable as error:
            log.warning("what arrived of %s is left to the sweeper: %s", self.key, error)

    async def _send(self) -> None:
        await self._sent()
        if self._upload_id is None:
            self._upload_id = await self._threads.run(multipart.begin, self.key, self._mime)
        part, self._filling = self._filling, bytearray()
        sending = self._threads.run(multipart.put, self.key, self._upload_id, len(self._parts) + 1, part)
        self._sending = asyncio.ensure_future(sending)

    async def _sent(self) -> None:
        """Wait for the part that is being sent, if there is one; raises what went wrong with it."""
        if self._sending is not None:
            self._parts.append(await asyncio.shield(self._sending))
            self._sending = None
