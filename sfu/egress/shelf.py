"""From FFmpeg into the bucket: an HTTP server on loopback that takes what FFmpeg puts, and uploads it in good order.

FFmpeg writes a playlist before it is done with the segments that it names. Here a playlist goes up when all that it
names is there, so that no player is told of what it can't fetch. Of a playlist only the newest counts.

A segment that the bucket does not take for `LOST_S` is given up: players skip it. `away_s` tells how long nothing
could be uploaded.
"""

import asyncio
import logging
import secrets
from collections import deque
from contextlib import suppress

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from meet import objects
from meet.domain.stream import MANIFEST, PLAYLIST, stream_prefix
from meet.errors import MeetError
from sfu.egress.playlists import is_playlist, named, placed

log = logging.getLogger("meet.sfu.egress")

TYPES = {
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
}
"""RFC 8216 section 4, ISO/IEC 23009-1 annex C, and IANA's registry."""
FOREVER = "public, max-age=31536000, immutable"
A_MOMENT = "public, max-age=1"
"""Of playlists: they change every second."""
MOST_BYTES = 64 << 20
"""Of one file; a second of the highest bit rate has a few megabytes."""
LOST_S = 30.0
AGAIN_S = 0.5
"""Between two attempts at a bucket that is away; each takes some seconds by itself."""
MEASURED_S = 5.0
"""The bit rate is that of so much time."""
BUCKET_FAILS = (MeetError, BotoCoreError, ClientError)
"""It is away, or does not let us: both may pass."""
DRAINS_S = 15.0
"""What the last segments have for their way."""


class Shelf:
    """The files of one take of a stream."""

    def __init__(self, stream_id: str, take: int, begins_s: float) -> None:
        """`begins_s` is where the stream's timeline stands when the take begins."""
        self.errors = 0
        """Segments that were given up."""
        self._prefix = stream_prefix(stream_id)
        self._take = take
        self._begins_s = begins_s
        self._secret = secrets.token_urlsafe(16)
        self._segments: dict[str, bytes] = {}
        self._playlists: dict[str, str] = {}
        self._gone: list[str] = []
        self._there: set[str] = set()
        self._sent: dict[str, str] = {}
        self._sizes: deque[tuple[float, int]] = deque()
        self._failing_since: float | None = None
        self._changed = asyncio.Event()
        self._closing = False
        self._runner: web.AppRunner | None = None
        self._work: asyncio.Task[None] | None = None

    @property
    def on_air(self) -> bool:
        """Whether a player finds something to play."""
        return {PLAYLIST, MANIFEST} <= self._there

    def away_s(self, now: float) -> float:
        """How long the bucket has taken nothing; `now` is the event loop's time."""
        return 0.0 if self._failing_since is None else now - self._failing_since

    def bitrate_bps(self, now: float) -> int:
        """Of what FFmpeg made in the last seconds, sound and containers included; `now` is the event loop's time."""
        while self._sizes and self._sizes[0][0] < now - MEASURED_S:
            self._sizes.popleft()
        return round(sum(size for _, size in self._sizes) * 8 / MEASURED_S)

    async def open(self) -> str:
        """Begin to take files. The URL of the DASH manifest: the others belong beside it."""
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_put(f"/{self._secret}/{{name}}", self._on_put)
        app.router.add_delete(f"/{self._secret}/{{name}}", self._on_delete)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.begin()
        _, port = self._runner.addresses[0]
        return f"http://127.0.0.1:{port}/{self._secret}/{MANIFEST}"

    def begin(self) -> None:
        """Begin to upload what is put."""
        self._work = asyncio.create_task(self._upload())

    def put(self, name: str, data: bytes) -> None:
        """A file that is whole, or a playlist that is newer. `ValueError` for one that is no text."""
        if is_playlist(name):
            text = placed(name, data.decode(), self._take, self._begins_s)
            if self._sent.get(name) != text:
                self._playlists[name] = text
        else:
            self._segments[name] = data
            self._sizes.append((asyncio.get_running_loop().time(), len(data)))
        self._changed.set()

    def drop(self, name: str) -> None:
        """A file that nobody is told of any more."""
        self._gone.append(name)
        self._changed.set()

    def check(self) -> None:
        """Raises what ended the uploads, which nothing should."""
        if self._work is not None and self._work.done():
            self._work.result()

    async def close(self) -> None:
        """FFmpeg is done: upload what is still here, if the bucket takes it soon."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._work is not None:
            self._closing = True
            self._changed.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._work, DRAINS_S)

    async def _on_put(self, request: web.Request) -> web.Response:
        self.put(request.match_info["name"], await request.read())
        return web.Response(status=201)

    async def _on_delete(self, request: web.Request) -> web.Response:
        self.drop(request.match_info["name"])
        return web.Response(status=204)

    async def _upload(self) -> None:
        """Segments, then the playlists that name them, then what no playlist names any more."""
        while True:
            self._changed.clear()
            segments, self._segments = self._segments, {}
            await asyncio.gather(*(self._upload_segment(name, data) for name, data in segments.items()))
            for name in sorted(self._playlists, key=lambda name: name == PLAYLIST):  # it names other playlists
                text = self._playlists[name]
                if named(name, text) <= self._there:
                    del self._playlists[name]
                    await self._upload_playlist(name, text)
            await self._forget()
            if not self._changed.is_set():
                if self._closing:
                    return
                await self._changed.wait()

    async def _upload_segment(self, name: str, data: bytes) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + LOST_S
        while not await self._try(name, data, FOREVER):
            if clock() >= until:
                self.errors += 1
                break
            await asyncio.sleep(AGAIN_S)
        self._there.add(name)  # given up, too: what comes after it must not wait for it

    async def _upload_playlist(self, name: str, text: str) -> None:
        if await self._try(name, text.encode(), A_MOMENT):
            self._sent[name] = text
            self._there.add(name)
        else:
            self._playlists.setdefault(name, text)  # unless there is a newer one by now
            self._changed.set()
            await asyncio.sleep(AGAIN_S)

    async def _try(self, name: str, data: bytes, cache: str) -> bool:
        mime = TYPES["." + name.rpartition(".")[2]]
        try:
            await asyncio.to_thread(objects.put_bytes, self._prefix + name, data, mime, cache=cache)
        except BUCKET_FAILS as error:
            if self._failing_since is None:
                self._failing_since = asyncio.get_running_loop().time()
                log.warning("the bucket does not take %s: %s", name, error)
            return False
        self._failing_since = None
        return True

    async def _forget(self) -> None:
        gone, self._gone = self._gone, []
        if not gone:
            return
        self._there.difference_update(gone)
        try:
            await asyncio.to_thread(objects.delete_many, [self._prefix + name for name in gone])
        except BUCKET_FAILS as error:
            log.warning("%d segments stay until the bucket sweeps them: %s", len(gone), error)
