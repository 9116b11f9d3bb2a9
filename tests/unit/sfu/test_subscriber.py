"""What each one in a room is offered and sent: last N, wishes, who speaks, views and layers, through `RoomMedia`."""

import pytest

from sfu.media import RoomMedia
from sfu.media_events import LayersChanged, SpeakerChanged, SubscribeOffer, TrackPublished
from sfu.rtp.layers import HIGHEST, LayerId, View
from sfu.rtp.packet import header, write_elements
from sfu.subscriber import OFFER_PAUSE_PER_SECTION_S, OFFER_PAUSE_S
from tests.unit.sfu.test_media import NOON, Call, ListeningTransport, answer_to

KEY = bytes.fromhex("10 100200 9d012a 8002 6801") + bytes(50)
"""A key frame of VP8, 640x360."""


class Gathering(Call):
    """A room with few videos for each; time goes by itself."""

    def __init__(self, last_n: int = 1) -> None:
        super().__init__()
        self.media = RoomMedia(
            self.create_transport, self.emit, router=self.router, last_n=last_n, clock=lambda: NOON
        )
        self.now = 0.0
        self.offers: dict[str, SubscribeOffer] = {}
        self.made = 0
        self._numbers: dict[tuple[str, str], int] = {}

    def come(self, *users: str) -> None:
        for user_id in users:
            self.media.subscribe(user_id, self.now)
            self.publish(user_id)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            self.media.tick(self.now)

    def settle(self) -> None:
        """Answer, and let the time go by that lies between offers, until nobody is offered more."""
        pause = OFFER_PAUSE_S + OFFER_PAUSE_PER_SECTION_S * 120
        self.pass_time(0.02)
        while offers := self.take(SubscribeOffer):
            for offer in offers:
                self.made += 1
                self.offers[offer.user_id] = offer
                self.media.answered(offer.user_id, answer_to(offer.sdp), self.now)
            self.pass_time(pause)

    def sees(self, user_id: str) -> list[str]:
        """Whose cameras the last offer to a user has."""
        return sorted(t["user_id"] for t in self.offers[user_id].tracks if t["kind"] == "video")

    def hears(self, user_id: str) -> list[str]:
        return sorted(t["user_id"] for t in self.offers[user_id].tracks if t["kind"] == "audio")

    def track(self, user_id: str, kind: str = "video") -> str:
        found = (p.track for p in self.router.producers.values() if p.track.user_id == user_id)
        return next(track.track_id for track in found if track.kind == kind)

    def connect(self) -> None:
        for transport in self.transports:
            if transport.state == "connecting":
                transport.move("connected")

    def want(self, user_id: str, track_id: str, *, visible: bool = True, width: int | None = None) -> None:
        self.media.want(user_id, track_id, self.now, visible=visible, width=width, height=None)

    def send(self, user_id: str, kind: str, payload: bytes, *, level: int | None = None) -> None:
        """A packet of somebody's microphone or camera."""
        producer = self.router.producers[self.track(user_id, kind)]
        number = self._numbers[user_id, kind] = self._numbers.get((user_id, kind), 0) + 1
        payload_type = 0x80 | producer.track.parameters.codecs[0].payload_type
        extension = write_elements([] if level is None else [(1, bytes((level,)))])
        data = header(payload_type, number, number * 960, producer.ssrcs[0], *extension) + payload
        self.router.receive_rtp(producer.track.peer_id, data, self.now)

    def speak(self, user_id: str, seconds: float = 3.0) -> None:
        for unit in range(round(seconds / 0.02)):
            self.pass_time(0.02)
            self.send(user_id, "audio", b"opus", level=25 if unit % 10 else 80)


@pytest.fixture
def room() -> Gathering:
    return Gathering()


def test_everybody_is_heard_and_the_last_n_are_seen(room: Gathering) -> None:
    room.come("alice", "bob", "carol")
    assert room.hears("carol") == ["alice", "bob"]
    assert (room.sees("carol"), room.sees("alice")) == (["alice"], ["bob"])


