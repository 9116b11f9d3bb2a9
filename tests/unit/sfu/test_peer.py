"""Negotiation of one connection, with Chromium's descriptions, a real router and a transport that only listens."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sfu.ortc import SdpError, read_publish_offer
from sfu.ortc.answer_size import ANSWER_CHARACTERS
from sfu.ortc.sdp import parse
from sfu.peer import PublishPeer, SubscribePeer
from sfu.router import Router
from sfu.rtp.parameters import RemoteTransport, RtpParameters, TrackInfo, TransportParameters
from sfu.transport import PacketHandler, StateHandler, TransportState

DATA = Path(__file__).parents[2] / "data" / "sdp"
NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
SCREEN = {"2": "screen-audio", "3": "screen"}


def chromium(name: str) -> str:
    return (DATA / f"chromium-{name}.sdp").read_text()


@dataclass
class ListeningTransport:
    """Takes what it is given and never connects by itself."""

    on_rtp: PacketHandler
    on_rtcp: PacketHandler
    on_state: StateHandler
    state: TransportState = "new"
    rtt_ms: float | None = None
    started: list[RemoteTransport] = field(default_factory=list)
    ice_restarts: int = 0
    rtcp: list[bytes] = field(default_factory=list)

    @property
    def parameters(self) -> TransportParameters:
        return TransportParameters(f"ufrag{self.ice_restarts}", "p" * 24, "sha-256 AB:CD", ())

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    def start(self, remote: RemoteTransport) -> None:
        self.started.append(remote)

    def restart_ice(self) -> TransportParameters:
        self.ice_restarts += 1
        return self.parameters

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        raise AssertionError("no packet was received that could be forwarded")

    def send_rtcp(self, packet: bytes) -> None:
        self.rtcp.append(packet)

    def close(self) -> None:
        self.move("closed")

    def move(self, state: TransportState) -> None:
        self.state = state
        self.on_state(state)


@dataclass
class Net:
    """A factory of such transports."""

    transports: list[ListeningTransport] = field(default_factory=list)

    def __call__(self, on_rtp: PacketHandler, on_rtcp: PacketHandler, on_state: StateHandler) -> ListeningTransport:
        self.transports.append(ListeningTransport(on_rtp, on_rtcp, on_state))
        return self.transports[-1]


@pytest.fixture
def router() -> Router:
    return Router()


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def publisher(router: Router, net: Net) -> PublishPeer:
    return PublishPeer("alice", router, net, lambda: NOON)


@pytest.fixture
def subscriber(router: Router, net: Net) -> SubscribePeer:
    return SubscribePeer("bob", router, net, lambda: NOON)


def negotiate(
    peer: PublishPeer, name: str, sources: Mapping[str, str] = SCREEN
) -> tuple[list[str], tuple[TrackInfo, ...], tuple[TrackInfo, ...]]:
    """The directions of the answer, what ended, what began."""
    answer, changes = peer.negotiate(read_publish_offer(chromium(name)), sources, 0.0)
    directions = [f"{s.mid}:{s.direction}" if s.port else f"{s.mid}:refused" for s in parse(answer).sections]
    return directions, changes.ended, changes.begun


def test_a_first_offer_begins_its_tracks(publisher: PublishPeer, router: Router, net: Net) -> None:
    directions, ended, begun = negotiate(publisher, "publish")
    assert directions == ["0:recvonly", "1:recvonly"]
    assert not ended
    assert [(t.kind, t.source, t.user_id, t.peer_id) for t in begun] == [
        ("audio", "microphone", "alice", publisher.peer_id),
        ("video", "camera", "alice", publisher.peer_id),
    ]
    assert set(router.producers) == {track.track_id for track in begun}
    assert len(net.transports[0].started) == 1


def test_tracks_keep_their_ids_while_others_come_and_go(publisher: PublishPeer, router: Router, net: Net) -> None:
    _, _, first = negotiate(publisher, "publish")
    _, ended, begun = negotiate(publisher, "publish-screen")
    assert not ended
    assert [track.source for track in begun] == ["screen-audio", "screen"]
    directions, ended, _ = negotiate(publisher, "publish-screen-paused")
    assert directions == ["0:recvonly", "1:recvonly", "2:inactive", "3:recvonly"]
    assert [track.source for track in ended] == ["screen-audio"]
    directions, ended, _ = negotiate(publisher, "publish-screen-stopped")
    assert directions == ["0:recvonly", "1:recvonly", "2:refused", "3:refused"]
    assert [track.source for track in ended] == ["screen"]
    _, _, again = negotiate(publisher, "publish-screen-again", {"4": "screen"})
    assert [track.source for track in again] == ["screen"]
    assert publisher.tracks == (*first, *again)
    assert set(router.producers) == {track.track_id for track in publisher.tracks}
    assert len(net.transports[0].started) == 1


def test_an_ice_restart_gets_new_credentials_and_keeps_the_tracks(publisher: PublishPeer, net: Net) -> None:
    negotiate(publisher, "publish-screen-again", {"4": "screen"})
    before = publisher.tracks
    answer, changes = publisher.negotiate(read_publish_offer(chromium("publish-ice-restart")), {"4": "screen"}, 1.0)
    assert "a=ice-ufrag:ufrag1" in answer
    assert (changes.ended, changes.begun) == ((), ())
    assert publisher.tracks == before
    assert len({remote.ice_ufrag for remote in net.transports[0].started}) == 2


def test_versions_of_the_answers_grow(publisher: PublishPeer) -> None:
    origins = []
    for name in ("publish", "publish-screen"):
        answer, _ = publisher.negotiate(read_publish_offer(chromium(name)), SCREEN, 0.0)
        origins.append(re.findall(r"^o=- (\d+) (\d+)", answer, re.MULTILINE)[0])
    assert origins[0][0] == origins[1][0]
    assert [version for _, version in origins] == ["1", "2"]


def test_another_source_or_stream_is_another_track(publisher: PublishPeer) -> None:
    negotiate(publisher, "publish")
    _, ended, begun = negotiate(publisher, "publish", {"1": "screen"})
    assert [track.source for track in ended] == ["camera"]
    assert [track.source for track in begun] == ["screen"]
    text = chromium("publish")
    camera = publisher.tracks[1].parameters.encodings[0].ssrc
    _, changes = publisher.negotiate(read_publish_offer(text.replace(str(camera), "77")), {"1": "screen"}, 0.0)
    assert [track.kind for track in changes.begun] == ["video"]
    assert changes.begun[0].parameters.encodings[0].ssrc == 77


def test_a_simulcast_stream_that_gets_its_ssrc_later_is_the_same(publisher: PublishPeer) -> None:
    _, _, (track,) = negotiate(publisher, "simulcast")
    named = chromium("simulcast") + "a=ssrc:5 cname:x\r\n"
    _, changes = publisher.negotiate(read_publish_offer(named), {}, 0.0)
    assert (changes.ended, changes.begun) == ((), ())
    assert publisher.tracks == (track,)


@pytest.mark.parametrize("simulcast", ["send q;~f", "send f;q", "send q", "send f"])
def test_a_track_goes_on_whichever_of_its_encodings_are_paused_or_taken_away(
    publisher: PublishPeer, simulcast: str
) -> None:
    _, _, (track,) = negotiate(publisher, "simulcast")
    offer = read_publish_offer(chromium("simulcast").replace("send q;f", simulcast))
    answer, changes = publisher.negotiate(offer, {}, 0.0)
    assert (changes.ended, changes.begun) == ((), ())
    assert publisher.tracks == (track,)
    assert f"a=simulcast:{simulcast.replace('send', 'recv').replace('~', '')}\r\n" in answer


def test_simulcast_instead_of_one_stream_is_another_track(publisher: PublishPeer) -> None:
    one = re.sub(r"a=(rid|simulcast):.*\n", "", chromium("simulcast"))
    publisher.negotiate(read_publish_offer(one), {}, 0.0)
    _, ended, begun = negotiate(publisher, "simulcast")
    assert len(ended) == len(begun) == 1


@pytest.mark.parametrize("sources", [{"0": "camera"}, {"1": "microphone"}, {"1": "telescope"}, {"1": ""}])
def test_a_source_that_does_not_fit_is_refused(
    publisher: PublishPeer, router: Router, net: Net, sources: Mapping[str, str]
) -> None:
    with pytest.raises(SdpError, match="is no source of"):
        negotiate(publisher, "publish", sources)
    assert not router.producers
    assert not net.transports[0].started


@pytest.mark.parametrize("state", ["failed", "closed"])
def test_an_ended_connection_cannot_go_on(publisher: PublishPeer, net: Net, state: TransportState) -> None:
    negotiate(publisher, "publish")
    net.transports[0].move(state)
    with pytest.raises(SdpError, match="begin a new one"):
        negotiate(publisher, "publish-ice-restart", {"4": "screen"})


def test_an_offer_with_another_certificate_is_of_another_connection(publisher: PublishPeer) -> None:
    assert publisher.continues(read_publish_offer(chromium("publish")))
    negotiate(publisher, "publish")
    assert publisher.continues(read_publish_offer(chromium("publish-ice-restart")))
    assert not publisher.continues(read_publish_offer(chromium("sendrecv-data")))


def test_closing_ends_everything(publisher: PublishPeer, router: Router, net: Net) -> None:
    negotiate(publisher, "publish")
    assert [track.kind for track in publisher.close(1.0)] == ["audio", "video"]
    assert not router.producers
    assert publisher.state == "closed"


def test_times_are_those_of_the_connection_and_of_the_last_packet(publisher: PublishPeer, net: Net) -> None:
    assert (publisher.connected_at, publisher.last_activity) == (None, None)
    net.transports[0].move("connected")
    assert publisher.connected_at == NOON
    publisher.refresh_activity()
    assert publisher.last_activity is None
    net.transports[0].on_rtcp(b"whatever came", 1.0)
    publisher.refresh_activity()
    assert publisher.last_activity == NOON


def test_a_stream_of_another_codec_is_offered_anew(publisher: PublishPeer, net: Net) -> None:
    """Chromium was to send VP8 (the first of the answer) and sends VP9, as after `setParameters`."""
    _, _, (_, video) = negotiate(publisher, "publish")
    assert publisher.follow_codecs(0.0).begun == ()
    _, vp9 = (codec for codec in video.parameters.codecs if codec.name == "vp9")  # the second profile of the two
    ssrc = video.parameters.encodings[0].ssrc
    assert ssrc
    for number in range(8):
        header = bytes([0x80, vp9.payload_type]) + number.to_bytes(2) + b"\0\0\0\1" + ssrc.to_bytes(4)
        net.transports[0].on_rtp(header + b"\x08frame", number / 10)
    changes = publisher.follow_codecs(1.0)
    assert changes.ended == (video,)
    codecs = changes.begun[0].parameters.codecs
    assert (codecs[0], set(codecs)) == (vp9, set(video.parameters.codecs))
    assert changes.begun[0].track_id != video.track_id
    assert publisher.follow_codecs(2.0).begun == ()


def test_what_is_inside_red_is_no_other_codec(publisher: PublishPeer, net: Net) -> None:
    text = chromium("publish").replace("SAVPF 111 63", "SAVPF 63 111")
    _, changes = publisher.negotiate(read_publish_offer(text), SCREEN, 0.0)
    audio = changes.begun[0]
    assert [codec.name for codec in audio.parameters.codecs] == ["red", "opus"]
    assert publisher.follow_codecs(0.0).begun == ()
    ssrc = audio.parameters.encodings[0].ssrc
    assert ssrc
    header = bytes([0x80, 63]) + b"\0\1\0\0\0\1" + ssrc.to_bytes(4)
    net.transports[0].on_rtp(header + b"\x6fopus", 0.1)
    assert publisher.follow_codecs(1.0).begun == ()


def test_another_format_of_the_same_codec_is_offered_anew(publisher: PublishPeer, net: Net) -> None:
    """A subscriber that was offered one packetization of H.264 takes no other."""
    _, _, (_, video) = negotiate(publisher, "publish")
    formats = [codec for codec in video.parameters.codecs if codec.name == "h264"]
    ssrc = video.parameters.encodings[0].ssrc
    assert ssrc
    for number, codec in enumerate(formats[:2]):
        header = bytes([0x80, codec.payload_type]) + number.to_bytes(2) + b"\0\0\0\1" + ssrc.to_bytes(4)
        net.transports[0].on_rtp(header + b"\x41frame", 0.1)
        [begun] = publisher.follow_codecs(1.0).begun
        assert begun.parameters.codecs[0] == codec


# What is received


def published(router: Router, *names: str, user_id: str = "alice") -> list[TrackInfo]:
    """Tracks that are there, each with an SSRC of its own."""
    audio, video = read_publish_offer(chromium("publish")).tracks
    tracks = []
    for name in names:
        source: RtpParameters = audio if name.startswith("a") else video
        own = replace(source, encodings=(replace(source.encodings[0], ssrc=len(router.producers) + 1),))
        label = "microphone" if source is audio else "camera"
        track = TrackInfo(name, user_id, f"peer-{user_id}-{name}", source.kind, label, own)
        router.produce(track, ListeningTransport(print, print, print), 0.0)
        tracks.append(track)
    return tracks


def answer_to(offer: str, *, refuse: frozenset[str] = frozenset(), ufrag: str = "theirs") -> str:
    """What a client says that takes everything but the sections of some mids."""
    head, *sections = re.split(r"^(?=m=)", offer, flags=re.MULTILINE)
    lines = [re.sub(r"^a=ice-lite\r\n", "", head, flags=re.MULTILINE)]
    for section in sections:
        text = re.sub(
            r"^a=(ssrc|ssrc-group|msid|candidate|end-of-candidates)\b.*\r\n", "", section, flags=re.MULTILINE
        )
        text = text.replace("a=sendonly", "a=recvonly").replace("setup:actpass", "setup:active")
        text = re.sub(r"ice-ufrag:.*\r", f"ice-ufrag:{ufrag}\r", text)
        text = re.sub(r"fingerprint:.*\r", f"fingerprint:sha-256 {':'.join(['CD'] * 32)}\r", text)
        mid = re.findall(r"a=mid:(\S+)", text)[0]
        lines.append(re.sub(r"^m=(\w+) \d+", r"m=\1 0", text) if mid in refuse else text)
    return "".join(lines)


def take(subscriber: SubscribePeer, tracks: list[TrackInfo], **choices: frozenset[str]) -> str:
    """One round of offer and answer."""
    offer = subscriber.offer(tracks)
    assert offer is not None
    subscriber.answered(answer_to(offer, **choices), 0.0)
    return offer


def mids(subscriber: SubscribePeer) -> dict[str, str]:
    return {track["track_id"]: track["mid"] for track in subscriber.tracks}


def test_everything_is_offered_and_consumed(subscriber: SubscribePeer, router: Router, net: Net) -> None:
    tracks = published(router, "audio", "video")
    take(subscriber, tracks)
    assert subscriber.tracks[1] == {
        "mid": "1",
        "track_id": "video",
        "user_id": "alice",
        "kind": "video",
        "source": "camera",
    }
    assert [len(router.consumers(track.track_id)) for track in tracks] == [1, 1]
    assert len(net.transports[0].started) == 1
    assert subscriber.offer(tracks) is None


def test_one_offer_at_a_time(subscriber: SubscribePeer, router: Router) -> None:
    first = published(router, "audio")
    offer = subscriber.offer(first)
    assert offer
    both = [*first, *published(router, "video", "video2", user_id="carol")]
    assert subscriber.offer(both) is None
    assert list(mids(subscriber)) == ["audio"]
    subscriber.answered(answer_to(offer), 0.0)
    take(subscriber, both)
    assert list(mids(subscriber)) == ["audio", "video", "video2"]


def test_a_section_is_free_one_offer_after_its_track_ended(subscriber: SubscribePeer, router: Router) -> None:
    tracks = published(router, "audio", "video")
    take(subscriber, tracks)
    router.close_producer("video", 1.0)
    later = [tracks[0], *published(router, "video2")]
    first = take(subscriber, later)
    assert mids(subscriber) == {"audio": "0", "video2": "2"}
    assert [s.direction for s in parse(first).sections] == ["sendonly", "inactive", "sendonly"]
    third = [*later, *published(router, "video3")]
    second = take(subscriber, third)
    assert mids(subscriber) == {"audio": "0", "video2": "2", "video3": "1"}
    assert [s.direction for s in parse(second).sections] == ["sendonly"] * 3


def test_sections_are_reused_by_their_kind_alone(subscriber: SubscribePeer, router: Router) -> None:
    take(subscriber, published(router, "video"))
    router.close_producer("video", 1.0)
    take(subscriber, [])
    take(subscriber, published(router, "audio"))
    assert mids(subscriber) == {"audio": "1"}


def test_streams_never_repeat(subscriber: SubscribePeer, router: Router) -> None:
    seen: list[str] = []
    for number in range(5):
        offer = take(subscriber, published(router, f"video{number}"))
        seen += re.findall(r"ssrc-group:FID (\d+) (\d+)", offer)[0]
        router.close_producer(f"video{number}", 1.0)
        take(subscriber, [])
    assert len(set(seen)) == 10
    assert len(parse(offer).sections) == 1


def test_a_refused_section_is_given_to_another_track_under_another_mid(
    subscriber: SubscribePeer, router: Router
) -> None:
    tracks = published(router, "audio", "video")
    take(subscriber, tracks, refuse=frozenset({"0"}))
    assert router.consumers("audio") == ()
    assert len(router.consumers("video")) == 1
    stopped = take(subscriber, tracks)
    assert [s.port == 0 for s in parse(stopped).sections] == [True, False]
    more = [*tracks, *published(router, "video2")]
    recycled = parse(take(subscriber, more))
    assert [(s.kind, s.mid, s.port == 0) for s in recycled.sections] == [("video", "2", False), ("video", "1", False)]
    assert recycled.bundle == ("2", "1")


def test_a_track_that_ends_before_the_answer_is_not_consumed(subscriber: SubscribePeer, router: Router) -> None:
    tracks = published(router, "audio", "video")
    offer = subscriber.offer(tracks)
    assert offer
    router.close_producer("video", 1.0)
    subscriber.answered(answer_to(offer), 1.0)
    assert [consumer.producer.track.track_id for consumer in subscriber.consumers] == ["audio"]


def test_a_wrong_answer_leaves_the_offer_open(subscriber: SubscribePeer, router: Router) -> None:
    tracks = published(router, "audio")
    with pytest.raises(SdpError, match="no offer"):
        subscriber.answered("v=0\r\n", 0.0)
    offer = subscriber.offer(tracks)
    assert offer
    with pytest.raises(SdpError, match="had 1 media sections"):
        subscriber.answered("v=0\r\n", 0.0)
    subscriber.answered(answer_to(offer), 0.0)
    assert len(subscriber.consumers) == 1


def test_an_answer_of_another_connection_is_refused(subscriber: SubscribePeer, router: Router) -> None:
    take(subscriber, published(router, "audio"))
    more = published(router, "audio2")
    offer = subscriber.offer(more)
    assert offer
    with pytest.raises(SdpError, match="another connection"):
        subscriber.answered(answer_to(offer).replace("CD:CD", "EF:EF"), 0.0)


def test_no_more_sections_than_an_answer_can_hold(subscriber: SubscribePeer, router: Router) -> None:
    """Audio comes first, and the first answer shows how many sections there is room for."""
    tracks = published(router, *(f"v{i}" for i in range(80)), *(f"audio{i}" for i in range(40)))
    take(subscriber, tracks)
    kinds = [track["kind"] for track in subscriber.tracks]
    assert kinds.count("audio") == 40
    assert kinds.count("video") == 23
    offer = subscriber.offer(tracks)
    assert offer
    assert len(subscriber.tracks) > 63
    text = answer_to(offer)
    assert len(text) + 2 * text.count("\n") < ANSWER_CHARACTERS * 1.1


def test_videos_have_their_room_however_much_audio_there_is(router: Router, net: Net) -> None:
    subscriber = SubscribePeer("bob", router, net, lambda: NOON, reserved_videos=10)
    audio = published(router, *(f"audio{i}" for i in range(99)))
    take(subscriber, audio)
    assert len(subscriber.tracks) == subscriber.audio_room or len(subscriber.tracks) == 60
    while offer := subscriber.offer(audio):
        subscriber.answered(answer_to(offer), 0.0)
    assert len(subscriber.tracks) == min(99, subscriber.audio_room)
    take(subscriber, [*audio, *published(router, *(f"v{i}" for i in range(10)))])
    assert [track["kind"] for track in subscriber.tracks].count("video") == 10


def test_what_is_not_offered_any_more_is_sent_until_the_answer(subscriber: SubscribePeer, router: Router) -> None:
    tracks = published(router, "audio", "video")
    take(subscriber, tracks)
    offer = subscriber.offer(tracks[:1])
    assert offer
    assert len(router.consumers("video")) == 1
    subscriber.answered(answer_to(offer), 1.0)
    assert router.consumers("video") == ()
    again = take(subscriber, tracks)
    assert [s.direction for s in parse(again).sections] == ["sendonly", "sendonly"]
    assert len(router.consumers("video")) == 1


def test_key_frames_are_asked_for_with_the_answer_and_again_once_packets_can_flow(
    subscriber: SubscribePeer, router: Router, net: Net
) -> None:
    upstream = ListeningTransport(print, print, print, state="connected")
    _, parameters = read_publish_offer(chromium("publish")).tracks
    track = TrackInfo("video", "alice", "peer", "video", "camera", parameters)
    router.produce(track, upstream, 0.0)
    take(subscriber, [track])
    assert len(upstream.rtcp) == 1
    router.tick(5.0)
    net.transports[0].move("connected")
    asked = len(upstream.rtcp)
    router.tick(5.5)
    assert len(upstream.rtcp) == asked + 1


def test_closing_stops_the_consumers(subscriber: SubscribePeer, router: Router) -> None:
    take(subscriber, published(router, "audio"))
    subscriber.close(1.0)
    assert router.consumers("audio") == ()
    assert subscriber.state == "closed"
