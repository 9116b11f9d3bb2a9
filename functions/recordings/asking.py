"""What a room's media process is asked to begin and to end, and what its answers mean to a caller."""

from typing import Any

from meet.control import Kind, Reply
from meet.errors import Conflict, Unavailable
from meet.web.live import ask_room

REPLY_S = 20.0
"""How long a media process may take to begin or to change something: it starts a process for it, and its machine and
its store may be busy."""


def ask(meeting_number: int, kind: Kind, *, timeout_s: float = REPLY_S, **data: Any) -> Reply | None:
    """Ask the room's media process; None where there is none, or it doesn't know what is spoken of.

    Raises `Unavailable`: with its reason where it refuses, and where it does not answer in time.
    """
    reply = ask_room(meeting_number, kind, timeout_s=timeout_s, **data)
    if reply is None or reply.status == "not-found":
        return None
    if reply.status == "refused":
        raise Unavailable(str(reply.data.get("reason") or "The room's media process can't do this now."))
    return reply


def nobody_there() -> Conflict:
    """The error where a room isn't live."""
    return Conflict("Nobody is in the room: there is nothing to record or to stream", code="ROOM_EMPTY")
