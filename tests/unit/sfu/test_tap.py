"""What an egress process gets of a room: a tap against real producers, its wire read back."""

from dataclasses import replace
from typing import Any

import pytest

from sfu.egress.sink import Track
from sfu.egress.wire import Deframer, Entry, Message, What
from sfu.rtp import rtcp
from sfu.rtp.layers import HIGHEST, LayerId, View
from sfu.rtp.packet import header
from sfu.rtp.parameters import (
    AUDIO_LEVEL_URI,
    MID_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)
from sfu.tap import Tap, Wanted
from sfu.views import Views

from .layered import SIZES, Simulcast
from .test_media import Call

OPUS = RtpCodec("audio/opus", 111, 48000, 2)
RED = RtpCodec("audio/red", 63, 48000, 2, parameters=(("", "111/111"),))
LEVEL = HeaderExtension(1, AUDIO_LEVEL_URI)
VOICE = RtpParameters("1", "audio", (RED, OPUS), (LEVEL, HeaderExtension(4, MID_URI)), (Encoding(30),), cname="alice")
ALL = {"quality": "high", "audio": True, "video": True, "screen": True}


class Reader:
    """An `Outlet` that reads what it is given."""

    def __init__(self) -> None:
        self.frames: list[Message | tuple[Entry, ...]] = []
        self._deframer = Deframer()

    def send(self, frame: bytes) -> None:
        self.frames += self._deframer.feed(frame)

    def pour(self, frame: bytes, packets: int) -> None:
        [entries] = self._deframer.feed(frame)
        assert len(entries) == packets
        self.frames.append(entries)

    @property
    def messages(self) -> list[Message]:
        return [frame for frame in self.frames if isinstance(frame, dict)]

    @property
    def entries(self) -> list[Entry]:
        return [entry for frame in self.frames if isinstance(frame, tuple) for entry in frame]

    def packets(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.what is not What.RTCP]


class Tapped(Simulcast):
    """A publisher of three encodings and a voice, and a tap."""

    def __init__(self, wanted: Wanted, rids: str = "qhf") -> None:
        super().__init__(rids)
        self.router.produce(TrackInfo("v", "alice", "a", "audio", "microphone", VOICE), self.publisher, self.now)
        self.views = Views(self.router)
        self.outlet = Reader()
        self.tap = Tap(wanted, self.outlet, self.router, self.views, str.title, peer_id="tap")

    def begin(self) -> None:
        for producer in self.router.producers.values():
            self.tap.begin(producer.track, self.now)

    def run_on(self, seconds: float) -> list[Entry]:
        """The packets that the egress process gets meanwhile."""
        del self.outlet.frames[:]
        for _ in range(round(seconds * 30)):
            self.run(1 / 30)
            self.tap.tick(self.now)
        return self.outlet.packets()

    def height(self) -> int:
        """Lines of the video that is had now."""
        current = self.tap.consumers["t"].current
        assert current is not None
        return list(SIZES.values())[current.spatial][1]


@pytest.mark.parametrize(("quality", "height"), [("low", 180), ("medium", 360), ("high", 720)])
def test_it_gets_the_layer_of_its_quality_with_no_path_to_prove(quality: str, height: int) -> None:
    room = Tapped(Wanted.recorded(ALL | {"quality": quality}))
    room.run(1.0)
    room.begin()
    room.run_on(0.5)
    assert room.height() == height


def test_packets_are_one_unbroken_stream_that_begins_with_a_key_frame() -> None:
    room = Tapped(Wanted.recorded(ALL))
    room.run(1.0)
    room.begin()
    entries = room.run_on(1.0)
    assert entries[0].what is What.KEY_FRAME
    packets = [entry.packet() for entry in entries]
    assert [packet.index for packet in packets] == list(range(packets[0].index, packets[0].index + len(packets)))
    assert all(packet.index & 0xFFFF == packet.sequence_number for packet in packets)
    assert all(1.0 < packet.arrival <= room.now for packet in packets)
    assert sum(packet.marker for packet in packets) == pytest.approx(30, abs=2)


