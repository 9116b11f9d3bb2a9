"""The live room of a meeting, for functions: they read what its node publishes, and ask the node for the rest."""

from typing import Any

from meet import control
from meet.control import Command, Kind, Reply
from meet.presence import Presence
from meet.web.redis import patient_redis, redis


def presence() -> Presence:
    """What the tier publishes."""
    return Presence(redis())


def ask_room(number: int, kind: Kind, *, timeout_s: float = 5.0, **data: Any) -> Reply | None:
    """Ask the node that holds a meeting's room, and wait for less than `PATIENT_TIMEOUT_S`; None where nobody meets.

    Raises `Unavailable` where the node doesn't answer, `redis.exceptions.RedisError` where Redis is away.
    """
    node_id = presence().home(number)
    if node_id is None:
        return None
    command = Command(kind, {"meeting_number": number, **data})
    return control.call(patient_redis(), node_id, command, timeout_s=timeout_s)
