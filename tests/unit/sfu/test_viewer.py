"""A room's media for those who only watch: real negotiation and routing, transports that keep what they are sent."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sfu.media import RoomMedia
from sfu.media_events import ConnectionEnded, MediaEvent
from sfu.ortc import SdpError
from sfu.ortc.sdp import parse as parse_sdp
from sfu.router import Router
from sfu.rtp.packet import header, parse
from sfu.rtp.parameters import RemoteTransport, TransportParameters
from sfu.transport import PacketHandler, StateHandler, TransportState

DATA = Path(__file__).parents[2] / "data" / "sdp"
NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
KEY = bytes.fromhex("10 100200 9d012a 8002 6801") + bytes(50)
WATCH = (DATA / "chromium-watch.sdp").read_text()
PUBLISH = (DATA / "chromium-publish.sdp").read_text()
VP8, OPUS = 96, 111


@dataclass
class Transport:
    on_rtp: PacketHandler
    on_rtcp: PacketHandler
    on_state: StateHandler
    state: TransportState = "new"
    rtt_ms: float | None = None
    sent: list[tuple[int, int]] = field(default_factory=list)
    """SSRC and sequence number."""
    restarts: int = 0

    @property
    def parameters(self) -> TransportParameters:
        return TransportParameters(f"ufrag{self.restarts}", "p" * 24, "sha-256 AB:CD", ())

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    def start(self, remote: RemoteTransport) -> None:
        self.move("connecting")

    def restart_ice(self) -> TransportParameters:
        self.restarts += 1
        return self.parameters

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        assert parse(header + payload).ssrc == ssrc
        self.sent.append((ssrc, index & 0xFFFF))

    def send_rtcp(self, packet: bytes) -> None:
        pass

    def carry(self, data: object) -> None:
        pass

    def flush_data(self) -> None:
        pass

    def close(self) -> None:
        self.move("closed")

    def move(self, state: TransportState) -> None:
        self.state = state
        self.on_state(state)


class Stage:
    """A room in which users publish and others watch; each connection is a transport by its name."""

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.router = Router()
        self.media = RoomMedia(self.create, self.events.append, router=self.router, clock=lambda: NOON)
        self.transports: dict[str, Transport] = {}
        self._newest: Transport | None = None
        self._ssrcs: dict[str, dict[str, int]] = {}
        self._number = 0
        self.now = 0.0

    def create(self, on_rtp: PacketHandler, on_rtcp: PacketHandler, on_state: StateHandler) -> Transport:
        self._newest = Transport(on_rtp, on_rtcp, on_state)
        return self._newest

    def publish(self, user_id: str, *, kinds: str = "audio video") -> None:
        """One camera and one microphone, by Chromium, with streams of their own."""
        number = 1000 * (len(self.transports) + 1)
        text = PUBLISH if "audio" in kinds else only(PUBLISH, "video")
        audio, video, repair = number, number + 1, number + 2
        text = text.replace("252194596", str(audio))
        [pair] = re.findall(r"ssrc-group:FID (\d+) (\d+)", text)
        text = text.replace(pair[0], str(video)).replace(pair[1], str(repair))
        self.media.publish(user_id, text, {}, self.now, connection=f"{user_id}-whip")
        self._ssrcs[user_id] = {"audio": audio, "video": video}
        assert self._newest
        self.transports[user_id] = self._newest
        self._newest.move("connected")

    def send(self, user_id: str, kind: str = "video", payload: bytes = KEY) -> None:
        self._number += 1
        self.now += 0.05
        payload_type = VP8 if kind == "video" else OPUS
        data = header(payload_type, self._number, 3000 * self._number, self._ssrcs[user_id][kind]) + payload
        self.transports[user_id].on_rtp(data, self.now)

    def watch(self, name: str, offer: str = WATCH) -> dict[str, int]:
        """The SSRC by mid of what is to be seen."""
        answer = parse_sdp(self.media.view(name, offer, self.now, connection=f"{name}-whep"))
        assert self._newest
        self.transports[name] = self._newest
        self._newest.move("connected")
        return {section.mid: int(section.values("ssrc")[0].split()[0]) for section in answer.sections}

    def tick(self, seconds: float = 0.02) -> None:
        self.now += seconds
        self.media.tick(self.now)

    def got(self, name: str) -> list[int]:
        """The SSRCs of what somebody was sent since the last look."""
        taken = [ssrc for ssrc, _ in self.transports[name].sent]
        self.transports[name].sent.clear()
        return taken

    def speaks(self, user_id: str | None) -> None:
        self.media._speaker = user_id
        self.media._stage_moved = True
        self.tick()


def only(text: str, kind: str) -> str:
    """An offer without its sections of another kind."""
    head, *sections = re.split(r"(?=^m=)", text, flags=re.MULTILINE)
    kept = [section for section in sections if section.startswith(f"m={kind}")]
    mids = " ".join(re.findall(r"^a=mid:(\S+)", "".join(kept), re.MULTILINE))
    return re.sub(r"BUNDLE .*", f"BUNDLE {mids}", head) + "".join(kept)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_an_empty_stage_is_filled_when_somebody_publishes(stage: Stage) -> None:
    seen = stage.watch("eve")
    stage.tick()
    stage.publish("ann")
    stage.tick()
    stage.send("ann")
    stage.send("ann", "audio", b"sound")
    assert stage.got("eve") == [seen["0"], seen["1"]]


def test_the_picture_follows_who_speaks_in_one_unbroken_stream(stage: Stage) -> None:
    stage.publish("ann")
    stage.publish("bob")
    seen = stage.watch("eve")
    for user_id in ("ann", "bob"):
        stage.send(user_id)
        stage.send(user_id, "audio", b"sound")
    stage.tick(1.0)
    stage.got("eve")
    stage.speaks("bob")
    stage.send("ann", payload=KEY)
    stage.send("bob", payload=KEY)
    stage.send("ann", payload=KEY)
    stage.send("bob", "audio", b"sound")
    stage.send("ann", "audio", b"sound")
    sent = stage.transports["eve"].sent
    video = [number for ssrc, number in sent if ssrc == seen["0"]]
    assert video == list(range(video[0], video[0] + 2))  # Ann's until Bob's key frame, and no number between
    assert [ssrc for ssrc, _ in sent if ssrc == seen["1"]] == [seen["1"]]


def test_who_leaves_makes_room_for_the_next(stage: Stage) -> None:
    stage.publish("ann")
    stage.publish("bob")
    seen = stage.watch("eve")
    stage.send("ann")
    assert stage.got("eve") == [seen["0"]]
    stage.media.end("ann", "ann-whip", stage.now)
    stage.tick()
    stage.send("bob")
    assert stage.got("eve") == [seen["0"]]
    stage.media.end("bob", "bob-whip", stage.now)
    stage.tick(1.1)
    stage.publish("carl")
    stage.tick()
    stage.send("carl")
    assert stage.got("eve") == [seen["0"]]


def test_what_is_muted_is_not_shown(stage: Stage) -> None:
    stage.publish("ann")
    stage.publish("bob")
    seen = stage.watch("eve")
    stage.media.set_media_state("ann", video_enabled=False)
    stage.tick()
    stage.send("ann")
    stage.send("bob")
    assert stage.got("eve") == [seen["0"]]


def test_a_viewer_sees_what_the_same_user_sends(stage: Stage) -> None:
    stage.publish("ann")
    transport = stage.transports["ann"]
    seen = stage.watch("ann")
    viewing, stage.transports["ann"] = stage.transports["ann"], transport
    stage.send("ann")
    assert [ssrc for ssrc, _ in viewing.sent] == [seen["0"]]
    assert stage.media.connections_of("ann") == 2
    assert [len(peer["tracks"]) for peer in stage.media.report(stage.now).peers] == [2, 0]


def test_several_sections_show_several_people(stage: Stage) -> None:
    wall = only(WATCH, "video")
    wall = wall.replace("BUNDLE 0", "BUNDLE 0 7") + wall[wall.index("m=video") :].replace("a=mid:0", "a=mid:7")
    for user_id in ("ann", "bob", "carl"):
        stage.publish(user_id)
    seen = stage.watch("eve", wall)
    for user_id in ("ann", "bob", "carl"):
        stage.send(user_id)
    assert stage.got("eve") == [seen["0"], seen["7"]]


@pytest.mark.parametrize("state", ["disconnected", "failed", "closed"])
def test_a_viewer_that_is_lost_is_forgotten(stage: Stage, state: TransportState) -> None:
    stage.publish("ann")
    stage.watch("eve")
    stage.transports["eve"].move(state)
    stage.tick(1.1)
    assert [event for event in stage.events if isinstance(event, ConnectionEnded)] == [ConnectionEnded("eve-whep")]
    assert stage.media.connections_of("eve") == 0
    assert stage.transports["eve"].state == "closed"
    assert all(stage.router.consumers(track_id) == () for track_id in stage.router.producers)


@pytest.mark.parametrize("state", ["disconnected", "failed", "closed"])
def test_a_publisher_of_a_name_that_is_lost_is_forgotten(stage: Stage, state: TransportState) -> None:
    stage.publish("ann")
    stage.transports["ann"].move(state)
    stage.tick(1.1)
    assert ConnectionEnded("ann-whip") in stage.events
    assert stage.media.connections_of("ann") == 0
    assert dict(stage.router.producers) == {}


def test_leaving_and_closing_end_it(stage: Stage) -> None:
    for name in ("eve", "dan"):
        stage.watch(name)
    stage.media.leave("eve", 0.0)
    stage.media.close(0.0)
    assert {transport.state for transport in stage.transports.values()} == {"closed"}


def test_an_offer_that_can_not_be_filled_changes_nothing(stage: Stage) -> None:
    with pytest.raises(SdpError):
        stage.media.view("eve", PUBLISH, 0.0, connection="eve-whep")
    assert stage.media.connections_of("eve") == 0
    assert stage.media.connection("eve", "eve-whep") is None


def test_its_ice_may_begin_anew(stage: Stage) -> None:
    stage.watch("eve")
    peer: Any = stage.media.connection("eve", "eve-whep")
    before = peer.ice
    assert peer.remote_ice == ("VPor", "O1bhsgUq5sDanb381iOmOJhz")
    assert peer.restart_ice("new", "n" * 24) != before
    assert peer.remote_ice == ("new", "n" * 24)
    assert stage.transports["eve"].restarts == 1


def test_whether_a_section_can_show_a_track_is_found_out_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("sfu.viewer.viewer_parameters", lambda section, track: asked.append(track))
    stage.publish("ann")
    stage.publish("bob")
    stage.watch("eve")  # a wall of sections that fit nothing would else look at all tracks, every second
    once = len(asked)
    assert once == 4
    stage.tick(1.0)
    stage.tick(1.0)
    assert len(asked) == once
    stage.media.end("bob", "bob-whip", stage.now)
    stage.tick(1.0)
    [viewer] = stage.media._users["eve"].viewers.values()
    assert len(viewer._fitting) == 2
