"""HTTP passed on to an inner server: the same method, target, headers and bytes, whichever way they go."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from io import BytesIO

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.client_exceptions import ClientConnectorError, ConnectionTimeoutError
from multidict import CIMultiDict
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send
from yarl import URL

from meet import tracing
from meet.envelope import CODES
from meet.errors import MeetError, Unavailable
from meet.web.body import read_body
from meet.web.observability import request_id_of

MOST_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit on a request; a function has a smaller one."""
BODY_S = 60.0
"""Until the whole body is here: a caller that sends a byte at a time must not hold what it has sent for ever."""
MOST_LINE_BYTES = 64 * 1024
"""Of a header of an answer: a signed URL makes a long `Location`."""

MOST_CONNECTIONS = 256
IDLE_S = 2.0
"""A media process keeps an idle connection for 5 s (uvicorn's default): leave it before it does."""
TIMEOUT = ClientTimeout(connect=5.0, sock_connect=2.0, sock_read=60.0)
"""`connect` is the wait for one of the connections and its opening, `sock_read` that for each next piece."""
ANSWER_S = 90.0
"""Until the head of the answer, all in all: aiohttp itself waits without end for a server that takes no body."""

RawHeaders = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110 section 7.6.1; what `Connection` names besides goes too."""

_OURS = frozenset(
    {
        b"host",
        b"content-length",
        b"expect",  # the body has been read by then
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-amzn-trace-id",
        b"x-request-id",
    }
)
"""What the relay says itself, whatever the caller said."""

_SAID_AGAIN = frozenset({b"date"})
"""What our own server states in every answer, so that the inner server's would be a second one."""

_ADDED_BY_CLIENT = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What aiohttp says of itself unless it is told not to. The caller has said what it wants."""


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """The headers that are meant for the other end, not for this connection; names in lower case."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in lowered if name == b"connection" for token in value.split(b",")}
    return [(name, value) for name, value in lowered if name not in HOP_BY_HOP and name not in named]


def forwarded_headers(scope: Scope) -> RawHeaders:
    """What the inner server is told of the caller. The caller's own `X-Forwarded-*` are not believed."""
    client = scope.get("client")
    host = Headers(scope=scope).get("host") or ""
    scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
    trace = tracing.header()
    return [
        (b"x-forwarded-for", (client[0] if client else "").encode()),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", host.encode("latin-1")),
        *([(tracing.HEADER.lower().encode(), trace.encode())] if trace else []),
    ]


def target_of(scope: Scope, base: str) -> URL:
    """The request's target as the caller wrote it, below the inner server's URL. Nothing of it is normalised."""
    inner = URL(base)
    return URL.build(
        scheme=inner.scheme,
        authority=inner.raw_authority,
        path=inner.raw_path.rstrip("/") + scope["raw_path"].decode("ascii"),
        query_string=scope["query_string"].decode("ascii"),
        encoded=True,
    )


class Relay:
    """An ASGI application that asks an inner server. `where` names its base URL for a request.

    Raises `Unavailable` (503) where the server can't be reached, `MeetError` 502 where it breaks off before an
    answer, 504 where it gives none in time, and 408 where the caller's body does not arrive in time. One that breaks
    off within its answer breaks that off for the caller.
    """

    def __init__(
        self,
        where: Callable[[Scope], Awaitable[str]],
        *,
        timeout: ClientTimeout = TIMEOUT,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        self._where = where
        self._timeout = timeout
        self._most_connections = most_connections
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close the connections to the inner servers."""
        if self._session is not None:
            await self._session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # An error that this process answers itself has the id that the inner server would have used.
        request_id = scope.setdefault("state", {})["request_id"] = request_id_of(Headers(scope=scope))
        try:  # whole, so that the caller can be watched while the answer is made
            async with asyncio.timeout(BODY_S):
                body = await read_body(scope, receive, MOST_BODY_BYTES)
        except ClientDisconnect:
            return
        except TimeoutError:
            message = f"The request body did not arrive within {BODY_S:.0f} seconds"
            raise MeetError(CODES[408], 408, message, headers={"Connection": "close"}) from None
        target = target_of(scope, await self._where(scope))
        told = _inner_headers(scope, request_id, body)
        passing = asyncio.ensure_future(self._pass(scope["method"], target, told, body, send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((passing, gone), return_when=asyncio.FIRST_COMPLETED)
            if passing.done():
                passing.result()
        finally:
            passing.cancel()
            gone.cancel()

    async def _pass(self, method: str, target: URL, told: CIMultiDict[str], body: bytes, send: Send) -> None:
        answer = await self._ask(method, target, told, body)
        try:
            headers = [pair for pair in end_to_end(answer.raw_headers) if pair[0] not in _SAID_AGAIN]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            more = True
            while more:
                piece = await answer.content.readany()
                more = not answer.content.at_eof()
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            answer.close()  # read to its end, it has given its connection back before

    async def _ask(self, method: str, target: URL, headers: CIMultiDict[str], body: bytes) -> ClientResponse:
        if self._session is None:
            self._session = self._open()
        # aiohttp warns of a long `bytes`, which it would copy whole into the socket's buffer.
        data = BytesIO(body) if body else None
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._session.request(method, target, headers=headers, data=data, allow_redirects=False)
        except (ClientConnectorError, ConnectionTimeoutError):
            raise Unavailable from None
        except TimeoutError:
            raise MeetError(CODES[504], 504, "The service did not answer in time. Please try again later.") from None
        except ClientError:
            raise MeetError(CODES[502], 502, "The service broke off its answer. Please try again later.") from None

    def _open(self) -> ClientSession:
        return ClientSession(
            connector=TCPConnector(limit=self._most_connections, keepalive_timeout=IDLE_S),
            timeout=self._timeout,
            cookie_jar=DummyCookieJar(),
            skip_auto_headers=_ADDED_BY_CLIENT,
            auto_decompress=False,
            max_line_size=MOST_LINE_BYTES,
            max_field_size=MOST_LINE_BYTES,
        )


def _inner_headers(scope: Scope, request_id: str, body: bytes) -> CIMultiDict[str]:
    """The request's headers as the inner server gets them."""
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in end_to_end(scope["headers"]):
        if name not in _OURS:
            headers.add(name.decode("ascii"), _text(value))
    for name, value in forwarded_headers(scope):
        headers[name.decode("ascii")] = _text(value)
    headers["x-request-id"] = request_id
    if body or scope["method"] not in ("GET", "HEAD", "OPTIONS"):
        headers["content-length"] = str(len(body))
    return headers


def _text(value: bytes) -> str:
    """A header's value for aiohttp, which writes UTF-8. The same bytes go out, unless they were Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
