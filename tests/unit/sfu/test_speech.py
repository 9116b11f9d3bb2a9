"""Who speaks in a room of the router's: real packets with audio levels in, the floor and what is forwarded out."""

import pytest

from sfu.consumer import Consumer
from sfu.router import Router
from sfu.rtp import rtcp
from sfu.rtp.packet import header, write_elements
from sfu.rtp.parameters import AUDIO_LEVEL_URI, Encoding, HeaderExtension, RtpCodec, RtpParameters, Source, TrackInfo
from sfu.speech import Heard, Speech

OPUS = RtpCodec("audio/opus", 111, 48000, 2)
LEVEL = HeaderExtension(9, AUDIO_LEVEL_URI)
QUIET, LOUD = 80, 25
"""-dBov."""


class Transport:
    connected = True

    def __init__(self) -> None:
        self.sent = 0

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        self.sent += 1

    def send_rtcp(self, packet: bytes) -> None:
        rtcp.parse(packet)


class Hall:
    """Microphones that all send, and one listener to all of them."""

    def __init__(self, people: int = 0) -> None:
        self.router = Router()
        self.speech = Speech(self.router)
        self.tracks: dict[str, TrackInfo] = {}
        self.listener = Transport()
        self.passed: list[str | None] = []
        self._consumers: dict[str, Consumer] = {}
        self._unit = 0
        for number in range(people):
            self.come(f"p{number}")

    def come(self, name: str, *, source: Source = "microphone", judged: bool = True) -> TrackInfo:
        ssrc = 1 + len(self.tracks)
        extensions = (LEVEL,) if judged else ()
        parameters = RtpParameters("0", "audio", (OPUS,), extensions, (Encoding(ssrc),))
        track = self.tracks[name] = TrackInfo(f"{name}-track", name, name, "audio", source, parameters)
        self.router.produce(track, Transport(), 0.0)
        self.speech.begin(track)
        theirs = RtpParameters("0", "audio", (OPUS,), (), (Encoding(1_000 + ssrc),))
        self._consumers[name] = self.router.consume(track.track_id, theirs, self.listener, 0.0, peer_id="listener")
        return track

    def run(self, seconds: float, *loud: str) -> Heard:
        """Everybody sends; the loud ones are silent for a moment every fifth of a second, as in speech."""
        heard = Heard(False, False)
        for _ in range(round(seconds / 0.02)):
            self._unit += 1
            now = self._unit * 0.02
            for name, track in self.tracks.items():
                self.send(track, LOUD if name in loud and self._unit % 10 else QUIET, now)
            heard = self.speech.tick(now)
            if heard.floor_passed:
                self.passed.append(self.speech.dominant.user_id if self.speech.dominant else None)
        return heard

    def send(self, track: TrackInfo, level: int, now: float) -> None:
        ssrc = track.parameters.encodings[0].ssrc or 0
        extension = write_elements([(9, bytes((0x80 | level,)))])
        data = header(111, self._unit & 0xFFFF, 960 * self._unit, ssrc, *extension) + b"opus"
        self.router.receive_rtp(track.peer_id, data, now)

    def sent_to_listener(self, seconds: float, *loud: str) -> dict[str, int]:
        before = {name: consumer.packets for name, consumer in self._consumers.items()}
        self.run(seconds, *loud)
        return {name: consumer.packets - before[name] for name, consumer in self._consumers.items()}


def test_the_floor_passes_to_who_speaks_and_stays_while_all_are_silent() -> None:
    hall = Hall(3)
    hall.run(1.0)
    assert hall.speech.dominant is None
    hall.run(3.0, "p1")
    hall.run(3.0, "p2")
    hall.run(10.0)
    assert hall.passed == ["p1", "p2"]
    assert hall.speech.spoke == ["p2", "p1"]
    assert hall.speech.dominant == hall.tracks["p2"]


def test_who_ends_or_is_muted_has_the_floor_no_more() -> None:
    hall = Hall(2)
    hall.run(1.0)
    hall.run(3.0, "p1")
    hall.speech.end(hall.tracks["p1"])
    hall.speech.end(hall.tracks["p1"])
    hall.run(0.1)
    assert hall.passed == ["p1", None]
    hall.speech.begin(hall.tracks["p1"])
    hall.run(1.0)
    hall.run(3.0, "p1")
    assert hall.passed == ["p1", None, "p1"]
    hall.speech.forget("p1")
    assert hall.speech.spoke == []


@pytest.mark.parametrize(("source", "judged"), [("screen-audio", True), ("microphone", False)])
def test_who_plays_a_film_or_tells_no_levels_never_has_the_floor(source: Source, judged: bool) -> None:
    hall = Hall(1)
    hall.come("film", source=source, judged=judged)
    hall.run(1.0)
    hall.run(4.0, "film")
    assert hall.passed == []


def test_in_a_small_room_everybody_is_forwarded() -> None:
    hall = Hall(8)
    assert set(hall.sent_to_listener(1.0).values()) == {50}


def test_in_a_big_room_only_the_loudest_are_and_who_begins_to_speak_at_once() -> None:
    hall = Hall(40)
    hall.come("film", source="screen-audio")
    hall.run(1.0)
    sent = hall.sent_to_listener(1.0)
    assert sum(count > 0 for count in sent.values()) == 8 + 1
    assert sent["film"] == 50
    assert sent["p30"] == 0
    assert hall.sent_to_listener(1.0, "p30")["p30"] >= 49
    assert hall.speech.heard[0] == "p30-track"


def test_who_comes_into_a_big_room_waits_to_be_heard() -> None:
    hall = Hall(8)
    hall.run(1.0)
    hall.come("late")
    assert hall.sent_to_listener(1.0)["late"] <= 1
    assert hall.sent_to_listener(1.0, "late")["late"] >= 49


def test_who_leaves_makes_the_room_small_again() -> None:
    hall = Hall(9)
    hall.run(1.0)
    track = hall.tracks.pop("p0")
    hall.router.close_producer(track.track_id, 1.0)
    hall.speech.end(track)
    hall.run(0.1)
    hall._consumers.pop("p0")
    assert all(count > 0 for count in hall.sent_to_listener(0.5).values())


def test_letting_in_is_told() -> None:
    hall = Hall(2)
    first = hall.speech.tick(0.1)
    assert first == Heard(floor_passed=False, let_in=True)
    assert hall.speech.tick(0.2) == Heard(floor_passed=False, let_in=False)


def test_an_empty_or_missing_level_is_no_error() -> None:
    hall = Hall(1)
    track = hall.tracks["p0"]
    for elements in ([], [(9, b"")], [(8, b"\x00")]):
        data = header(111, 5, 960, 1, *write_elements(elements)) + b"opus"
        hall.router.receive_rtp(track.peer_id, data, 1.0)
    assert hall.speech.tick(1.0).floor_passed is False
