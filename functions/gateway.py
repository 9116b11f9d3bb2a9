"""Stands for API Gateway where there is none: HTTP in, REST proxy events to the same handlers, HTTP out.

    python -m functions.gateway        listens on 127.0.0.1, port MEET_GATEWAY_PORT

What a function is called with here is what API Gateway would call it with: an event of the REST API's Lambda proxy
integration (payload 1.0), with every body in base64, since the API's binary types are `*/*`. So are the limits: 10 MB
a request, 6 MB an answer, 29 seconds. `ROUTES` are the resources of the deployed API.

A call runs in a thread of a pool, on an event loop of that thread: the functions are written for one request at a
time, and block. A call that outlives its 29 seconds is answered with 504 and runs to its end, as on Lambda.
"""

import asyncio
import base64
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from ipaddress import ip_address
from queue import SimpleQueue
from typing import Any
from urllib.parse import parse_qsl, unquote

import uvicorn
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from meet import logs
from meet.clock import new_id
from meet.config import settings
from meet.envelope import CODES, UNEXPECTED
from meet.errors import MeetError, NotFound
from meet.ratelimit import limits_from, unspent_headers
from meet.tokens import signing_secret
from meet.web.app import close_thread_loop
from meet.web.body import read_body
from meet.web.errors import error_answer
from meet.web.observability import request_id_of

log = logging.getLogger("meet.gateway")

Event = dict[str, Any]
Handler = Callable[[Event, Any], dict[str, Any]]

ROUTES: Mapping[str, tuple[str, ...]] = {
    "users": (
        "/health",
        "/metrics",
        "/api/v1/csrf-token",
        "/api/v1/auth/{proxy+}",
        "/api/v1/users/{proxy+}",
    ),
    "meetings": (
        "/api/v1/meetings",
        "/api/v1/meetings/{proxy+}",
    ),
    "rooms": (
        "/api/v1/sessions/{proxy+}",
        "/api/v1/messages/{proxy+}",
        "/api/v1/stats/{proxy+}",
        "/api/v1/webrtc/{proxy+}",
        "/admin/{proxy+}",
        "/ws/signaling/health",
        "/ws/signaling/metrics",
    ),
    "media": (
        "/api/v1/media",
        "/api/v1/media/{proxy+}",
    ),
    "ffmpeg": ("/api/v1/ffmpeg/{proxy+}",),
    "recordings": ("/api/v1/recording/{proxy+}", "/api/v1/streaming/{proxy+}"),
    "ai": ("/api/v1/ai/{proxy+}",),
}
"""Each function, a folder beside this file, and the resources that it answers, with any method."""

REQUEST_BYTES = 10 * 1024 * 1024
ANSWER_BYTES = 6 * 1024 * 1024
TIMEOUT_S = 29.0
STAGE = "local"
WORKERS = 32
KEEP_ALIVE_S = 75
"""Longer than any client in front keeps an idle connection, so that none is closed just as it is used again."""

# RFC 9110 section 7.6.1: what speaks of one connection only.
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the API, the function that answers it, and what stood for `{proxy+}`."""

    area: str
    path: str
    proxy: str | None = None


class Resources:
    """Finds the resource of a path: the one spelled out, else the closest `{proxy+}` above it."""

    def __init__(self, routes: Mapping[str, Iterable[str]] = ROUTES) -> None:
        self._exact: dict[str, Resource] = {}
        self._greedy: dict[str, Resource] = {}
        for area, paths in routes.items():
            for path in paths:
                above, greedy, _ = path.partition("/{proxy+}")
                (self._greedy if greedy else self._exact)[above] = Resource(area, path)

    def find(self, path: str) -> Resource | None:
        """The resource of a raw (still percent-encoded) path, or None."""
        if found := self._exact.get(path):
            return found
        above = path
        while above:
            above, _, _ = above.rpartition("/")
            found = self._greedy.get(above)
            if found and len(path) > len(above) + 1:
                return Resource(found.area, found.path, unquote(path[len(above) + 1 :]))
        return None


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The second argument of a handler, with the members that Lambda's Python runtime gives it."""

    function_name: str
    aws_request_id: str = field(default_factory=new_id)
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "512"
    deadline: float = field(default_factory=lambda: time.monotonic() + TIMEOUT_S)

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:{settings().aws_region}:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self.deadline - time.monotonic()) * 1000))


