"""The headers that WHIP and WHEP answer with: what a web page of anywhere may read, ICE servers, entity tags."""

import re
from collections.abc import Iterable

from meet.ice import IceServer

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "Location, ETag, Link, Allow, Accept-Post, Accept-Patch, Access-Control-Allow-Methods, "
        "WWW-Authenticate, Retry-After, X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
    ),
}
"""Any page may ask (https://fetch.spec.whatwg.org/#http-cors-protocol): a bearer token is not sent by a browser of
its own accord, as a cookie would be, so whoever has it was given it. Every answer has these, errors too."""

PREFLIGHT = {
    "Access-Control-Allow-Methods": "OPTIONS, GET, HEAD, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, ETag, Link, X-Request-Id",
    "Access-Control-Max-Age": "86400",
    "Accept-Post": SDP,
    "Accept-Patch": FRAGMENT,
}
"""Of OPTIONS, preflight or not: `@eyevinn/whip-web-client` reads from the methods whether it may trickle, and sends
the tag in `ETag` rather than `If-Match`."""

_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def links(servers: Iterable[IceServer]) -> list[str]:
    """`Link` values, one for each URL (RFC 9725 section 4.6); each is a header of its own."""
    found = []
    for server in servers:
        secret = ""
        if "username" in server and "credential" in server:
            secret = (
                f'; username="{server["username"]}"; credential="{server["credential"]}"; credential-type="password"'
            )
        found += [f'<{url}>; rel="ice-server"{secret}' for url in server["urls"]]
    return found


def names_any(if_match: str) -> bool:
    """Whether `If-Match` is `*`; RFC 9725's own example has it in quotes."""
    return if_match.strip() in ("*", '"*"')


def names(if_match: str, tag: str) -> bool:
    """Whether `If-Match` names this tag, by the strong comparison (RFC 9110 section 13.1.1)."""
    return any(not weak and found == tag for weak, found in _ENTITY_TAG.findall(if_match))