def test_a_layer_that_ceases_is_replaced_and_comes_back_with_key_frames() -> None:
    room = Tapped(Wanted.recorded(ALL))
    room.run(1.0)
    room.begin()
    room.run_on(1.0)
    room.off = {"f"}
    entries = room.run_on(4.0)
    assert room.height() == 360
    assert any(entry.what is What.KEY_FRAME for entry in entries)
    room.off = set()
    room.run_on(4.0)
    assert room.height() == 720


def test_a_publishers_bound_holds_for_recordings_too() -> None:
    room = Tapped(Wanted.recorded(ALL))
    room.views.set_quality("alice", "low")
    room.run(1.0)
    room.begin()
    room.run_on(1.0)
    assert room.height() == 180


def test_it_is_told_of_a_track_as_it_will_come() -> None:
    room = Tapped(Wanted())
    room.begin()
    [camera, voice] = room.outlet.messages
    track = Track.from_dict(voice["track"])
    assert (track.track_id, track.user_id, track.username, track.peer_id) == ("v", "alice", "Alice", "a")
    assert (track.kind, track.source, voice["muted"]) == ("audio", "microphone", False)
    assert track.parameters.codecs == (OPUS,)
    assert track.parameters.header_extensions == (LEVEL,)
    assert track.parameters.cname == "a"
    assert [codec["mime_type"] for codec in camera["track"]["parameters"]["codecs"]] == ["video/VP8"]
    assert camera["number"] != voice["number"]
    assert room.tap.user_ids == {"alice"}


def test_red_is_unwrapped_and_hushed_audio_comes_with_its_levels() -> None:
    room = Tapped(Wanted())
    room.begin()
    room.router.hush("v", True)
    redundant = bytes((0x80 | 111, 0, 0, 3, 111)) + b"old" + b"new"
    room.deliver(header(63, 9, 960, 30, 0xBEDE, bytes((0x10, 0x05, 0, 0))) + redundant)
    room.tap.tick(room.now)
    [entry] = room.outlet.packets()
    packet = entry.packet()
    assert (packet.payload_type, packet.payload, packet.elements) == (111, b"new", {1: b"\x05"})


def test_the_publishers_clock_is_told_as_soon_as_it_is_known() -> None:
    room = Tapped(Wanted())
    room.run(1.0)
    room.report("f", 777.0)
    room.begin()
    room.run_on(0.1)
    [entry] = [entry for entry in room.outlet.entries if entry.what is What.RTCP]
    report = next(one for one in rtcp.parse(entry.data) if isinstance(one, rtcp.SenderReport))
    assert report.ntp / 2**32 == pytest.approx(777.0, abs=0.2)
    newest = room.outlet.packets()[-1].packet()
    elapsed = (report.timestamp - newest.timestamp + 2**31) % 2**32 - 2**31
    assert abs(elapsed) < 0.2 * 90000


@pytest.mark.parametrize(
    ("asked", "sources"),
    [
        ({}, {"microphone", "camera", "screen", "screen-audio"}),
        ({"audio": False}, {"camera", "screen"}),
        ({"video": False}, {"microphone", "screen", "screen-audio"}),
        ({"screen": False}, {"microphone", "camera"}),
        ({"audio": False, "video": False, "screen": False}, set()),
    ],
)
def test_what_is_asked_for_is_what_is_taken(asked: dict[str, bool], sources: set[str]) -> None:
    assert Wanted.recorded(ALL | asked).sources == sources


def test_a_quality_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="quality"):
        Wanted.recorded(ALL | {"quality": "superb"})


def test_what_is_not_wanted_is_not_begun() -> None:
    room = Tapped(Wanted.recorded(ALL | {"video": False}))
    room.begin()
    assert [said["track"]["track_id"] for said in room.outlet.messages] == ["v"]
    assert room.router.consumers("t") == (room.consumer,)


@pytest.mark.parametrize(
    ("videos", "height"), [(0, 720), (1, 720), (2, 360), (4, 360), (5, 240), (9, 240), (30, 240)]
)
def test_a_streamed_video_is_as_large_as_its_tile(videos: int, height: int) -> None:
    wanted = Wanted.streamed({"height": 720, "width": 1280})
    assert wanted.view(3, videos) == View(height=height)


