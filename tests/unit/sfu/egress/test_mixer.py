"""A room as one picture and one sound: who is where on it, and when."""

from array import array
from dataclasses import replace

import pytest

from meet.domain.stream import Picture
from sfu.egress.mixer import DELAY_S, EMPTY, Heard, Mixer, Seen
from tests.unit.sfu.egress.senders import FPS, OPUS, PACKET_S, VIDEO, Sender, encoded_audio, encoded_video, track_of

PICTURE = Picture(320, 180, 500_000, 10)
BEGAN = 1000.0


class Room:
    """A mixer, and people who send to it; time goes by in ticks of 20 ms."""

    def __init__(self) -> None:
        self.mixer = Mixer(PICTURE, BEGAN)
        self.now = BEGAN
        self.pictures: list[Seen] = []
        self.sounds: list[Heard] = []
        self.wanted: list[str] = []
        self.cameras: dict[str, tuple[Sender, int]] = {}
        self.microphones: dict[str, Sender] = {}

    def camera(self, name: str, *, source: str = "camera") -> str:
        track = track_of(VIDEO["vp8"], peer_id=name, track_id=f"{name}-{source}", source=source)  # type: ignore[arg-type]  # a parametrized literal
        self.mixer.begin(track, self.now)
        self.cameras[track.track_id] = (Sender(VIDEO["vp8"]), 0)
        return track.track_id

    def microphone(self, name: str) -> str:
        track = track_of(OPUS, peer_id=name)
        self.mixer.begin(track, self.now)
        self.microphones[track.track_id] = Sender(OPUS)
        return track.track_id

    def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds / PACKET_S)):
            self.now += PACKET_S
            for track_id, (sender, sent) in self.cameras.items():
                if self.now - BEGAN >= sent / FPS:
                    frame = encoded_video("vp8", 60)[sent % 60]
                    for packet in sender.packets(frame, self.now, self.now):
                        self.mixer.rtp(track_id, packet, self.now)
                    self.cameras[track_id] = (sender, sent + 1)
            for track_id, sender in self.microphones.items():
                frame = encoded_audio(50)[round((self.now - BEGAN) / PACKET_S) % 50]
                for packet in sender.packets(frame, self.now, self.now):
                    self.mixer.rtp(track_id, packet, self.now)
            self.tick()

    def tick(self) -> None:
        for made in self.mixer.mix(self.now):
            if isinstance(made, Seen):
                self.pictures.append(made)
            else:
                self.sounds.append(made)
        self.wanted += self.mixer.wanting(self.now)

    def luma(self, x: int, y: int, width: int, height: int) -> list[bytes]:
        """A part of the latest picture, in lines."""
        pixels = self.pictures[-1].pixels
        return [pixels[row * 320 + x : row * 320 + x + width] for row in range(y, y + height)]

    def is_moving(self, x: int, y: int, width: int, height: int) -> bool:
        before = self.luma(x, y, width, height)
        self.pass_s(0.4)
        return self.luma(x, y, width, height) != before

    def peak(self, since: int) -> int:
        """The loudest sample of the sounds from that one on."""
        return max(abs(one) for sound in self.sounds[since:] for one in array("h", sound.samples))


@pytest.fixture
def room() -> Room:
    return Room()


