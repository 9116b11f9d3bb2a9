"""What each request that the edge answers itself passes: who asks, may they now, what is known of it afterwards.

The functions do the same in `meet.web`'s layers, with calls that block; here one process serves everybody, so none
may. While Redis is away, limits fail open and revocation fails closed (decision 49).

    entrance = Entrance(redis, limits)
    Route("/api/v1/media/upload", entrance.to("/api/v1/media/upload", POST=upload))
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from meet.envelope import CODES, UNEXPECTED
from meet.errors import InvalidToken, MeetError, Unavailable
from meet.ratelimit import AsyncDoor, Limit, LimitClass, TooManyRequests, Verdict, classify, uncounted
from meet.tokens import revocation_key
from meet.web.auth import Principal, authenticate
from meet.web.body import check_target
from meet.web.errors import answer_to, understood
from meet.web.observability import Handled, handled_request, request_id_of
from meet.web.ratelimit import client_address

log = logging.getLogger("meet.edge")

SERVICE = "media-service"

Endpoint = Callable[[Request, Principal], Awaitable[Response]]
"""Answers a request of somebody who is signed in; raises `MeetError`."""


class Entrance:
    """Makes ASGI applications of endpoints. `limits` are None where limits are off."""

    def __init__(self, redis: Redis, limits: Mapping[LimitClass, Limit] | None) -> None:
        self._redis = redis
        self._door = AsyncDoor(redis)
        self._limits = limits
        self._counting: set[asyncio.Task[None]] = set()

    def to(self, template: str, **endpoints: Endpoint) -> "Guarded":
        """One path's endpoints, each under its method; `template` is the path as metrics name it."""
        return Guarded(self, template, endpoints)

    async def close(self) -> None:
        """Wait for what is still being counted."""
        await asyncio.gather(*self._counting)

    async def identify(self, scope: Scope) -> None:
        """Put who asks into the scope's state, as the functions do, and the limit's headers; `TooManyRequests`."""
        identity = authenticate(Headers(scope=scope).get("authorization", ""))
        kind = classify(scope["method"], scope["path"])
        limit = self._limits[kind] if self._limits and kind else None
        verdict: Verdict | None = None
        try:
            verdict = await self._ask(kind, limit, identity, client_address(scope))
        except RedisError as error:
            log.warning("a request is not counted, Redis is away: %s", error)
            if isinstance(identity, Principal):
                identity = Unavailable()
        if verdict is not None and verdict.revoked:
            identity = InvalidToken()
        scope["state"]["identity"] = identity
        if self._limits is not None:
            counted = verdict if limit is not None else None
            shown = counted or uncounted(limit or self._limits[LimitClass.API], now=time.time())
            scope["state"]["headers"] = shown.headers
        if kind is not None and verdict is not None and not verdict.allowed:
            raise TooManyRequests(kind, verdict)

    async def _ask(
        self, kind: LimitClass | None, limit: Limit | None, identity: Principal | MeetError, address: str
    ) -> Verdict | None:
        """Redis' verdict; None where there is nothing to ask."""
        user = identity if isinstance(identity, Principal) else None
        if user is None and limit is None:
            return None
        return await self._door.hit(
            kind,
            limit,
            user_id=user.user_id if user else None,
            address=address,
            revocation_key=revocation_key(user.family_id) if user else None,
        )

    def account(self, handled: Handled, duration_s: float) -> None:
        """Log a request and count it, beside its answer."""
        handled.log(duration_s)
        task = asyncio.create_task(self._count(handled, duration_s))
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)

    async def _count(self, handled: Handled, duration_s: float) -> None:
        pipe = self._redis.pipeline(transaction=False)
        handled.count(pipe, duration_s)
        try:
            await pipe.execute()
        except RedisError:
            log.debug("a request is not counted: Redis is away")


class Guarded:
    """The ASGI application of one path. Whoever isn't signed in gets 401, whoever asks too often 429."""

    def __init__(self, entrance: Entrance, template: str, endpoints: Mapping[str, Endpoint]) -> None:
        self._entrance = entrance
        self._template = template
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        state["request_id"] = request_id_of(Headers(scope=scope))
        answered = False

        async def leave(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = state["request_id"]
                headers.update(state.get("headers", {}))
                handled = handled_request(SERVICE, self._template, scope, message["status"])
                self._entrance.account(handled, time.perf_counter() - started)
            await send(message)

        try:
            answer = await self._answer(scope, receive, leave)
        except ClientDisconnect:
            return
        except Exception as error:
            known = understood(error)
            if known is None:
                log.exception("request %s failed: %s %s", state["request_id"], scope["method"], scope["path"])
                known = MeetError(CODES[500], 500, UNEXPECTED)
            answer = answer_to(scope, known)
        try:
            await answer(scope, receive, leave)
        except Exception:
            log.exception("the answer to request %s broke off", state["request_id"])
            if answered:
                raise
            await answer_to(scope, MeetError(CODES[500], 500, UNEXPECTED))(scope, receive, leave)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Response:
        check_target(scope)
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            allowed = ", ".join(sorted(self._endpoints))
            raise MeetError(CODES[405], 405, "Method Not Allowed", headers={"Allow": allowed})
        await self._entrance.identify(scope)
        identity = scope["state"]["identity"]
        if not isinstance(identity, Principal):
            raise identity
        return await endpoint(Request(scope, receive, send), identity)
