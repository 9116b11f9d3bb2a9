"""One envelope for every error, and RFC 9457 on request."""

from collections.abc import Callable
from datetime import datetime

import fakeredis
import httpx
import pytest

from meet.envelope import wants_problem
from meet.errors import MeetError
from meet.web.errors import error_answer, field_messages


def error_of(answer: httpx.Response) -> dict[str, object]:
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, object] = body["error"]
    assert datetime.fromisoformat(str(error["timestamp"])).tzinfo
    return error


async def test_unknown_routes_are_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/meeting")
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "RESOURCE_NOT_FOUND"
    assert error_of(await client.get("/api/v1/meetings/"))["code"] == "RESOURCE_NOT_FOUND"


async def test_405_names_the_methods_of_all_routes_of_the_path(client: httpx.AsyncClient) -> None:
    answer = await client.patch("/api/v1/meetings/7")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, PUT"
    assert error_of(answer)["code"] == "METHOD_NOT_ALLOWED"


async def test_validation_names_the_fields(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/meetings", json={"title": "", "count": "many"})
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == "VALIDATION_ERROR"
    assert error["message"] == "Invalid request parameters"
    assert isinstance(error["details"], dict)
    assert set(error["details"]) == {"title", "count"}


@pytest.mark.parametrize("query", ["page=0", "page=x", "page_size=101", f"page={10**30}"])
async def test_pages_out_of_range_are_400(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/v1/meetings?{query}")
    assert answer.status_code == 400
    assert list(error_of(answer)["details"]) == [query.partition("=")[0]]  # type: ignore[call-overload]


async def test_an_unforeseen_error_is_a_500_that_names_the_request(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.post("/api/v1/meetings/7/boom", headers={"X-Request-Id": "abc"})
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "INTERNAL_SERVER_ERROR"
    assert error_of(answer)["request_id"] == "abc"
    assert "ZeroDivisionError" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert "abc" in caplog.text
    assert answer.headers["x-ratelimit-limit"] == "100"


async def test_redis_away_in_a_route_is_a_503(
    client: httpx.AsyncClient, server: fakeredis.FakeServer, bearer: Callable[..., dict[str, str]]
) -> None:
    server.connected = False
    answer = await client.get("/api/v1/meetings/metrics")
    assert answer.status_code == 503
    assert error_of(answer)["code"] == "SERVICE_UNAVAILABLE"
    assert answer.headers["retry-after"] == "1"
    assert error_of(answer)["retry_after"] == 1


async def test_problem_json_where_it_is_asked_for(client: httpx.AsyncClient) -> None:
    asked = {"Accept": "application/problem+json, application/json;q=0.5"}
    answer = await client.post("/api/v1/meetings", json={"title": 7}, headers=asked)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["title"] == "Bad Request"
    assert problem["status"] == 400
    assert problem["detail"] == "Invalid request parameters"
    assert problem["code"] == "VALIDATION_ERROR"
    assert set(problem["details"]) == {"title"}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/problem+json", True),
        ("text/html, Application/Problem+JSON; q=0.1", True),
        ("application/problem+json;q=0", False),
        ("application/problem+json; q=0.000", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_wants_problem(accept: str, *, wanted: bool) -> None:
    assert wants_problem(accept) is wanted


def test_retry_after_stands_in_the_header_and_in_the_body() -> None:
    answer = error_answer(MeetError("RATE_LIMIT_EXCEEDED", 429, "Too many", retry_after_s=9))
    assert answer.headers["retry-after"] == "9"
    assert b'"retry_after":9' in answer.body


def test_field_messages_keep_the_path_and_drop_where_it_was() -> None:
    errors = [
        {"loc": ("body", "users", 0, "email"), "msg": "Value error, Invalid email format"},
        {"loc": ("body", "users", 0, "email"), "msg": "another"},
        {"loc": ("body",), "msg": "Field required"},
        {"loc": (), "msg": "odd"},
    ]
    assert field_messages(errors) == {"users.0.email": "Invalid email format", "body": "Field required"}
