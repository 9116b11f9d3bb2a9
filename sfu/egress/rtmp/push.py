"""Sends what FFmpeg makes to an RTMP server, and to it again whenever the server goes away.

Each connection goes to an address that `meet.egress_url` has just looked at; TLS is for the name in the URL. It
begins with a key frame and with time 0. What a server does not take in time is left out up to a later key frame:
FFmpeg never waits.
"""

import asyncio
import logging
import os
import random
import ssl
from asyncio import StreamReader, StreamWriter
from collections import deque
from contextlib import suppress
from dataclasses import replace

from meet.egress_url import Destination, checked
from meet.errors import Invalid
from sfu.egress.rtmp.chunks import VIDEO
from sfu.egress.rtmp.client import Client, Refused
from sfu.egress.rtmp.flv import Parser, Tag

log = logging.getLogger("meet.sfu.egress")

CONNECT_S = 10.0
"""For TCP and TLS, and once more until the server takes the stream."""
STALLED_S = 10.0
"""A server that takes nothing for so long is gone."""
PROVEN_S = 1.0
"""A stream that goes for so long goes: some servers look at the key when they have said yes."""
STABLE_S = 10.0
"""A stream that went for so long was there: what comes then counts anew."""
FIRST_AGAIN_S = 0.5
MOST_AGAIN_S = 15.0
"""Between two attempts: the first, and what doubling it ends at."""
BACKLOG = 600
"""Tags that wait for the server: 8 s of 30 pictures and 47 frames of AAC a second."""
READ_BYTES = 1 << 16


class Push:
    """One stream's way to its server. Times are those of the event loop."""

    def __init__(self, url: str) -> None:
        self.was_publishing = False
        """Whether the server ever took it."""
        self.reason = ""
        """Why it does not, for people; without the key."""
        self.dropped_frames = 0
        """Pictures that the server was too slow for."""
        self._url = url
        self._away_since = asyncio.get_running_loop().time()
        self._is_publishing = False
        self._published_at = 0.0
        self._setup: dict[int, Tag] = {}
        """What a decoder needs first, of each kind the newest."""
        self._backlog: deque[Tag] = deque()
        self._waits_for_key_frame = True
        self._more = asyncio.Event()
        self._works: list[asyncio.Task[None]] = []
        self._pipe: asyncio.ReadTransport | None = None

    def is_publishing(self, now: float) -> bool:
        """Whether the server takes it; one may say so, and close the connection at once."""
        if not self._is_publishing or now - self._published_at < PROVEN_S:
            return False
        self.was_publishing = True
        return True

    def away_s(self, now: float) -> float:
        """How long it has not gone, but for moments."""
        if self._is_publishing and now - self._published_at >= STABLE_S:
            self._away_since = now
        return now - self._away_since

    async def start(self, pipe: int) -> None:
        """Begin; `pipe` is where FFmpeg's FLV comes out of, and is closed at the end."""
        reader = asyncio.StreamReader()
        self._pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", 0)
        )
        self._works = [asyncio.create_task(self._read(reader)), asyncio.create_task(self._keep_publishing())]

    def check(self) -> None:
        """Raises what ended the work, which nothing should."""
        for work in self._works:
            if work.done():
                work.result()

    async def close(self) -> None:
        """Say goodbye to the server, once FFmpeg has ended."""
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
        if self._pipe is not None:
            self._pipe.close()

    async def _read(self, flv: StreamReader) -> None:
        parser = Parser()
        while data := await flv.read(READ_BYTES):
            for tag in parser.feed(data):
                self._take(tag)

    def _take(self, tag: Tag) -> None:
        if tag.is_setup:
            self._setup[tag.kind] = tag
            return
        if not self._is_publishing or (self._waits_for_key_frame and not tag.is_key_frame):
            return
        if len(self._backlog) >= BACKLOG:
            self.dropped_frames += sum(one.kind == VIDEO for one in self._backlog)
            self._backlog.clear()
            self._waits_for_key_frame = True
            return
        self._waits_for_key_frame = False
        self._backlog.append(tag)
        self._more.set()

    async def _keep_publishing(self) -> None:
        """Connect, and connect again."""
        clock = asyncio.get_running_loop().time
        again_s = FIRST_AGAIN_S
        while True:
            published_before = self._published_at
            try:
                destination = await asyncio.to_thread(checked, self._url)
                reader, writer = await connected(destination)
                try:
                    await self._publish(destination, reader, writer)
                finally:
                    self._is_publishing = False
                    writer.close()
            except Invalid as error:
                self.reason = next(iter(error.details.values())) if isinstance(error.details, dict) else error.message
            except Refused as error:
                self.reason = str(error)[:1].upper() + str(error)[1:]
            except TimeoutError:
                self.reason = "The server does not answer"
            except (OSError, ssl.SSLError) as error:
                self.reason = f"The server is away: {_in_words(error)}"
            log.warning("a stream does not go: %s", self.reason)
            if self._published_at > published_before and clock() - self._published_at >= STABLE_S:
                again_s = FIRST_AGAIN_S
            await asyncio.sleep(again_s * random.uniform(0.5, 1))  # noqa: S311 - so that many do not come at once
            again_s = min(2 * again_s, MOST_AGAIN_S)

    async def _publish(self, destination: Destination, reader: StreamReader, writer: StreamWriter) -> None:
        """Until the connection breaks, which is an `OSError`, or the server refuses: `Refused`."""
        clock = asyncio.get_running_loop().time
        client = Client(destination.application, destination.application_url, destination.key)
        writer.write(client.start())
        async with asyncio.timeout(CONNECT_S):
            while not client.is_publishing:
                writer.write(client.receive(await _some(reader)))
        self._published_at = clock()
        self._backlog.clear()
        self._waits_for_key_frame = True
        self._is_publishing = True
        listening = asyncio.create_task(_listen(client, reader, writer))
        sending = asyncio.create_task(self._send(client, writer))
        try:
            done, _ = await asyncio.wait((listening, sending), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            writer.write(client.finish())
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.drain()
            raise
        finally:
            listening.cancel()
            sending.cancel()
            await asyncio.gather(listening, sending, return_exceptions=True)

    async def _send(self, client: Client, writer: StreamWriter) -> None:
        began: int | None = None
        while True:
            await self._more.wait()
            self._more.clear()
            while self._backlog:
                tag = self._backlog.popleft()
                if began is None:
                    began = tag.timestamp
                    for setup in self._setup.values():
                        writer.write(client.publish(replace(setup, timestamp=0)))
                writer.write(client.publish(replace(tag, timestamp=max(0, tag.timestamp - began))))
                async with asyncio.timeout(STALLED_S):
                    await writer.drain()


async def connected(destination: Destination) -> tuple[StreamReader, StreamWriter]:
    """A connection to the first of its addresses that answers, with TLS for the name where it is rtmps.

    Raises the last `OSError` or `TimeoutError`.
    """
    context = ssl.create_default_context() if destination.scheme == "rtmps" else None
    failure: Exception = OSError("it has no address")
    for address in destination.addresses:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(
                    str(address),
                    destination.port,
                    ssl=context,
                    server_hostname=destination.host if context else None,
                )
        except OSError as error:  # TimeoutError and those of TLS are such, too
            failure = error
    raise failure


async def _listen(client: Client, reader: StreamReader, writer: StreamWriter) -> None:
    while True:
        writer.write(client.receive(await _some(reader)))


async def _some(reader: StreamReader) -> bytes:
    data = await reader.read(READ_BYTES)
    if not data:
        raise ConnectionResetError("it closed the connection")
    return data


def _in_words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted ({error.verify_message})"
    return error.strerror or str(error)
