"""How many uploads a user may have open."""

import pytest
from fakeredis import FakeAsyncRedis, FakeServer

from sfu.edge.slots import Slots, TooManyAtOnce


@pytest.fixture
def redis() -> FakeAsyncRedis:
    return FakeAsyncRedis(server=FakeServer())


async def test_each_user_has_so_many(redis: FakeAsyncRedis) -> None:
    slots = Slots(redis, 2)
    async with slots.held("alice"), slots.held("alice"):
        with pytest.raises(TooManyAtOnce):
            await slots.take("alice", "third")
        async with slots.held("bob"):
            pass
    await slots.take("alice", "third")


async def test_a_slot_is_held_for_longer_by_its_name(redis: FakeAsyncRedis) -> None:
    slots = Slots(redis, 1)
    await slots.take("alice", "one")
    await slots.take("alice", "one")
    await slots.free("alice", "one")
    await slots.free("alice", "one")
    await slots.take("alice", "two")


async def test_what_a_killed_process_held_lapses(redis: FakeAsyncRedis) -> None:
    slots = Slots(redis, 2)
    await slots.take("alice", "long", lease_s=900)
    await slots.take("alice", "killed", lease_s=-1)
    await slots.take("alice", "next")
    with pytest.raises(TooManyAtOnce):
        await slots.take("alice", "third")
    assert await redis.pttl("uploads:alice") > 800_000  # of the longest
