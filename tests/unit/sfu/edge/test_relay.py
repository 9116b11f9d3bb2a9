"""HTTP goes through the edge as it came, hop-by-hop headers and lies about the caller apart.

The inner server is a socket that keeps every byte it gets, so that what is compared is what goes over the wire.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientPayloadError, ClientTimeout
from starlette.types import Message, Scope

from meet.errors import MeetError
from meet.web.errors import PayloadTooLarge
from sfu.edge.relay import MOST_BODY_BYTES, Relay, end_to_end, forwarded_headers

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answer = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """A request as the inner server got it."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    connection: int
    """How many connections were opened before the one that it came on."""


@dataclass
class Inner:
    """The inner server: keeps what it was asked, and what its answers do."""

    answer: Answer
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the relay has closed a connection."""
    began: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once something was asked."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        answering: asyncio.Task[None] | None = None
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
                headers = [(name, value) for name, _, value in (each.partition(b": ") for each in lines)]
                length = int(dict(headers).get(b"content-length", b"0"))
                asked = Asked(line, headers, await reader.readexactly(length), number)
                self.asked.append(asked)
                self.began.set()
                answering = asyncio.create_task(self.answer(asked, writer))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            self.left.set()
        finally:
            if answering is not None:
                answering.cancel()
            writer.close()


@asynccontextmanager
async def inner_server(answer: Answer | bytes) -> AsyncIterator[Inner]:
    """An inner server on loopback; `answer` is written for every request, or called with it."""

    async def always(_: Asked, writer: asyncio.StreamWriter) -> None:
        assert isinstance(answer, bytes)
        writer.write(answer)

    inner = Inner(always if isinstance(answer, bytes) else answer)
    server = await asyncio.start_server(inner.serve, "127.0.0.1", 0)
    inner.port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(10):
        yield inner


@asynccontextmanager
async def relay_to(
    inner: Inner, *, host: str = "127.0.0.1", most_connections: int = 8, **timeout: float
) -> AsyncIterator[Relay]:
    async def where(_: Scope) -> str:
        return f"http://{host}:{inner.port}/prod"

    relay = Relay(where, timeout=ClientTimeout(**timeout), most_connections=most_connections)
    try:
        yield relay
    finally:
        await relay.close()


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

    def __init__(self, *chunks: bytes, whole: bool = True) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        for index, chunk in enumerate(chunks or (b"",)):
            more = index < len(chunks) - 1 or not whole
            self._messages.put_nowait({"type": "http.request", "body": chunk, "more_body": more})
        self.sent: list[Message] = []
        self.progress = asyncio.Condition()

    def go_away(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Message:
        return await self._messages.get()

    async def send(self, message: Message) -> None:
        async with self.progress:
            self.sent.append(message)
            self.progress.notify_all()

    async def has(self, body: bytes) -> None:
        """Wait until so much of the answer has arrived."""
        async with self.progress:
            await self.progress.wait_for(lambda: self.body == body)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        """Whether the answer has ended, and ended once."""
        return [message.get("more_body", False) for message in self.sent[1:]].count(False) == 1


async def ask(relay: Relay, scope: Scope | None = None, *chunks: bytes) -> Caller:
    caller = Caller(*chunks)
    await relay(scope or scope_of(), caller.receive, caller.send)
    return caller


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
    ("path", "query"),
    [
        (b"/a%2Fb/../c", b""),
        (b"/./a//b/", b"q=%20&q=2"),
        (b"//x", b"a+b=%2B&%zz&=&&"),
        (b"/%00%ff%C3%a9%2e%2E", b"%00=%C3%A9"),
        (b"/@:!$&'()*,;=~[]|^`\\\"<>{}", b'/?@:[]|\\"<>{}'),
        (b"/a;b=1;c", b"url=http://x/%3Fy#"),
        (b"/" + b"a" * 7000, b"b" * 7000),
    ],
)
async def test_the_target_is_not_normalised(path: bytes, query: bytes) -> None:
    async with inner_server(OK) as inner, relay_to(inner) as relay:
        await ask(relay, scope_of(path=path, query=query))
    target = b"/prod" + path + (b"?" + query if query else b"")
    assert [asked.line for asked in inner.asked] == [b"GET " + target + b" HTTP/1.1"]


async def test_request_and_answer_pass() -> None:
    answer = (
        b"HTTP/1.1 201 Created\r\nSet-Cookie: a=1\r\nX-Odd:  \xe9 \xc3\xa9\r\nset-cookie: b=2; HttpOnly\r\n"
        b"Connection: keep-alive, X-Private\r\nX-Private: 1\r\nDate: Mon, 06 Oct 2025 10:00:00 GMT\r\n"
        b"Content-Length: 4\r\n\r\n\x00yes"
    )
    headers = [
        (b"host", b"meet.test"),
        (b"x-forwarded-for", b"6.6.6.6"),
        (b"authorization", b"Bearer t"),
        (b"cookie", b"c=3"),
        (b"cookie", b"d=4"),
        (b"x-request-id", b"mine"),
        (b"expect", b"100-continue"),
        (b"connection", b"keep-alive"),
    ]
    async with inner_server(answer) as inner, relay_to(inner) as relay:
        caller = await ask(relay, scope_of("POST", b"/api/v1/meetings", b"x=1", headers), b'{"a"', b":1}")

    (asked,) = inner.asked
    assert (asked.line, asked.body) == (b"POST /prod/api/v1/meetings?x=1 HTTP/1.1", b'{"a":1}')
    # The caller asked for no compression, named no agent and no media type, so nobody does.
    assert asked.headers == [
        (b"Host", b"127.0.0.1:%d" % inner.port),
        (b"authorization", b"Bearer t"),
        (b"cookie", b"c=3"),
        (b"cookie", b"d=4"),
        (b"x-forwarded-for", b"203.0.113.9"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", b"meet.test"),
        (b"x-request-id", b"mine"),
        (b"content-length", b"7"),
    ]
    assert (caller.status, caller.body, caller.complete) == (201, b"\x00yes", True)
    assert caller.headers == [
        (b"set-cookie", b"a=1"),
        (b"x-odd", b"\xe9 \xc3\xa9"),
        (b"set-cookie", b"b=2; HttpOnly"),
        (b"content-length", b"4"),
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [("é€😀".encode(), "é€😀".encode()), (b"caf\xe9", "café".encode()), (b"\xff\xfe", "ÿþ".encode()), (b"", b"")],
)
async def test_a_header_beyond_ascii_passes_as_utf_8(value: bytes, written: bytes) -> None:
    async with inner_server(OK) as inner, relay_to(inner) as relay:
        await ask(relay, scope_of(headers=[(b"user-agent", value)]))
    assert dict(inner.asked[0].headers)[b"user-agent"] == written


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("HEAD", None), ("DELETE", b"0"), ("POST", b"0")])
async def test_a_request_without_a_body_says_so_where_one_is_expected(method: str, length: bytes | None) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"" if method == "HEAD" else b"12345")
    async with inner_server(answer) as inner, relay_to(inner) as relay:
        caller = await ask(relay, scope_of(method))
    assert dict(inner.asked[0].headers).get(b"content-length") == length
    assert (caller.headers, caller.complete) == ([(b"content-length", b"5")], True)
    assert caller.body == (b"" if method == "HEAD" else b"12345")


async def test_a_long_body_passes_both_ways() -> None:
    async def echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(asked.body) + asked.body)

    body = bytes(range(256)) * 20_000
    async with inner_server(echo) as inner, relay_to(inner) as relay:
        caller = await ask(relay, scope_of("PUT"), body[:1_000_000], body[1_000_000:])
    assert inner.asked[0].body == body
    assert caller.body == body


async def test_a_compressed_answer_stays_as_it_is() -> None:
    packed = gzip.compress(b"hello" * 100)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with inner_server(head + packed) as inner, relay_to(inner) as relay:
        caller = await ask(relay, scope_of(headers=[(b"accept-encoding", b"gzip")]))
    assert dict(inner.asked[0].headers)[b"accept-encoding"] == b"gzip"
    assert caller.body == packed
    assert (b"content-encoding", b"gzip") in caller.headers


async def test_a_redirect_is_the_caller_s_to_follow() -> None:
    location = b"http://store.test/" + b"x" * 20_000
    redirect = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    async with inner_server(redirect) as inner, relay_to(inner) as relay:
        caller = await ask(relay)
    assert (caller.status, len(inner.asked)) == (307, 1)
    assert caller.headers == [(b"location", location), (b"content-length", b"0")]


async def test_a_caller_s_cookies_are_not_the_next_one_s_but_the_connection_is() -> None:
    answer = b"HTTP/1.1 204 No Content\r\nSet-Cookie: session=1; Path=/\r\n\r\n"
    async with inner_server(answer) as inner, relay_to(inner, host="localhost") as relay:
        for _ in range(2):
            assert (await ask(relay)).headers == [(b"set-cookie", b"session=1; Path=/")]
    assert [asked.connection for asked in inner.asked] == [0, 0]
    assert b"cookie" not in {name.lower() for name, _ in inner.asked[1].headers}


async def test_each_part_of_an_answer_passes_when_it_comes() -> None:
    go_on = asyncio.Event()

    async def in_parts(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with inner_server(in_parts) as inner, relay_to(inner) as relay:
        caller = Caller()
        asking = asyncio.create_task(relay(scope_of(), caller.receive, caller.send))
        await caller.has(b"one")
        assert not caller.complete
        go_on.set()
        await asking
    assert (caller.headers, caller.body, caller.complete) == ([], b"onetwo", True)


async def silent(_: Asked, __: asyncio.StreamWriter) -> None:
    """Answer nothing."""


async def hang_up(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def hang_up_in_head(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    writer.close()


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (silent, 504, "GATEWAY_TIMEOUT"),
        (hang_up, 502, "BAD_GATEWAY"),
        (hang_up_in_head, 502, "BAD_GATEWAY"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 502, "BAD_GATEWAY"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", 502, "BAD_GATEWAY"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_inner_server_that_fails_is_named(
    answer: Answer | bytes, status: int, code: str, method: str
) -> None:
    async with inner_server(answer) as inner, relay_to(inner, sock_read=0.05) as relay:
        with pytest.raises(MeetError) as raised:
            await ask(relay, scope_of(method))
    assert (raised.value.status, raised.value.code) == (status, code)
    assert method == "GET" or len(inner.asked) == 1  # only what is idempotent may be asked again


async def test_an_inner_server_that_is_not_there_is_named() -> None:
    async with inner_server(OK) as inner:
        pass
    async with relay_to(inner) as relay:
        with pytest.raises(MeetError) as raised:
            await ask(relay)
    assert (raised.value.status, raised.value.code) == (503, "SERVICE_UNAVAILABLE")


async def test_who_finds_every_connection_taken_is_told_so() -> None:
    async with inner_server(silent) as inner, relay_to(inner, most_connections=1, connect=0.05) as relay:
        first = asyncio.create_task(ask(relay))
        await inner.began.wait()
        with pytest.raises(MeetError) as raised:
            await ask(relay)
        first.cancel()
    assert (raised.value.status, raised.value.code) == (503, "SERVICE_UNAVAILABLE")
    assert len(inner.asked) == 1


async def test_an_answer_that_breaks_off_does_not_look_complete() -> None:
    async def cut(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        writer.close()

    async with inner_server(cut) as inner, relay_to(inner) as relay:
        caller = Caller()
        with pytest.raises(ClientPayloadError):
            await relay(scope_of(), caller.receive, caller.send)
    assert caller.status == 200
    assert not caller.complete


async def test_a_caller_who_goes_away_ends_the_asking() -> None:
    async with inner_server(silent) as inner, relay_to(inner) as relay:
        caller = Caller()
        asking = asyncio.create_task(relay(scope_of(), caller.receive, caller.send))
        await inner.began.wait()
        caller.go_away()
        await asking
        await inner.left.wait()
    assert caller.sent == []


async def test_a_caller_who_goes_away_ends_an_answer_that_has_begun() -> None:
    async def endless(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")

    async with inner_server(endless) as inner, relay_to(inner) as relay:
        caller = Caller()
        asking = asyncio.create_task(relay(scope_of(), caller.receive, caller.send))
        await caller.has(b"one")
        caller.go_away()
        await asking
        await inner.left.wait()
    assert not caller.complete


async def test_half_a_request_is_not_passed_on() -> None:
    async with inner_server(OK) as inner, relay_to(inner) as relay:
        caller = Caller(b"half", whole=False)
        caller.go_away()
        await relay(scope_of("POST"), caller.receive, caller.send)
    assert (inner.asked, caller.sent) == ([], [])


@pytest.mark.parametrize("declared", [b"%d" % (MOST_BODY_BYTES + 1), b"9" * 5000, None])
async def test_a_body_beyond_the_limit_is_not_read_on(declared: bytes | None) -> None:
    headers = [(b"content-length", declared)] if declared else []
    async with inner_server(OK) as inner, relay_to(inner) as relay:
        with pytest.raises(PayloadTooLarge):
            await ask(relay, scope_of("POST", headers=headers), *[bytes(MOST_BODY_BYTES // 4)] * 5)
    assert inner.asked == []


async def test_a_body_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.edge.relay.BODY_S", 0.05)

    async def receive() -> Message:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        return await asyncio.Future()

    pieces = [b"{"]
    caller = Caller()
    async with inner_server(OK) as inner, relay_to(inner) as relay:
        with pytest.raises(MeetError) as raised:
            await relay(scope_of("POST"), receive, caller.send)
    assert (raised.value.status, raised.value.code) == (408, "REQUEST_TIMEOUT")
    assert raised.value.headers == {"Connection": "close"}  # or what still arrives would be read as before
    assert (inner.asked, caller.sent) == ([], [])
