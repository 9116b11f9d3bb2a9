"""Who watches a live stream: the players that asked for a playlist within the last 15 seconds.

A player is known by the token that is in the URLs of the playlist it was given first. Edges tell of the players that
came by, each second for all of them together; whoever wants to know counts. `now` is Unix time.

    viewers:{stream_id}   sorted set of the players' tokens, scored by the time they came by last
    watched:{stream_id}   HyperLogLog of all tokens: exact while they are few, within 1% when many, at most 12 KB
    peak:{stream_id}      the most at once
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

WINDOW_S = 15
KEPT_S = 24 * 3600
"""From the last player on: as long as the stream's objects may be there."""
AT_ONCE = 1000
"""Tokens of one call of the script, which hands them on as arguments of a command; Lua's stack has 8000."""

ANSWERS = 3
"""To what is asked of one stream."""

# KEYS: [1] viewers, [2] watched, [3] peak. ARGV: now, WINDOW_S, KEPT_S, the tokens.
_SEEN = """
local scored, tokens = {}, {}
for i = 4, #ARGV do
  scored[#scored + 1], scored[#scored + 2] = ARGV[1], ARGV[i]
  tokens[#tokens + 1] = ARGV[i]
end
redis.call('ZADD', KEYS[1], unpack(scored))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (ARGV[1] - ARGV[2]))
redis.call('PFADD', KEYS[2], unpack(tokens))
local current = redis.call('ZCARD', KEYS[1])
if current > tonumber(redis.call('GET', KEYS[3]) or 0) then redis.call('SET', KEYS[3], current) end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
"""


@dataclass(frozen=True, slots=True)
class Audience:
    """How many players there are."""

    current: int = 0
    total: int = 0
    peak: int = 0


async def seen(redis: AsyncRedis, stream_id: str, tokens: Collection[str], *, now: float) -> None:
    """Tell of players that came by just now."""
    waiting = iter(tokens)
    while batch := list(islice(waiting, AT_ONCE)):
        arguments = (*_keys(stream_id), str(now), str(WINDOW_S), str(KEPT_S), *batch)
        await cast("Awaitable[None]", redis.eval(_SEEN, 3, *arguments))


def audiences(redis: Redis, stream_ids: Sequence[str], *, now: float) -> list[Audience]:
    """The players of streams, for functions; zeros where nobody ever watched. One round trip for all."""
    pipe = redis.pipeline(transaction=False)
    for stream_id in stream_ids:
        _ask(pipe, stream_id, now)
    found = pipe.execute()
    return [_counted(*found[at : at + ANSWERS]) for at in range(0, len(found), ANSWERS)]


async def audience_of(redis: AsyncRedis, stream_id: str, *, now: float) -> Audience:
    """The players of a stream, for the tier."""
    pipe = redis.pipeline(transaction=False)
    _ask(pipe, stream_id, now)
    return _counted(*await pipe.execute())


def _ask(pipe: Any, stream_id: str, now: float) -> None:
    viewers, watched, peak = _keys(stream_id)
    pipe.zcount(viewers, now - WINDOW_S, "+inf")
    pipe.pfcount(watched)
    pipe.get(peak)


def _counted(current: int, total: int, peak: bytes | None) -> Audience:
    return Audience(current, max(total, int(peak or 0)), int(peak or 0))


def _keys(stream_id: str) -> tuple[str, str, str]:
    return f"viewers:{stream_id}", f"watched:{stream_id}", f"peak:{stream_id}"