def source_ip(scope: Scope) -> str:
    """The client's address: what the edge, our only client, put last into `X-Forwarded-For`, else our peer's."""
    forwarded = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        return str(ip_address(forwarded))
    except ValueError:
        peer = scope.get("client")
        return str(peer[0]) if peer else "127.0.0.1"


def proxy_event(scope: Scope, body: bytes, resource: Resource, *, now: datetime) -> Event:
    """The event of a request: API Gateway REST, Lambda proxy integration, payload format 1.0."""
    address = source_ip(scope)
    path = scope["raw_path"].decode("latin-1")
    multi_headers = _headers(scope, address)
    headers = {name: values[-1] for name, values in multi_headers.items()}
    multi_query: dict[str, list[str]] = {}
    for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="replace"):
        multi_query.setdefault(name, []).append(value)
    return {
        "resource": resource.path,
        "path": path,
        "httpMethod": scope["method"],
        "headers": headers,
        "multiValueHeaders": multi_headers,
        "queryStringParameters": {name: values[-1] for name, values in multi_query.items()} or None,
        "multiValueQueryStringParameters": multi_query or None,
        "pathParameters": None if resource.proxy is None else {"proxy": resource.proxy},
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": STAGE,
            "domainName": headers["host"],
            "domainPrefix": headers["host"].partition(".")[0],
            "extendedRequestId": new_id(),
            "httpMethod": scope["method"],
            "identity": {**_NOBODY, "sourceIp": address, "userAgent": headers.get("user-agent")},
            "path": path,
            "protocol": f"HTTP/{scope['http_version']}",
            "requestId": new_id(),
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now.timestamp() * 1000),
            "resourceId": resource.path,
            "resourcePath": resource.path,
            "stage": STAGE,
        },
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }


_NOBODY = dict.fromkeys(
    (
        "accessKey",
        "accountId",
        "caller",
        "cognitoAuthenticationProvider",
        "cognitoAuthenticationType",
        "cognitoIdentityId",
        "cognitoIdentityPoolId",
        "principalOrgId",
        "user",
        "userArn",
    )
)


def _headers(scope: Scope, address: str) -> dict[str, list[str]]:
    """The request's headers as API Gateway passes them on: its own `X-Forwarded-*` in place of the client's."""
    headers: dict[str, list[str]] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name not in _HOP_BY_HOP:
            headers.setdefault(name, []).append(raw_value.decode("latin-1"))
    if len(headers.get("cookie", ())) > 1:  # HTTP/2 lets a client split it (RFC 9113 section 8.2.3)
        headers["cookie"] = ["; ".join(headers["cookie"])]
    host = headers.get("host", [""])[-1]
    forwarded_proto = headers.get("x-forwarded-proto", [""])[-1]
    proto = forwarded_proto if forwarded_proto in ("http", "https") else "http"
    headers["host"] = [host if _HOST.fullmatch(host) else "localhost"]
    headers["x-forwarded-for"] = [address]
    headers["x-forwarded-proto"] = [proto]
    headers["x-forwarded-port"] = ["443" if proto == "https" else "80"]
    return headers


