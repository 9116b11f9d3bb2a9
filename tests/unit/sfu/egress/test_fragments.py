"""What is on its way to a bucket that is slow, away for a while, or away for good."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from meet.errors import NotFound, Unavailable
from sfu.egress.fragments import AWAY, BUG, NO_ROOM, Fragments
from sfu.egress.spool import Spool

RETRY_S = 0.01


class Bucket:
    """Takes objects, or fails as `fails` says."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, bytes]] = []
        self.tried = 0
        self.fails: Callable[[str], Exception | None] = lambda _: None
        self.gate = threading.Event()
        self.gate.set()

    def put(self, key: str, data: bytes, mime: str) -> None:
        self.tried += 1
        assert self.gate.wait(10)
        error = self.fails(key)
        if error is not None:
            raise error
        self.puts.append((key, data))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fragments_to(bucket: Bucket, clock: Clock, **more: Spool) -> Fragments:
    return Fragments(bucket.put, clock=clock, away_s=60, retry_s=RETRY_S, **more)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what changes it is a thread
            await asyncio.sleep(0.001)


async def test_each_lane_is_in_order(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock)
    for number in range(50):
        for lane in ("a", "b", "c"):
            fragments.add(lane, f"{lane}{number}", bytes([number]), "x/y")
    await fragments.drain()
    for lane in ("a", "b", "c"):
        assert [one for one in bucket.puts if one[0][0] == lane] == [(f"{lane}{n}", bytes([n])) for n in range(50)]
    assert fragments.error is None


@pytest.mark.parametrize("error", [Unavailable("away"), NotFound("no such bucket"), OSError("odd")])
async def test_an_outage_is_survived_and_nothing_overtakes(bucket: Bucket, clock: Clock, error: Exception) -> None:
    fragments = fragments_to(bucket, clock)
    bucket.fails = lambda _: error
    fragments.add("a", "0", b"zero", "x/y")
    await until(lambda: bucket.tried >= 3)
    fragments.add("a", "1", b"one", "x/y")
    clock.now = 59.0
    fragments.check()
    bucket.fails = lambda _: None
    await fragments.drain()
    assert bucket.puts == [("0", b"zero"), ("1", b"one")]
    assert fragments.error is None


async def test_an_outage_is_logged_twice(bucket: Bucket, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fragments = fragments_to(bucket, clock)
    bucket.fails = lambda _: Unavailable("away")
    fragments.add("a", "0", b"", "x/y")
    await until(lambda: bucket.tried >= 3)
    bucket.fails = lambda _: None
    await fragments.drain()
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["0", "the"]


async def test_one_track_that_fails_now_and_then_holds_up_no_other(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock)
    bucket.fails = lambda key: Unavailable("away") if key == "bad" else None
    fragments.add("a", "bad", b"", "x/y")
    fragments.add("b", "good", b"", "x/y")
    await until(lambda: bool(bucket.puts))
    bucket.fails = lambda _: None
    await fragments.drain()
    assert sorted(key for key, _ in bucket.puts) == ["bad", "good"]


async def test_away_for_good_is_an_error(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock)
    bucket.fails = lambda _: Unavailable("away")
    fragments.add("a", "0", b"", "x/y")
    await until(lambda: bucket.tried >= 2)
    clock.now = 61.0
    await fragments.drain()
    assert fragments.error == AWAY
    fragments.add("a", "1", b"", "x/y")
    tried = bucket.tried
    await asyncio.sleep(3 * RETRY_S)
    assert bucket.tried == tried


async def test_a_request_that_hangs_is_not_waited_for(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock)
    bucket.gate.clear()
    try:
        fragments.add("a", "0", b"", "x/y")
        await until(lambda: bucket.tried == 1)
        clock.now = 61.0
        fragments.check()
        assert fragments.error == AWAY
        async with asyncio.timeout(5):
            await fragments.drain()
    finally:
        bucket.gate.set()


async def test_a_long_time_without_anything_is_no_outage(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock)
    fragments.add("a", "0", b"", "x/y")
    await fragments.idle()
    clock.now = 1000.0
    fragments.check()
    fragments.add("a", "1", b"", "x/y")
    fragments.check()
    await fragments.drain()
    assert fragments.error is None
    assert len(bucket.puts) == 2


async def test_no_more_room_is_an_error(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock, spool=Spool(memory=10, memory_most=10, disk=0))
    bucket.fails = lambda _: Unavailable("away")
    fragments.add("a", "0", bytes(8), "x/y")
    fragments.add("a", "1", bytes(8), "x/y")
    assert fragments.error == NO_ROOM
    await fragments.drain()


async def test_what_went_to_the_disk_arrives(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock, spool=Spool(memory=0, memory_most=10, disk=1000))
    for number in range(20):
        fragments.add("a", str(number), bytes([number]) * 20, "x/y")
    await fragments.drain()
    assert bucket.puts == [(str(number), bytes([number]) * 20) for number in range(20)]


async def test_of_a_manifest_only_the_newest_has_to_arrive(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock)
    bucket.gate.clear()
    fragments.add("m", "manifest", b"0", "x/y", replaces=True)
    await until(lambda: bucket.tried == 1)
    for number in range(1, 5):
        fragments.add("m", "manifest", str(number).encode(), "x/y", replaces=True)
    bucket.gate.set()
    await fragments.drain()
    assert bucket.puts == [("manifest", b"0"), ("manifest", b"4")]


async def test_a_manifest_that_is_replaced_has_waited_all_the_same(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock)
    bucket.fails = lambda _: Unavailable("away")
    fragments.add("m", "manifest", b"0", "x/y", replaces=True)
    for second in range(1, 70):
        tried = bucket.tried
        await until(lambda tried=tried: bucket.tried > tried)
        clock.now = float(second)
        fragments.add("m", "manifest", b"1", "x/y", replaces=True)
        fragments.check()
        if fragments.error is not None:
            break
    assert fragments.error == AWAY
    await fragments.drain()


async def test_a_bug_is_said(bucket: Bucket, clock: Clock) -> None:
    fragments = fragments_to(bucket, clock)
    bucket.fails = lambda _: ZeroDivisionError("a bug")
    fragments.add("a", "0", b"", "x/y")
    await fragments.drain()
    assert fragments.error == BUG
