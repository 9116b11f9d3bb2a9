import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sfu.egress.wire import WireError
from sfu.outlets import egress as module
from sfu.outlets.egress import CannotRun, Egress
from sfu.tap import Wanted

from .doubles import FakeBook, FakeProcess, FakeVenue, Theatre, until


class Stage:
    """One egress, and all that it leans on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.venue = FakeVenue()
        self.theatre = Theatre()
        self.book = FakeBook("recording", "r1")
        self.egress = self.make(self.book)
        self.life: asyncio.Task[None] | None = None

    def make(self, book: FakeBook) -> Egress:
        return Egress(
            book,
            Wanted(),
            {"recording_id": "r1", "quality": "high"},
            self.venue,
            start_process=self.theatre.start,
            renew_s=1000.0,
            now=lambda: self.now,
        )

    async def run(self) -> FakeProcess:
        """Begin, until it runs."""
        self.life = asyncio.create_task(self.egress.run())
        await self.egress.running()
        return self.process

    async def next(self) -> FakeProcess:
        """The process after the present one, which is to die."""
        count = len(self.theatre.processes)
        self.process.die()
        await until(lambda: len(self.theatre.processes) > count and self.process.said)
        return self.process

    @property
    def process(self) -> FakeProcess:
        return self.theatre.processes[-1]

    @property
    def news(self) -> list[str]:
        return [news for _, _, news, _ in self.venue.news]


@pytest_asyncio.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(module, "RETRIES_S", (0.0, 0.0))
    made = Stage()
    yield made
    if made.life:
        await made.egress.stop()
        await made.life


async def test_from_its_start_to_its_end(stage: Stage) -> None:
    process = await stage.run()
    assert process.sink == "recorder"
    assert process.configuration == {
        "type": "configure",
        "recording_id": "r1",
        "quality": "high",
        "kind": "recorder",
        "take": 0,
        "begins_s": 0.0,
        "begins_at": 100.0,
    }
    assert stage.venue.taps == 1
    assert stage.egress.snapshot() == {"kind": "recording", "id": "r1", "status": "recording", "stats": {"size": 100}}
    await asyncio.gather(stage.egress.stop(), stage.egress.stop())
    assert process.kinds == ["configure", "stop"]
    assert stage.venue.taps == 0
    assert stage.book.written == [("began",), ("finish", 200, False)]
    assert stage.venue.news == [("recording", "r1", "started", "owner"), ("recording", "r1", "stopped", "owner")]
    assert not stage.egress.is_live


async def test_a_process_that_dies_is_begun_anew_where_the_timeline_stands(stage: Stage) -> None:
    await stage.run()
    stage.now = 107.5
    process = await stage.next()
    assert (process.configuration["take"], process.configuration["begins_s"]) == (1, 7.5)
    assert process.configuration["begins_at"] == 107.5
    assert stage.venue.taps == 1
    assert stage.egress.restarts == 1
    await stage.egress.stop()
    assert stage.book.written == [("began",), ("next", 100), ("finish", 200, False)]
    assert stage.news == ["started", "stopped"]


async def test_a_pause_is_no_time(stage: Stage) -> None:
    process = await stage.run()
    stage.now = 102.0
    assert await stage.egress.switch(paused=True)
    assert await stage.egress.switch(paused=True)
    assert stage.egress.snapshot()["status"] == "paused"
    stage.now = 110.0
    paused = await stage.next()
    assert paused.said[0]["begins_s"] == 2.0
    assert paused.said[1] == {"type": "pause", "at": 110.0}
    stage.now = 120.0
    assert await stage.egress.switch(paused=False)
    stage.now = 121.0
    resumed = await stage.next()
    assert resumed.configuration["begins_s"] == 3.0
    assert resumed.kinds == ["configure"]
    assert process.said[1:] == [{"type": "pause", "at": 102.0}]
    assert paused.said[2:] == [{"type": "resume", "at": 120.0}]
    assert stage.news == ["started", "paused", "resumed"]
    await stage.egress.stop()
    assert not await stage.egress.switch(paused=True)


async def test_the_store_decides_whether_it_is_paused(stage: Stage) -> None:
    process = await stage.run()
    stage.book.away = 1
    with pytest.raises(module.Unavailable):
        await stage.egress.switch(paused=True)
    assert process.kinds == ["configure"]


async def test_what_dies_again_and_again_has_failed(stage: Stage) -> None:
    await stage.run()
    for _ in range(5):
        stage.now += 1.0
        await stage.next()
    stage.process.die()
    assert stage.life is not None
    await stage.life
    assert len(stage.theatre.processes) == 6
    assert stage.book.written[-1] == ("fail", "Its process ended unexpectedly again and again.")
    assert stage.news == ["started", "stopped"]


async def test_what_was_kept_until_then_is_not_thrown_away(stage: Stage) -> None:
    await stage.run()
    stage.book.worth_an_end = True
    for _ in range(5):
        await stage.next()
    stage.process.die()
    assert stage.life is not None
    await stage.life
    assert stage.book.written[-1] == ("finish", 0, True)


async def test_deaths_that_are_far_apart_are_borne(stage: Stage) -> None:
    await stage.run()
    for _ in range(12):
        stage.now += 15.0
        await stage.next()
    assert stage.egress.is_live


async def test_no_process_at_all(stage: Stage) -> None:
    stage.theatre.full = True
    with pytest.raises(CannotRun, match="again and again"):
        await stage.run()
    assert stage.life is not None
    await stage.life
    assert [written for written in stage.book.written if written[0] != "next"] == []
    assert stage.venue.news == []


async def test_a_process_that_hangs_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.001)
    process = await stage.run()
    stage.now += 1.0
    await until(process.gone.is_set)
    await until(lambda: len(stage.theatre.processes) > 1)
    monkeypatch.setattr(module, "SILENT_S", 30.0)


async def test_what_it_says_is_wrong_is_why_it_failed(stage: Stage) -> None:
    process = await stage.run()
    process.say("stats", size=5, error="S3 is away for good")
    assert stage.life is not None
    await stage.life
    assert process.kinds[-1] == "stop"
    assert stage.book.written[-1] == ("fail", "S3 is away for good")


async def test_who_does_not_end_in_time_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.001)
    process = await stage.run()
    process.obliging = False
    await stage.egress.stop()
    assert process.code == -9
    assert stage.book.written[-1] == ("finish", 100, True)


async def test_the_end_is_written_as_soon_as_the_store_is_back(stage: Stage) -> None:
    await stage.run()
    stage.book.away = 2
    await stage.egress.stop()
    assert stage.book.written[-1] == ("finish", 200, False)


async def test_a_store_that_stays_away_is_left_to_the_sweeper(stage: Stage) -> None:
    await stage.run()
    stage.book.away = 100
    await stage.egress.stop()
    assert stage.book.written == [("began",)]


async def test_a_row_that_somebody_else_ended_is_not_written(stage: Stage) -> None:
    process = await stage.run()
    stage.book.wanted = False
    process.say("stats", status="other", size=3)
    assert stage.life is not None
    await stage.life
    assert process.kinds[-1] == "stop"
    assert stage.book.written == [("began",), ("renew", 3)]
    assert stage.news == ["started", "stopped"]


async def test_a_row_that_is_gone_before_it_began_begins_nothing(stage: Stage) -> None:
    stage.book.wanted = False
    with pytest.raises(CannotRun):
        await stage.run()
    assert stage.book.written == [("began",)]
    assert stage.venue.news == []


async def test_what_cannot_be_written_down_does_not_begin(stage: Stage) -> None:
    stage.book.away = 1
    with pytest.raises(CannotRun):
        await stage.run()
    assert stage.book.written == []
    assert stage.process.kinds[-1] == "stop"


async def test_stopped_while_its_beginning_is_written_it_still_ends_well(stage: Stage) -> None:
    stage.book.hold = asyncio.Event()
    stage.life = asyncio.create_task(stage.egress.run())
    await until(lambda: stage.book.holding)
    stopping = asyncio.create_task(stage.egress.stop())
    await until(stage.process.gone.is_set)
    stage.book.hold.set()
    await stopping
    assert stage.book.written == [("began",), ("finish", 200, False)]
    assert stage.news == ["started", "stopped"]


async def test_stopped_before_it_ran_it_never_began(stage: Stage) -> None:
    stage.theatre.obliging = False
    stage.life = asyncio.create_task(stage.egress.run())
    await until(lambda: stage.theatre.processes and stage.process.said)
    assert stage.egress.snapshot()["status"] == "pending"
    stage.process.obliging = True
    running = asyncio.create_task(stage.egress.running())
    await stage.egress.stop()
    with pytest.raises(CannotRun, match="before it began"):
        await running
    assert stage.book.written == []


async def test_a_stream_runs_once_it_is_on_the_air(stage: Stage) -> None:
    stage.book = FakeBook("stream", "s1")
    stage.egress = stage.make(stage.book)
    stage.theatre.obliging = False
    stage.life = asyncio.create_task(stage.egress.run())
    await until(lambda: stage.theatre.processes and stage.process.said)
    stage.process.say("ready")
    stage.process.say("stats", status="starting")
    await asyncio.sleep(0)
    assert stage.book.written == []
    stage.process.say("stats", status="streaming")
    await stage.egress.running()
    assert stage.process.sink == "streamer"
    stage.process.obliging = True


async def test_what_fails_before_anybody_could_wait_for_it_is_written_down(stage: Stage) -> None:
    stage.book = FakeBook("stream", "s1")
    stage.egress = stage.make(stage.book)
    stage.theatre.obliging = False
    stage.life = asyncio.create_task(stage.egress.run())
    await until(lambda: stage.theatre.processes and stage.process.said)
    stage.process.obliging = True
    stage.process.say("stats", status="starting", error="the server does not answer")
    with pytest.raises(CannotRun, match="does not answer"):
        await stage.egress.running()
    assert stage.book.written == [("fail", "the server does not answer")]


async def test_a_change_of_status_is_written_at_once(stage: Stage) -> None:
    process = await stage.run()
    process.say("stats", status="reconnecting", size=7)
    await until(lambda: stage.book.written[-1] == ("renew", 7))


async def test_a_key_frame_is_asked_of_the_room(stage: Stage) -> None:
    process = await stage.run()
    process.say("key-frame", track_id="t1")
    assert stage.venue.asked == ["t1"]


async def test_words_that_it_does_not_have_are_refused(stage: Stage) -> None:
    process = await stage.run()
    with pytest.raises(WireError, match="dance"):
        process.say("dance")


async def test_a_bug_ends_this_egress_alone(stage: Stage) -> None:
    stage.venue.breaks = True
    with pytest.raises(CannotRun, match="unexpectedly"):
        await stage.run()
    assert stage.process.code == -9
