"""Rate limits: at most `limit` requests in any 60 seconds, of which at most `burst` in any one (decision 37).

A sliding log: each caller has a sorted set of the times of its admitted requests. One script, on Redis' own clock,
forgets what has left the window, looks at the `limit`-th and the `burst`-th newest entry, and admits the request if
both are old enough. Scripts don't interleave, so the limit is exact however many callers there are. A refused
request isn't recorded: who waits as long as told is admitted.

The same script says whether the caller's sign-in was revoked, since both are asked at the door of every request. A
revoked token spends its address' allowance, not the user's, who would otherwise be shut out by a thief.

    ratelimit:{class}:{caller}    sorted set of the times, in microseconds; expires with its newest entry
    revoked:{family_id}           there while tokens of a revoked sign-in could still be valid (see meet.tokens)
"""

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import TYPE_CHECKING, Any, cast

from meet.config import Settings
from meet.errors import MeetError

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

WINDOW_S = 60
BURST_WINDOW_S = 1


class LimitClass(StrEnum):
    """The rows of the document's table."""

    AUTH = "auth"
    API = "api"
    UPLOAD = "upload"
    AI = "ai"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `limit` requests in any `WINDOW_S`, at most `burst` of them in any `BURST_WINDOW_S`."""

    limit: int
    burst: int


DEFAULTS: Mapping[LimitClass, Limit] = {
    LimitClass.AUTH: Limit(10, 5),
    LimitClass.API: Limit(100, 50),
    LimitClass.UPLOAD: Limit(5, 5),
    LimitClass.AI: Limit(20, 10),
    LimitClass.WEBSOCKET: Limit(30, 10),
}


def limits_from(settings: Settings) -> Mapping[LimitClass, Limit] | None:
    """The limit of each class: the document's, under the overrides of `MEET_RATE_LIMITS`; None where limits are off.

    An override is `{"api": [1000, 500]}`. Raises `ValueError` that names the cure for a table of another form.
    """
    table = settings.rate_limit_table
    if table is None:
        return None
    limits = dict(DEFAULTS)
    for name, numbers in table.items():
        match numbers:
            case [int(limit), int(burst)] if name in set(LimitClass) and limit >= 1 and burst >= 1:
                limits[LimitClass(name)] = Limit(limit, min(limit, burst))
            case _:
                known = ", ".join(LimitClass)
                form = f'{{"class": [limit, burst]}} with a class of {known}, and both numbers at least 1'
                raise ValueError(f"MEET_RATE_LIMITS: {name!r}: {numbers!r} is not of the form {form}")
    return limits


# Which class a request is of. The first rule that matches decides; the path is the decoded one that is routed by.
_HEALTH = re.compile(r"/(api/v1/(users|meetings|media|recording|streaming|ai)/|ws/signaling/)?(health|metrics)")
_MANAGEMENT = re.compile(r"/api/v1/(models|nodes|discovery|load-balancer|failover|monitoring)(/.*)?")
_POLLED = re.compile(r"/api/v1/ai/jobs/[^/]+|/api/v1/ffmpeg/job/[^/]+/status")
_UPLOAD = re.compile(r"/api/v1/media/uploads?")
_CLASSES = tuple(
    (kind, re.compile(pattern, re.DOTALL))  # no %0A in a path may take it out of its class
    for kind, pattern in (
        (LimitClass.WEBSOCKET, r"/ws/signaling(/.*)?"),
        (LimitClass.AUTH, r"/api/v1/auth(/.*)?"),
        (LimitClass.AI, r"/api/v1/(ai|speech|audio|video)(/.*)?|/v1/audio(/.*)?"),
        (LimitClass.API, r"/(api|v1|admin|whip|whep)(/.*)?"),
    )
)


def classify(method: str, path: str) -> LimitClass | None:
    """The class that a request counts in, or None for what is exempt or no API at all (the page's files).

    Exempt are health, metrics, polling a job, and the management of models and their nodes (decision 37).
    """
    if method == "OPTIONS" or _MANAGEMENT.fullmatch(path):
        return None
    if method in ("GET", "HEAD") and (_HEALTH.fullmatch(path) or _POLLED.fullmatch(path)):
        return None
    if method == "POST" and _UPLOAD.fullmatch(path):
        return LimitClass.UPLOAD
    return next((kind for kind, pattern in _CLASSES if pattern.fullmatch(path)), None)


def caller(user_id: str | None, address: str) -> str:
    """Whose allowance a request spends: the user's where one is signed in, else the address'.

    An IPv6 address counts by its /64, which is what one household or one host is given (RFC 6177 section 2).
    """
    if user_id is not None:
        return f"user:{user_id}"
    try:
        parsed = ip_address(address)
    except ValueError:
        return f"address:{address}"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return f"address:{parsed.ipv4_mapped}"
        return f"address:{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return f"address:{parsed}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the door says of one request. Times are Unix seconds on Redis' clock."""

    allowed: bool
    revoked: bool
    limit: int
    remaining: int
    reset_at: int
    """When the oldest counted request leaves the window, and `remaining` grows."""
    retry_after_s: int
    """0 where the request is admitted."""

    @property
    def headers(self) -> dict[str, str]:
        """The document's three headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_at),
        }


def uncounted(limit: Limit, *, now: float, revoked: bool = False) -> Verdict:
    """The verdict of what spends nothing: an exempt route, or any while Redis is away. All of the limit remains."""
    return Verdict(True, revoked, limit.limit, limit.limit, ceil(now), 0)


def unspent_headers(
    limits: Mapping[LimitClass, Limit] | None, method: str, path: str, *, now: float
) -> dict[str, str]:
    """The document's headers for an answer that no door was asked for; none where limits are off."""
    if limits is None:
        return {}
    return uncounted(limits[classify(method, path) or LimitClass.API], now=now).headers


class TooManyRequests(MeetError):
    """429 with the document's sentence for the class."""

    def __init__(self, kind: LimitClass, verdict: Verdict) -> None:
        wait = f"Please try again in {verdict.retry_after_s} second{'s' * (verdict.retry_after_s != 1)}."
        message = {
            LimitClass.AUTH: f"Too many login attempts. {wait}",
            LimitClass.UPLOAD: f"Too many uploads. {wait}",
            LimitClass.AI: f"Too many AI requests. {wait}",
            LimitClass.WEBSOCKET: f"Too many connection attempts. {wait}",
        }.get(kind, "Too many requests. Please try again later.")
        super().__init__("RATE_LIMIT_EXCEEDED", 429, message, retry_after_s=verdict.retry_after_s)


# KEYS: [1] the caller's log, [2] the log of its address, [3] the revocation key, or "" where no token was sent.
# ARGV: limit (0: count nothing), burst, window and burst window in microseconds.
# Answers {allowed, revoked, remaining, reset_at_us, retry_after_us}.
# The member carries the log's length besides the time, so two hits in one microsecond are two members.
DOOR = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, burst, window, burst_window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local revoked = 0
if KEYS[3] ~= '' then revoked = redis.call('EXISTS', KEYS[3]) end
if limit == 0 then return {1, revoked, 0, now, 0} end

local log = KEYS[1 + revoked]
redis.call('ZREMRANGEBYSCORE', log, '-inf', string.format('%.0f', now - window))
local count = redis.call('ZCARD', log)

local function free_at(rank, span)
  local entry = redis.call('ZRANGE', log, -rank, -rank, 'WITHSCORES')
  return entry[2] and tonumber(entry[2]) + span or 0
end
local free = math.max(free_at(limit, window), free_at(burst, burst_window))

local allowed = free <= now
if allowed then
  local at = string.format('%.0f', now)
  redis.call('ZADD', log, at, at .. ':' .. count)
  redis.call('PEXPIRE', log, window / 1000)
  count = count + 1
end
local oldest = tonumber(redis.call('ZRANGE', log, 0, 0, 'WITHSCORES')[2])
return {allowed and 1 or 0, revoked, math.max(limit - count, 0), oldest + window, allowed and 0 or free - now}
"""

_NOTHING = Limit(0, 0)


def _arguments(
    kind: LimitClass | None, limit: Limit | None, user_id: str | None, address: str, revocation_key: str | None
) -> tuple[list[str], list[int]]:
    by_address = f"ratelimit:{kind}:{caller(None, address)}"
    by_caller = f"ratelimit:{kind}:{caller(user_id, address)}"
    counted = limit or _NOTHING
    keys = [by_caller, by_address, revocation_key or ""]
    return keys, [counted.limit, counted.burst, WINDOW_S * 1_000_000, BURST_WINDOW_S * 1_000_000]


def _verdict(limit: Limit | None, answer: Sequence[int]) -> Verdict:
    allowed, revoked, remaining, reset_at_us, retry_after_us = answer
    return Verdict(
        allowed=bool(allowed),
        revoked=bool(revoked),
        limit=limit.limit if limit else 0,
        remaining=remaining,
        reset_at=ceil(reset_at_us / 1_000_000),
        retry_after_s=ceil(retry_after_us / 1_000_000),
    )


class Door:
    """Asks Redis whether a request may pass, in one round trip (synchronous Redis).

    `hit` counts a request of class `kind` under `limit`; with `limit=None` it counts nothing and only says whether
    `revocation_key` is there. Raises `redis.exceptions.RedisError`.
    """

    def __init__(self, redis: "Redis") -> None:
        self._script = redis.register_script(DOOR)

    def hit(
        self,
        kind: LimitClass | None,
        limit: Limit | None,
        *,
        user_id: str | None,
        address: str,
        revocation_key: str | None = None,
    ) -> Verdict:
        keys, arguments = _arguments(kind, limit, user_id, address, revocation_key)
        return _verdict(limit, cast("list[int]", self._script(keys, arguments)))


class AsyncDoor:
    """The same for the tier of sockets (asyncio Redis)."""

    def __init__(self, redis: "AsyncRedis") -> None:
        self._script: Any = redis.register_script(DOOR)

    async def hit(
        self,
        kind: LimitClass | None,
        limit: Limit | None,
        *,
        user_id: str | None,
        address: str,
        revocation_key: str | None = None,
    ) -> Verdict:
        keys, arguments = _arguments(kind, limit, user_id, address, revocation_key)
        return _verdict(limit, await cast("Awaitable[list[int]]", self._script(keys, arguments)))
