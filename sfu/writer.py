"""Writes records to the store in the background: nobody on the way of a frame ever waits for DynamoDB.

What waits is kept by its key, so that a session which changes ten times in a second is written once, as it is last.
While DynamoDB is away records wait, up to a bound in number and in size; what comes beyond it is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeAlias

from meet.domain.message import Message
from meet.domain.room import RoomRecord
from meet.domain.session import Session
from meet.errors import Unavailable

log = logging.getLogger("meet.sfu.writer")

Record: TypeAlias = Session | Message | RoomRecord
Sink = Callable[[list[Any]], None]
"""Puts records of one type into the store; blocks. `Unavailable` where it should be tried again."""

CAPACITY = 20_000
MOST_CHARACTERS = 64_000_000
"""Of messages that wait: a relayed SDP may have 64 KB, and 20 000 of those would be more than a process has."""
BATCH = 200
LINGER_S = 0.05
"""How long a first record waits for others to go with it."""
FIRST_RETRY_S = 0.5
MOST_RETRY_S = 15.0


class Writer:
    """A bounded set of records, and a thread of its own that writes them."""

    def __init__(
        self,
        sinks: Mapping[type[Record], Sink],
        *,
        capacity: int = CAPACITY,
        most_characters: int = MOST_CHARACTERS,
    ) -> None:
        self._sinks = sinks
        self._capacity = capacity
        self._most_characters = most_characters
        self._characters = 0
        self._waiting: dict[object, Record] = {}
        self._some = asyncio.Event()
        self._under_way: asyncio.Task[bool] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        self.written = 0
        self.dropped = 0

    def __len__(self) -> int:
        """How many records wait."""
        return len(self._waiting)

    def put(self, record: Record) -> None:
        """Have a record written soon, in place of an older one of the same key. Never blocks, never raises."""
        key = _key(record)
        full = len(self._waiting) >= self._capacity or self._characters >= self._most_characters
        older = self._waiting.get(key)
        if older is None and full:
            self.dropped += 1
            return
        self._characters += _characters(record) - _characters(older)
        self._waiting[key] = record
        self._some.set()

    async def run(self) -> None:
        """Write whatever comes, until cancelled; a batch that is under way then is `close`'s to wait for."""
        pause_s = FIRST_RETRY_S
        while True:
            await self._some.wait()
            await asyncio.sleep(LINGER_S)
            if await self._next_batch():
                pause_s = FIRST_RETRY_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, MOST_RETRY_S)

    async def close(self, *, timeout_s: float) -> None:
        """Write what still waits, for at most `timeout_s`. Call it when `run` has ended."""
        try:
            async with asyncio.timeout(timeout_s):
                if self._under_way:
                    await asyncio.shield(self._under_way)
                while self._waiting:
                    if not await self._next_batch():
                        await asyncio.sleep(FIRST_RETRY_S)
        except TimeoutError:
            if self._under_way:
                self._under_way.cancel()
                await asyncio.gather(self._under_way, return_exceptions=True)
            self.dropped += len(self._waiting)
            log.warning("%d records were not written: the store is away", len(self._waiting))
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _next_batch(self) -> bool:
        self._under_way = asyncio.create_task(self._write_batch())
        return await asyncio.shield(self._under_way)

    async def _write_batch(self) -> bool:
        """Write the oldest records; False where the store is away and they wait again."""
        batch = dict(islice(self._waiting.items(), BATCH))
        for key, record in batch.items():
            del self._waiting[key]
            self._characters -= _characters(record)
        done = False
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, list(batch.values()))
            done = True
        except Unavailable as error:
            log.warning("the store is away: %s", error)
        finally:
            if not done:
                again = {key: record for key, record in batch.items() if key not in self._waiting}  # else it is newer
                self._characters += sum(map(_characters, again.values()))
                self._waiting = again | self._waiting
            if not self._waiting:
                self._some.clear()
        return done

    def _write(self, records: Iterable[Record]) -> None:
        by_type: dict[type[Record], list[Record]] = {}
        for record in records:
            by_type.setdefault(type(record), []).append(record)
        for kind, some in by_type.items():
            try:
                self._sinks[kind](some)
                self.written += len(some)
            except Unavailable:
                raise
            except Exception:
                log.exception("a batch of %d records was refused; each is tried by itself", len(some))
                for record in some:
                    self._write_one(kind, record)

    def _write_one(self, kind: type[Record], record: Record) -> None:
        try:
            self._sinks[kind]([record])
            self.written += 1
        except Unavailable:
            raise
        except Exception:
            self.dropped += 1
            log.exception("a %s cannot be written and is dropped", kind.__name__)


def _key(record: Record) -> object:
    match record:
        case Session(session_id=session_id):
            return session_id
        case Message(message_id=message_id):
            return message_id
        case RoomRecord(meeting_number=number, created_at=created_at):
            return number, created_at


def _characters(record: Record | None) -> int:
    return _length(record.payload) if isinstance(record, Message) else 0


def _length(value: Any) -> int:
    """The characters of all strings in a payload, which is as shallow as a frame."""
    if isinstance(value, str):
        return len(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(_length(each) for each in inner)
