"""The events are API Gateway's, the limits are its limits, and the real handlers answer through it."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import fakeredis
import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import Message

from functions import gateway
from functions.gateway import ROUTES, Event, Gateway, Handler, Resource, Resources, answer_parts, proxy_event
from meet.web.app import create_app, lambda_handler

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def scope(
    path: str = "/api/v1/users/me",
    *,
    method: str = "GET",
    query: str = "",
    headers: list[tuple[str, str]] | None = None,
    peer: str = "127.0.0.1",
) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers or []],
        "client": (peer, 1234),
    }


def event(*, body: bytes = b"", resource: Resource | None = None, **kwargs: Any) -> Event:
    return proxy_event(scope(**kwargs), body, resource or Resource("users", "/x"), now=NOW)


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/health", Resource("users", "/health")),
        ("/metrics", Resource("users", "/metrics")),
        ("/api/v1/csrf-token", Resource("users", "/api/v1/csrf-token")),
        ("/api/v1/auth/login", Resource("users", "/api/v1/auth/{proxy+}", "login")),
        ("/api/v1/users/me", Resource("users", "/api/v1/users/{proxy+}", "me")),
        ("/api/v1/meetings", Resource("meetings", "/api/v1/meetings")),
        ("/api/v1/meetings/7/join", Resource("meetings", "/api/v1/meetings/{proxy+}", "7/join")),
        ("/api/v1/meetings/a%20b", Resource("meetings", "/api/v1/meetings/{proxy+}", "a b")),
        ("/api/v1/sessions/room/7", Resource("rooms", "/api/v1/sessions/{proxy+}", "room/7")),
        ("/api/v1/webrtc/room/7/peers", Resource("rooms", "/api/v1/webrtc/{proxy+}", "room/7/peers")),
        ("/admin/cleanup/sessions", Resource("rooms", "/admin/{proxy+}", "cleanup/sessions")),
        ("/ws/signaling/health", Resource("rooms", "/ws/signaling/health")),
        ("/api/v1/media/metrics", Resource("media", "/api/v1/media/{proxy+}", "metrics")),
        ("/api/v1/ai/health", Resource("ai", "/api/v1/ai/{proxy+}", "health")),
    ],
)
def test_resources(path: str, resource: Resource) -> None:
    assert Resources().find(path) == resource


@pytest.mark.parametrize(
    "path",
    ["", "/", "/nothing", "/api/v1", "/api/v1/users", "/api/v1/users/", "/api/v1/usersx/1", "/health/x", "//health"],
)
def test_no_resource(path: str) -> None:
    assert Resources().find(path) is None


def test_an_event_is_json_with_the_keys_of_payload_1_0() -> None:
    made = event(headers=[("host", "meet.test")])
    assert json.loads(json.dumps(made)) == made
    assert set(made) == {
        "resource",
        "path",
        "httpMethod",
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "pathParameters",
        "stageVariables",
        "requestContext",
        "body",
        "isBase64Encoded",
    }
    context = made["requestContext"]
    assert context["requestTime"] == "02/Jan/2026:03:04:05 +0000"
    assert context["requestTimeEpoch"] == 1767323045000
    assert context["stage"] == "local"
    assert context["protocol"] == "HTTP/1.1"
    assert context["domainName"] == "meet.test"
    assert {"accountId", "apiId", "extendedRequestId", "identity", "path", "requestId", "resourcePath"} <= set(
        context
    )


def test_what_is_not_there_is_null() -> None:
    made = event()
    for key in (
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "pathParameters",
        "stageVariables",
        "body",
    ):
        assert made[key] is None
    assert made["isBase64Encoded"] is False


def test_queries_are_decoded_and_the_last_value_wins() -> None:
    made = event(query="a=1&b=x%20y+z&a=2&c&d=%FF&=e")
    assert made["queryStringParameters"] == {"a": "2", "b": "x y z", "c": "", "d": "\ufffd", "": "e"}
    assert made["multiValueQueryStringParameters"]["a"] == ["1", "2"]


def test_headers_keep_all_values_and_the_last_one_wins() -> None:
    made = event(headers=[("X-One", "1"), ("x-one", "2"), ("connection", "close"), ("transfer-encoding", "chunked")])
    assert made["headers"]["x-one"] == "2"
    assert made["multiValueHeaders"]["x-one"] == ["1", "2"]
    assert not {"connection", "transfer-encoding"} & set(made["headers"])


def test_a_cookie_that_was_split_is_one_again() -> None:
    assert event(headers=[("cookie", "a=1"), ("cookie", "b=2")])["headers"]["cookie"] == "a=1; b=2"


@pytest.mark.parametrize("body", [b"{}", b"\x00\xff", "é".encode()])
def test_every_body_is_in_base64(body: bytes) -> None:
    made = event(body=body)
    assert made["isBase64Encoded"] is True
    assert base64.b64decode(made["body"]) == body


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (None, "127.0.0.9"),
        ("192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("<script>", "127.0.0.9"),
        ("", "127.0.0.9"),
    ],
)
def test_the_client_is_who_the_edge_says(forwarded: str | None, address: str) -> None:
    headers = [] if forwarded is None else [("x-forwarded-for", forwarded)]
    made = event(headers=headers, peer="127.0.0.9")
    assert made["requestContext"]["identity"]["sourceIp"] == address
    assert made["headers"]["x-forwarded-for"] == address


@pytest.mark.parametrize("host", ["[::1]:80", "a:b", "a:1:2", "", "a b", "x" * 300])
def test_a_host_that_no_handler_could_read_is_replaced(host: str) -> None:
    made = event(headers=[("host", host), ("x-forwarded-port", "many"), ("x-forwarded-proto", "gopher")])
    assert made["headers"]["host"] == "localhost"
    assert made["headers"]["x-forwarded-port"] == "80"
    assert made["headers"]["x-forwarded-proto"] == "http"


def test_answers_of_both_kinds() -> None:
    status, headers, body = answer_parts(
        {
            "statusCode": 201,
            "headers": {"content-type": "text/plain", "connection": "close"},
            "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
            "body": base64.b64encode(b"\xff").decode(),
            "isBase64Encoded": True,
        }
    )
    assert (status, body) == (201, b"\xff")
    assert headers == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-type", b"text/plain")]
    assert answer_parts({"statusCode": 204, "body": None}) == (204, [], b"")
    assert answer_parts({"statusCode": 200, "body": "é"})[2] == "é".encode()


@asynccontextmanager
async def served(made: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that was started, and is stopped."""
    events: asyncio.Queue[Message] = asyncio.Queue()
    sent: asyncio.Queue[Message] = asyncio.Queue()
    life = asyncio.create_task(made({"type": "lifespan"}, events.get, sent.put))
    await events.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    try:
        transport = httpx.ASGITransport(made, client=("127.0.0.1", 0))
        async with httpx.AsyncClient(transport=transport, base_url="http://meet.test") as client:
            yield client
    finally:
        await events.put({"type": "lifespan.shutdown"})
        await life
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("worker-")]