def test_nobody_is_a_card_and_silence(room: Room) -> None:
    room.pass_s(1)
    assert [one.at for one in room.pictures] == list(range(len(room.pictures)))
    assert len(room.pictures) in (10, 11)
    assert all(len(one.pixels) == 320 * 180 * 3 // 2 for one in room.pictures)
    assert [one.at for one in room.sounds] == [960 * number for number in range(len(room.sounds))]
    assert len(room.sounds) in (49, 50)
    assert room.peak(0) == 0
    assert len({one.pixels for one in room.pictures}) == 1
    assert max(room.pictures[-1].pixels[: 320 * 180]) > 200, EMPTY


def test_a_camera_is_seen_after_the_delay(room: Room) -> None:
    room.pass_s(0.2)
    room.camera("ann")
    room.pass_s(DELAY_S - 0.1)
    still = room.pictures[-1].pixels
    room.pass_s(0.3)
    assert room.pictures[-1].pixels != still
    assert room.is_moving(100, 40, 100, 80)
    assert room.mixer.errors == 0


def test_a_voice_is_heard_after_the_delay(room: Room) -> None:
    room.microphone("ann")
    room.pass_s(DELAY_S - 0.1)
    assert room.peak(0) == 0
    room.pass_s(0.5)
    assert room.peak(-10) > 5000


def test_people_come_and_go(room: Room) -> None:
    left, right = (0, 45, 160, 70), (160, 45, 160, 70)
    first, second = room.camera("ann"), room.camera("ben")
    room.pass_s(1.5)
    assert room.is_moving(*left)
    assert room.is_moving(*right)
    room.mixer.mute(second, True)
    room.pass_s(0.2)
    assert room.is_moving(*left)
    assert not room.is_moving(*right)
    room.mixer.end(first)
    del room.cameras[first]
    room.pass_s(0.2)
    assert not room.is_moving(0, 0, 320, 180)


def test_who_is_only_heard_has_a_card_with_the_name(room: Room) -> None:
    room.microphone("ann")
    room.pass_s(0.2)
    card = room.pictures[-1].pixels
    room.mixer.rename("user of ann", "Somebody else")
    room.pass_s(0.2)
    assert room.pictures[-1].pixels != card


def test_a_screen_comes_first_and_nine_are_enough(room: Room) -> None:
    cameras = [room.camera(f"p{number}") for number in range(9)]
    room.pass_s(0.2)
    screen = room.camera("p0", source="screen")
    room.pass_s(0.1)
    shown = [tile.track_id for tile in room.mixer._tiles or ()]
    assert shown == [screen, *cameras[:8]]


def test_key_frames_are_wanted_for_what_is_shown_until_one_comes(room: Room) -> None:
    track_id = room.camera("ann")
    sender, _ = room.cameras[track_id]
    room.cameras[track_id] = (sender, 5)  # it is in the middle of a call
    room.pass_s(0.9)
    assert room.wanted == []  # a track begins with a wish of the media process
    room.pass_s(1.0)
    assert room.wanted == [track_id]
    room.cameras[track_id] = (sender, 60)  # which is one
    room.now = BEGAN + 60 / FPS
    room.tick()
    room.pass_s(1.0)
    count = len(room.wanted)
    room.pass_s(3.0)
    assert len(room.wanted) == count
    assert room.is_moving(100, 40, 100, 80)


def test_a_mixer_that_was_held_up_goes_on_with_now(room: Room) -> None:
    room.camera("ann")
    room.microphone("ann")
    room.pass_s(1)
    sounds, pictures = len(room.sounds), len(room.pictures)
    room.now += 5
    room.tick()
    assert len(room.sounds) <= sounds + 1
    assert len(room.pictures) == pictures + 1
    assert room.pictures[-1].at == pytest.approx(60, abs=1)
    assert room.sounds[-1].at <= 6 * 48000
    assert room.mixer.dropped_frames == pytest.approx(49, abs=2)
    room.pass_s(1)
    assert room.sounds[-1].at == pytest.approx(7 * 48000, abs=2000)


def test_frames_that_are_none_are_counted(room: Room) -> None:
    track = track_of(OPUS, peer_id="ann")
    room.mixer.begin(track, room.now)
    sender = Sender(OPUS)
    nonsense = replace(encoded_audio(1)[0], payloads=(b"\xff\xff\xff\xff",))
    for packet in sender.packets(nonsense, room.now, room.now):
        room.mixer.rtp(track.track_id, packet, room.now)
    room.pass_s(0.6)  # the first frames wait for a sender report
    assert room.mixer.errors == 1
