"""Objects that many ask for at once: each is read from the bucket once, and kept for as long as it may be.

Whoever comes while one is being read waits for the same reading. What could not be read is not kept, and who was
waiting for it gets the same error.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

MOST_BYTES = 64 * 1024 * 1024
"""Of all that is kept: the last seconds of a hundred streams."""

Read = Callable[[], Awaitable[bytes]]


class Shared:
    """Objects by their keys; the least recently asked for goes first."""

    def __init__(self, *, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._size = 0
        self._reading: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, key: str, read: Read, *, keep_s: float) -> bytes:
        """The object, as it was at most `keep_s` ago; `read` reads it. Raises what `read` does."""
        kept = self._kept.get(key)
        if kept is not None and kept[1] > self._clock():
            self._kept.move_to_end(key)
            return kept[0]
        reading = self._reading.get(key)
        if reading is None:
            reading = asyncio.create_task(self._read(key, read, keep_s))
            self._reading[key] = reading
            reading.add_done_callback(_looked_at)
        return await asyncio.shield(reading)  # one of those who wait may go

    async def close(self) -> None:
        """Let go of what is being read."""
        waiting = list(self._reading.values())
        for reading in waiting:
            reading.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _read(self, key: str, read: Read, keep_s: float) -> bytes:
        try:
            data = await read()
        finally:
            del self._reading[key]
        self._forget(key)
        self._kept[key] = (data, self._clock() + keep_s)
        self._size += len(data)
        while self._size > self._most_bytes:
            self._forget(next(iter(self._kept)))
        return data

    def _forget(self, key: str) -> None:
        data, _ = self._kept.pop(key, (b"", 0.0))
        self._size -= len(data)


def _looked_at(reading: asyncio.Task[bytes]) -> None:
    """Asyncio complains of an error that nobody took; all who waited for this one may be gone."""
    if not reading.cancelled():
        reading.exception()