def answering(body: str = "ok", status: int = 200) -> Handler:
    return lambda event, context: {"statusCode": status, "headers": {"x-from": context.function_name}, "body": body}


async def test_a_function_answers() -> None:
    async with served(Gateway({"ai": answering()}, workers=2)) as client:
        answer = await client.get("/api/v1/ai/health")
        assert (answer.status_code, answer.text, answer.headers["x-from"]) == (200, "ok", "meet-ai")


async def test_an_unknown_route_is_404_in_the_envelope() -> None:
    async with served(Gateway({"ai": answering()}, workers=1)) as client:
        answer = await client.get("/nothing", headers={"X-Request-Id": "abc"})
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "RESOURCE_NOT_FOUND"
        assert answer.headers["x-request-id"] == "abc"
        assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("100", "100")
        assert (await client.get("/api/v1/auth/nothing")).headers["x-ratelimit-limit"] == "10"
        problem = await client.get("/api/v1/meetings", headers={"Accept": "application/problem+json"})
        assert problem.headers["content-type"] == "application/problem+json"


async def test_10_mb_is_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway.REQUEST_BYTES == 10 * 1024 * 1024
    monkeypatch.setattr(gateway, "REQUEST_BYTES", 100)
    async with served(Gateway({"ai": answering()}, workers=1)) as client:
        assert (await client.post("/api/v1/ai/analyze", content=b"x" * 100)).status_code == 200
        refused = await client.post("/api/v1/ai/analyze", content=b"x" * 101)
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


async def test_a_caller_that_leaves_within_its_request_is_not_served() -> None:
    ran: list[Event] = []

    def handler(event: Event, context: Any) -> dict[str, Any]:
        ran.append(event)
        return answering()(event, context)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise AssertionError("nobody is there")

    made = Gateway({"ai": handler}, workers=1)
    async with served(made):
        await made(scope("/api/v1/ai/analyze", method="POST"), receive, send)
    assert ran == []


async def test_a_function_that_is_too_slow_is_a_504_and_the_others_go_on() -> None:
    let_go = threading.Event()

    def slow(event: Event, context: Any) -> dict[str, Any]:
        let_go.wait(30)
        return answering()(event, context)

    async with served(Gateway({"ai": slow, "media": answering()}, timeout_s=0.05, workers=2)) as client:
        late = await client.get("/api/v1/ai/health")
        assert late.status_code == 504
        assert late.json()["error"]["code"] == "GATEWAY_TIMEOUT"
        assert (await client.get("/api/v1/media/health")).status_code == 200
        let_go.set()


