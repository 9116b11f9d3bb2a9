"""This process's Redis, and what happens while it is away.

Redis is asked on the way of every request, so its absence must not cost each of them a timeout: after a failure
nobody asks for `PAUSE_S`, then the next request tries again.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from meet.config import settings

log = logging.getLogger("meet.web")

Answer = TypeVar("Answer")

CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 2.0
"""A dead Redis refuses at once; one that hangs costs this once a `PAUSE_S`. A busy machine must look like neither."""
PATIENT_TIMEOUT_S = 25.0
"""Below the 29 s after which API Gateway gives up on a function."""
PAUSE_S = 1.0


class RedisAway(Exception):
    """Redis did not answer, or did not a moment ago."""


class Circuit:
    """Lets calls through until one fails, then none for `pause_s`. Shared by threads; a race costs one more try."""

    def __init__(self, pause_s: float = PAUSE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_s = pause_s
        self._clock = clock
        self._closed_until = 0.0

    def call(self, ask: Callable[[], Answer]) -> Answer:
        """`ask()`, or `RedisAway` where it fails or a recent one did."""
        if self._clock() < self._closed_until:
            raise RedisAway
        try:
            return ask()
        except RedisError as error:
            self._closed_until = self._clock() + self._pause_s
            log.warning("Redis does not answer, nobody asks it for %s s: %s", self._pause_s, error)
            raise RedisAway from error


def _client(answer_timeout_s: float) -> Redis:
    # One repetition, for a pooled connection that died while a function slept; a timeout is not repeated.
    once_more = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return Redis.from_url(
        settings().redis_url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=answer_timeout_s,
        retry=once_more,
    )


@lru_cache(maxsize=1)
def redis() -> Redis:
    """The client of everything that answers at once: pooled, safe to share between threads, short timeouts.

    Raises `redis.exceptions.RedisError`, which the error envelope answers as 503.
    """
    return _client(ANSWER_TIMEOUT_S)


@lru_cache(maxsize=1)
def patient_redis() -> Redis:
    """The client for `meet.control.call`, which waits for a list: its socket waits up to `PATIENT_TIMEOUT_S`."""
    return _client(PATIENT_TIMEOUT_S)


circuit = Circuit()
"""The circuit of the two round trips that every request makes."""
