"""`GET /api/v1/streaming/hls/{stream_id}/…` and `/dash/…`: live streams, for players that send no header.

Who knows a stream's id may watch (decision 22). Playlists, manifests and segments are read from the bucket, where the
streamer puts them, each once for all who ask at the same time. A player that is early, because the stream has only
just been started, waits for a while. Any page may play them.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from redis.asyncio import Redis
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from meet.domain.stream import MANIFEST, PLAYLIST, stream_prefix
from meet.envelope import CODES
from meet.errors import MeetError, NotFound, Unavailable
from meet.store import streams
from meet.web.observability import request_id_of
from sfu.edge.crowd import Crowd
from sfu.edge.fetcher import Fetcher
from sfu.edge.playlists import VIEWER, for_dash, for_hls, is_multivariant
from sfu.edge.shared import Shared

PREFIXES = ("/api/v1/streaming/hls/", "/api/v1/streaming/dash/")

TYPES: Mapping[str, str] = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "m4s": "video/iso.segment",
    "mp4": "video/mp4",
}
"""RFC 8216 section 4, IANA's registry, ISO/IEC 23009-1 annex C."""
PLAYLISTS = frozenset({"m3u8", "mpd"})

PLAYLIST_KEPT_S = 0.25
"""It changes each second; this is what it costs players in latency, at most."""
SEGMENT_KEPT_S = 60.0
"""Players are a few segments behind; what is older, few ask for."""
FIRST_S = 10.0
"""How long a player waits for a stream's first playlist."""
LOOKED_EACH_S = 0.25
MOST_OBJECT_BYTES = 32 * 1024 * 1024
"""A second at the highest bit rate has a tenth of that."""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Length, Date, Retry-After, X-Request-Id",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Timing-Allow-Origin": "*",
}
"""Players measure how fast segments come, by what Timing-Allow-Origin lets them see. Every answer has these."""
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range, Cache-Control, X-Request-Id",
    "Access-Control-Max-Age": "86400",
}
FOREVER = "public, max-age=31536000, immutable"
"""Of segments: no name is used twice."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.([a-z0-9]{1,4})", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,32}", re.ASCII)


class Live:
    """The endpoints."""

    def __init__(self, redis: Redis) -> None:
        self._crowd = Crowd(redis)
        self._fetcher = Fetcher()
        self._objects = Shared()

    def routes(self) -> list[Route]:
        """The routes; they need no entrance."""
        return [Route(prefix + "{stream_id}/{name}", self) for prefix in PREFIXES]

    async def close(self) -> None:
        """Let what runs end."""
        await self._objects.close()
        await self._fetcher.close()
        await self._crowd.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(Request(scope))
        answer.headers.update(CORS)
        answer.headers["X-Request-Id"] = request_id_of(Headers(scope=scope))
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=PREFLIGHT)
        if request.method not in ("GET", "HEAD"):
            raise MeetError(CODES[405], 405, "Method Not Allowed", headers={"Allow": "GET, HEAD, OPTIONS"})
        stream_id, name = request.path_params["stream_id"], request.path_params["name"]
        found = _NAME.fullmatch(name)
        if not _ID.fullmatch(stream_id) or found is None or found[1] not in TYPES:
            raise _nothing()
        if found[1] in PLAYLISTS:
            data = await self._playlist(request, stream_id, name)
            cached = "no-cache"
        else:
            data = await self._object(stream_id, name, keep_s=SEGMENT_KEPT_S)
            cached = FOREVER
        headers = {"Cache-Control": cached, "X-Content-Type-Options": "nosniff"}
        answer = Response(data, headers=headers, media_type=TYPES[found[1]])
        if request.method == "HEAD":
            answer.body = b""
        return answer

    async def _playlist(self, request: Request, stream_id: str, name: str) -> bytes:
        """The playlist as this player is to have it, which comes by with that."""
        data = await self._object(stream_id, name, keep_s=PLAYLIST_KEPT_S)
        given = request.query_params.get(VIEWER, "")
        token = given if _TOKEN.fullmatch(given) else secrets.token_urlsafe(9)
        text = data.decode()
        if name.endswith(".mpd"):
            text = for_dash(text, token, name=name, now=datetime.now(UTC))
        elif is_multivariant(text):
            text = for_hls(text, token)
        elif token != given:
            return data  # one that was handed on without its first playlist: nobody can tell it from others
        if request.method == "GET":
            self._crowd.came_by(stream_id, token)
        return text.encode()

    async def _object(self, stream_id: str, name: str, *, keep_s: float) -> bytes:
        key = stream_prefix(stream_id) + name

        async def read() -> bytes:
            try:
                return await self._fetcher.read(key, most=MOST_OBJECT_BYTES)
            except NotFound:
                if name not in (PLAYLIST, MANIFEST):
                    raise _nothing() from None
                return await self._first(stream_id, key)

        return await self._objects.get(key, read, keep_s=keep_s)

    async def _first(self, stream_id: str, key: str) -> bytes:
        """A playlist that isn't there yet, where it is still to come."""
        deadline = time.monotonic() + FIRST_S
        while time.monotonic() < deadline:
            stream = await asyncio.to_thread(streams.find, stream_id)
            if stream is None or stream.is_over:
                raise _nothing()
            await asyncio.sleep(LOOKED_EACH_S)
            with suppress(NotFound):
                return await self._fetcher.read(key, most=MOST_OBJECT_BYTES)
        raise Unavailable("The stream has not begun yet. Please try again later.", retry_after_s=2)


def _nothing() -> NotFound:
    return NotFound("There is no such stream, or it has no such part")