async def test_a_call_that_waited_too_long_is_never_made() -> None:
    let_go, ran = threading.Event(), list[str]()

    def slow(event: Event, context: Any) -> dict[str, Any]:
        ran.append(event["path"])
        let_go.wait(30)
        return answering()(event, context)

    async with served(Gateway({"ai": slow}, timeout_s=0.05, workers=1)) as client:
        assert (await client.get("/api/v1/ai/first")).status_code == 504
        assert (await client.get("/api/v1/ai/second")).status_code == 504
        let_go.set()
    assert ran == ["/api/v1/ai/first"]


async def test_a_function_that_fails_is_a_502(caplog: pytest.LogCaptureFixture) -> None:
    def fails(event: Event, context: Any) -> dict[str, Any]:
        raise ZeroDivisionError("hush")

    async with served(Gateway({"ai": fails}, workers=1)) as client:
        for _ in range(2):
            answer = await client.get("/api/v1/ai/health")
            assert answer.status_code == 502
            assert "hush" not in answer.text
    assert "ZeroDivisionError" in caplog.text


async def test_an_answer_that_lambda_would_refuse_is_a_502(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "ANSWER_BYTES", 10)
    async with served(Gateway({"ai": answering("x" * 11)}, workers=1)) as client:
        assert (await client.get("/api/v1/ai/health")).status_code == 502


@pytest.fixture
def real(environment: fakeredis.FakeServer) -> Iterator[FastAPI]:
    """An application like any function's, behind Mangum."""
    router = APIRouter(prefix="/api/v1/ai")

    @router.post("/echo/{name}")
    async def echo(name: str, request: Request, response: Response) -> dict[str, Any]:
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        assert request.client is not None
        return {
            "name": name,
            "query": request.query_params.multi_items(),
            "cookies": request.cookies,
            "client": request.client.host,
            "body": await request.json(),
            "thread": threading.current_thread().name,
        }

    @router.get("/binary")
    def binary() -> Response:
        return Response(b"\x00\xff\x80", media_type="application/octet-stream")

    return create_app("ai-service", router)


async def test_the_whole_path_through_mangum(real: FastAPI) -> None:
    async with served(Gateway({"ai": lambda_handler(real)}, workers=2)) as client:
        answer = await client.post(
            "/api/v1/ai/echo/a%20b%C3%A9?x=1&y=%C3%A9%26&x=2",
            content='{"é": [1]}'.encode(),
            headers={
                "Content-Type": "application/json",
                "Cookie": "c=3; d=4",
                "X-Forwarded-For": "192.0.2.1",
                "X-Request-Id": "abc",
            },
        )
        assert answer.status_code == 200
        echoed = answer.json()
        assert echoed.pop("thread").startswith("worker-")
        assert echoed == {
            "name": "a bé",
            "query": [["x", "1"], ["x", "2"], ["y", "é&"]],
            "cookies": {"c": "3", "d": "4"},
            "client": "192.0.2.1",
            "body": {"é": [1]},
        }
        assert answer.headers.get_list("set-cookie") == ["a=1; Path=/; SameSite=lax", "b=2; Path=/; SameSite=lax"]
        assert answer.headers["x-request-id"] == "abc"
        binary = await client.get("/api/v1/ai/binary")
        assert binary.content == b"\x00\xff\x80"


async def test_hostile_requests_are_4xx(real: FastAPI) -> None:
    async with served(Gateway({"ai": lambda_handler(real)}, workers=2)) as client:
        for target, headers in (
            ("/api/v1/ai/%ff%fe", {}),
            ("/api/v1/ai/%00", {}),
            ("/api/v1/ai/x?%ff=%ff", {}),
            ("/api/v1/ai/x", {"Host": "[::1]:1:2"}),
            ("/api/v1/ai/x", {"X-Forwarded-Port": "x", "X-Forwarded-Proto": "x"}),
            ("/api/v1/ai/x", {"Authorization": b"Bearer \xff"}),
            ("/api/v1/ai/x", {"X-Anything": b"\xff\xfe"}),
            ("/api/v1/ai/" + "../" * 9, {}),
        ):
            answer = await client.get(target, headers=headers)
            assert 400 <= answer.status_code < 500, target
            assert answer.json()["error"]["code"]


async def test_requests_run_side_by_side(real: FastAPI) -> None:
    meeting_point = threading.Barrier(4, timeout=10)
    handler = lambda_handler(real)

    def together(event: Event, context: Any) -> dict[str, Any]:
        meeting_point.wait()
        return handler(event, context)

    async with served(Gateway({"ai": together}, workers=4)) as client:
        answers = await asyncio.gather(*(client.get("/api/v1/ai/health") for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8


def test_the_table_names_every_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(area: str) -> Handler:
        loaded.append(area)
        return answering()

    monkeypatch.setattr(gateway, "load", load)
    Gateway()
    assert loaded == list(ROUTES)