def answer_parts(answer: Mapping[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of what a handler returned. Headers of both maps are sent, as API Gateway does."""
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    many = dict(answer.get("multiValueHeaders") or {})
    for name, value in (answer.get("headers") or {}).items():
        many.setdefault(name, [value])
    headers = [
        (name.lower().encode(), str(value).encode())
        for name, values in many.items()
        for value in values
        if name.lower() not in _HOP_BY_HOP
    ]
    return int(answer["statusCode"]), headers, content


class Workers:
    """Threads that run blocking calls, each with an event loop of its own that ends with it."""

    def __init__(self, count: int = WORKERS) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}") for n in range(count)]
        for thread in self._threads:
            thread.start()

    async def call(self, handler: Handler, event: Event, context: LambdaContext) -> dict[str, Any]:
        """What the handler returns, or its exception.

        Cancelled, it no longer waits: a call that runs goes on, one that has not begun is never made.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[dict[str, Any]] = loop.create_future()

        def settle(answer: dict[str, Any] | None, error: Exception | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            elif answer is not None:
                done.set_result(answer)

        def run() -> None:
            if done.cancelled():  # its caller was told 504 while it waited for a thread
                return
            try:
                answer, error = handler(event, context), None
            except Exception as raised:
                answer, error = None, raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, answer, error)

        self._calls.put(run)
        return await done

    def close(self) -> None:
        """Let the calls that wait or run end, then the threads."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (run := self._calls.get()) is not None:
            run()
        close_thread_loop()


def load(area: str) -> Handler:
    """The Lambda handler of a function's folder."""
    handler: Handler = import_module(f"functions.{area}.app").handler
    return handler


class Gateway:
    """The ASGI application. `handlers` are by area; those of `ROUTES` by default."""

    def __init__(
        self,
        handlers: Mapping[str, Handler] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        workers: int = WORKERS,
    ) -> None:
        self._handlers = handlers if handlers is not None else {area: load(area) for area in ROUTES}
        self._resources = Resources({area: ROUTES[area] for area in self._handlers})
        self._timeout_s = timeout_s
        self._limits = limits_from(settings())
        self._worker_count = workers
        self._workers: Workers | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        self._workers = workers = Workers(self._worker_count)
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        await asyncio.to_thread(workers.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, headers, body = await self._invoke(scope, receive)
        except ClientDisconnect:
            return
        except MeetError as error:
            wanted = Headers(scope=scope)
            request_id = request_id_of(wanted)
            answer = error_answer(error, accept=wanted.get("accept", ""), request_id=request_id)
            # What a function may have counted before it failed isn't known here: nothing is taken off.
            path = unquote(scope["raw_path"].decode("latin-1"))
            answer.headers.update(unspent_headers(self._limits, scope["method"], path, now=time.time()))
            answer.headers["X-Request-Id"] = request_id
            await answer(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _invoke(self, scope: Scope, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        resource = self._resources.find(scope["raw_path"].decode("latin-1"))
        if resource is None:
            raise NotFound("There is no such endpoint")
        body = await read_body(scope, receive, REQUEST_BYTES)
        event = proxy_event(scope, body, resource, now=datetime.now(UTC))
        context = LambdaContext(f"meet-{resource.area}")
        if self._workers is None:
            raise RuntimeError("the gateway was not started: it needs the lifespan protocol")
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._workers.call(self._handlers[resource.area], event, context)
        except TimeoutError:
            raise MeetError(CODES[504], 504, "The service did not answer in time. Please try again later.") from None
        except Exception as error:
            log.exception("the function %s failed", resource.area)
            raise MeetError(CODES[502], 502, UNEXPECTED) from error
        status, headers, content = answer_parts(answer)
        if len(content) > ANSWER_BYTES:
            log.error("the function %s answered %d bytes, Lambda's limit is 6 MB", resource.area, len(content))
            raise MeetError(CODES[502], 502, UNEXPECTED)
        return status, headers, content


def main() -> None:
    """Serve the functions on loopback until SIGTERM or SIGINT."""
    logs.start(settings().log_level, "%(message)s", service="gateway")
    limits_from(settings())  # a wrong table stops the start, not every request
    signing_secret()  # and so does one that is missing
    uvicorn.run(
        Gateway(),
        host="127.0.0.1",
        port=settings().gateway_port,
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


if __name__ == "__main__":
    main()
