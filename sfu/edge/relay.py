"""HTTP passed on to an inner server: the same method, target, headers and bytes, whichever way they go."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress

import httpx
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from meet.errors import MeetError, Unavailable
from meet.web.errors import CODES, PayloadTooLarge
from meet.web.observability import request_id_of

MOST_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit on a request; a function has a smaller one."""

TIMEOUT = httpx.Timeout(connect=2.0, read=60.0, write=30.0, pool=5.0)
# A media process keeps an idle connection for 5 s (uvicorn's default): leave it before it does.
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=2.0)

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
        b"x-request-id",
    }
)
"""What the relay says itself, whatever the caller said."""


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
    return [
        (b"x-forwarded-for", (client[0] if client else "").encode()),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", host.encode("latin-1")),
    ]


def target_of(scope: Scope, prefix: str) -> bytes:
    """The request target as the caller wrote it, below `prefix`, the path of the inner server's URL."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return prefix.encode() + path + (b"?" + query if query else b"")


class Relay:
    """An ASGI application that asks an inner server. `where` names its base URL for a request."""

    def __init__(self, client: httpx.AsyncClient, where: Callable[[Scope], Awaitable[str]]) -> None:
        self._client = client
        self._where = where

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        # An error that this process answers itself has the id that the inner server would have used.
        request_id = scope.setdefault("state", {})["request_id"] = request_id_of(request.headers)
        try:
            body = await _body(request)
        except ClientDisconnect:
            return
        base = httpx.URL(await self._where(scope))
        headers = [(name, value) for name, value in end_to_end(scope["headers"]) if name not in _OURS]
        headers += [*forwarded_headers(scope), (b"x-request-id", request_id.encode())]
        if body or request.method not in ("GET", "HEAD", "OPTIONS"):
            headers.append((b"content-length", str(len(body)).encode()))
        # The target goes out as it came in: httpx would normalise what the inner server must see.
        outgoing = httpx.Request(
            request.method,
            base,
            headers=headers,
            content=body or None,
            extensions={"target": target_of(scope, base.path.rstrip("/")), "timeout": TIMEOUT.as_dict()},
        )
        answer = await _unless_gone(self._ask(outgoing), receive)
        if answer is not None:
            response = StreamingResponse(_stream(answer), answer.status_code)
            response.raw_headers = end_to_end(answer.headers.raw)
            await response(scope, receive, send)

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise Unavailable from None
        except httpx.TimeoutException:
            raise MeetError(CODES[504], 504, "The service did not answer in time. Please try again later.") from None
        except httpx.TransportError:
            raise MeetError(CODES[502], 502, "The service broke off its answer. Please try again later.") from None


async def _body(request: Request) -> bytes:
    """The whole body, so that the caller can be watched while the answer is made; `PayloadTooLarge` (413)."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > MOST_BODY_BYTES:
        raise PayloadTooLarge(MOST_BODY_BYTES)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise PayloadTooLarge(MOST_BODY_BYTES)
    return bytes(body)


async def _unless_gone(asking: Awaitable[httpx.Response], receive: Receive) -> httpx.Response | None:
    """The answer, or None where the caller went away first; then the asking ends too."""
    answer = asyncio.ensure_future(asking)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await answer if answer.done() else None
    finally:
        for task in (answer, gone):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The answer's bytes as they are on the wire, still compressed if they were."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
