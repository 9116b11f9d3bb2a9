"""What every request passes that the edge answers itself."""

import asyncio
import logging
from collections.abc import Callable, Iterator

import httpx
import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from meet.clock import new_id
from meet.config import settings
from meet.domain.user import Role
from meet.errors import Conflict
from meet.ratelimit import Limit, LimitClass
from meet.tokens import issue_access, revocation_key
from meet.web.auth import Principal
from meet.web.observability import metrics_key
from sfu.edge.entrance import SERVICE, Entrance

FAMILY = "family"
LIMITS = {kind: Limit(3, 3) for kind in LimitClass}
PATH = "/api/v1/media/download/7"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MEET_JWT_SECRET", "s" * 32)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def redis() -> FakeAsyncRedis:
    return FakeAsyncRedis(server=FakeServer())


@pytest.fixture
def signed_in() -> dict[str, str]:
    token, _ = issue_access("alice", "Alice", Role.USER, FAMILY)
    return {"Authorization": f"Bearer {token}"}


async def greet(request: Request, user: Principal) -> Response:
    match request.query_params.get("how"):
        case "conflict":
            raise Conflict("It is taken")
        case "boom":
            raise RuntimeError("nobody foresaw this")
        case "breaks off":

            async def half() -> object:
                yield b"half"
                raise RuntimeError("the bucket is gone")

            return StreamingResponse(half())  # type: ignore[arg-type]  # an async generator, as it is meant
    return PlainTextResponse(f"hello {user.username}")


Client = Callable[..., httpx.AsyncClient]


@pytest.fixture
def client(redis: FakeAsyncRedis) -> Client:
    def made(limits: dict[LimitClass, Limit] | None = None) -> httpx.AsyncClient:
        entrance = Entrance(redis, limits)
        app = Starlette(
            routes=[Route("/api/v1/media/download/{id}", entrance.to("/api/v1/media/download/{id}", GET=greet))]
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://meet.test")

    return made


async def test_who_is_signed_in_gets_an_answer(client: Client, signed_in: dict[str, str]) -> None:
    async with client() as asking:
        answer = await asking.get(PATH, headers=signed_in | {"X-Request-Id": "mine"})
    assert (answer.status_code, answer.text, answer.headers["x-request-id"]) == (200, "hello Alice", "mine")
    assert "x-ratelimit-limit" not in answer.headers


async def test_nobody_and_a_forged_token(client: Client) -> None:
    async with client() as asking:
        assert (await asking.get(PATH)).json()["error"]["code"] == "MISSING_TOKEN"
        forged = await asking.get(PATH, headers={"Authorization": "Bearer forged"})
    assert (forged.status_code, forged.json()["error"]["code"]) == (401, "INVALID_TOKEN")


async def test_a_revoked_sign_in(client: Client, redis: FakeAsyncRedis, signed_in: dict[str, str]) -> None:
    await redis.set(revocation_key(FAMILY), 1)
    async with client(LIMITS) as asking:
        answer = await asking.get(PATH, headers=signed_in)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_TOKEN")


async def test_the_limit(client: Client, signed_in: dict[str, str]) -> None:
    async with client(LIMITS) as asking:
        answers = [await asking.get(PATH, headers=signed_in) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_redis_is_away(client: Client, redis: FakeAsyncRedis, signed_in: dict[str, str]) -> None:
    """Limits fail open, and whether a token was revoked can't be told."""
    redis.connection_pool.connection_kwargs["server"].connected = False
    async with client(LIMITS) as asking:
        assert (await asking.get(PATH)).status_code == 401
        answer = await asking.get(PATH, headers=signed_in)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["x-ratelimit-remaining"] == "3"


async def test_another_method(client: Client, signed_in: dict[str, str]) -> None:
    async with client() as asking:
        answer = await asking.post(PATH, headers=signed_in)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(("how", "status"), [("conflict", 409), ("boom", 500)])
async def test_errors_have_the_envelope(
    client: Client, signed_in: dict[str, str], how: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with client() as asking:
        answer = await asking.get(PATH, params={"how": how}, headers=signed_in)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert "nobody foresaw" not in answer.text
    assert ("nobody foresaw this" in caplog.text) == (how == "boom")


async def test_an_answer_that_breaks_off_is_not_ended(
    client: Client, signed_in: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Its client must not take the half for the whole: the server closes the connection."""
    app, sent = client()._transport.app, []  # type: ignore[attr-defined]  # httpx itself waits for the end

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return await asyncio.Future()

    headers = [(name.lower().encode(), value.encode()) for name, value in signed_in.items()]
    scope = {"type": "http", "method": "GET", "path": PATH, "query_string": b"how=breaks+off", "headers": headers}
    with pytest.raises(RuntimeError, match="the bucket is gone"):
        await app(scope, receive, send)
    assert [message.get("body") for message in sent] == [None, b"half"]
    assert sent[-1]["more_body"]
    assert "broke off" in caplog.text


async def test_a_request_is_counted_and_logged(
    redis: FakeAsyncRedis, signed_in: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    entrance = Entrance(redis, None)
    template = "/api/v1/media/download/{id}"
    app = Starlette(routes=[Route(template, entrance.to(template, GET=greet))])
    transport = httpx.ASGITransport(app)
    with caplog.at_level(logging.INFO, "meet.web"):
        async with httpx.AsyncClient(transport=transport, base_url="http://meet.test") as asking:
            await asking.get(f"/api/v1/media/download/{new_id()}?token=hush", headers=signed_in)
        await entrance.close()
    counted = await redis.hgetall(metrics_key(SERVICE))
    assert counted[f"requests GET 200 {template}".encode()] == b"1"
    assert '"user_id": "alice"' in caplog.text
    assert "hush" not in caplog.text
