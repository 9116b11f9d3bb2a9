"""An object that is written while it arrives, into a bucket that is a dictionary."""

import threading
from collections.abc import Iterator

import pytest

from meet import multipart, objects
from meet.clock import utcnow
from meet.domain.media import Blob
from meet.errors import Unavailable
from sfu.edge import deposit
from sfu.edge.deposit import Deposit, Threads

PART = 1000


class Shelf:
    """What the bucket was told."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.open = 0
        self.fails_at: int | None = None
        self.busy = threading.Semaphore(0)
        self.waits = False

    def put_bytes(self, key: str, data: bytes, mime: str) -> Blob:
        self.objects[key] = data
        return Blob(key, len(data), "etag")

    def begin(self, key: str, mime: str) -> str:
        self.open += 1
        return "id"

    def put(self, key: str, upload_id: str, number: int, data: bytes) -> multipart.Part:
        if self.waits:
            assert self.busy.acquire(timeout=10)
        if number == self.fails_at:
            raise Unavailable
        self.parts[number] = bytes(data)
        return multipart.Part(number, f"e{number}", len(data), utcnow())

    def complete(self, key: str, upload_id: str, parts: list[multipart.Part]) -> Blob:
        self.objects[key] = b"".join(self.parts[part.number] for part in parts)
        self.open -= 1
        return Blob(key, len(self.objects[key]), "etag-n")

    def abort(self, key: str, upload_id: str) -> None:
        self.open -= 1
        self.parts.clear()

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf()
    monkeypatch.setattr(deposit, "PART_BYTES", PART)
    for name in ("put_bytes", "delete"):
        monkeypatch.setattr(objects, name, getattr(made, name))
    for name in ("begin", "put", "complete", "abort"):
        monkeypatch.setattr(multipart, name, getattr(made, name))
    return made


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(2)
    yield made
    made.close()


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 5 * PART + 7])
async def test_what_is_written_is_there(shelf: Shelf, threads: Threads, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    one = Deposit("k", "text/plain", threads)
    for start in range(0, size, 300):
        one.write(memoryview(content)[start : start + 300])
        await one.flow()
    blob = await one.finish()
    assert shelf.objects == {"k": content}
    assert blob.size == one.size == size
    assert shelf.open == 0
    assert all(len(part) >= PART for number, part in shelf.parts.items() if number < len(shelf.parts))


async def test_one_part_is_sent_while_the_next_is_filled(shelf: Shelf, threads: Threads) -> None:
    """And the one after that waits: no more than two are held."""
    shelf.waits = True
    one = Deposit("k", "text/plain", threads)
    one.write(bytes(PART))
    await one.flow()
    one.write(bytes(PART - 1))
    await one.flow()  # there is room for it
    assert shelf.parts == {}
    shelf.busy.release(2)
    one.write(b"x")
    await one.flow()
    assert 1 in shelf.parts  # the first had to be there before the second was sent
    await one.finish()
    assert len(shelf.objects["k"]) == 2 * PART


async def test_a_part_that_cannot_be_sent(shelf: Shelf, threads: Threads) -> None:
    shelf.fails_at = 1
    one = Deposit("k", "text/plain", threads)
    one.write(bytes(PART))
    await one.flow()
    one.write(bytes(PART))
    with pytest.raises(Unavailable):
        await one.flow()
    await one.abort()
    assert (shelf.open, shelf.objects, shelf.parts) == (0, {}, {})


async def test_an_abort_waits_for_the_part_under_way(shelf: Shelf, threads: Threads) -> None:
    one = Deposit("k", "text/plain", threads)
    one.write(bytes(PART))
    await one.flow()
    await one.abort()
    assert (shelf.open, shelf.objects, shelf.parts) == (0, {}, {})


async def test_an_object_whose_answer_was_lost_is_deleted(
    shelf: Shelf, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(key: str, data: bytes, mime: str) -> Blob:
        shelf.put_bytes(key, data, mime)
        raise Unavailable

    monkeypatch.setattr(objects, "put_bytes", lost)
    one = Deposit("k", "text/plain", threads)
    one.write(b"text")
    with pytest.raises(Unavailable):
        await one.finish()
    await one.abort()
    assert shelf.objects == {}


async def test_what_cannot_be_deleted_now_hides_no_error(
    shelf: Shelf, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key: str, upload_id: str) -> None:
        raise Unavailable

    monkeypatch.setattr(multipart, "abort", away)
    one = Deposit("k", "text/plain", threads)
    one.write(bytes(PART))
    await one.flow()
    await one.abort()
    assert shelf.open == 1
