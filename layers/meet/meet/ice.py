"""The ICE servers that clients are told of: STUN as configured, and TURN with credentials of limited time.

The credentials are those of "A REST API For Access To TURN Services" (draft-uberti-behave-turn-rest-00 section 2.2),
which coturn takes with `use-auth-secret`: nobody has to be registered at the TURN server, and what leaks expires.
"""

from base64 import b64encode
from datetime import datetime
from hmac import digest
from typing import NotRequired, TypedDict

from meet.config import Settings


class IceServer(TypedDict):
    """W3C WebRTC's `RTCIceServer`."""

    urls: list[str]
    username: NotRequired[str]
    credential: NotRequired[str]


def ice_servers(config: Settings, user_id: str, *, now: datetime) -> list[IceServer]:
    """What this user's `RTCPeerConnection` is to be configured with.

    TURN is left out without a secret: a browser refuses a whole configuration that has TURN without credentials.
    """
    servers: list[IceServer] = []
    if stun := _urls(config.stun_urls):
        servers.append({"urls": stun})
    turn, secret = _urls(config.turn_urls), config.turn_secret.get_secret_value()
    if turn and secret:
        username = f"{int(now.timestamp()) + config.turn_credential_s}:{user_id}"
        servers.append({"urls": turn, "username": username, "credential": _credential(secret, username)})
    return servers


def _urls(text: str) -> list[str]:
    return [url.strip() for url in text.split(",") if url.strip()]


def _credential(secret: str, username: str) -> str:
    return b64encode(digest(secret.encode(), username.encode(), "sha1")).decode()
