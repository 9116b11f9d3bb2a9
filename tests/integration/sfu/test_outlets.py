"""What leaves a call of real WebRTC clients: real processes that are fed, are killed, and end."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from meet.control import Command, Reply
from sfu.outlets.books import Kind
from sfu.outlets.egress import News
from sfu.outlets.outlets import Outlets
from sfu.outlets.process import COMMAND, EgressProcess, Sink
from sfu.tap import Outlet, Tap, Wanted
from tests.bucket import Bucket
from tests.unit.sfu.egress.rooms import decoded, packet_times

from .test_forward import TIMEOUT_S, Call, Picture, Tone, brightness, only_loopback  # noqa: F401 - a fixture
from .test_recorder import Left

SOAK = bool(os.environ.get("MEET_SOAK"))
KILLS = 20 if SOAK else 1
ALIVE_S = (12.5, 15.0) if SOAK else (1.0, 2.0)
"""Between them: more than five in a minute would be the end of the recording."""
MOST_LOST_S = 2.0 if SOAK else 5.0
"""What is promised; other tests may take so much of the machine that the bucket is slow."""
NOTING = (sys.executable, str(Path(__file__).with_name("noting.py")))
RECORD = {"recording_id": "r1", "quality": "high", "audio": True, "video": True, "screen": True}


class Book:
    """A row in memory."""

    worth_an_end = True
    waited_for = True

    def __init__(self, kind: Kind, egress_id: str) -> None:
        self.kind = kind
        self.sink: Sink = "recorder" if kind == "recording" else "streamer"
        self.egress_id = egress_id
        self.written: list[tuple[Any, ...]] = []
        self.takes: list[dict[str, Any]] = []

    def runs(self, said: Mapping[str, Any]) -> bool:
        return True

    def next_take(self, said: Mapping[str, Any]) -> None:
        self.takes.append(dict(said))

    def status(self, said: Mapping[str, Any], *, running: bool, paused: bool) -> str:
        return "recording"

    def stats(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return dict(said)

    async def began(self) -> str | None:
        self.written.append(("began",))
        return "owner"

    async def renew(self, said: Mapping[str, Any]) -> bool:
        return True

    async def switched(self, *, paused: bool) -> None:
        self.written.append(("paused" if paused else "resumed",))

    async def finish(self, said: Mapping[str, Any], *, interrupted: bool) -> None:
        self.takes.append(dict(said))
        self.written.append(("finish", interrupted))

    async def fail(self, error: str) -> None:
        self.written.append(("fail", error))


class Stage:
    """A call, and what leaves it."""

    def __init__(self, call: Call, command: tuple[str, ...]) -> None:
        self.call = call
        self.book = Book("recording", "r1")
        self.outlets = Outlets(
            lambda kind, egress_id: self.book,
            most=2,
            renew_s=1000.0,
            now=time.monotonic,
            start_process=partial(EgressProcess.start, command=command),
        )

    # The call as a venue

    def tap(self, wanted: Wanted, outlet: Outlet) -> Tap:
        return self.call.media.tap(wanted, outlet, str.title, time.monotonic())

    def untap(self, tap: Tap) -> None:
        self.call.media.untap(tap, time.monotonic())

    def want_key_frame(self, tap: Tap, track_id: str) -> None:
        tap.want_key_frame(track_id, time.monotonic())

    def announce(self, kind: Kind, egress_id: str, news: News, owner_id: str) -> None:
        pass

    # What tests ask

    async def record(self) -> None:
        assert await self.outlets.obey(Command("start-recording", RECORD), self) == Reply("ok")

    async def stop(self) -> None:
        assert await self.outlets.obey(Command("stop-recording", RECORD), self) == Reply("ok")

    @property
    def notes(self) -> dict[str, Any]:
        """What the process has told last."""
        [snapshot] = self.outlets.snapshots(self)
        stats: dict[str, Any] = snapshot["stats"]
        return stats

    @property
    def pid(self) -> int | None:
        """Of the process."""
        [egress] = self.outlets.of(self)
        return egress.pid

    def kill(self) -> None:
        """End the process as the kernel would."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGKILL)

    async def flows(self, take: int, tracks: int, packets: int = 20) -> list[dict[str, Any]]:
        """Wait until a take has so many tracks with so many packets each; what was noted of them."""

        def noted() -> list[dict[str, Any]]:
            notes = self.notes
            if notes.get("configuration", {}).get("take") != take:
                return []
            return [track for track in notes["tracks"] if track["packets"] >= packets]

        await until(lambda: len(noted()) == tracks)
        return noted()


