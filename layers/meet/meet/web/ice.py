"""The ICE servers of an answer."""

from pydantic import BaseModel

from meet.clock import utcnow
from meet.config import settings
from meet.ice import ice_servers


class IceServerAnswer(BaseModel):
    """W3C WebRTC's `RTCIceServer`; what isn't there is left out, for browsers take null for a name."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


def ice_servers_for(user_id: str) -> list[IceServerAnswer]:
    """What a user's connections are to be configured with from now on."""
    return [IceServerAnswer(**server) for server in ice_servers(settings(), user_id, now=utcnow())]
