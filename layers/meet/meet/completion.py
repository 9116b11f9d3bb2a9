"""Waiting for a job's end without asking the table again and again: its worker announces it over Redis.

    job-over:{job_id}    a channel; what is said on it means nothing, that something is said means: look now

An announcement reaches those who listen at that moment, and Redis may lose it. So who waits listens first, then
looks, and looks once more when it heard something or its time is over: an announcement makes it quick, never right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import PubSub

Answer = TypeVar("Answer")

AWAY_S = 1.0
"""Between two looks while nothing can be heard."""


def announce(redis: Redis, job_id: str) -> None:
    """The job's side: it is over, whatever its end, and its row says so. Raises `redis.exceptions.RedisError`."""
    redis.publish(_channel(job_id), b"over")


def wait(redis: Redis, job_id: str, look: Callable[[], Answer | None], *, timeout_s: float) -> Answer | None:
    """What `look()` finds once the job is over: it is asked when this listens, at each word, and when time is over.

    None where it finds nothing by then. Blocks. While Redis is away it looks every `AWAY_S`.
    """
    deadline = time.monotonic() + timeout_s
    with redis.pubsub() as listener:  # type: ignore[no-untyped-call]  # redis-py has no annotations there
        while True:
            left_s = deadline - time.monotonic()
            if left_s > 0:
                _listen(listener, _channel(job_id), left_s)
            found = look()
            if found is not None or time.monotonic() >= deadline:
                return found


def _listen(listener: PubSub, channel: str, timeout_s: float) -> None:
    """Until something is said, or the time is over. The first is Redis' word that it has the subscription."""
    try:
        if not listener.subscribed:
            listener.subscribe(channel)
        listener.get_message(timeout=timeout_s)
    except RedisError:
        time.sleep(min(AWAY_S, timeout_s))


def _channel(job_id: str) -> str:
    return f"job-over:{job_id}"
