import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from meet.control import Command, Kind, Reply
from sfu.outlets.outlets import COMMANDS, Outlets

from .doubles import FakeVenue, Library, Theatre, until

RECORD = {"meeting_number": 123, "quality": "high", "audio": True, "video": True, "screen": True}
STREAM = {
    "meeting_number": 123,
    "stream_type": "hls",
    "width": 1280,
    "height": 720,
    "bitrate_bps": 1,
    "frame_rate": 30,
}


@dataclass
class House:
    library: Library = field(default_factory=Library)
    theatre: Theatre = field(default_factory=Theatre)
    venue: FakeVenue = field(default_factory=FakeVenue)
    outlets: Outlets = field(init=False)

    def __post_init__(self) -> None:
        start = self.theatre.start
        self.outlets = Outlets(self.library.open, most=2, renew_s=1000.0, now=lambda: 100.0, start_process=start)

    async def ask(self, kind: Kind, venue: FakeVenue | None = None, **data: Any) -> Reply:
        return await self.outlets.obey(Command(kind, data), venue)

    async def record(self, name: str = "r1") -> Reply:
        return await self.ask("start-recording", self.venue, recording_id=name, **RECORD)

    async def stream(self, name: str = "s1") -> Reply:
        return await self.ask("start-stream", self.venue, stream_id=name, **STREAM)


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.outlets.close(timeout_s=5.0)


async def test_a_recording_goes_through_all_that_is_asked(house: House) -> None:
    assert await house.record() == Reply("ok")
    for kind, written in (
        ("pause-recording", "paused"),
        ("resume-recording", "resumed"),
        ("stop-recording", "finish"),
    ):
        assert await house.ask(kind, recording_id="r1") == Reply("ok")
        assert house.library.books["r1"].written[-1][0] == written
    assert await house.ask("stop-recording", recording_id="r1") == Reply("not-found")
    assert await house.ask("pause-recording", recording_id="r1") == Reply("not-found")
    assert house.outlets.count("recording") == 0


async def test_a_stream_begins_and_ends(house: House) -> None:
    assert await house.stream() == Reply("ok")
    assert house.outlets.snapshots(house.venue)[0]["kind"] == "stream"
    assert house.theatre.processes[0].configuration["stream_type"] == "hls"
    assert await house.ask("stop-stream", stream_id="s1") == Reply("ok")
    assert await house.ask("stop-stream", stream_id="s1") == Reply("not-found")


async def test_the_same_start_twice_is_one(house: House) -> None:
    assert await asyncio.gather(house.record(), house.record()) == [Reply("ok"), Reply("ok")]
    assert len(house.theatre.processes) == 1
    assert house.outlets.count("recording") == 1


async def test_where_nobody_is_nothing_begins(house: House) -> None:
    assert await house.ask("start-recording", None, recording_id="r1", **RECORD) == Reply("not-found")
    assert house.library.books == {}


async def test_there_are_only_so_many(house: House) -> None:
    await house.record("r1")
    await house.stream("s1")
    refused = await house.record("r3")
    assert refused.status == "refused"
    assert "later" in refused.data["reason"]
    await house.ask("stop-stream", stream_id="s1")
    assert await house.record("r3") == Reply("ok")


async def test_what_does_not_come_to_run_is_refused_with_its_reason(house: House) -> None:
    house.theatre.full = True
    refused = await house.record()
    assert (refused.status, "again and again" in refused.data["reason"]) == ("refused", True)


async def test_a_pause_that_cannot_be_written_is_refused(house: House) -> None:
    await house.record()
    house.library.books["r1"].away = 1
    assert (await house.ask("pause-recording", recording_id="r1")).status == "refused"
    assert (await house.ask("pause-recording", recording_id="r1")).status == "ok"


async def test_a_stop_that_comes_while_it_ends_waits_for_the_end(house: House) -> None:
    await house.record()
    house.theatre.processes[0].obliging = False
    stops = [asyncio.create_task(house.ask("stop-recording", recording_id="r1")) for _ in range(2)]
    await until(lambda: "stop" in house.theatre.processes[0].kinds)
    assert house.outlets.snapshots(house.venue) == []
    assert house.outlets.of(house.venue)
    assert not any(stop.done() for stop in stops)
    house.theatre.processes[0].say("ended", size=3)
    house.theatre.processes[0].gone.set()
    assert await asyncio.gather(*stops) == [Reply("ok"), Reply("ok")]


async def test_a_drain_ends_all_and_begins_none(house: House) -> None:
    await house.record()
    await house.stream()
    await house.outlets.close(timeout_s=5.0)
    assert {name: book.written[-1][0] for name, book in house.library.books.items()} == {
        "r1": "finish",
        "s1": "finish",
    }
    assert (await house.record("r2")).status == "refused"


async def test_a_drain_does_not_wait_for_ever(house: House) -> None:
    await house.record()
    process = house.theatre.processes[0]
    process.obliging = False
    await house.outlets.close(timeout_s=0.01)
    assert house.library.books["r1"].written == [("began",)]
    assert not process.gone.is_set()  # it keeps what is there by itself
    process.say("ended")
    process.gone.set()


async def test_what_is_counted_is_counted_beyond_the_end(house: House) -> None:
    await house.record()
    house.theatre.processes[0].pour(b"", 7)
    house.theatre.processes[0].die()
    await until(lambda: len(house.theatre.processes) == 2 and house.theatre.processes[1].said)
    house.theatre.processes[1].pour(b"", 5)
    assert house.outlets.totals() == {"restarts": 1, "dropped": 12}
    await house.ask("stop-recording", recording_id="r1")
    assert house.outlets.totals() == {"restarts": 1, "dropped": 12}


@pytest.mark.parametrize("kind", sorted(COMMANDS))
async def test_a_command_that_lacks_something_raises(house: House, kind: Kind) -> None:
    with pytest.raises((KeyError, ValueError)):
        await house.ask(kind, house.venue, meeting_number=123)


async def test_a_command_of_others_is_none_of_these(house: House) -> None:
    with pytest.raises(ValueError, match="close-room"):
        await house.ask("close-room", house.venue)
