"""The life of an egress process: from its first message to its last, over one socket.

It ends in one of three ways: it is told to stop, or its media process is gone, and in both cases what is there is
kept first; or by a bug, with nothing said, and is begun anew by the media process.
"""

import asyncio
import logging
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable
from contextlib import closing
from time import monotonic
from typing import Any

from sfu.egress.feed import Feed
from sfu.egress.sink import OpenSink, Sink
from sfu.egress.wire import Deframer, Entry, Message, WireError, message

log = logging.getLogger("meet.sfu.egress")

TICK_S = 0.02
STATS_S = 1.0
READ_BYTES = 1 << 18
"""At once: as much as Linux keeps for a socket by default."""


async def serve(connection: socket.socket, open_sink: OpenSink) -> None:
    """Feed a sink until it is enough. Whatever the sink raises ends this, and the process with it."""
    reader, writer = await asyncio.open_connection(sock=connection)
    with closing(writer):
        await _converse(reader, writer, open_sink)
    try:
        await writer.wait_closed()
    except ConnectionError:
        log.warning("the media process is gone; what was there is kept")


async def _converse(reader: StreamReader, writer: StreamWriter, open_sink: OpenSink) -> None:
    deframer = Deframer()
    configuration, *early = await _first(reader, deframer)
    if not isinstance(configuration, dict) or configuration["type"] != "configure":
        raise WireError("the first message is no configuration")

    def want_key_frame(track_id: str) -> None:
        _say(writer, "key-frame", {"track_id": track_id})

    try:
        sink = await open_sink(configuration, monotonic(), want_key_frame)
    except Exception as error:
        if configuration["take"] == 0:  # what goes on may yet do so; what never ran is not tried again and again
            _say(writer, "ended", {"error": f"It cannot begin: {error}"})
        raise
    feed = Feed(sink)
    _say(writer, "ready", {})
    for frame in early:
        feed.receive(frame, monotonic())
    await _until_first(_read(reader, deframer, feed), _beat(sink, writer))
    _say(writer, "ended", await sink.close(monotonic()))


async def _first(reader: StreamReader, deframer: Deframer) -> list[Message | tuple[Entry, ...]]:
    """The first frames. `WireError` where there are none: the media process is gone already."""
    while data := await reader.read(READ_BYTES):
        frames = deframer.feed(data)
        if frames:
            return frames
    raise WireError("the media process said nothing")


async def _read(reader: StreamReader, deframer: Deframer, feed: Feed) -> None:
    """Until the media process says that it is enough, or is gone."""
    while not feed.stopped:
        try:
            data = await reader.read(READ_BYTES)
        except ConnectionError:
            return
        if not data:
            return
        now = monotonic()
        for frame in deframer.feed(data):
            feed.receive(frame, now)


async def _beat(sink: Sink, writer: StreamWriter) -> None:
    stats_at = monotonic()
    while True:
        await asyncio.sleep(TICK_S)
        now = monotonic()
        sink.tick(now)
        if now >= stats_at:
            stats_at = now + STATS_S
            _say(writer, "stats", sink.stats(now))


async def _until_first(*works: Awaitable[None]) -> None:
    """Until one of these is done; what it raises is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _say(writer: StreamWriter, kind: str, values: dict[str, Any]) -> None:
    """Say something to the media process, which reads always; to one that is gone, in vain."""
    if not writer.is_closing():
        writer.write(message(kind, **values))
