from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer

from meet.audience import AT_ONCE, KEPT_S, WINDOW_S, Audience, audience_of, audiences, seen

NOW = 1_800_000_000.25


async def test_players_count_for_as_long_as_they_come_by() -> None:
    redis = FakeAsyncRedis()
    await seen(redis, "s", ["alice", "bob"], now=NOW)
    await seen(redis, "s", ["alice"], now=NOW + 10)
    assert await audience_of(redis, "s", now=NOW + WINDOW_S) == Audience(current=2, total=2, peak=2)
    assert await audience_of(redis, "s", now=NOW + WINDOW_S + 0.5) == Audience(current=1, total=2, peak=2)
    await seen(redis, "s", ["carol"], now=NOW + 20)
    assert await audience_of(redis, "s", now=NOW + 20) == Audience(current=2, total=3, peak=2)
    assert await audience_of(redis, "s", now=NOW + 60) == Audience(current=0, total=3, peak=2)


async def test_who_came_long_ago_is_no_part_of_the_peak() -> None:
    redis = FakeAsyncRedis()
    for number in range(5):
        await seen(redis, "s", [f"player-{number}"], now=NOW + number * (WINDOW_S + 1))
    assert await audience_of(redis, "s", now=NOW + 4 * (WINDOW_S + 1)) == Audience(current=1, total=5, peak=1)


async def test_functions_and_the_tier_count_the_same_of_each_stream() -> None:
    server = FakeServer()
    await seen(FakeAsyncRedis(server=server), "s", ["alice"], now=NOW)
    redis = FakeRedis(server=server)
    assert audiences(redis, ["other", "s"], now=NOW) == [Audience(), Audience(1, 1, 1)]
    assert audiences(redis, [], now=NOW) == []


async def test_a_crowd_is_counted_in_batches_and_forgotten_in_a_day() -> None:
    redis = FakeAsyncRedis()
    await seen(redis, "s", [f"player-{number}" for number in range(AT_ONCE + 1)], now=NOW)
    found = await audience_of(redis, "s", now=NOW)
    assert (found.current, found.peak) == (AT_ONCE + 1, AT_ONCE + 1)
    assert abs(found.total - (AT_ONCE + 1)) <= 0.03 * AT_ONCE
    assert {key: await redis.ttl(key) for key in await redis.keys("*")} == dict.fromkeys(
        (b"viewers:s", b"watched:s", b"peak:s"), KEPT_S
    )