def test_who_speaks_comes_into_view_and_everybody_is_told(room: Gathering) -> None:
    room.come("alice", "bob", "carol")
    room.speak("carol")
    room.settle()
    assert room.sees("bob") == ["carol"]
    assert room.sees("carol") == ["alice"]
    assert room.take(SpeakerChanged) == [SpeakerChanged("carol", room.track("carol", "audio"))]
    room.media.set_media_state("carol", audio_enabled=False)
    room.settle()
    assert room.take(SpeakerChanged) == [SpeakerChanged(None, None)]
    assert room.sees("bob") == ["carol"]  # who spoke last stays


def test_what_is_wanted_comes_beside_and_what_is_refused_goes(room: Gathering) -> None:
    room.come("alice", "bob", "carol")
    room.want("carol", room.track("bob"))
    room.settle()
    assert room.sees("carol") == ["bob"]
    room.want("carol", room.track("alice"))
    room.settle()
    assert room.sees("carol") == ["alice", "bob"]
    room.media.refuse("carol", room.track("alice"), room.now)
    room.media.refuse("carol", room.track("alice", "audio"), room.now)
    room.settle()
    assert room.sees("carol") == ["bob"]
    assert room.hears("carol") == ["bob"]
    assert room.router.consumers(room.track("alice", "audio"))[0].peer_id != room.offers["carol"].user_id
    room.want("carol", room.track("alice", "audio"))
    room.settle()
    assert room.hears("carol") == ["alice", "bob"]


def test_what_is_refused_and_wanted_again_at_once_is_sent(room: Gathering) -> None:
    room.come("alice", "bob")
    camera = room.track("alice")
    room.media.refuse("bob", camera, room.now)
    (offer,) = room.take(SubscribeOffer)
    room.want("bob", camera)
    room.media.answered("bob", answer_to(offer.sdp), room.now)
    room.pass_time(0.5)
    room.settle()
    assert room.sees("bob") == ["alice"]
    assert len(room.router.consumers(camera)) == 1
    room.pass_time(1.0)
    # and where the other wish comes before anything was offered, nothing is
    room.take(SubscribeOffer)
    room.come("carol")
    room.media.refuse("bob", camera, room.now)
    room.want("bob", camera)
    room.settle()
    assert len([c for c in room.router.consumers(camera) if not c.closed]) == 2


def test_many_changes_in_a_moment_make_few_offers() -> None:
    room = Gathering(last_n=40)
    room.come("bob")
    room.made = 0
    for number in range(10):
        room.publish(f"p{number}")
        room.pass_time(0.04)
    room.settle()
    assert len(room.sees("bob")) == 10
    assert room.made <= 4


def test_a_client_that_does_not_answer_is_offered_nothing_more(room: Gathering) -> None:
    room.media.subscribe("bob", 0.0)
    room.publish("alice")
    assert len(room.take(SubscribeOffer)) == 1
    room.publish("carol")
    room.pass_time(5.0)
    assert room.take(SubscribeOffer) == []


def test_what_ended_or_is_unknown_changes_nothing(room: Gathering) -> None:
    room.come("alice", "bob")
    room.want("bob", "unknown")
    room.media.refuse("nobody", room.track("alice"), room.now)
    room.media.cap("bob", "unknown", room.now, spatial=1, temporal=None)
    room.media.tell_layers("nobody")
    camera = room.track("alice")
    room.want("bob", camera)
    room.media.leave("alice", room.now)
    room.settle()
    room.want("bob", camera)
    assert room.sees("bob") == []


def test_joining_anew_forgets_what_was_wanted(room: Gathering) -> None:
    room.come("alice", "bob", "carol")
    room.media.refuse("carol", room.track("alice"), room.now)
    room.settle()
    assert room.sees("carol") == ["bob"]
    room.media.restart("carol", room.now)
    room.media.subscribe("carol", room.now)
    room.settle()
    assert room.sees("carol") == ["alice"]


def view_of(room: Gathering, user_id: str, of: str) -> View:
    receiver = room.media._users[user_id].subscriber
    assert receiver
    return next(c.view for c in receiver.peer.consumers if c.producer.track.track_id == room.track(of))


