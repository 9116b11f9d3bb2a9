"""Where a stream stands, by what its bucket and its RTMP server do."""

from dataclasses import dataclass
from typing import cast

import pytest

from meet.domain.stream import Picture
from sfu.egress.encoder import Encoder
from sfu.egress.mixer import Mixer
from sfu.egress.rtmp.push import Push
from sfu.egress.shelf import Shelf
from sfu.egress.streamer import AWAY_S, Streamer
from tests.unit.sfu.egress.senders import OPUS, VIDEO, track_of


@dataclass
class MadeEncoder:
    dropped_frames: int = 0
    frame_rate: float = 29.97
    sounds: int = 0
    pictures: int = 0

    def sound(self, at: int, samples: bytes) -> None:
        self.sounds += 1

    def picture(self, at: int, pixels: bytes) -> None:
        self.pictures += 1

    async def close(self) -> None:
        pass


@dataclass
class MadeShelf:
    errors: int = 0
    on_air: bool = False
    away: float = 0.0

    def away_s(self, now: float) -> float:
        return self.away

    def bitrate_bps(self, now: float) -> int:
        return 1000

    def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass
class MadePush:
    publishing: bool = False
    was_publishing: bool = False
    away: float = 0.0
    reason: str = ""
    dropped_frames: int = 0

    def is_publishing(self, now: float) -> bool:
        self.was_publishing |= self.publishing
        return self.publishing

    def away_s(self, now: float) -> float:
        return self.away

    def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass
class Made:
    """A streamer and all that it has."""

    streamer: Streamer
    encoder: MadeEncoder
    shelf: MadeShelf
    push: MadePush
    wanted: list[str]

    @property
    def status(self) -> str:
        return str(self.streamer.stats(0)["status"])


def made(*, rtmp: bool = False, is_first: bool = True) -> Made:
    encoder, shelf, push = MadeEncoder(), MadeShelf(), MadePush()
    wanted: list[str] = []
    streamer = Streamer(
        Mixer(Picture(64, 36, 100_000, 10), 0.0),
        cast(Encoder, encoder),
        cast(Shelf, shelf),
        cast(Push, push) if rtmp else None,
        wanted.append,
        is_first=is_first,
    )
    return Made(streamer, encoder, shelf, push, wanted)


def test_it_streams_once_players_find_something() -> None:
    stream = made()
    assert stream.status == "starting"
    stream.shelf.on_air = True
    assert stream.status == "streaming"


def test_a_bucket_that_is_away_for_long_ends_it() -> None:
    stream = made()
    stream.shelf.on_air, stream.shelf.away = True, AWAY_S - 1
    assert stream.status == "streaming"
    stream.shelf.away = AWAY_S
    assert stream.streamer.stats(0) | {"status": "failed", "error": "The file store does not answer"} == (
        stream.streamer.stats(0)
    )
    stream.shelf.away = 0
    assert stream.status == "failed", "and that is for good"


def test_rtmp_is_what_counts_where_it_was_asked_for() -> None:
    stream = made(rtmp=True)
    stream.shelf.on_air, stream.shelf.away = True, AWAY_S
    assert stream.status == "starting"
    stream.push.publishing = True
    assert stream.status == "streaming"
    stream.push.publishing, stream.push.away = False, AWAY_S - 1
    assert stream.status == "reconnecting"
    stream.push.publishing = True
    assert stream.status == "streaming"


@pytest.mark.parametrize(
    ("reason", "told"), [("No such app", "No such app"), ("", "The RTMP server does not answer")]
)
def test_an_rtmp_server_that_is_away_for_two_minutes_ends_it(reason: str, told: str) -> None:
    stream = made(rtmp=True)
    stream.push.away, stream.push.reason = AWAY_S, reason
    assert AWAY_S == 120
    assert stream.status == "failed"
    assert stream.streamer.stats(0)["error"] == told


def test_another_take_is_no_beginning() -> None:
    stream = made(is_first=False)
    assert stream.status == "reconnecting"
    stream.shelf.on_air = True
    assert stream.status == "streaming"


async def test_what_is_measured() -> None:
    stream = made(rtmp=True)
    stream.push.publishing, stream.push.dropped_frames = True, 4
    stream.shelf.on_air, stream.shelf.errors, stream.encoder.dropped_frames = True, 2, 3
    for tick in range(1, 51):
        stream.streamer.tick(tick * 0.02)
    assert (stream.encoder.sounds, stream.encoder.pictures) == (50, 11)
    assert stream.streamer.stats(1.0) == {
        "bitrate_bps": 1000,
        "frame_rate": 30.0,
        "dropped_frames": 7,
        "errors": 2,
        "status": "streaming",
        "error": None,
    }
    assert (await stream.streamer.close(1.0))["status"] == "stopped"


async def test_how_it_failed_is_the_last_word() -> None:
    stream = made()
    stream.shelf.away = AWAY_S
    ended = await stream.streamer.close(0)
    assert (ended["status"], ended["error"]) == ("failed", "The file store does not answer")


def test_it_takes_whatever_comes() -> None:
    stream = made()
    camera = track_of(VIDEO["vp8"])
    stream.streamer.begin(camera, 0)
    stream.streamer.begin(track_of(OPUS), 0)
    stream.streamer.mute(camera.track_id, True, 0)
    stream.streamer.mute("nobody's", True, 0)
    stream.streamer.rename(camera.user_id, "Ann", 0)
    stream.streamer.pause(0)
    stream.streamer.resume(0)
    stream.streamer.mute(camera.track_id, False, 0)
    for tick in range(1, 81):
        stream.streamer.tick(tick * 0.02)
    assert stream.wanted == [camera.track_id]
    stream.streamer.end(camera.track_id, 2)
    stream.streamer.end("nobody's", 2)
    stream.streamer.tick(2.02)
    assert stream.streamer.stats(2.02)["errors"] == 0
