"""A room's media as signaling sees it: events and answers, with Chromium's offers and transports that only listen."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sfu.media import RoomMedia
from sfu.media_events import MediaEvent, SubscribeOffer, TrackPublished, TrackUnpublished
from sfu.ortc import SdpError
from sfu.router import Router
from sfu.rtp.parameters import RemoteTransport, TransportParameters
from sfu.transport import DataUser, PacketHandler, StateHandler, TransportState

DATA = Path(__file__).parents[2] / "data" / "sdp"
NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)


def chromium(name: str) -> str:
    return (DATA / f"chromium-{name}.sdp").read_text()


@dataclass
class ListeningTransport:
    on_rtp: PacketHandler
    on_rtcp: PacketHandler
    on_state: StateHandler
    state: TransportState = "new"
    rtt_ms: float | None = None
    sent: list[int] = field(default_factory=list)
    restarts: int = 0
    data: DataUser | None = None

    @property
    def parameters(self) -> TransportParameters:
        return TransportParameters("ufrag", "p" * 24, "sha-256 AB:CD", ())

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    def start(self, remote: RemoteTransport) -> None:
        self.move("connecting")

    def restart_ice(self) -> TransportParameters:
        self.restarts += 1
        return self.parameters

    def carry(self, data: DataUser) -> None:
        self.data = data

    def flush_data(self) -> None:
        pass

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        self.sent.append(ssrc)

    def send_rtcp(self, packet: bytes) -> None:
        pass

    def close(self) -> None:
        self.move("closed")

    def move(self, state: TransportState) -> None:
        self.state = state
        self.on_state(state)


class Call:
    """A room with its events, and clients that take every offer."""

    def __init__(self) -> None:
        self.transports: list[ListeningTransport] = []
        self.events: list[MediaEvent] = []
        self.router = Router()
        self.media = RoomMedia(self.create_transport, self.emit, router=self.router, clock=lambda: NOON)

    def emit(self, event: MediaEvent) -> None:
        self.events.append(event)

    def create_transport(
        self, on_rtp: PacketHandler, on_rtcp: PacketHandler, on_state: StateHandler
    ) -> ListeningTransport:
        self.transports.append(ListeningTransport(on_rtp, on_rtcp, on_state))
        return self.transports[-1]

    def publish(self, user_id: str, name: str = "publish", sources: dict[str, str] | None = None) -> str:
        """Every user has streams of their own, and every connection a certificate."""
        text = re.sub(r"(?<=fingerprint:sha-256 )\S\S", f"{sum(user_id.encode()) % 256:02X}", chromium(name))
        return self.media.publish(user_id, text, sources or {}, 0.0)

    def take(self, kind: type[MediaEvent]) -> list[Any]:
        """The events of a kind since the last call."""
        found = [event for event in self.events if isinstance(event, kind)]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return found

    def answer(self, offer: SubscribeOffer) -> None:
        self.media.answered(offer.user_id, answer_to(offer.sdp), 0.0)

    def settle(self) -> None:
        """Answer until nobody is offered more."""
        while offers := self.take(SubscribeOffer):
            for offer in offers:
                self.answer(offer)


def answer_to(offer: str) -> str:
    text = re.sub(r"^a=(ssrc|ssrc-group|msid|ice-lite)\b.*\r\n", "", offer, flags=re.MULTILINE)
    text = text.replace("a=sendonly", "a=recvonly").replace("setup:actpass", "setup:active")
    return text.replace("sha-256 AB:CD", "sha-256 " + ":".join(["CD"] * 32))


@pytest.fixture
def call() -> Call:
    return Call()


def users_of(offer: SubscribeOffer) -> list[str]:
    return [track["user_id"] for track in offer.tracks]


def test_what_one_publishes_the_others_are_offered(call: Call) -> None:
    call.media.subscribe("bob", 0.0)
    assert call.take(SubscribeOffer) == []
    answer = call.publish("alice")
    assert answer.startswith("v=0")
    assert [event.track.source for event in call.take(TrackPublished)] == ["microphone", "camera"]
    (offer,) = call.take(SubscribeOffer)
    assert offer.user_id == "bob"
    assert users_of(offer) == ["alice", "alice"]


def test_who_comes_later_is_offered_what_is_there(call: Call) -> None:
    call.publish("alice")
    call.media.subscribe("alice", 0.0)
    assert call.take(SubscribeOffer) == []
    call.media.subscribe("bob", 0.0)
    call.media.subscribe("bob", 0.0)
    (offer,) = call.take(SubscribeOffer)
    assert [track["source"] for track in offer.tracks] == ["microphone", "camera"]


def test_nobody_is_offered_their_own_tracks(call: Call) -> None:
    for user_id in ("alice", "bob"):
        call.media.subscribe(user_id, 0.0)
        call.publish(user_id)
    offers = {offer.user_id: users_of(offer) for offer in call.take(SubscribeOffer)}
    assert offers == {"alice": ["bob", "bob"], "bob": ["alice", "alice"]}


def test_changes_before_the_answer_make_one_more_offer(call: Call) -> None:
    call.media.subscribe("bob", 0.0)
    call.publish("alice")
    (first,) = call.take(SubscribeOffer)
    call.publish("alice", "publish-screen", {"2": "screen-audio", "3": "screen"})
    call.publish("carol")
    assert call.take(SubscribeOffer) == []
    call.answer(first)
    assert call.take(SubscribeOffer) == []  # nobody is offered something twice within a moment
    call.media.tick(1.0)
    (second,) = call.take(SubscribeOffer)
    assert sorted(track["source"] for track in second.tracks) == sorted(
        ["microphone", "camera", "screen-audio", "screen", "microphone", "camera"]
    )
    call.answer(second)
    assert call.take(SubscribeOffer) == []


def test_leaving_tells_the_others(call: Call) -> None:
    for user_id in ("alice", "bob"):
        call.media.subscribe(user_id, 0.0)
        call.publish(user_id)
    call.settle()
    call.take(TrackPublished)
    call.media.leave("alice", 1.0)
    assert [event.track.user_id for event in call.take(TrackUnpublished)] == ["alice", "alice"]
    (offer,) = call.take(SubscribeOffer)
    assert (offer.user_id, offer.tracks) == ("bob", [])
    assert [t.state for t in call.transports].count("closed") == 2
    assert call.media.connections_of("alice") == 0
    assert call.media.connections_of("bob") == 2
    call.media.leave("alice", 2.0)
    assert call.take(TrackUnpublished) == []


def test_restart_drops_both_connections_and_keeps_what_was_switched_off(call: Call) -> None:
    call.media.subscribe("bob", 0.0)
    call.publish("alice")
    call.media.subscribe("alice", 0.0)
    call.media.set_media_state("alice", audio_enabled=False)
    call.media.restart("alice", 1.0)
    assert len(call.take(TrackUnpublished)) == 2
    assert call.media.connections_of("alice") == 0
    call.publish("alice")
    muted = {p.track.source: p.muted for p in call.router.producers.values()}
    assert muted == {"microphone": True, "camera": False}


def test_a_new_connection_of_a_user_replaces_the_old_one(call: Call) -> None:
    call.publish("alice")
    call.publish("alice", "sendrecv-data")
    assert len(call.take(TrackPublished)) == 4
    assert len(call.take(TrackUnpublished)) == 2
    assert [transport.state for transport in call.transports] == ["closed", "connecting"]
    assert call.media.connections_of("alice") == 1


def test_a_user_may_send_over_several_connections(call: Call) -> None:
    call.media.subscribe("bob", 0.0)
    call.publish("alice")
    call.settle()
    call.media.publish("alice", chromium("sendrecv-data"), {}, 0.0, connection="camera-two")
    assert call.take(TrackUnpublished) == []
    call.media.tick(1.0)
    (offer,) = call.take(SubscribeOffer)
    assert users_of(offer) == ["alice"] * 4
    assert call.media.connections_of("alice") == 2
    first, second = (peer for peer in call.media.report(1.0).peers if peer["user_id"] == "alice")
    assert first["peer_id"] != second["peer_id"]
    assert [len(peer["tracks"]) for peer in (first, second)] == [2, 2]
    assert call.media.peer_of(second["peer_id"]) == "alice"
    call.answer(offer)
    call.take(TrackPublished)
    call.media.restart("alice", 1.0)  # the page is gone, the other connection is not
    assert len(call.take(TrackUnpublished)) == 2
    assert call.media.connections_of("alice") == 1
    call.media.unpublish("alice", "camera-two", 2.0)
    call.media.unpublish("alice", "camera-two", 2.0)
    assert len(call.take(TrackUnpublished)) == 2
    assert call.media.connections_of("alice") == 0


def test_leaving_ends_every_connection(call: Call) -> None:
    call.publish("alice")
    call.media.publish("alice", chromium("sendrecv-data"), {}, 0.0, connection="camera-two")
    call.media.leave("alice", 1.0)
    assert {transport.state for transport in call.transports} == {"closed"}
    assert len(call.take(TrackUnpublished)) == 4


@pytest.mark.parametrize("text", ["", "v=0\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"])
def test_a_bad_offer_changes_nothing(call: Call, text: str) -> None:
    with pytest.raises(SdpError):
        call.media.publish("alice", text, {}, 0.0)
    assert call.transports == []
    assert call.media.connections_of("alice") == 0
    call.publish("alice")
    with pytest.raises(SdpError):
        call.media.publish("alice", text, {}, 0.0)
    assert len(call.take(TrackPublished)) == 2
    assert call.take(TrackUnpublished) == []


def test_a_bad_source_leaves_no_connection_behind(call: Call) -> None:
    with pytest.raises(SdpError, match="is no source of"):
        call.publish("alice", sources={"0": "camera"})
    assert [transport.state for transport in call.transports] == ["closed"]
    assert call.media.connections_of("alice") == 0


@pytest.mark.parametrize("user_id", ["nobody", "alice"])
def test_an_answer_to_nothing_is_refused(call: Call, user_id: str) -> None:
    call.media.subscribe("alice", 0.0)
    with pytest.raises(SdpError, match="no offer"):
        call.media.answered(user_id, "v=0\r\n", 0.0)


@pytest.mark.parametrize("state", ["failed", "closed"])
def test_a_lost_connection_unpublishes_its_tracks(call: Call, state: TransportState) -> None:
    call.media.subscribe("bob", 0.0)
    call.publish("alice")
    call.settle()
    call.take(TrackPublished)
    call.transports[1].move("disconnected")
    call.media.tick(1.0)
    assert call.take(TrackUnpublished) == []
    call.transports[1].move(state)
    call.media.tick(1.5)
    assert call.take(TrackUnpublished) == []
    call.media.tick(2.0)
    assert len(call.take(TrackUnpublished)) == 2
    assert [offer.tracks for offer in call.take(SubscribeOffer)] == [[]]
    call.media.tick(3.0)
    assert call.take(TrackUnpublished) == []


def test_a_receiver_that_hung_up_may_come_again(call: Call) -> None:
    call.publish("alice")
    call.media.subscribe("bob", 0.0)
    call.settle()
    call.transports[1].move("closed")
    call.media.tick(1.0)
    assert call.media.connections_of("bob") == 0
    call.media.subscribe("bob", 2.0)
    (offer,) = call.take(SubscribeOffer)
    assert len(offer.tracks) == 2


STATES: list[tuple[str, set[str]]] = [
    ("audio_enabled", {"microphone"}),
    ("video_enabled", {"camera"}),
    ("screen_sharing", {"screen", "screen-audio"}),
]


@pytest.mark.parametrize(("name", "sources"), STATES)
def test_a_switched_off_kind_is_not_forwarded(call: Call, name: str, sources: set[str]) -> None:
    screen = {"2": "screen-audio", "3": "screen"}

    def muted() -> set[str]:
        return {p.track.source for p in call.router.producers.values() if p.muted}

    call.publish("alice")
    call.media.set_media_state("alice", **{name: False})
    call.publish("alice", "publish-screen", screen)
    assert muted() == sources
    call.media.set_media_state("alice", **{name: None})
    assert muted() == sources
    call.media.set_media_state("alice", **{name: True})
    assert muted() == set()


def test_packets_reach_the_subscribers_and_nobody_else(call: Call) -> None:
    call.publish("alice")
    call.media.subscribe("bob", 0.0)
    call.settle()
    upstream, downstream = call.transports
    downstream.move("connected")
    ssrc = next(iter(call.router.producers.values())).ssrcs[0]
    header = bytes([0x80, 111, 0, 1]) + b"\0\0\0\1" + ssrc.to_bytes(4)
    upstream.on_rtp(header + b"opus", 0.1)
    assert len(downstream.sent) == 1
    assert downstream.sent != [ssrc]
    call.media.set_media_state("alice", audio_enabled=False)
    upstream.on_rtp(header[:3] + b"\2" + header[4:] + b"opus", 0.2)
    assert len(downstream.sent) == 1
    assert upstream.sent == []


def test_peers_are_told_in_the_documents_shape(call: Call) -> None:
    call.publish("alice")
    call.media.subscribe("bob", 0.0)
    call.transports[0].move("connected")
    call.media.tick(0.0)
    alice, bob = call.media.report(1.0).peers
    assert alice["user_id"] == "alice"
    assert alice["media_type"] == "video"
    assert alice["status"] == "connected"
    assert [track["codec"] for track in alice["tracks"]] == ["opus", "vp8"]
    assert alice["connected_at"] == "2025-10-05T12:00:00Z"
    assert alice["last_activity"] == "2025-10-05T12:00:00Z"
    assert (bob["status"], bob["tracks"]) == ("connecting", [])
    assert call.media.peer_of(alice["peer_id"]) == "alice"
    assert call.media.peer_of(bob["peer_id"]) == "bob"
    assert call.media.peer_of("unknown") is None


def test_statistics_and_quality_count_what_is_there(call: Call) -> None:
    call.publish("alice")
    call.transports[0].move("connected")
    statistics = call.media.report(1.0).statistics
    assert (statistics["total_peers"], statistics["active_peers"], statistics["total_tracks"]) == (1, 1, 2)
    assert call.media.report(1.0).quality_metrics["excellent"] == 1


Ending = Callable[[RoomMedia], None]


@pytest.mark.parametrize("end", [lambda media: media.close(1.0), lambda media: media.leave("alice", 1.0)])
def test_nothing_is_left_after_the_end(call: Call, end: Ending) -> None:
    call.publish("alice")
    call.media.subscribe("alice", 0.0)
    end(call.media)
    assert {transport.state for transport in call.transports} == {"closed"}
    assert call.router.producers == {}
    assert call.media.report(2.0).peers == []


def test_a_page_that_restarts_ice_is_offered_a_restart_of_what_it_receives(call: Call) -> None:
    call.media.subscribe("alice", 0.0)
    call.publish("alice")
    call.publish("bob")
    call.settle()
    receiving, sending, _ = call.transports
    call.publish("alice", "publish-screen", {"2": "screen-audio", "3": "screen"})  # more, in the same session
    call.media.tick(10.0)
    assert (sending.restarts, receiving.restarts, call.take(SubscribeOffer)) == (0, 0, [])
    for now in (20.0, 30.0):  # the same offer again restarts nothing again
        call.publish("alice", "publish-ice-restart", {"2": "screen-audio", "3": "screen"})
        call.media.tick(now)
        call.settle()
        assert (sending.restarts, receiving.restarts) == (1, 1)


def test_data_channels_are_carried_by_the_connection_that_sends(call: Call) -> None:
    call.publish("alice")
    call.publish("bob", "sendrecv-data")
    assert [transport.data is not None for transport in call.transports] == [False, True]
