"""An application of this test alone, on a Redis of this test alone."""

from collections.abc import AsyncIterator, Callable, Iterator

import fakeredis
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field

from meet.config import settings
from meet.domain.user import Role
from meet.errors import Conflict, Unavailable
from meet.tokens import issue_access
from meet.web import redis as web_redis
from meet.web.app import create_app
from meet.web.auth import Administrator, SignedIn
from meet.web.paging import Page, pagination

SECRET = "a secret of at least 32 bytes, for tests"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings of this test alone; what it sets before its first request holds."""
    monkeypatch.setenv("MEET_JWT_SECRET", SECRET)
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.fixture
def server() -> fakeredis.FakeServer:
    """The Redis server; `connected = False` takes it away."""
    return fakeredis.FakeServer()


@pytest.fixture
def redis(server: fakeredis.FakeServer, environment: pytest.MonkeyPatch) -> Iterator[fakeredis.FakeRedis]:
    client = fakeredis.FakeRedis(server=server)
    environment.setattr(web_redis, "_client", lambda _: client)
    environment.setattr(web_redis.circuit, "_closed_until", 0.0)
    web_redis.redis.cache_clear()
    yield client
    web_redis.redis.cache_clear()


class Body(BaseModel):
    title: str = Field(min_length=1)
    count: int = 0
    anything: object = None


@pytest.fixture
def ran() -> list[str]:
    """The names of the routes that ran, in order."""
    return []


@pytest.fixture
def app(redis: fakeredis.FakeRedis, ran: list[str]) -> FastAPI:
    """A meeting service that does nothing of use."""
    router = APIRouter(prefix="/api/v1/meetings")

    @router.post("", status_code=201)
    def create(body: Body) -> dict[str, object]:
        ran.append("create")
        return {"title": body.title, "number": len(ran)}

    @router.get("")
    def listed(page: Page) -> dict[str, object]:
        return {"pagination": pagination(page, 41)}

    @router.get("/mine")
    async def mine(user: SignedIn) -> dict[str, str]:
        return {"user_id": user.user_id}

    @router.get("/all")
    def every(user: Administrator) -> dict[str, str]:
        return {"user_id": user.user_id}

    @router.get("/{meeting_id}")
    def read(meeting_id: str) -> dict[str, str]:
        return {"meeting_id": meeting_id}

    @router.put("/{meeting_id}")
    def update(meeting_id: str, body: Body) -> dict[str, str]:
        return {"meeting_id": meeting_id}

    @router.post("/{meeting_id}/{outcome}")
    def fail(meeting_id: str, outcome: str) -> None:
        ran.append(outcome)
        if outcome == "conflict":
            raise Conflict("It is taken")
        if outcome == "unavailable":
            raise Unavailable
        raise ZeroDivisionError

    return create_app("meeting-service", router)


Client = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 0))
    async with httpx.AsyncClient(transport=transport, base_url="http://meet.test") as made:
        yield made


@pytest.fixture
def bearer(environment: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Headers that sign a request in."""

    def sign(user_id: str = "alice", role: str = Role.USER, family_id: str = "family") -> dict[str, str]:
        token, _ = issue_access(user_id, user_id, role, family_id)
        return {"Authorization": f"Bearer {token}"}

    return sign
