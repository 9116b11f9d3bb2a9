"""The limits are exact: the script against a model of it, and against callers in parallel."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil

import fakeredis
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from meet.config import Settings
from meet.ratelimit import (
    DEFAULTS,
    DOOR,
    AsyncDoor,
    Door,
    Limit,
    LimitClass,
    TooManyRequests,
    Verdict,
    caller,
    classify,
    limits_from,
    uncounted,
)

SECOND = 1_000_000


class Clock:
    """Stands for Redis' TIME: the script reads the clock from a key instead, which is all that differs."""

    def __init__(self) -> None:
        self.redis = fakeredis.FakeRedis()
        told = DOOR.replace("redis.call('TIME')", "redis.call('HMGET', 'clock', 'seconds', 'micros')")
        assert told != DOOR
        self.script = self.redis.register_script(told)

    def hit(self, now_us: int, limit: Limit, *, revocation_key: str = "") -> list[int]:
        seconds, micros = divmod(now_us, SECOND)
        self.redis.hset("clock", mapping={"seconds": seconds, "micros": micros})
        keys = ["log:user", "log:address", revocation_key]
        answer: list[int] = self.script(keys, [limit.limit, limit.burst, 60 * SECOND, SECOND])
        return answer


def expected(admitted: list[int], now: int, limit: Limit) -> list[int]:
    """What the script must answer, computed from every admitted time, without forgetting any."""
    window = sorted(at for at in admitted if at > now - 60 * SECOND)
    burst = [at for at in window if at > now - SECOND]
    waits = [0]
    if len(window) >= limit.limit:
        waits.append(window[-limit.limit] + 60 * SECOND - now)
    if len(burst) >= limit.burst:
        waits.append(burst[-limit.burst] + SECOND - now)
    if max(waits) == 0:
        admitted.append(now)
        window.append(now)
    return [int(max(waits) == 0), 0, limit.limit - len(window), window[0] + 60 * SECOND, max(waits)]


@given(
    st.integers(1, 6).flatmap(lambda limit: st.tuples(st.just(limit), st.integers(1, limit))),
    st.lists(
        st.one_of(st.integers(0, SECOND), st.sampled_from([0, 1, SECOND - 1, SECOND, 59 * SECOND, 60 * SECOND])),
        max_size=40,
    ),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_the_script_agrees_with_the_model(numbers: tuple[int, int], steps: list[int]) -> None:
    clock, limit, now = Clock(), Limit(*numbers), 1_763_800_000 * SECOND
    admitted: list[int] = []
    for step in steps:
        now += step
        assert clock.hit(now, limit) == expected(admitted, now, limit)
    for start in admitted:
        assert sum(start <= at < start + 60 * SECOND for at in admitted) <= limit.limit
        assert sum(start <= at < start + SECOND for at in admitted) <= limit.burst


def test_who_waits_as_told_is_admitted_and_who_does_not_is_not() -> None:
    clock, limit, now = Clock(), Limit(3, 2), 1_763_800_000 * SECOND
    assert [clock.hit(now + step, limit)[0] for step in (0, 0)] == [1, 1]
    refused = clock.hit(now, limit)
    assert refused[0] == 0
    assert refused[4] == SECOND
    assert clock.hit(now + SECOND - 1, limit)[0] == 0
    assert clock.hit(now + SECOND, limit)[0] == 1
    refused = clock.hit(now + 10 * SECOND, limit)
    assert refused == [0, 0, 0, now + 60 * SECOND, 50 * SECOND]
    assert clock.hit(now + 60 * SECOND - 1, limit)[0] == 0
    assert clock.hit(now + 60 * SECOND, limit)[0] == 1


def test_a_revoked_token_spends_its_addresss_allowance() -> None:
    clock, limit, now = Clock(), Limit(1, 1), 1_763_800_000 * SECOND
    clock.redis.set("revoked:family", "1")
    assert clock.hit(now, limit, revocation_key="revoked:family")[:2] == [1, 1]
    assert clock.hit(now, limit, revocation_key="revoked:family")[:2] == [0, 1]
    assert clock.hit(now, limit, revocation_key="revoked:other")[:2] == [1, 0]


def test_a_log_expires_with_its_window() -> None:
    clock = Clock()
    clock.hit(1_763_800_000 * SECOND, Limit(5, 5))
    assert 59_000 < clock.redis.pttl("log:user") <= 60_000


@pytest.fixture
def redis() -> Iterator[fakeredis.FakeRedis]:
    with fakeredis.FakeRedis() as client:
        yield client


@pytest.mark.parametrize("kind", LimitClass)
def test_200_parallel_callers_get_exactly_the_limit(redis: fakeredis.FakeRedis, kind: LimitClass) -> None:
    limit = Limit(DEFAULTS[kind].limit, DEFAULTS[kind].limit)
    door = Door(redis)

    def knock(_: int) -> Verdict:
        return door.hit(kind, limit, user_id="alice", address="192.0.2.1")

    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(knock, range(200)))
    admitted = [verdict for verdict in verdicts if verdict.allowed]
    assert len(admitted) == limit.limit
    assert sorted(verdict.remaining for verdict in admitted) == list(range(limit.limit))
    assert all(1 <= verdict.retry_after_s <= 60 for verdict in verdicts if not verdict.allowed)


