"""One stream of a subscriber that shows one track after the other."""

from dataclasses import replace
from random import Random

import pytest

from sfu.consumer import Consumer
from sfu.router import Router
from sfu.rtp import rtcp
from sfu.rtp.matching import IncompatibleCodecs
from sfu.rtp.packet import header, parse
from sfu.rtp.parameters import Encoding, RtpCodec, RtpParameters, TrackInfo

SSRC = 7_000
VP8 = RtpCodec("video/VP8", 96, 90000, feedback=("nack", "nack pli"))
VP9 = RtpCodec("video/VP9", 98, 90000)
KEY = bytes.fromhex("10 100200 9d012a 8002 6801") + bytes(50)
DELTA = bytes.fromhex("10 010200") + bytes(50)


class Transport:
    def __init__(self, *, connected: bool = True) -> None:
        self.connected = connected
        self.sent: list[tuple[int, bytes, bytes]] = []
        self.rtcp: list[rtcp.RtcpPacket] = []

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        assert ssrc == SSRC
        self.sent.append((index, header, payload))

    def send_rtcp(self, packet: bytes) -> None:
        self.rtcp += rtcp.parse(packet)

    def asked(self) -> int:
        """How many key frames were asked for since the last look."""
        asked = sum(isinstance(packet, rtcp.PictureLoss) for packet in self.rtcp)
        self.rtcp.clear()
        return asked


class Show:
    """Publishers by name, each with one video track of the same name, and one viewer."""

    def __init__(self, *, connected: bool = True) -> None:
        self.router = Router(rng=Random(5))
        self.publishers: dict[str, Transport] = {}
        self.viewer = Transport(connected=connected)
        self._numbers: dict[str, int] = {}

    def publish(self, name: str, payload_type: int = 96) -> None:
        codec = RtpCodec("video/VP8", payload_type, 90000, feedback=("nack", "nack pli"))
        parameters = RtpParameters("0", "video", (codec,), (), (Encoding(len(self.publishers) + 1),))
        self.publishers[name] = Transport()
        track = TrackInfo(name, f"user {name}", f"peer {name}", "video", "camera", parameters)
        self.router.produce(track, self.publishers[name], 0.0)

    def watch(self, name: str) -> Consumer:
        consumer = self.router.consume(name, wanted(), self.viewer, 0.0, peer_id="viewer")
        consumer.outlives_track = True
        return consumer

    def send(self, name: str, payload: bytes, at: float, *, payload_type: int = 96) -> None:
        ssrc = list(self.publishers).index(name) + 1
        number = self._numbers[name] = self._numbers.get(name, 1000 * ssrc) + 1
        data = header(payload_type, number, number * 3000, ssrc) + payload
        self.router.receive_rtp(f"peer {name}", data, at)

    def seen(self) -> list[tuple[int, int, bool]]:
        """Sequence number relative to the first, timestamp, and whether a key frame came, of what was sent so far."""
        first = self.viewer.sent[0][0]
        return [
            (index - first, parse(header + payload).timestamp, payload == KEY)
            for index, header, payload in self.viewer.sent
        ]


def wanted(codec: RtpCodec = VP8) -> RtpParameters:
    return RtpParameters("1", "video", (codec,), (), (Encoding(SSRC),))


@pytest.fixture
def show() -> Show:
    made = Show()
    made.publish("a")
    made.publish("b")
    return made


def test_the_old_picture_goes_on_until_the_new_one_has_a_key_frame(show: Show) -> None:
    consumer = show.watch("a")
    show.send("a", KEY, 1.0)
    show.publishers["b"].asked()
    show.router.follow(consumer, "b", wanted(), 1.5)
    assert show.publishers["b"].asked() == 1
    show.send("b", DELTA, 2.0)
    show.send("a", DELTA, 2.0)
    show.send("b", KEY, 2.5)
    show.send("a", DELTA, 2.6)
    show.send("b", DELTA, 2.6)
    numbers, timestamps, keys = zip(*show.seen(), strict=True)
    assert numbers == (0, 1, 2, 3)
    assert keys == (True, False, True, False)
    assert timestamps[2] - timestamps[1] == 45_000  # half a second of arrival, on a clock of 90 kHz
    assert show.router.consumers("a") == ()
    assert show.router.consumers("b") == (consumer,)


def test_a_change_may_be_called_off(show: Show) -> None:
    consumer = show.watch("a")
    show.send("a", KEY, 1.0)
    show.router.follow(consumer, "b", wanted(), 1.0)
    show.router.follow(consumer, "a", wanted(), 1.0)
    show.send("b", KEY, 1.1)
    show.send("a", DELTA, 1.2)
    assert [number for number, _, _ in show.seen()] == [0, 1]
    assert show.router.consumers("a") == (consumer,)


