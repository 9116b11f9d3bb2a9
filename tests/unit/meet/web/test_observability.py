"""Request ids, the log's line, and counters that add up over instances."""

import json
import logging
from collections.abc import Callable

import fakeredis
import httpx
import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers

from meet.web.observability import bucket, request_id_of


@pytest.mark.parametrize("given", ["abc", "a-b_c.d:e/f+g=", "x" * 128])
def test_a_sane_request_id_is_kept(given: str) -> None:
    assert request_id_of(Headers({"x-request-id": given})) == given


@pytest.mark.parametrize("given", ["", "a b", "a\nb", "x" * 129, "é", "<script>"])
def test_any_other_is_replaced(given: str) -> None:
    made = request_id_of(Headers({"x-request-id": given}))
    assert made != given
    assert len(made) == 36


async def test_every_answer_carries_its_request_id(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nothing", headers={"X-Request-Id": "mine"})).headers["x-request-id"] == "mine"
    assert len((await client.get("/api/v1/meetings/7")).headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    ("duration_s", "le"), [(0.0, "0.005"), (0.005, "0.005"), (0.0051, "0.01"), (10.0, "10.0"), (10.1, "+Inf")]
)
def test_bucket(duration_s: float, le: str) -> None:
    assert bucket(duration_s) == le


async def test_the_log_says_what_happened_and_no_secret(
    client: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "meet.web"):
        await client.get("/api/v1/meetings/7?token=hush", headers=bearer("alice"))
    line = json.loads(caplog.messages[-1])
    assert line["service"] == "meeting-service"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/meetings/7", 200)
    assert line["user_id"] == "alice"
    assert "hush" not in caplog.text
    assert bearer("alice")["Authorization"].rpartition(".")[2] not in caplog.text


async def test_a_request_makes_at_most_two_round_trips(
    client: httpx.AsyncClient,
    bearer: Callable[..., dict[str, str]],
    redis: fakeredis.FakeRedis,
    environment: pytest.MonkeyPatch,
) -> None:
    await client.get("/api/v1/meetings/mine", headers=bearer())  # loads the script
    trips: list[str] = []
    execute, pipeline = redis.execute_command, redis.pipeline

    def counted(*arguments: object, **options: object) -> object:
        trips.append(str(arguments[0]))
        return execute(*arguments, **options)

    def piped(*arguments: object, **options: object) -> object:
        trips.append("pipeline")
        return pipeline(*arguments, **options)

    environment.setattr(redis, "execute_command", counted)
    environment.setattr(redis, "pipeline", piped)
    await client.get("/api/v1/meetings/mine", headers=bearer())
    assert trips == ["EVALSHA", "pipeline"]


async def test_counters_add_up_over_instances(app: FastAPI, redis: fakeredis.FakeRedis) -> None:
    for address in ("192.0.2.1", "192.0.2.2"):
        transport = httpx.ASGITransport(app, client=(address, 0))
        async with httpx.AsyncClient(transport=transport, base_url="http://meet.test") as client:
            for path in ("/api/v1/meetings/1", "/api/v1/meetings/2", "/api/v1/meetings/", "/x/%2e%2e/y"):
                await client.get(path)
            await client.request("BREW", "/api/v1/meetings/1")
    counted = {
        key: int(value)
        for key, value in redis.hgetall("metrics:meeting-service").items()
        if key.startswith(b"requests")
    }
    assert counted == {
        b"requests GET 200 /api/v1/meetings/{meeting_id}": 4,
        b"requests GET 404 other": 4,
        b"requests other 405 /api/v1/meetings/{meeting_id}": 2,
    }
