"""Limits on: of 200 callers at the same moment exactly `limit` are served, in each class of the table."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import StartSystem, System
from tests.contract.people import Caller, client, newcomer

CALLERS = 200
# The document's limits, with the burst out of the way: how fast this machine is must not decide what is counted.
LIMITS = {"auth": 10, "api": 100, "upload": 5, "ai": 20, "websocket": 30}
TABLE = "{" + ",".join(f'"{name}":[{limit},{limit}]' for name, limit in LIMITS.items()) + "}"


@pytest.fixture(scope="module")
def limited(start_system: StartSystem) -> Iterator[System]:
    with start_system(MEET_RATE_LIMITS=TABLE) as system:
        yield system


@pytest.fixture
def somebody(limited: System) -> Iterator[Caller]:
    with client(limited.base_url) as api:
        yield newcomer(api, "limits")


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [
        ("auth", "POST", "/api/v1/auth/ws-ticket"),
        ("api", "GET", "/api/v1/meetings"),
        ("upload", "POST", "/api/v1/media/upload"),
        ("ai", "POST", "/api/v1/ai/translate"),
    ],
)
def test_of_many_callers_exactly_the_limit_is_served(somebody: Caller, kind: str, method: str, path: str) -> None:
    spent = 1 if kind == "api" else 0  # signing in asked who one is
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda _: somebody.call(method, path), range(CALLERS)))
    served = [answer for answer in answers if answer.status_code != 429]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(served) == LIMITS[kind] - spent
    assert all(answer.status_code < 500 for answer in served)
    for answer in refused:
        assert answer.headers["X-RateLimit-Limit"] == str(LIMITS[kind])
        assert answer.headers["X-RateLimit-Remaining"] == "0"
        error = answer.json()["error"]
        assert error["code"] == "RATE_LIMIT_EXCEEDED"
        assert 1 <= error["retry_after"] == int(answer.headers["Retry-After"]) <= 60
    left = sorted(int(answer.headers["X-RateLimit-Remaining"]) for answer in served)
    assert left == list(range(LIMITS[kind] - spent))


def assert_refused(headers: Mapping[str, str]) -> None:
    assert headers["X-RateLimit-Limit"] == str(LIMITS["websocket"])
    assert headers["X-RateLimit-Remaining"] == "0"
    assert 1 <= int(headers["Retry-After"]) <= 60


def test_of_many_sockets_exactly_the_limit_is_served(limited: System, somebody: Caller) -> None:
    url = "ws" + limited.base_url.removeprefix("http") + f"/ws/signaling?token={somebody.token}"

    def attempt(_: int) -> int:
        try:
            with connect(url, open_timeout=60):
                return 101
        except InvalidStatus as refused:
            assert_refused(refused.response.headers)
            return refused.response.status_code

    with ThreadPoolExecutor(CALLERS) as pool:
        statuses = list(pool.map(attempt, range(CALLERS)))
    assert sorted(statuses) == [101] * LIMITS["websocket"] + [429] * (CALLERS - LIMITS["websocket"])


def test_a_burst_is_refused_within_the_limit(start_system: StartSystem) -> None:
    """The document's own numbers: what is over `burst` in one second waits one second, not a minute."""
    with start_system(MEET_RATE_LIMITS="") as system, client(system.base_url) as api:
        body = {"username": "nobody", "password": "wrong"}
        answers = [api.post("/api/v1/auth/refresh", json={"refresh_token": "none"}) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert answers[-1].json()["error"]["retry_after"] == 1
        assert api.post("/api/v1/auth/login", json=body).status_code == 429