def test_a_recorded_video_is_as_large_as_its_quality() -> None:
    wanted = Wanted.recorded(ALL | {"quality": "medium"})
    assert wanted.view(3, 20) == View(cap=LayerId(1, HIGHEST))


def test_tiles_that_shrink_get_a_smaller_layer() -> None:
    room = Tapped(Wanted.streamed({"height": 720}))
    room.run(1.0)
    room.begin()
    room.run_on(0.5)
    assert room.height() == 720
    other = replace(room.producer.track.parameters, encodings=(Encoding(90),))
    for name in ("t2", "t3"):
        info = TrackInfo(name, "bob", name, "video", "camera", other)
        room.router.produce(info, room.publisher, room.now)
        room.tap.begin(info, room.now)
    room.run_on(0.5)
    assert room.height() == 360


def test_a_key_frame_is_asked_of_the_publisher() -> None:
    room = Tapped(Wanted())
    room.run(1.0)
    room.begin()
    room.run_on(1.0)
    room.publisher.asked.clear()
    room.now += 1.0
    room.tap.want_key_frame("t", room.now)
    room.tap.want_key_frame("gone", room.now)
    assert room.publisher.asked == [22]


def test_the_end_of_a_track_comes_after_its_last_packet() -> None:
    room = Tapped(Wanted())
    room.run(1.0)
    room.begin()
    room.run_on(0.2)
    room.run(0.1)
    del room.outlet.frames[:]
    room.router.close_producer("t", room.now)
    room.tap.end("t", room.now)
    room.tap.end("t", room.now)
    *packets, ended = room.outlet.frames
    assert packets
    assert ended == {"type": "end", "track_id": "t"}


def test_after_its_end_the_room_does_nothing_for_it() -> None:
    room = Tapped(Wanted())
    room.run(1.0)
    room.begin()
    room.tap.close(room.now)
    assert room.run_on(0.5) == []
    assert room.router.consumers("t") == (room.consumer,)


def test_a_room_tells_its_taps_of_every_track(call: Call) -> None:
    outlet = Reader()
    call.publish("alice")
    names = {"alice": "Alice A.", "bob": "Bob"}
    tap = call.media.tap(Wanted(), outlet, names.__getitem__, 0.0)
    call.publish("bob")
    call.media.set_media_state("alice", video_enabled=False)
    call.media.set_media_state("alice", video_enabled=False)
    call.media.rename("alice", "Alicia")
    call.media.leave("bob", 1.0)
    said: list[tuple[Any, ...]] = [
        (frame["type"], frame["track"]["username"], frame["track"]["source"], frame["muted"])
        if frame["type"] == "begin"
        else tuple(frame.values())
        for frame in outlet.messages
    ]
    begun = {
        frame["track"]["user_id"] + frame["track"]["source"]: frame["track"]["track_id"]
        for frame in outlet.messages[:4]
    }
    assert said == [
        ("begin", "Alice A.", "microphone", False),
        ("begin", "Alice A.", "camera", False),
        ("begin", "Bob", "microphone", False),
        ("begin", "Bob", "camera", False),
        ("mute", begun["alicecamera"], True),
        ("rename", "alice", "Alicia"),
        ("end", begun["bobmicrophone"]),
        ("end", begun["bobcamera"]),
    ]
    call.media.untap(tap, 2.0)
    call.media.untap(tap, 2.0)
    call.publish("carol")
    assert len(outlet.messages) == len(said)


def test_who_is_held_back_from_the_start_is_muted_from_the_start(call: Call) -> None:
    call.media.set_media_state("alice", audio_enabled=False)
    call.publish("alice")
    outlet = Reader()
    call.media.tap(Wanted(), outlet, str, 0.0)
    assert {said["track"]["source"]: said["muted"] for said in outlet.messages} == {
        "microphone": True,
        "camera": False,
    }


@pytest.fixture
def call() -> Call:
    return Call()