def test_views_and_caps_reach_the_stream_that_is_sent(room: Gathering) -> None:
    room.come("alice", "bob")
    camera = room.track("alice")
    room.want("bob", camera, width=320)
    assert view_of(room, "bob", "alice") == View(True, 320, None)
    room.media.cap("bob", camera, room.now, spatial=1, temporal=0)
    assert view_of(room, "bob", "alice") == View(True, 320, None, LayerId(1, 0))
    room.media.cap("bob", camera, room.now, spatial=None, temporal=None)
    room.want("bob", camera, visible=False)
    assert view_of(room, "bob", "alice") == View(visible=False)


def test_a_bound_quality_holds_for_all_now_and_later_and_over_joining_anew(room: Gathering) -> None:
    room.come("alice", "bob")
    room.media.set_video_quality("alice", "low", room.now)
    assert view_of(room, "bob", "alice").cap == LayerId(0, HIGHEST)
    room.come("carol")
    assert view_of(room, "carol", "alice").cap == LayerId(0, HIGHEST)
    room.media.restart("alice", room.now)
    room.publish("alice")
    room.settle()
    room.want("bob", room.track("alice"))
    room.settle()
    assert view_of(room, "bob", "alice").cap == LayerId(0, HIGHEST)
    room.media.set_video_quality("alice", "high", room.now)
    assert view_of(room, "bob", "alice").cap == LayerId(HIGHEST, HIGHEST)


def test_layers_are_told_when_they_change_and_again_to_who_resumes(room: Gathering) -> None:
    room.come("alice", "bob")
    room.connect()
    camera = room.track("alice")
    room.pass_time(1.0)
    room.take(LayersChanged)
    for _ in range(10):
        room.send("alice", "video", KEY)
        room.pass_time(0.04)
    changes = room.take(LayersChanged)
    assert changes[-1] == LayersChanged("bob", camera, LayerId(0, 0), LayerId(0, 0))
    assert {change.user_id for change in changes} == {"bob"}
    room.pass_time(1.0)
    room.media.tell_layers("bob")
    room.pass_time(0.4)
    assert room.take(LayersChanged) == changes[-1:]
    room.want("bob", camera, visible=False)
    room.pass_time(0.4)
    assert room.take(LayersChanged) == [LayersChanged("bob", camera, None, None)]


def test_who_speaks_is_marked_for_the_sharing_of_a_link(room: Gathering) -> None:
    room.come("alice", "bob", "carol")
    room.speak("alice")
    room.settle()
    marked = {
        producer.track.user_id
        for producer in room.router.producers.values()
        for consumer in room.router.consumers(producer.track.track_id)
        if consumer.speaking
    }
    assert marked == {"alice"}


def test_a_room_of_a_hundred_fits_into_an_answer() -> None:
    room = Gathering(last_n=16)
    for number in range(99):
        room.publish(f"p{number}")
    assert len(room.take(TrackPublished)) == 198
    room.media.subscribe("bob", room.now)
    room.settle()
    assert len(room.sees("bob")) == 16
    assert len(room.hears("bob")) > 60
    assert len(answer_to(room.offers["bob"].sdp).encode()) < 64 * 1024
    assert room.made <= 3
    silent = next(f"p{n}" for n in range(99) if f"p{n}" not in room.hears("bob"))
    room.made = 0
    room.speak(silent, 1.0)
    room.settle()
    assert silent in room.hears("bob")
    assert room.made <= 3


def test_the_transport_of_a_listener_gets_only_the_loudest_of_many() -> None:
    room = Gathering(last_n=0)
    room.come(*(f"p{number}" for number in range(12)))
    room.connect()
    for _ in range(50):
        room.pass_time(0.02)
        for number in range(12):
            room.send(f"p{number}", "audio", b"opus", level=60)
    listener: ListeningTransport = room.media._users["p0"].subscriber.peer._transport
    before = len(listener.sent)
    for _ in range(50):
        room.pass_time(0.02)
        for number in range(12):
            room.send(f"p{number}", "audio", b"opus", level=60)
    assert 7 * 50 <= len(listener.sent) - before <= 8 * 50