async def test_the_tier_of_sockets_counts_with_the_functions() -> None:
    server = fakeredis.FakeServer()
    limit = Limit(3, 3)
    async with fakeredis.FakeAsyncRedis(server=server) as client:
        door = AsyncDoor(client)
        verdicts = await asyncio.gather(
            *(door.hit(LimitClass.WEBSOCKET, limit, user_id=None, address="192.0.2.1") for _ in range(9))
        )
        assert sum(verdict.allowed for verdict in verdicts) == 3
    with fakeredis.FakeRedis(server=server) as blocking:
        there = Door(blocking).hit(LimitClass.WEBSOCKET, limit, user_id=None, address="192.0.2.1")
        elsewhere = Door(blocking).hit(LimitClass.WEBSOCKET, limit, user_id=None, address="192.0.2.2")
    assert [there.allowed, elsewhere.allowed] == [False, True]


def test_without_a_limit_only_revocation_is_asked(redis: fakeredis.FakeRedis) -> None:
    redis.set("revoked:family", "1")
    door = Door(redis)
    for _ in range(3):
        verdict = door.hit(None, None, user_id="alice", address="", revocation_key="revoked:family")
        assert verdict.allowed
        assert verdict.revoked
    assert redis.keys("ratelimit:*") == []


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/api/v1/auth/login", LimitClass.AUTH),
        ("POST", "/api/v1/auth", LimitClass.AUTH),
        ("POST", "/api/v1/auth/login\n", LimitClass.AUTH),
        ("GET", "/api/v1/meetings/7\n8", LimitClass.API),
        ("GET", "/api/v1/authors", LimitClass.API),
        ("GET", "/api/v1/csrf-token", LimitClass.API),
        ("GET", "/api/v1/meetings", LimitClass.API),
        ("GET", "/api/v1/nothing/here", LimitClass.API),
        ("GET", "/admin/sessions", LimitClass.API),
        ("POST", "/whip/meeting-1", LimitClass.API),
        ("POST", "/api/v1/media/upload", LimitClass.UPLOAD),
        ("POST", "/api/v1/media/uploads", LimitClass.UPLOAD),
        ("POST", "/api/v1/media/uploads/7/complete", LimitClass.API),
        ("GET", "/api/v1/media/upload", LimitClass.API),
        ("GET", "/api/v1/media", LimitClass.API),
        ("POST", "/api/v1/ai/transcribe", LimitClass.AI),
        ("POST", "/api/v1/speech/emotion", LimitClass.AI),
        ("POST", "/api/v1/audio/denoising", LimitClass.AI),
        ("POST", "/api/v1/video/enhancement", LimitClass.AI),
        ("POST", "/v1/audio/transcriptions", LimitClass.AI),
        ("GET", "/ws/signaling", LimitClass.WEBSOCKET),
        ("GET", "/api/v1/ai/jobs/7", None),
        ("DELETE", "/api/v1/ai/jobs/7", LimitClass.AI),
        ("GET", "/api/v1/ffmpeg/job/7/status", None),
        ("POST", "/api/v1/models/whisper/load", None),
        ("GET", "/api/v1/nodes/n1/status", None),
        ("GET", "/api/v1/discovery/nodes", None),
        ("GET", "/health", None),
        ("GET", "/metrics", None),
        ("GET", "/ws/signaling/health", None),
        ("GET", "/api/v1/recording/health", None),
        ("GET", "/api/v1/recording/list", LimitClass.API),
        ("GET", "/api/v1/users/metrics", None),
        ("HEAD", "/api/v1/users/metrics", None),
        ("PUT", "/api/v1/users/health", LimitClass.API),
        ("POST", "/api/v1/auth/health", LimitClass.AUTH),
        ("GET", "/api/v1/sessions/health", LimitClass.API),
        ("GET", "/api/v1/users/x/metrics", LimitClass.API),
        ("OPTIONS", "/api/v1/meetings", None),
        ("GET", "/", None),
        ("GET", "/assets/index.js", None),
        ("GET", "/meetings/7/join", None),
    ],
)
def test_classify(method: str, path: str, kind: LimitClass | None) -> None:
    assert classify(method, path) is kind


