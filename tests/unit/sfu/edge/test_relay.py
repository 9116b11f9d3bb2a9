"""HTTP goes through the edge as it came, hop-by-hop headers and lies about the caller apart."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message, Scope

from meet.errors import MeetError
from meet.web.errors import PayloadTooLarge
from sfu.edge.relay import MOST_BODY_BYTES, Relay, end_to_end, forwarded_headers, target_of

BASE = "http://functions.test:99/prod"


def scope_of(method: str = "GET", path: bytes = b"/a", query: bytes = b"", headers: object = ()) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "headers": list(headers),  # type: ignore[call-overload]  # any iterable of pairs
        "client": ("203.0.113.9", 1),
        "server": ("edge.test", 80),
    }


class Caller:
    """The server's side of one request: what the relay receives and what it sends."""

    def __init__(self, *chunks: bytes, gone: bool = False) -> None:
        self._messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
            for index, chunk in enumerate(chunks or (b"",))
        ]
        if gone:
            self._messages.append({"type": "http.disconnect"})
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        return await asyncio.get_running_loop().create_future()

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


def relay_to(answer: httpx.AsyncBaseTransport) -> Relay:
    async def where(_: Scope) -> str:
        return BASE

    return Relay(httpx.AsyncClient(transport=answer), where)


class Functions(httpx.AsyncBaseTransport):
    """The inner server: keeps what it was asked, answers what it was told to or fails."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self._answer = answer
        self.asked: list[httpx.Request] = []
        self.body = b""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.body = await request.aread()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_hop_by_hop_headers_stay_behind() -> None:
    given = [
        (b"Connection", b"close, X-Private"),
        (b"x-private", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
    ]
    assert end_to_end(given) == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


def test_who_calls_is_told_by_the_edge() -> None:
    told = dict(forwarded_headers({**scope_of(headers=[(b"host", b"meet.test")]), "scheme": "wss"}))
    assert told == {
        b"x-forwarded-for": b"203.0.113.9",
        b"x-forwarded-proto": b"https",
        b"x-forwarded-host": b"meet.test",
    }


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (b"/a%2Fb/../c", b"", b"/prod/a%2Fb/../c"),
        (b"//x", b"q=%20&q=2", b"/prod//x?q=%20&q=2"),
    ],
)
def test_the_target_is_not_normalised(path: bytes, query: bytes, expected: bytes) -> None:
    assert target_of(scope_of(path=path, query=query), "/prod") == expected


async def test_request_and_answer_pass() -> None:
    functions = Functions(
        httpx.Response(201, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], stream=_Bytes(b"\x00yes"))
    )
    caller = Caller(b'{"a"', b":1}")
    headers = [
        (b"host", b"meet.test"),
        (b"x-forwarded-for", b"6.6.6.6"),
        (b"authorization", b"Bearer t"),
        (b"x-request-id", b"mine"),
    ]
    scope = scope_of("POST", b"/api/v1/meetings", b"x=1", headers)
    await relay_to(functions)(scope, caller.receive, caller.send)

    asked = functions.asked[0]
    assert (asked.method, functions.body) == ("POST", b'{"a":1}')
    assert asked.extensions["target"] == b"/prod/api/v1/meetings?x=1"
    assert asked.headers["host"] == "functions.test:99"
    assert asked.headers["authorization"] == "Bearer t"
    assert asked.headers["x-request-id"] == "mine"
    assert asked.headers["content-length"] == "7"
    assert asked.headers.get_list("x-forwarded-for") == ["203.0.113.9"]
    assert "accept-encoding" not in asked.headers  # the caller asked for no compression, so nobody does
    assert (caller.status, caller.body) == (201, b"\x00yes")
    assert caller.sent[0]["headers"] == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


class _Bytes(httpx.AsyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (httpx.ConnectError("refused"), 503, "SERVICE_UNAVAILABLE"),
        (httpx.PoolTimeout("full"), 503, "SERVICE_UNAVAILABLE"),
        (httpx.ReadTimeout("slow"), 504, "GATEWAY_TIMEOUT"),
        (httpx.RemoteProtocolError("cut"), 502, "BAD_GATEWAY"),
    ],
)
async def test_an_inner_server_that_fails_is_named(failure: Exception, status: int, code: str) -> None:
    caller = Caller()
    with pytest.raises(MeetError) as raised:
        await relay_to(Functions(failure))(scope_of(), caller.receive, caller.send)
    assert (raised.value.status, raised.value.code) == (status, code)


async def test_a_caller_who_goes_away_ends_the_asking() -> None:
    asking_ended = asyncio.Event()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await asyncio.get_running_loop().create_future()
            finally:
                asking_ended.set()

    caller = Caller(gone=True)
    async with asyncio.timeout(5):
        await relay_to(Slow())(scope_of(), caller.receive, caller.send)
        await asking_ended.wait()
    assert caller.sent == []


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_beyond_the_limit_is_not_read_on(declared: bool) -> None:
    functions = Functions(httpx.Response(200))
    headers = [(b"content-length", str(MOST_BODY_BYTES + 1).encode())] if declared else []
    caller = Caller(*[bytes(MOST_BODY_BYTES // 4)] * 5)
    with pytest.raises(PayloadTooLarge):
        await relay_to(functions)(scope_of("POST", headers=headers), caller.receive, caller.send)
    assert functions.asked == []
