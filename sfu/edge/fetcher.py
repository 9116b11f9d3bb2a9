"""Bytes on their way out of the bucket, read no faster than the client takes them.

URLs are signed by `meet.objects`, which asks nobody; the bytes come through the edge's own HTTP client, since boto3's
block. Of a client that reads slowly, what is kept is `BUFFERED_BYTES` and a little more in sockets.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from meet import objects
from meet.domain.media import Blob
from meet.errors import NotFound, Unavailable
from sfu.edge.ranges import Span

URL_S = 60
"""How long a signed URL is good to begin with."""
BUFFERED_BYTES = 256 * 1024
MOST_CONNECTIONS = 256
TIMEOUT = ClientTimeout(total=None, connect=5.0, sock_connect=2.0, sock_read=30.0)
"""`sock_read` counts only while bytes are waited for, not while the client is."""


class Fetcher:
    """Reads objects. `open` raises `NotFound` or `Unavailable`; an object that breaks off raises aiohttp's error."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def open(self, blob: Blob, span: Span) -> ClientResponse:
        """These bytes of an object, to be read and closed by the caller."""
        url = await asyncio.to_thread(objects.presigned_get, blob.key, expires_s=URL_S)
        headers = {"Range": f"bytes={span.first}-{span.last}"}
        try:
            answer = await self._connections().get(url, headers=headers, allow_redirects=False)
        except (ClientError, TimeoutError) as error:
            raise Unavailable("The file store does not answer. Please try again later.") from error
        if answer.status == 206 and answer.content_length == span.length:
            return answer
        answer.close()
        if answer.status == 404:
            raise NotFound("Media file not found")  # deleted since its row was read
        raise Unavailable("The file store does not answer. Please try again later.")

    async def read(self, key: str, *, most: int) -> bytes:
        """All of a small object, of `most` bytes."""
        url = await asyncio.to_thread(objects.presigned_get, key, expires_s=URL_S)
        try:
            async with self._connections().get(url, allow_redirects=False) as answer:
                if answer.status == 404:
                    raise NotFound("The file's bytes are not there")
                if answer.status == 200 and (answer.content_length or 0) <= most:
                    return await answer.read()
        except (ClientError, TimeoutError) as error:
            raise Unavailable("The file store does not answer. Please try again later.") from error
        raise Unavailable("The file store does not answer. Please try again later.")

    def _connections(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=MOST_CONNECTIONS),
                timeout=TIMEOUT,
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=BUFFERED_BYTES,
                headers={"Accept-Encoding": "identity"},
            )
        return self._session


class Piped(StreamingResponse):
    """An answer whose content comes from the bucket, and is closed however the answer ends."""

    def __init__(self, source: ClientResponse, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_read(source), status, headers)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._source.close()  # read to its end, it has given its connection back before


async def _read(source: ClientResponse) -> AsyncIterator[bytes]:
    while piece := await source.content.readany():
        yield piece
