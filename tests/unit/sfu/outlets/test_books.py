"""What a media process writes down of what it records and streams, in moto's tables."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from fakeredis import FakeAsyncRedis, FakeServer

from meet import audience, queue
from meet.config import settings
from meet.domain.recording import Measured, Recording, RecordingStatus
from meet.domain.stream import Aired, Stream, StreamStatus
from meet.store import recordings, streams
from sfu.outlets.books import Book, opener
from tests.unit.tables import empty_tables

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE_S = 45.0


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_TABLE_PREFIX", "unit-")
    settings.cache_clear()
    monkeypatch.setattr(queue, "send", lambda job: None)
    with empty_tables():
        yield
    settings.cache_clear()


@pytest_asyncio.fixture
async def redis() -> AsyncIterator[FakeAsyncRedis]:
    server = FakeServer()
    client = FakeAsyncRedis(server=server)
    client.fake_server = server
    yield client
    server.connected = True
    await client.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recording(redis: FakeAsyncRedis, clock: Clock) -> Book:
    """The book of a recording that is about to begin."""
    recordings.create(Recording("r1", "m1", 7, "alice", NOW, held_until=later(LEASE_S)))
    return opener(redis, LEASE_S, clock)("recording", "r1")


@pytest.fixture
def stream(redis: FakeAsyncRedis, clock: Clock) -> Book:
    """The book of a stream that is about to begin."""
    streams.create(Stream("s1", "m1", 7, "alice", NOW, "hls", held_until=later(LEASE_S)))
    return opener(redis, LEASE_S, clock)("stream", "s1")


class TestRecording:
    async def test_its_life_is_written_down(self, recording: Book, clock: Clock) -> None:
        assert (recording.sink, recording.runs({})) == ("recorder", True)
        clock.now = later(2)
        assert await recording.began() == "alice"
        begun = recordings.get("r1")
        assert (begun.status, begun.started_at, begun.held_until) == ("recording", later(2), later(2 + LEASE_S))
        clock.now = later(10)
        assert await recording.renew({"size": 500, "duration_s": 8.0})
        assert recordings.get("r1").held_until == later(10 + LEASE_S)
        await recording.switched(paused=True)
        assert recordings.get("r1").status is RecordingStatus.PAUSED
        await recording.switched(paused=False)
        clock.now = later(20)
        for _ in range(2):
            await recording.finish({"size": 900, "duration_s": 16.0}, interrupted=False)
        ended = recordings.get("r1")
        assert (ended.stopped_at, ended.interrupted, ended.measured.size) == (later(20), False, 900)
        assert ended.job_id is not None

    async def test_takes_add_up(self, recording: Book) -> None:
        await recording.began()
        assert not recording.worth_an_end
        recording.next_take({"size": 500, "duration_s": 8.0})
        assert recording.worth_an_end
        assert recording.stats({"size": 300, "duration_s": 12.0})["size"] == 800
        await recording.finish({"size": 300, "duration_s": 12.0}, interrupted=True)
        ended = recordings.get("r1")
        assert (ended.measured, ended.interrupted) == (Measured(12.0, 800, average_bitrate_bps=533), True)

    async def test_it_fails_with_its_reason(self, recording: Book) -> None:
        await recording.began()
        await recording.fail("The disk is full")
        failed = recordings.get("r1")
        assert (failed.status, failed.error) == ("failed", "The disk is full")
        assert await recording.began() is None
        assert not await recording.renew({})
        await recording.fail("again")
        assert recordings.get("r1").error == "The disk is full"

    def test_its_status_is_one_of_the_documents(self, recording: Book) -> None:
        assert recording.status({}, running=False, paused=False) == "pending"
        assert recording.status({}, running=True, paused=False) == "recording"
        assert recording.status({}, running=True, paused=True) == "paused"


class TestStream:
    async def test_its_life_is_written_down(self, stream: Book, clock: Clock, redis: FakeAsyncRedis) -> None:
        assert [stream.runs({"status": status}) for status in ("starting", "streaming", "reconnecting")] == [
            False,
            True,
            True,
        ]
        assert await stream.began() == "alice"
        assert streams.get("s1").status is StreamStatus.STREAMING
        clock.now = later(10)
        assert await stream.renew({"status": "reconnecting", "bitrate_bps": 900, "frame_rate": 30.0})
        renewed = streams.get("s1")
        assert (renewed.status, renewed.aired) == (StreamStatus.RECONNECTING, Aired(900, 30.0))
        assert renewed.held_until == later(10 + LEASE_S)
        await audience.seen(redis, "s1", ["one", "two"], now=clock.now.timestamp())
        for _ in range(2):
            await stream.finish({"status": "streaming"}, interrupted=True)
        ended = streams.get("s1")
        assert (ended.status, ended.total_viewers, ended.peak_viewers) == (StreamStatus.STOPPED, 2, 2)
        assert not await stream.renew({"status": "streaming"})
        assert not await stream.renew({})

    async def test_it_ends_though_nobody_knows_who_watched(self, stream: Book, redis: FakeAsyncRedis) -> None:
        await stream.began()
        redis.fake_server.connected = False
        await stream.finish({}, interrupted=False)
        assert streams.get("s1").status is StreamStatus.STOPPED

    async def test_it_fails_with_its_reason(self, stream: Book) -> None:
        await stream.began()
        stream.next_take({"status": "streaming"})
        assert not stream.worth_an_end
        await stream.fail("The RTMP server is gone")
        assert (streams.get("s1").status, streams.get("s1").error) == ("failed", "The RTMP server is gone")
        assert await stream.began() is None

    async def test_it_cannot_be_paused(self, stream: Book) -> None:
        with pytest.raises(ValueError, match="paused"):
            await stream.switched(paused=True)

    def test_its_status_is_what_is_on_the_air(self, stream: Book) -> None:
        assert stream.status({}, running=False, paused=False) == "starting"
        assert stream.status({"status": "reconnecting"}, running=True, paused=False) == "reconnecting"
        assert stream.status({"status": "starting"}, running=True, paused=False) == "streaming"
        assert stream.stats({"bitrate_bps": 5})["bitrate_bps"] == 5