@pytest.mark.parametrize(
    ("user_id", "address", "who"),
    [
        ("alice", "192.0.2.1", "user:alice"),
        (None, "192.0.2.1", "address:192.0.2.1"),
        (None, "2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        (None, "2001:db8:1:2::9", "address:2001:db8:1:2::/64"),
        (None, "::ffff:192.0.2.1", "address:192.0.2.1"),
        (None, "unknown", "address:unknown"),
    ],
)
def test_caller(user_id: str | None, address: str, who: str) -> None:
    assert caller(user_id, address) == who


def test_the_documents_table() -> None:
    assert limits_from(Settings(rate_limits="")) == {
        "auth": Limit(10, 5),
        "api": Limit(100, 50),
        "upload": Limit(5, 5),
        "ai": Limit(20, 10),
        "websocket": Limit(30, 10),
    }


def test_limits_are_configuration() -> None:
    assert limits_from(Settings(rate_limits=" OFF ")) is None
    limits = limits_from(Settings(rate_limits='{"api": [1000, 500], "auth": [3, 9]}'))
    assert limits is not None
    assert limits[LimitClass.API] == Limit(1000, 500)
    assert limits[LimitClass.AUTH] == Limit(3, 3)
    assert limits[LimitClass.AI] == DEFAULTS[LimitClass.AI]


@pytest.mark.parametrize(
    "table", [{"apis": [1, 1]}, {"api": 5}, {"api": [0, 1]}, {"api": [1]}, {"api": ["1", 1]}, [], 5]
)
def test_a_wrong_table_names_the_cure(table: object) -> None:
    with pytest.raises(ValueError, match="MEET_RATE_LIMITS"):
        limits_from(Settings(rate_limits=json.dumps(table)))


def test_the_documents_words() -> None:
    verdict = Verdict(False, False, 10, 0, 1728134460, 60)
    login = TooManyRequests(LimitClass.AUTH, verdict)
    assert (login.status, login.code, login.retry_after_s) == (429, "RATE_LIMIT_EXCEEDED", 60)
    assert login.message == "Too many login attempts. Please try again in 60 seconds."
    assert TooManyRequests(LimitClass.API, verdict).message == "Too many requests. Please try again later."
    assert verdict.headers == {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1728134460",
    }


def test_what_spends_nothing_keeps_all() -> None:
    assert uncounted(Limit(100, 50), now=12.5) == Verdict(True, False, 100, 100, ceil(12.5), 0)