async def until(condition: Callable[[], object]) -> None:
    """What processes tell has no event of its own."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


@asynccontextmanager
async def staged(command: tuple[str, ...] = NOTING) -> AsyncIterator[Stage]:
    async with Call.open() as call:
        stage = Stage(call, command)
        yield stage
        await stage.outlets.close(timeout_s=TIMEOUT_S)


async def test_a_call_leaves_by_a_process_until_it_is_stopped() -> None:
    async with staged() as stage:
        alice = await stage.call.join("alice")
        await alice.publish(Picture(60), Tone(440.0))
        await stage.record()
        tracks = await stage.flows(0, 2)
        bob = await stage.call.join("bob")
        await bob.publish(Picture(180))
        tracks = await stage.flows(0, 3, packets=60)
        assert sorted((track["name"], track["kind"]) for track in tracks) == [
            ("Alice", "audio"),
            ("Alice", "video"),
            ("Bob", "video"),
        ]
        assert all(track["begins_with_key_frame"] and not track["gaps"] for track in tracks)
        await until(lambda: all(track["reports"] for track in stage.notes["tracks"]))
        stage.call.media.set_media_state("alice", audio_enabled=False)
        stage.call.media.leave("bob", time.monotonic())
        await until(lambda: any(track["muted"] for track in stage.notes["tracks"]))
        await stage.outlets.obey(Command("pause-recording", RECORD), stage)
        await stage.stop()
        [notes] = stage.book.takes
        assert {track["kind"] for track in notes["tracks"] if track["ended"]} == {"video"}
        assert notes["pauses"] == ["pause"]
        assert stage.book.written == [("began",), ("paused",), ("finish", False)]
        assert stage.outlets.totals() == {"restarts": 0, "dropped": 0}


async def test_a_process_that_is_killed_costs_the_call_nothing_and_is_begun_anew() -> None:
    async with staged() as stage:
        alice, bob = await stage.call.join("alice"), await stage.call.join("bob")
        await alice.publish(Picture(60), Tone(440.0))
        await stage.call.until(lambda: len(bob.sees()) == 2)
        picture = bob.track("alice", "video")
        await stage.record()
        await stage.flows(0, 2)
        began = time.monotonic()
        for take in (1, 2):
            stage.kill()
            assert abs(await brightness(picture) - 60) < 12
            tracks = await stage.flows(take, 2)
            assert all(track["begins_with_key_frame"] for track in tracks)
        begins_s = stage.notes["configuration"]["begins_s"]
        assert 0 < begins_s <= time.monotonic() - began + TIMEOUT_S
        await stage.stop()
        takes = [notes["configuration"]["take"] for notes in stage.book.takes]
        assert takes == [0, 1, 2]
        assert stage.book.written == [("began",), ("finish", False)]
        assert stage.outlets.totals()["restarts"] == 2


async def test_a_recorder_that_is_killed_in_a_call_loses_two_seconds_at_most(
    backend: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real one, before a real S3: what it kept plays from start to end, and fits together on one timeline."""
    env = backend | {"MEET_BUCKET": "killed-in-a-call"}
    Bucket(env).s3.create_bucket(Bucket=env["MEET_BUCKET"])
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    rng = random.Random()
    async with staged(COMMAND) as stage:
        alice, bob = await stage.call.join("alice"), await stage.call.join("bob")
        await alice.publish(Picture(60), Tone(440.0))
        await stage.call.until(lambda: len(bob.sees()) == 2)
        await stage.record()
        for take in range(KILLS + 1):
            await until(lambda: stage.notes.get("size", 0) > 0)
            await asyncio.sleep(rng.uniform(*ALIVE_S))
            if take < KILLS:
                stage.kill()
                assert abs(await brightness(bob.track("alice", "video")) - 60) < 12
        await stage.stop()
    takes = [Left(env, "r1", take) for take in range(KILLS + 1)]
    files = [(take.manifest, track.kind, take.file(track)) for take in takes for track in take.manifest.tracks]
    assert all(decoded(data) for _, _, data in files)
    heard = [(manifest.begins_s, packet_times(data)) for manifest, kind, data in files if kind == "audio"]
    assert len(heard) == KILLS + 1
    assert all(abs(times[0] - begins_s) < 2.0 for begins_s, times in heard)  # at once, by the clock of a busy sender
    lost = [after[0] - before[-1] for (_, before), (_, after) in pairwise(heard)]
    print(f"lost in a call by {KILLS} kills: {max(lost):.2f} s at most, {sum(lost) / len(lost):.2f} s on average")
    assert max(lost) <= MOST_LOST_S


async def test_a_process_that_stops_reading_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.outlets.process.MOST_WAITING_BYTES", 10_000)
    async with staged() as stage:
        alice, bob = await stage.call.join("alice"), await stage.call.join("bob")
        await alice.publish(Picture(60), Tone(440.0))
        await stage.call.until(lambda: len(bob.sees()) == 2)
        await stage.record()
        await stage.flows(0, 2)
        assert stage.pid is not None
        os.kill(stage.pid, signal.SIGSTOP)
        try:
            flooded = bytes(100_000)
            [egress] = stage.outlets.of(stage)
            assert egress._process is not None
            for _ in range(10):
                egress._process.pour(b"\0\x01\x86\xa1\x01" + flooded, 0)  # a frame of what is no packet: never read
            await until(lambda: stage.outlets.totals()["dropped"] > 100)
            assert abs(await brightness(bob.track("alice", "video")) - 60) < 12
        finally:
            stage.kill()
        await stage.flows(1, 2)


@pytest.mark.parametrize("command", [("/bin/false",), ("/nowhere/at/all",)])
async def test_what_cannot_even_begin_is_refused(command: tuple[str, ...]) -> None:
    async with staged(command) as stage:
        reply = await stage.outlets.obey(Command("start-recording", RECORD), stage)
        assert (reply.status, "again and again" in reply.data["reason"]) == ("refused", True)
        assert stage.outlets.count("recording") == 0


async def test_a_media_process_that_is_gone_ends_its_processes() -> None:
    heard: list[str] = []
    process = await EgressProcess.start(
        "recorder", lambda message: heard.append(message["type"]), time.monotonic, command=NOTING
    )
    await asyncio.wait_for(process.end(), TIMEOUT_S)
    assert heard == []
