"""Players that came by, as Redis is told of them."""

import time

import pytest
from fakeredis import FakeAsyncRedis, FakeServer

from meet.audience import Audience, audience_of
from sfu.edge import crowd
from sfu.edge.crowd import Crowd


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "EVERY_S", 0)


async def watching(redis: FakeAsyncRedis, stream_id: str) -> Audience:
    return await audience_of(redis, stream_id, now=time.time())


async def test_each_player_counts_once_for_each_stream() -> None:
    redis = FakeAsyncRedis()
    players = Crowd(redis)
    for token in ("alice", "bob", "alice"):
        players.came_by("s1", token)
    players.came_by("s2", "alice")
    await players.close()
    assert await watching(redis, "s1") == Audience(2, 2, 2)
    assert await watching(redis, "s2") == Audience(1, 1, 1)


async def test_while_redis_is_away_nobody_is_counted_and_afterwards_again() -> None:
    server = FakeServer()
    redis = FakeAsyncRedis(server=server)
    players = Crowd(redis)
    server.connected = False
    players.came_by("s1", "alice")
    await players.close()
    server.connected = True
    players.came_by("s1", "bob")
    await players.close()
    assert await watching(redis, "s1") == Audience(1, 1, 1)


async def test_a_flood_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "MOST_WAITING", 3)
    redis = FakeAsyncRedis()
    players = Crowd(redis)
    for number in range(9):
        players.came_by("s1", f"player-{number}")
    await players.close()
    assert (await watching(redis, "s1")).total == 3
