"""At the door of every function: who is asking, and may they now. One Redis round trip, or none.

While Redis is away, limits fail open and revocation fails closed (decision 49): a route that needs a signed-in user
answers 503, the others work.
"""

import time
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from meet import tokens
from meet.config import settings
from meet.errors import InvalidToken, MeetError, Unavailable
from meet.ratelimit import (
    Door,
    Limit,
    LimitClass,
    TooManyRequests,
    Verdict,
    classify,
    limits_from,
    uncounted,
)
from meet.web.auth import Principal, authenticate
from meet.web.errors import answer_to
from meet.web.redis import RedisAway, circuit, redis


def client_address(scope: Scope) -> str:
    """The address that API Gateway saw: `requestContext.identity.sourceIp`."""
    client = scope.get("client")
    return str(client[0]) if client and client[0] else "unknown"


class RateLimited:
    """Puts the caller's `Principal`, or the error of its token, into `scope["state"]["identity"]`, and counts.

    Every answer carries the three headers of the limit that it counts under. What counts under none (health, say)
    carries those of the general limit, untouched, since it spends nothing; where limits are off, there are none.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._limits: Mapping[LimitClass, Limit] | None = limits_from(settings())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = authenticate(Headers(scope=scope).get("authorization", ""))
        kind = classify(scope["method"], scope["path"])
        limit = self._limits[kind] if self._limits and kind else None
        verdict: Verdict | None
        try:
            verdict = self._ask(kind, limit, identity, client_address(scope))
        except RedisAway:
            verdict = None
            if isinstance(identity, Principal):
                identity = Unavailable()
        if verdict is not None and verdict.revoked:
            identity = InvalidToken()
        scope.setdefault("state", {})["identity"] = identity

        if self._limits is not None:
            counted = verdict if verdict is not None and limit is not None else None
            shown = counted or uncounted(limit or self._limits[LimitClass.API], now=time.time())
            scope["state"]["headers"] = shown.headers

        if kind is not None and verdict is not None and not verdict.allowed:
            await answer_to(scope, TooManyRequests(kind, verdict))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _ask(
        kind: LimitClass | None, limit: Limit | None, identity: Principal | MeetError, address: str
    ) -> Verdict | None:
        """Redis' verdict; None where there is nothing to ask."""
        user = identity if isinstance(identity, Principal) else None
        if user is None and limit is None:
            return None
        return circuit.call(
            lambda: Door(redis()).hit(
                kind,
                limit,
                user_id=user.user_id if user else None,
                address=address,
                revocation_key=tokens.revocation_key(user.family_id) if user else None,
            )
        )
