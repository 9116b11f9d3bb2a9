"""Who is asking, and what a route says to who may not."""

from collections.abc import Callable

import fakeredis
import httpx
import pytest

from meet.domain.user import Role
from meet.tokens import revocation_key

Bearer = Callable[..., dict[str, str]]
MINE = "/api/v1/meetings/mine"


async def test_no_token(client: httpx.AsyncClient) -> None:
    answer = await client.get(MINE)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "MISSING_TOKEN"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("authorization", ["Bearer x.y.z", "Bearer ", "Bearer", "Basic YTpi", "x"])
async def test_a_token_that_is_none(client: httpx.AsyncClient, authorization: str) -> None:
    answer = await client.get(MINE, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "INVALID_TOKEN"


async def test_a_bad_token_spoils_nothing_that_needs_none(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/meetings/7", headers={"Authorization": "Bearer stale"})
    assert answer.status_code == 200


async def test_a_token(client: httpx.AsyncClient, bearer: Bearer) -> None:
    answer = await client.get(MINE, headers=bearer("alice"))
    assert answer.json() == {"user_id": "alice"}


async def test_the_scheme_is_written_in_any_case(client: httpx.AsyncClient, bearer: Bearer) -> None:
    token = bearer()["Authorization"].removeprefix("Bearer ")
    assert (await client.get(MINE, headers={"Authorization": f"bEARER {token}"})).status_code == 200


async def test_a_revoked_sign_in(client: httpx.AsyncClient, bearer: Bearer, redis: fakeredis.FakeRedis) -> None:
    redis.set(revocation_key("gone"), "1")
    refused = await client.get(MINE, headers=bearer(family_id="gone"))
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "INVALID_TOKEN"
    assert (await client.get(MINE, headers=bearer(family_id="here"))).status_code == 200


async def test_revocation_is_asked_where_limits_are_off_too(
    environment: pytest.MonkeyPatch, client: httpx.AsyncClient, bearer: Bearer, redis: fakeredis.FakeRedis
) -> None:
    environment.setenv("MEET_RATE_LIMITS", "off")
    redis.set(revocation_key("gone"), "1")
    answer = await client.get(MINE, headers=bearer(family_id="gone"))
    assert answer.status_code == 401
    assert "x-ratelimit-limit" not in answer.headers


async def test_administrators(client: httpx.AsyncClient, bearer: Bearer) -> None:
    refused = await client.get("/api/v1/meetings/all", headers=bearer())
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "INSUFFICIENT_PERMISSIONS"
    allowed = await client.get("/api/v1/meetings/all", headers=bearer("root", role=Role.ADMINISTRATOR))
    assert allowed.status_code == 200


async def test_redis_away_fails_closed_for_bearers_and_open_for_the_rest(
    client: httpx.AsyncClient, bearer: Bearer, server: fakeredis.FakeServer
) -> None:
    server.connected = False
    refused = await client.get(MINE, headers=bearer())
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    allowed = await client.get("/api/v1/meetings/7")
    assert allowed.status_code == 200
    assert allowed.headers["x-ratelimit-remaining"] == "100"
    assert (await client.get("/api/v1/meetings/health", headers=bearer())).status_code == 200