def test_a_stream_outlives_its_track(show: Show) -> None:
    consumer = show.watch("a")
    show.send("a", KEY, 1.0)
    assert show.router.close_producer("a", 2.0) == ()
    assert not consumer.closed
    consumer.request_key_frame(2.0)
    show.router.connected("viewer", False)
    show.router.connected("viewer", True)
    show.router.tick(4.0)
    show.router.follow(consumer, "b", wanted(), 5.0)
    show.send("b", KEY, 5.0)
    assert [(number, key) for number, _, key in show.seen()] == [(0, True), (1, True)]
    assert not any(isinstance(packet, rtcp.Goodbye) for packet in show.viewer.rtcp)


def test_a_track_that_is_waited_for_may_end(show: Show) -> None:
    consumer = show.watch("a")
    show.send("a", KEY, 1.0)
    show.router.follow(consumer, "b", wanted(), 1.0)
    show.router.close_producer("b", 1.1)
    show.send("a", DELTA, 1.2)
    assert len(show.seen()) == 2


def test_closing_ends_the_waiting_too(show: Show) -> None:
    consumer = show.watch("a")
    show.router.follow(consumer, "b", wanted(), 1.0)
    show.router.close_consumer(consumer, 1.0)
    show.router.close_consumer(consumer, 1.0)
    show.send("b", KEY, 1.1)
    assert show.viewer.sent == []
    assert sum(isinstance(packet, rtcp.Goodbye) for packet in show.viewer.rtcp) == 1
    show.router.connected("viewer", True)  # forgotten


def test_what_went_out_before_the_change_is_not_repeated_as_something_else(show: Show) -> None:
    show.publish("c", payload_type=120)
    consumer = show.watch("a")
    show.send("a", KEY, 1.0)
    show.router.follow(consumer, "c", wanted(), 1.0)
    show.send("c", KEY, 1.1, payload_type=120)
    before = [index & 0xFFFF for index, _, _ in show.viewer.sent]
    show.router.receive_rtcp("viewer", rtcp.nack(9, SSRC, before), 2.0)
    assert [index & 0xFFFF for index, _, _ in show.viewer.sent] == [*before, before[1]]


def test_nothing_is_changed_for_who_is_not_connected() -> None:
    show = Show(connected=False)
    show.publish("a")
    show.publish("b")
    consumer = show.watch("a")
    show.router.follow(consumer, "b", wanted(), 0.0)
    show.send("b", KEY, 1.0)
    assert show.viewer.sent == []
    show.viewer.connected = True
    show.router.connected("viewer", True)
    show.send("b", DELTA, 1.1)
    show.router.tick(1.1)
    assert show.publishers["b"].asked() == 1
    show.send("b", KEY, 1.2)
    assert [key for _, _, key in show.seen()] == [True]


def test_reports_of_one_stream_have_one_clock(show: Show) -> None:
    def report(name: str, wall_s: int, at: float) -> rtcp.SenderReport:
        """What the viewer is told after a publisher, whose clock says `wall_s`, sent a key frame and a report."""
        show.send(name, KEY, at)
        ssrc = list(show.publishers).index(name) + 1
        said = rtcp.SenderReport(ssrc, wall_s << 32, 0, 1, 1)
        show.router.receive_rtcp(f"peer {name}", rtcp.sender_report(said), at)
        show.viewer.rtcp.clear()
        show.router.tick(at + 5)
        [told] = [packet for packet in show.viewer.rtcp if isinstance(packet, rtcp.SenderReport)]
        return told

    consumer = show.watch("a")
    first = report("a", 4_000_000_000, 100.0)
    show.router.follow(consumer, "b", wanted(), 110.0)
    second = report("b", 1_000, 110.0)  # a clock that was never set
    assert second.ntp - first.ntp == 10 << 32
    plain = show.router.consume(
        "a", replace(wanted(), encodings=(Encoding(SSRC + 1),)), Transport(connected=False), 110.0, peer_id="p"
    )
    assert show.router._shift(plain) == 0  # one publisher's streams match by that publisher's own clock


def test_a_track_in_another_codec_is_refused_and_nothing_changes(show: Show) -> None:
    consumer = show.watch("a")
    with pytest.raises(IncompatibleCodecs):
        show.router.follow(consumer, "b", wanted(VP9), 1.0)
    with pytest.raises(KeyError):
        show.router.follow(consumer, "nothing", wanted(), 1.0)
    show.send("a", KEY, 1.0)
    assert len(show.seen()) == 1
