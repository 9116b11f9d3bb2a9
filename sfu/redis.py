"""The tier's Redis client: one pool a process, bounded, so that a crowd at the door waits in line for a connection.

Without the bound each of 200 sockets that arrive together opens a connection of its own, all of them time out on a
busy machine, and who should have been refused is let in (decision 49 fails open).
"""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

MOST_CONNECTIONS = 16
"""Commands take well under a millisecond; one connection is always taken by the wait for the next command."""
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 3.0
"""Longer than `meet.control.next_command` waits."""
POOL_TIMEOUT_S = 5.0


def connect(url: str) -> Redis:
    """A client; nothing is dialled before the first command. Close it with `aclose`."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=POOL_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        # One repetition, for a connection that died while it was idle; a timeout is not repeated.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return Redis.from_pool(pool)
