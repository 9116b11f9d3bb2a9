"""Objects that many ask for at once are read once."""

import asyncio

import pytest

from meet.errors import NotFound
from sfu.edge.shared import Shared


class Bucket:
    """Answers when it is told to, and counts."""

    def __init__(self) -> None:
        self.reads = 0
        self.data = b"first"
        self.error: Exception | None = None
        self.gate = asyncio.Event()

    async def read(self) -> bytes:
        self.reads += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.data


@pytest.fixture
async def bucket() -> Bucket:
    return Bucket()


async def test_a_crowd_is_one_reading(bucket: Bucket) -> None:
    shared = Shared()
    crowd = [asyncio.create_task(shared.get("key", bucket.read, keep_s=9)) for _ in range(100)]
    await asyncio.sleep(0)
    crowd[0].cancel()  # the one that began it goes; the others have theirs all the same
    bucket.gate.set()
    found = await asyncio.gather(*crowd, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [b"first"] * 99
    assert bucket.reads == 1


async def test_what_is_kept_is_kept_for_its_time(bucket: Bucket) -> None:
    now = 0.0
    shared = Shared(clock=lambda: now)
    bucket.gate.set()
    assert await shared.get("key", bucket.read, keep_s=0.5) == b"first"
    bucket.data = b"second"
    now = 0.4
    assert await shared.get("key", bucket.read, keep_s=0.5) == b"first"
    now = 0.6
    assert await shared.get("key", bucket.read, keep_s=0.5) == b"second"
    assert bucket.reads == 2


async def test_an_error_is_everybodys_who_waited_and_nobodys_after(bucket: Bucket) -> None:
    shared = Shared()
    bucket.error = NotFound()
    bucket.gate.set()
    waiting = [shared.get("key", bucket.read, keep_s=9) for _ in range(2)]
    assert [type(each) for each in await asyncio.gather(*waiting, return_exceptions=True)] == [NotFound] * 2
    bucket.error = None
    assert await shared.get("key", bucket.read, keep_s=9) == b"first"


async def test_the_least_recently_asked_for_goes_first(bucket: Bucket) -> None:
    shared = Shared(most_bytes=12)
    bucket.gate.set()
    for key in ("a", "b", "a", "c"):
        await shared.get(key, bucket.read, keep_s=9)
    assert bucket.reads == 3
    await shared.get("a", bucket.read, keep_s=9)
    assert bucket.reads == 3
    await shared.get("b", bucket.read, keep_s=9)
    assert bucket.reads == 4


async def test_what_is_too_large_is_answered_and_not_kept(bucket: Bucket) -> None:
    shared = Shared(most_bytes=3)
    bucket.gate.set()
    assert [await shared.get("a", bucket.read, keep_s=9) for _ in range(2)] == [b"first"] * 2
    assert bucket.reads == 2


async def test_closing_lets_go_of_what_is_being_read(bucket: Bucket) -> None:
    shared = Shared()
    asking = asyncio.create_task(shared.get("key", bucket.read, keep_s=9))
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
