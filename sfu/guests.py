"""Who came by HTTP: a WHIP or WHEP session (RFC 9725), as the room that it is in knows it."""

from dataclasses import dataclass
from typing import Literal

Protocol = Literal["whip", "whep"]


@dataclass(frozen=True, slots=True)
class Guest:
    """One connection that has no socket. Its session and its media connection have one name: `session_id`."""

    session_id: str
    user_id: str
    family_id: str
    """The sign-in that began it; revoking that ends it."""
    protocol: Protocol
    """A WHIP client sends, a WHEP player receives."""
