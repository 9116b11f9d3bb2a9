"""How many uploads one user may have open at once, counted in Redis since any edge may take the next.

    uploads:{user_id}    sorted set of the open ones, scored by when each lapses (microseconds of Redis' clock)

Who holds a slot keeps moving its end, so that what a killed process held is free again after a lease.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from meet.clock import new_id
from meet.envelope import CODES
from meet.errors import MeetError

log = logging.getLogger("meet.edge")

LEASE_S = 60.0
RENEWED_EACH_S = 20.0

# KEYS: [1] the user's set. ARGV: most, lease in microseconds, member. Answers 1 where the member has a slot.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
if not redis.call('ZSCORE', KEYS[1], ARGV[3]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[3])
local last = tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last / 1000 + 1))
return 1
"""


class TooManyAtOnce(MeetError):
    """429: the user has as many uploads open as may be."""

    def __init__(self, most: int) -> None:
        super().__init__(
            CODES[429],
            429,
            f"At most {most} uploads may be open at once. Please try again when one of them has ended.",
            retry_after_s=5,
        )


class Slots:
    """The slots of all users. Methods raise `redis.exceptions.RedisError`, which is answered with 503."""

    def __init__(self, redis: Redis, most: int) -> None:
        self._redis = redis
        self._most = most
        self._script: Any = redis.register_script(TAKE)

    async def take(self, user_id: str, slot: str, lease_s: float = LEASE_S) -> None:
        """Take a slot under this name, or hold the one that was taken for longer; `TooManyAtOnce`."""
        if not await self._script([_key(user_id)], [self._most, round(lease_s * 1_000_000), slot]):
            raise TooManyAtOnce(self._most)

    async def free(self, user_id: str, slot: str) -> None:
        """Give a slot back, which would lapse if Redis were away now; fine where there is none."""
        try:
            await self._redis.zrem(_key(user_id), slot)
        except RedisError as error:
            log.warning("a slot for an upload lapses by itself, Redis is away: %s", error)

    @asynccontextmanager
    async def held(self, user_id: str) -> AsyncIterator[None]:
        """A slot for as long as this block runs."""
        slot = new_id()
        await self.take(user_id, slot)
        keeping = asyncio.create_task(self._keep(user_id, slot))
        try:
            yield
        finally:
            keeping.cancel()
            await self.free(user_id, slot)

    async def _keep(self, user_id: str, slot: str) -> None:
        while True:
            await asyncio.sleep(RENEWED_EACH_S)
            try:
                await self.take(user_id, slot)
            except (RedisError, TooManyAtOnce) as error:
                log.warning("a slot for an upload could not be held: %s", error)


def _key(user_id: str) -> str:
    return f"uploads:{user_id}"
