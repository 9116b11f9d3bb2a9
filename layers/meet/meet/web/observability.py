"""What is known of a request afterwards: its id, one line of log, and counters that add up over all instances.

Functions come and go, and a frozen one answers no scrape, so counters live in Redis (decision 40). They are written
in one round trip before the answer leaves, since after it the instance may sleep. `meet.web.metrics` reads them.

    metrics:{service}    hash; fields `requests METHOD STATUS TEMPLATE`, `bucket METHOD LE TEMPLATE` (not cumulative)
                         and `micros METHOD TEMPLATE` (the sum of the durations)
    metrics:users        sorted set of user ids, scored by when each was last seen
"""

import json
import logging
import re
import time
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meet import tracing
from meet.clock import iso, new_id, utcnow
from meet.envelope import CODES, UNEXPECTED
from meet.errors import MeetError
from meet.web.auth import Principal
from meet.web.errors import answer_to
from meet.web.redis import RedisAway, circuit, redis
from meet.web.routing import RouteTable

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline as AsyncPipeline
    from redis.client import Pipeline

log = logging.getLogger("meet.web")

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram: the defaults of Prometheus' clients, as in the document's example."""
INFINITE = "+Inf"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
USERS_KEY = "metrics:users"
ACTIVE_USER_S = 300
"""A user is active who made a request in the last five minutes."""

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def metrics_key(service: str) -> str:
    """The hash in which a service's counters add up."""
    return f"metrics:{service}"


def request_id_of(headers: Headers) -> str:
    """The caller's `X-Request-Id` where it is printable and short, else a fresh one."""
    given = headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else new_id()


def bucket(duration_s: float) -> str:
    """The `le` label of the smallest bucket that a duration falls into."""
    index = bisect_left(BUCKETS_S, duration_s)
    return str(BUCKETS_S[index]) if index < len(BUCKETS_S) else INFINITE


class Observed:
    """The outermost layer: names the request, counts it, and answers 500 for what nobody foresaw.

    What a layer puts into `scope["state"]["headers"]` stands in whatever answer there will be.
    """

    def __init__(self, app: ASGIApp, *, service: str, routes: RouteTable) -> None:
        self._app = app
        self._service = service
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = request_id_of(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        answered = False

        async def leave(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers.update(scope["state"].get("headers", {}))
                self._account(scope, message["status"], time.perf_counter() - started)
            await send(message)

        try:
            with tracing.segment(self._service, Headers(scope=scope).get(tracing.HEADER)):
                await self._app(scope, receive, leave)
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if answered:
                raise
            await answer_to(scope, MeetError(CODES[500], 500, UNEXPECTED))(scope, receive, leave)

    def _account(self, scope: Scope, status: int, duration_s: float) -> None:
        handled = handled_request(self._service, self._routes.template(scope["method"], scope["path"]), scope, status)
        handled.log(duration_s)
        try:
            circuit.call(lambda: self._count(handled, duration_s))
        except RedisAway:
            log.debug("a request is not counted: Redis is away")

    def _count(self, handled: "Handled", duration_s: float) -> None:
        pipe = redis().pipeline(transaction=False)
        handled.count(pipe, duration_s)
        pipe.execute()


@dataclass(frozen=True, slots=True)
class Handled:
    """A request whose status is known: what the log and the counters say of it."""

    service: str
    template: str
    request_id: str
    method: str
    path: str
    """Without the query, which may carry a token."""
    status: int
    user_id: str | None

    def log(self, duration_s: float) -> None:
        """Write the one line."""
        if not log.isEnabledFor(logging.INFO):
            return
        line = {
            "time": iso(utcnow()),
            "level": "info",
            "service": self.service,
            "request_id": self.request_id,
            "trace_id": tracing.trace_id(),
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "duration_ms": round(duration_s * 1000, 2),
            "user_id": self.user_id,
        }
        log.info(json.dumps(line), extra={"request": line})

    def count(self, pipe: "Pipeline | AsyncPipeline", duration_s: float) -> None:
        """Add the counters' commands to a pipeline, which its owner executes."""
        key = metrics_key(self.service)
        method = self.method if self.method in METHODS else "other"
        pipe.hincrby(key, f"requests {method} {self.status} {self.template}", 1)
        pipe.hincrby(key, f"bucket {method} {bucket(duration_s)} {self.template}", 1)
        pipe.hincrby(key, f"micros {method} {self.template}", round(duration_s * 1_000_000))
        if self.user_id is not None:
            now = time.time()
            pipe.zadd(USERS_KEY, {self.user_id: now})
            pipe.zremrangebyscore(USERS_KEY, "-inf", now - ACTIVE_USER_S)


def handled_request(service: str, template: str, scope: Scope, status: int) -> Handled:
    """What a request came to, of which its scope knows the id and who asked."""
    identity = scope["state"].get("identity")
    return Handled(
        service=service,
        template=template,
        request_id=scope["state"]["request_id"],
        method=scope["method"],
        path=scope["path"],
        status=status,
        user_id=identity.user_id if isinstance(identity, Principal) else None,
    )
