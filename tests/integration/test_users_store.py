"""Unique names and single-use tokens under concurrency, against a real DynamoDB."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import httpx
import pytest

from functions.users.app import app
from meet.clock import new_id
from meet.config import settings
from meet.domain.user import User
from meet.errors import MeetError
from meet.store import base, names, refresh, users
from meet.web import redis as web_redis

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
CALLERS = 50


@pytest.fixture(scope="module", autouse=True)
def tables(backend: dict[str, str]) -> Iterator[None]:
    """Tables of these tests alone."""
    caches = [settings, base._connect, web_redis.redis]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in backend.items():
            environment.setenv(name, value)
        environment.setenv("MEET_TABLE_PREFIX", f"users-{new_id()}-")
        environment.setenv("MEET_RATE_LIMITS", "off")
        environment.setenv("MEET_ADMIN_USERNAME", "root")
        environment.setenv("MEET_ADMIN_PASSWORD", "a password of these tests")
        for cache in caches:
            cache.cache_clear()
        base.create_tables()
        yield
        web_redis.redis().close()
    for cache in caches:
        cache.cache_clear()


def at_once(act: Callable[[int], object]) -> Counter[str]:
    """`act(0)` to `act(49)` at the same time: how often each outcome, `ok` or an error's code."""
    start = Barrier(CALLERS)

    def one(number: int) -> str:
        start.wait()
        try:
            act(number)
        except MeetError as error:
            return error.code
        return "ok"

    with ThreadPoolExecutor(CALLERS) as callers:
        return Counter(callers.map(one, range(CALLERS)))


def user(name: str) -> User:
    return User(new_id(), name, f"{name}@example.com", "hash", created_at=NOON, updated_at=NOON)


def added(name: str) -> User:
    new = user(name)
    users.add(new)
    return new


def stored(user_id: str) -> User:
    found = users.get(user_id)
    assert found is not None
    return found


def test_one_name_is_registered_once() -> None:
    """Through the whole application: one 201, forty-nine 409."""

    async def register(number: int) -> httpx.Response:
        body = {"username": "Popular", "email": f"popular{number}@example.com", "password": "SecurePass123!"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://meet") as http:
            return await http.post("/api/v1/auth/register", json=body)

    answers: dict[int, httpx.Response] = {}

    def act(number: int) -> None:
        answers[number] = asyncio.run(register(number))

    assert at_once(act) == {"ok": CALLERS}
    assert Counter(answer.status_code for answer in answers.values()) == {201: 1, 409: CALLERS - 1}
    winner = next(number for number, answer in answers.items() if answer.status_code == 201)
    found = users.find("popular")
    assert found is not None
    assert found.user_id == answers[winner].json()["user_id"]
    # who lost has left nothing behind
    claimed = {number for number in answers if names.owner(f"email#popular{number}@example.com")}
    assert claimed == {winner}


def test_one_email_is_registered_once() -> None:
    outcomes = at_once(lambda number: users.add(replace(user(f"mail{number}"), email="One@Example.com")))
    assert outcomes == {"ok": 1, "RESOURCE_CONFLICT": CALLERS - 1}
    found = users.find("one@example.com")
    assert found is not None
    assert [n for n in range(CALLERS) if users.find(f"mail{n}")] == [int(found.username.removeprefix("mail"))]


def test_different_names_do_not_hinder_each_other() -> None:
    assert at_once(lambda number: added(f"different{number}")) == {"ok": CALLERS}


def test_one_name_is_taken_by_one_of_many_who_rename() -> None:
    crowd = [added(f"crowd{number}") for number in range(CALLERS)]

    def rename(number: int) -> None:
        users.update(crowd[number].user_id, lambda old: old.updated(at=NOON, username="wanted"))

    assert at_once(rename) == {"ok": 1, "RESOURCE_CONFLICT": CALLERS - 1}
    winner = users.find("wanted")
    assert winner is not None
    for member in crowd:
        name = "wanted" if member.user_id == winner.user_id else member.username
        assert stored(member.user_id).username == name
        assert users.find(name) == stored(member.user_id)
    [old_name] = [member.username for member in crowd if member.user_id == winner.user_id]
    assert users.find(old_name) is None


def test_one_user_changed_by_many_loses_no_change() -> None:
    """Each round of many optimistic writes has a winner; who comes too often too late is told so."""
    busy = added("busy")

    def rename(number: int) -> None:
        users.update(busy.user_id, lambda old: old.updated(at=NOON, username=f"busy{number}"))

    outcomes = at_once(rename)
    assert set(outcomes) <= {"ok", "SERVICE_UNAVAILABLE"}
    after = stored(busy.user_id)
    assert after.version == 1 + outcomes["ok"]
    owned = [name for name in ["busy", *(f"busy{n}" for n in range(CALLERS))] if users.find(name)]
    assert owned == [after.username]


def test_many_starts_make_one_administrator() -> None:
    made: list[Any] = []
    assert at_once(lambda _: made.append(users.ensure_administrator())) == {"ok": CALLERS}
    assert {administrator.user_id for administrator in made} == {made[0].user_id}


def test_a_refresh_token_is_spent_once() -> None:
    """Everybody but one brings a spent token: the family is over, the winner's token too."""
    family = refresh.start("u1", 0, now=NOON)
    won: list[refresh.Family] = []
    outcomes = at_once(lambda _: won.append(refresh.rotate(family.token, now=NOON)))
    assert outcomes == {"ok": 1, "INVALID_TOKEN": CALLERS - 1}
    with pytest.raises(MeetError) as over:
        refresh.rotate(won[0].token, now=NOON)
    assert over.value.code == "INVALID_TOKEN"


def test_tables_are_made_by_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_TABLE_PREFIX", f"again-{new_id()}-")
    settings.cache_clear()
    try:
        assert at_once(lambda _: base.create_tables()) == {"ok": CALLERS}
        client: Any = base.connection().client
        expiry = client.describe_time_to_live(TableName=f"{settings().table_prefix}refresh")
        assert expiry["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
    finally:
        monkeypatch.undo()
        settings.cache_clear()
