import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from meet.domain.message import Message
from meet.domain.room import RoomRecord
from meet.domain.session import Session
from meet.errors import Unavailable
from sfu.writer import BATCH, Writer

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SESSION = Session("s1", "alice", "Alice", "p", "m", 7, AT, AT)
ROOM = RoomRecord(7, "m", AT, AT, None, 1, 1, 0)


def message(number: int, text: str = "hi") -> Message:
    return Message(f"{number:05}", "chat", "alice", None, 7, {"message": text}, AT)


class Store:
    """Takes records; may be away, and may refuse some."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.loop = asyncio.get_running_loop()
        self.asked = asyncio.Event()
        self.away = False
        self.refuses: Callable[[Any], bool] = lambda record: False

    def write(self, records: list[Any]) -> None:
        self.threads.add(threading.current_thread().name)
        try:
            self._write(records)
        finally:
            self.loop.call_soon_threadsafe(self.asked.set)

    def _write(self, records: list[Any]) -> None:
        if self.away:
            raise Unavailable
        if any(self.refuses(record) for record in records):
            raise ValueError("no")
        self.batches.append(len(records))
        self.written += records


@pytest_asyncio.fixture
async def store() -> Store:
    return Store()


def writer_of(store: Store, **options: int) -> Writer:
    return Writer(dict.fromkeys((Session, Message, RoomRecord), store.write), **options)


async def test_records_are_written_in_a_thread_soon(store: Store) -> None:
    writer = writer_of(store)
    running = asyncio.create_task(writer.run())
    for record in (SESSION, message(1), ROOM, message(2)):
        writer.put(record)
    async with asyncio.timeout(10):
        await store.asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await writer.close(timeout_s=5)
    assert store.written == [SESSION, message(1), message(2), ROOM]
    assert all(name.startswith("writer") for name in store.threads)


async def test_of_one_key_the_latest_is_written_once(store: Store) -> None:
    writer = writer_of(store)
    for record in (SESSION, SESSION.lost(), SESSION.closed(), ROOM, replace(ROOM, total_messages=5)):
        writer.put(record)
    assert len(writer) == 2
    await writer.close(timeout_s=5)
    assert store.written == [SESSION.closed(), replace(ROOM, total_messages=5)]


async def test_closing_writes_all_in_batches(store: Store) -> None:
    writer = writer_of(store)
    for number in range(BATCH * 2 + 1):
        writer.put(message(number))
    await writer.close(timeout_s=5)
    assert store.batches == [BATCH, BATCH, 1]
    assert [m.message_id for m in store.written] == [f"{n:05}" for n in range(BATCH * 2 + 1)]
    assert (writer.written, writer.dropped) == (BATCH * 2 + 1, 0)


async def test_what_is_too_much_is_dropped_and_counted(store: Store) -> None:
    writer = writer_of(store, capacity=3)
    for number in range(5):
        writer.put(message(number))
    writer.put(message(0, "newer"))
    assert (len(writer), writer.dropped) == (3, 2)
    await writer.close(timeout_s=5)
    assert [m.payload["message"] for m in store.written] == ["newer", "hi", "hi"]


async def test_messages_are_bounded_in_size_too(store: Store) -> None:
    writer = writer_of(store, most_characters=10)
    writer.put(message(0, "x" * 10))
    writer.put(message(1))
    assert (len(writer), writer.dropped) == (1, 1)
    writer.put(message(0, "short"))
    writer.put(message(2))
    assert (len(writer), writer.dropped) == (2, 1)
    await writer.close(timeout_s=5)
    writer.put(message(3, "room again"))
    assert (len(writer), writer.dropped) == (1, 1)


async def test_while_the_store_is_away_records_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.writer.FIRST_RETRY_S", 0.01)
    writer = writer_of(store)
    store.away = True
    running = asyncio.create_task(writer.run())
    writer.put(SESSION)
    async with asyncio.timeout(10):
        await store.asked.wait()
    writer.put(SESSION.closed())
    store.asked.clear()
    store.away = False
    async with asyncio.timeout(10):
        await store.asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await writer.close(timeout_s=5)
    assert store.written == [SESSION.closed()]


async def test_what_a_store_that_stays_away_never_got_is_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfu.writer.FIRST_RETRY_S", 0.01)
    writer = writer_of(store)
    store.away = True
    writer.put(SESSION)
    await writer.close(timeout_s=0.1)
    assert (writer.written, writer.dropped, store.written) == (0, 1, [])


async def test_one_record_that_is_refused_takes_no_other_with_it(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    writer = writer_of(store)
    store.refuses = lambda record: isinstance(record, Message) and record.payload["message"] == "poison"
    for record in (message(1), message(2, "poison"), message(3)):
        writer.put(record)
    await writer.close(timeout_s=5)
    assert store.written == [message(1), message(3)]
    assert (writer.written, writer.dropped) == (2, 1)
    assert "is dropped" in caplog.text
