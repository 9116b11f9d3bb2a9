"""Who asks by HTTP, and may they now: the door that functions have, for the media process.

Requests count in the general class (`meet.ratelimit.classify`), not in that of WebSockets: a client that trickles
sends one for each of its candidates, and ten in a second are no attack.
"""

import logging
from collections.abc import Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request

from meet import tokens
from meet.errors import InvalidToken, MeetError, MissingToken, Unavailable
from meet.ratelimit import AsyncDoor, Limit, LimitClass, TooManyRequests, Verdict, classify
from meet.tokens import Claims

log = logging.getLogger("meet.sfu.whip")


class Callers:
    """Counts requests and knows who sends them."""

    def __init__(self, redis: Redis, limits: Mapping[LimitClass, Limit] | None) -> None:
        """`limits` as `meet.ratelimit.limits_from` has them; None where they are off."""
        self._door = AsyncDoor(redis)
        self._limits = limits

    async def admit(self, request: Request, *, expired_too: bool = False) -> Claims:
        """Whose access token the request has; what is left of its limit goes into `request.state.headers`.

        `expired_too`: as `meet.tokens.read_access`. Raises `MissingToken`, `InvalidToken`, `TooManyRequests`, and
        `Unavailable` where Redis can't say whether the sign-in was revoked (decision 49).
        """
        who = self._identify(request, expired_too=expired_too)
        claims = who if isinstance(who, Claims) else None
        try:
            verdict = await self._count(request, claims)
        except RedisError:
            if claims:
                raise Unavailable from None
            verdict = None
        if verdict is not None and self._limits is not None:
            request.state.headers = verdict.headers
            if not verdict.allowed:
                raise TooManyRequests(LimitClass.API, verdict)
        if isinstance(who, MeetError):
            raise who
        if verdict is not None and verdict.revoked:
            raise InvalidToken
        return who

    @staticmethod
    def _identify(request: Request, *, expired_too: bool) -> Claims | MeetError:
        authorization = request.headers.get("authorization", "")
        if not authorization:
            return MissingToken()
        scheme, _, token = authorization.partition(" ")
        try:
            if scheme.lower() != "bearer":  # RFC 6750 section 2.1
                raise InvalidToken
            return tokens.read_access(token.strip(), expired_too=expired_too)
        except InvalidToken as error:
            return error

    async def _count(self, request: Request, claims: Claims | None) -> Verdict | None:
        kind = classify(request.method, request.url.path)
        limit = self._limits[kind] if self._limits is not None and kind is not None else None
        if claims is None and limit is None:
            return None
        return await self._door.hit(
            kind,
            limit,
            user_id=claims.user_id if claims else None,
            address=_address(request),
            revocation_key=tokens.revocation_key(claims.family_id) if claims else None,
        )


def _address(request: Request) -> str:
    """The caller's, as the edge says; nobody else reaches a media process."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded or (request.client.host if request.client else "")
