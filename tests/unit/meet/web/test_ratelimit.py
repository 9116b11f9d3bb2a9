"""The door of a function."""

import json
import time
from collections.abc import Callable

import fakeredis
import httpx
import pytest
from fastapi import FastAPI


async def test_every_answer_says_what_is_left(client: httpx.AsyncClient) -> None:
    for remaining in ("99", "98", "97"):
        answer = await client.get("/api/v1/meetings/7")
        assert answer.headers["x-ratelimit-limit"] == "100"
        assert answer.headers["x-ratelimit-remaining"] == remaining
        assert 55 < int(answer.headers["x-ratelimit-reset"]) - time.time() <= 61


async def test_429(environment: pytest.MonkeyPatch, client: httpx.AsyncClient) -> None:
    environment.setenv("MEET_RATE_LIMITS", json.dumps({"api": [2, 2]}))
    assert [(await client.get("/api/v1/meetings/7")).status_code for _ in range(2)] == [200, 200]
    refused = await client.get("/api/v1/meetings/7")
    assert refused.status_code == 429
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.headers["retry-after"] == "60"
    error = refused.json()["error"]
    assert (error["code"], error["retry_after"]) == ("RATE_LIMIT_EXCEEDED", 60)
    assert refused.headers["x-request-id"]


async def test_users_and_addresses_have_their_own(
    environment: pytest.MonkeyPatch, app: FastAPI, bearer: Callable[..., dict[str, str]]
) -> None:
    environment.setenv("MEET_RATE_LIMITS", json.dumps({"api": [1, 1]}))
    codes = []
    for address, headers in (
        ("192.0.2.1", {}),
        ("192.0.2.1", {}),
        ("192.0.2.2", {}),
        ("192.0.2.1", bearer("alice")),
        ("192.0.2.2", bearer("alice")),
        ("192.0.2.1", bearer("bob")),
        ("192.0.2.3", {"Authorization": "Bearer forged"}),
        ("192.0.2.3", {"Authorization": "Bearer another"}),
    ):
        transport = httpx.ASGITransport(app, client=(address, 0))
        async with httpx.AsyncClient(transport=transport, base_url="http://meet.test") as client:
            codes.append((await client.get("/api/v1/meetings/7", headers=headers)).status_code)
    assert codes == [200, 429, 200, 200, 429, 200, 200, 429]


async def test_redis_away_costs_one_try_and_lets_everybody_in(
    client: httpx.AsyncClient,
    redis: fakeredis.FakeRedis,
    environment: pytest.MonkeyPatch,
    server: fakeredis.FakeServer,
) -> None:
    server.connected = False
    tries: list[object] = []
    execute = redis.execute_command
    environment.setattr(redis, "execute_command", lambda *args, **kwargs: (tries.append(args), execute(*args))[1])
    codes = [(await client.get("/api/v1/meetings/7")).status_code for _ in range(150)]
    assert set(codes) == {200}
    assert len(tries) == 1


async def test_limits_off(environment: pytest.MonkeyPatch, client: httpx.AsyncClient) -> None:
    environment.setenv("MEET_RATE_LIMITS", "off")
    for _ in range(110):
        answer = await client.get("/api/v1/meetings/7")
        assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]
