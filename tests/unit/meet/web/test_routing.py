"""What an application knows of its routes."""

from collections.abc import Callable

import httpx
import pytest
from fakeredis import FakeRedis


@pytest.mark.parametrize("path", ["/api/v1/meetings", "/api/v1/meetings/7", "/api/v1/meetings/health"])
async def test_head_is_get_without_the_content(client: httpx.AsyncClient, path: str) -> None:
    whole, bare = await client.get(path), await client.head(path)
    assert (whole.status_code, bare.status_code) == (200, 200)
    assert whole.content
    assert not bare.content
    for name in ("content-type", "content-length", "x-ratelimit-limit"):
        assert bare.headers[name] == whole.headers[name]


async def test_head_is_refused_as_get_is(client: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]) -> None:
    assert (await client.head("/api/v1/meetings/mine")).status_code == 401
    assert (await client.head("/api/v1/meetings/all", headers=bearer())).status_code == 403
    assert (await client.head("/api/v1/meetings/7/outcome")).status_code == 405


async def test_head_is_counted_as_what_it_is(client: httpx.AsyncClient, redis: FakeRedis) -> None:
    await client.head("/api/v1/meetings/7")
    assert redis.hget("metrics:meeting-service", "requests HEAD 200 /api/v1/meetings/{meeting_id}") == b"1"
