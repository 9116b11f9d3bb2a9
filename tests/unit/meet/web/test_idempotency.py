"""`Idempotency-Key` on the way through an application, with DynamoDB by moto."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response

from meet.clock import utcnow
from meet.errors import Unavailable
from meet.store.idempotency import _Row, claim
from meet.web import idempotency
from meet.web.app import create_app
from meet.web.idempotency import Attempt
from tests.unit.tables import empty_tables

MEETINGS = "/api/v1/meetings"
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.fixture(autouse=True)
def tables(environment: pytest.MonkeyPatch) -> Iterator[None]:
    environment.setenv("MEET_AWS_ENDPOINT_URL", "")
    with empty_tables():
        yield


async def test_the_same_request_runs_once(client: httpx.AsyncClient, ran: list[str]) -> None:
    first = await client.post(MEETINGS, json={"title": "a"}, headers=KEY)
    again = await client.post(MEETINGS, json={"title": "a"}, headers=KEY)
    assert ran == ["create"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == "application/json"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert again.headers["x-ratelimit-remaining"] == "98"


async def test_without_a_key_or_under_another_it_runs_again(client: httpx.AsyncClient, ran: list[str]) -> None:
    for headers in ({}, {}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}):
        assert (await client.post(MEETINGS, json={"title": "a"}, headers=headers)).status_code == 201
    assert len(ran) == 4


@pytest.mark.parametrize("other", ["body", "path", "query"])
async def test_another_request_under_the_key_is_a_conflict(client: httpx.AsyncClient, other: str) -> None:
    await client.post(MEETINGS, json={"title": "a"}, headers=KEY)
    path = MEETINGS + {"body": "", "path": "/7/conflict", "query": "?x=1"}[other]
    answer = await client.post(path, json={"title": "b" if other == "body" else "a"}, headers=KEY)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_keys_belong_to_their_user(
    client: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], ran: list[str]
) -> None:
    for user in ("alice", "bob", "alice"):
        await client.post(MEETINGS, json={"title": user}, headers=KEY | bearer(user))
    await client.post(MEETINGS, json={"title": "x"}, headers=KEY)
    assert len(ran) == 3


async def test_a_refusal_is_an_answer_too(client: httpx.AsyncClient, ran: list[str]) -> None:
    codes = [(await client.post(f"{MEETINGS}/7/conflict", headers=KEY)).status_code for _ in range(2)]
    assert codes == [409, 409]
    assert ran == ["conflict"]


@pytest.mark.parametrize(("outcome", "status"), [("unavailable", 503), ("boom", 500)])
async def test_what_says_try_again_can_be_tried_again(
    client: httpx.AsyncClient, ran: list[str], outcome: str, status: int
) -> None:
    codes = [(await client.post(f"{MEETINGS}/7/{outcome}", headers=KEY)).status_code for _ in range(2)]
    assert codes == [status, status]
    assert ran == [outcome, outcome]


async def test_a_second_request_while_the_first_runs(client: httpx.AsyncClient, ran: list[str]) -> None:
    first = Attempt(KEY["Idempotency-Key"], None, "192.0.2.7")
    assert first.begin(f"{MEETINGS}/7/conflict".encode(), b"", b"") is None
    answer = await client.post(f"{MEETINGS}/7/conflict", headers=KEY)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "REQUEST_IN_PROGRESS"
    assert answer.headers["retry-after"] == "1"
    assert ran == []


async def test_the_lease_of_a_killed_process_ends(client: httpx.AsyncClient, ran: list[str]) -> None:
    key = Attempt(KEY["Idempotency-Key"], None, "192.0.2.7")._key
    claim(key, "any", owner="killed", now=utcnow() - timedelta(seconds=36), lease_s=35, keep_s=60)
    answer = await client.post(f"{MEETINGS}/7/conflict", headers=KEY)
    assert answer.json()["error"]["message"] == "It is taken"
    assert ran == ["conflict"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
async def test_a_key_that_is_none(client: httpx.AsyncClient, key: str, ran: list[str]) -> None:
    headers = [(b"Idempotency-Key", key.encode())]
    answer = await client.post(f"{MEETINGS}/7/conflict", headers=headers)
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"]) == ["Idempotency-Key"]
    assert ran == []


async def test_nothing_but_a_post_looks_at_it(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{MEETINGS}/7", headers={"Idempotency-Key": "a b"})).status_code == 200
    assert _Row.count() == 0


def secrets_app() -> FastAPI:
    router = APIRouter(prefix="/api/v1/auth")

    @router.post("/login")
    def login() -> dict[str, str]:
        return {"access_token": "hush"}

    @router.post("/register")
    def register(response: Response) -> dict[str, str]:
        response.set_cookie("meet_refresh", "hush")
        response.headers["Location"] = "/api/v1/users/7"
        return {"user_id": "7"}

    return create_app("user-service", router)


@pytest.mark.usefixtures("redis")
async def test_secrets_are_not_kept() -> None:
    transport = httpx.ASGITransport(secrets_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://meet.test") as client:
        await client.post("/api/v1/auth/login", json={"password": "hush"}, headers=KEY)
        assert _Row.count() == 0
        first = await client.post("/api/v1/auth/register", json={"password": "hush"}, headers=KEY)
        again = await client.post("/api/v1/auth/register", json={"password": "hush"}, headers=KEY)
    assert "set-cookie" in first.headers
    assert "set-cookie" not in again.headers
    assert again.headers["location"] == "/api/v1/users/7"
    [row] = _Row.scan()
    assert "hush" not in repr(row.serialize())
    assert KEY["Idempotency-Key"] not in repr(row.serialize())


@pytest.mark.parametrize(("path", "status"), [("", 201), ("/7/unavailable", 503)])
async def test_what_was_done_is_answered_even_if_it_can_not_be_kept(
    environment: pytest.MonkeyPatch, client: httpx.AsyncClient, path: str, status: int
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable

    environment.setattr(idempotency, "finish", away)
    environment.setattr(idempotency, "release", away)
    answer = await client.post(MEETINGS + path, json={"title": "a"}, headers=KEY)
    assert answer.status_code == status
    again = await client.post(MEETINGS + path, json={"title": "a"}, headers=KEY)
    assert again.json()["error"]["code"] == "REQUEST_IN_PROGRESS"


async def test_an_answer_that_does_not_fit_is_not_kept(
    environment: pytest.MonkeyPatch, client: httpx.AsyncClient, ran: list[str]
) -> None:
    environment.setattr(idempotency, "MOST_BODY", 10)
    codes = [(await client.post(MEETINGS, json={"title": "a"}, headers=KEY)).status_code for _ in range(2)]
    assert codes == [201, 201]
    assert len(ran) == 2
    assert _Row.count() == 0
