"""The players that came by lately, told to Redis for all of them together: a request must not wait for being counted.

Counting is worth nothing to a player, so where Redis is away, or there are more than `MOST_WAITING`, it is left out.
"""

import asyncio
import logging
import time
from collections import defaultdict

from redis.asyncio import Redis
from redis.exceptions import RedisError

from meet.audience import seen

log = logging.getLogger("meet.edge")

EVERY_S = 0.5
MOST_WAITING = 50_000
"""Players of `EVERY_S`, of all streams: 10 MB of them."""


class Crowd:
    """The players of all streams at this edge."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: dict[str, set[str]] = defaultdict(set)
        self._count = 0
        self._telling: asyncio.Task[None] | None = None

    def came_by(self, stream_id: str, token: str) -> None:
        """A player asked for a playlist just now."""
        if self._count < MOST_WAITING:
            self._waiting[stream_id].add(token)
            self._count += 1
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Tell of the last ones."""
        if self._telling is not None:
            await self._telling

    async def _tell(self) -> None:
        while self._waiting:
            await asyncio.sleep(EVERY_S)
            waiting, self._waiting, self._count = self._waiting, defaultdict(set), 0
            try:
                for stream_id, tokens in waiting.items():
                    await seen(self._redis, stream_id, tokens, now=time.time())
            except RedisError as error:
                log.warning("players are not counted, Redis is away: %s", error)
        self._telling = None
