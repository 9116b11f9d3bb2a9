"""What the edge answers itself, where nobody behind it does."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fakeredis import FakeAsyncRedis

from meet.config import Settings
from sfu.edge.app import create_edge
from sfu.edge.relay import MOST_BODY_BYTES

Edge = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def edge(tmp_path: Path, free_port: Callable[[], int]) -> Edge:
    """Runs an edge with no media process and no functions."""

    @asynccontextmanager
    async def running(rate_limits: str = "") -> AsyncIterator[httpx.AsyncClient]:
        chosen = Settings(api_url=f"http://127.0.0.1:{free_port()}", rate_limits=rate_limits)
        app = create_edge(chosen, page=tmp_path, redis=FakeAsyncRedis())
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://meet.test") as client,
        ):
            yield client

    return running


@pytest.mark.parametrize(
    ("method", "path", "status", "limit"),
    [
        ("GET", "/api/v1/users/me", 503, "100"),
        ("POST", "/api/v1/auth/login", 503, "10"),
        ("POST", "/whip/7", 503, "100"),
        ("POST", "/whip/nothing", 404, "100"),
        ("POST", "/", 405, "100"),
        ("GET", "/assets/nothing", 404, "100"),
    ],
)
async def test_its_errors_are_like_everybodys(edge: Edge, method: str, path: str, status: int, limit: str) -> None:
    async with edge() as client:
        answer = await client.request(method, path, headers={"X-Request-Id": "mine"})
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert answer.headers["x-request-id"] == "mine"
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == (limit, limit)
    assert int(answer.headers["x-ratelimit-reset"]) > 0
    # A page of another origin may read why nobody answers WHIP or WHEP.
    assert answer.headers.get("access-control-allow-origin") == ("*" if path.startswith("/whip/") else None)


async def test_a_body_that_is_too_large(edge: Edge) -> None:
    async with edge("off") as client:
        answer = await client.post("/api/v1/media/process", content=b"x" * (MOST_BODY_BYTES + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.headers["x-request-id"]
    assert "x-ratelimit-limit" not in answer.headers
