import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from sfu.egress.child import serve
from sfu.egress.wire import Batch, Deframer, Message, What, WireError, message
from sfu.rtp.packet import header

from .sinks import Ledger, track

CONFIGURE = message("configure", kind="recorder", take=0, begins_s=0.0, begins_at=1.0)
BEGIN = message("begin", number=1, track=track().as_dict(), muted=False)
WAIT_S = 10.0


@dataclass
class Parent:
    """A media process as its child sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    child: asyncio.Task[None]
    sink: Ledger
    deframer: Deframer = field(default_factory=Deframer)
    heard: list[Message] = field(default_factory=list)

    def say(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def hear(self, kind: str) -> Message:
        """The next message of a kind."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for at, heard in enumerate(self.heard):
                    if heard["type"] == kind:
                        del self.heard[: at + 1]
                        return heard
                data = await self.reader.read(4096)
                assert data, f"the child said no {kind}"
                self.heard += [frame for frame in self.deframer.feed(data) if isinstance(frame, dict)]


@pytest_asyncio.fixture
async def parent() -> AsyncIterator[Parent]:
    ours, theirs = socket.socketpair()
    sink = Ledger()
    child = asyncio.create_task(serve(theirs, sink.open))
    reader, writer = await asyncio.open_connection(sock=ours)
    yield Parent(reader, writer, child, sink)
    writer.close()
    child.cancel()
    await asyncio.gather(child, writer.wait_closed(), return_exceptions=True)


def rtp(number: int = 1) -> bytes:
    batch = Batch()
    batch.add(number, What.KEY_FRAME, 1.0, 5, header(96, 5, 1000, 7), b"payload")
    return batch.take()


async def test_it_feeds_its_sink_until_it_is_told_to_stop(parent: Parent) -> None:
    parent.say(CONFIGURE, BEGIN, rtp())  # at once, as it is after a child died: all of it is heard
    await parent.hear("ready")
    assert (await parent.hear("key-frame"))["track_id"] == "t1"
    parent.say(message("stop", at=2.0))
    assert await parent.hear("ended") == {"type": "ended", "size": 1, "error": None}
    await asyncio.wait_for(parent.child, WAIT_S)
    assert parent.sink.configuration["begins_at"] == 1.0
    assert [told[0] for told in parent.sink.told] == ["begin", "close"]


async def test_it_beats_and_tells_what_it_measured(parent: Parent) -> None:
    parent.say(CONFIGURE, BEGIN, rtp())
    while (await parent.hear("stats"))["size"] != 1:
        pass
    assert parent.sink.ticks > 0


async def test_it_keeps_what_is_there_when_its_media_process_is_gone(parent: Parent) -> None:
    parent.say(CONFIGURE, BEGIN, rtp())
    await parent.hear("key-frame")
    parent.writer.close()
    await asyncio.wait_for(parent.child, WAIT_S)
    assert parent.sink.told[-1] == ("close",)


async def test_a_bug_in_the_sink_ends_it_with_nothing_said(parent: Parent) -> None:
    parent.sink.fails_at = 2
    parent.say(CONFIGURE)
    await parent.hear("ready")
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(parent.child, WAIT_S)
    assert ("close",) not in parent.sink.told


@pytest.mark.parametrize("take", [0, 1])
async def test_what_cannot_begin_at_all_says_why(parent: Parent, take: int) -> None:
    parent.sink.missing = "there is no FFmpeg"
    parent.say(message("configure", kind="streamer", take=take, begins_s=0.0, begins_at=1.0))
    if take == 0:
        assert (await parent.hear("ended"))["error"] == "It cannot begin: there is no FFmpeg"
    with pytest.raises(RuntimeError, match="FFmpeg"):
        await asyncio.wait_for(parent.child, WAIT_S)


@pytest.mark.parametrize("first", [b"", BEGIN, rtp()])
async def test_what_does_not_begin_with_a_configuration_is_refused(parent: Parent, first: bytes) -> None:
    parent.say(first)
    parent.writer.write_eof()
    with pytest.raises(WireError):
        await asyncio.wait_for(parent.child, WAIT_S)
