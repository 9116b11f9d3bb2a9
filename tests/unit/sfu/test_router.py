from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.consumer import RECENT_S, Consumer
from sfu.router import Router
from sfu.rtp import rtcp, twcc
from sfu.rtp.packet import header, parse, write_elements
from sfu.rtp.parameters import (
    MID_URI,
    TRANSPORT_CC_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)
from sfu.rtp.twcc import TransportFeedback

VP8 = RtpCodec("video/VP8", 96, 90000, feedback=("nack", "nack pli"))
RTX = RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),))
OPUS = RtpCodec("audio/opus", 111, 48000, 2)
MID = HeaderExtension(4, MID_URI)
KEY = bytes.fromhex("10 100200 9d012a 8002 6801") + bytes(50)
DELTA = bytes.fromhex("10 010200") + bytes(50)


class Transport:
    connected = True
    arrived = None

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self.headers: list[bytes] = []
        self.indices: list[int] = []
        self.rtcp: list[rtcp.RtcpPacket] = []

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        self.packets.append((ssrc, payload))
        self.headers.append(header)
        self.indices.append(index)

    def send_rtcp(self, packet: bytes) -> None:
        self.rtcp += rtcp.parse(packet)

    def of(self, kind: type) -> list[rtcp.RtcpPacket]:
        return [packet for packet in self.rtcp if isinstance(packet, kind)]


class Room:
    """Peers by name, each with a transport of its own."""

    def __init__(self) -> None:
        self.router = Router(rng=Random(3))
        self.transports: dict[str, Transport] = {}
        self._ssrc = 70_000

    def transport(self, peer_id: str) -> Transport:
        return self.transports.setdefault(peer_id, Transport())

    def publish(self, track_id: str, peer_id: str, *, ssrc: int | None = None, mid: str = "0", codec: RtpCodec = VP8):
        kind = "video" if codec is VP8 else "audio"
        encodings = (Encoding(ssrc),) if ssrc else ()
        parameters = RtpParameters(mid, kind, (codec,), (MID,), encodings)
        track = TrackInfo(track_id, f"user of {peer_id}", peer_id, kind, "camera", parameters)
        return self.router.produce(track, self.transport(peer_id), 0.0)

    def subscribe(self, track_id: str, peer_id: str, *, codec: RtpCodec = VP8) -> Consumer:
        self._ssrc += 1
        parameters = RtpParameters("7", "video", (codec,), (MID,), (Encoding(self._ssrc),))
        return self.router.consume(track_id, parameters, self.transport(peer_id), 0.0, peer_id=peer_id)

    def send(
        self,
        peer_id: str,
        ssrc: int,
        number: int = 1,
        *,
        mid: str | None = None,
        payload_type: int = 96,
        payload: bytes = KEY,
        now: float = 1.0,
    ) -> None:
        extension = write_elements([(4, mid.encode())] if mid is not None else [])
        data = header(payload_type, number, 3000 * number, ssrc, *extension) + payload
        self.router.receive_rtp(peer_id, data, now)

    def say(self, peer_id: str, *packets: bytes, now: float = 1.0) -> None:
        self.router.receive_rtcp(peer_id, b"".join(packets), now)

    def got(self, peer_id: str) -> list[int]:
        """The SSRCs of what a peer was sent."""
        return [ssrc for ssrc, _ in self.transport(peer_id).packets]


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_packet_reaches_every_subscriber_of_its_track_and_nobody_else(room):
    room.publish("a1", "alice", ssrc=1)
    room.publish("b1", "bob", ssrc=1)  # the same SSRC of another peer
    bob, carol = room.subscribe("a1", "bob"), room.subscribe("a1", "carol")
    to_b1 = room.subscribe("b1", "alice")
    room.send("alice", 1)
    assert room.got("bob") == [bob.ssrc]
    assert room.got("carol") == [carol.ssrc]
    assert room.got("alice") == []
    room.send("bob", 1)
    assert room.got("alice") == [to_b1.ssrc]


def test_a_hushed_track_reaches_its_listener_and_who_insists(room: Room) -> None:
    room.publish("mic", "alice", ssrc=1, codec=OPUS)
    bob, carol = room.subscribe("mic", "bob", codec=OPUS), room.subscribe("mic", "carol", codec=OPUS)
    heard: list[int] = []
    room.router.listen("mic", lambda _stream, packet: heard.append(packet.index))
    room.router.insist(carol, True)
    room.send("alice", 1, 1, payload_type=111)
    room.router.hush("mic", True)
    for number in (2, 3, 4):
        room.send("alice", 1, number, payload_type=111)
    room.router.hush("mic", False)
    room.send("alice", 1, 5, payload_type=111)
    assert heard == [1, 2, 3, 4, 5]
    assert (bob.packets, carol.packets) == (2, 5)
    first, second = room.transport("bob").indices
    assert second == first + 1  # the subscriber sees no loss
    room.router.hush("mic", True)
    room.router.insist(carol, False)
    room.send("alice", 1, 6, payload_type=111)
    assert (bob.packets, carol.packets) == (2, 5)
    room.router.mute("mic", True)
    room.send("alice", 1, 7, payload_type=111)
    assert heard[-1] == 6


def test_a_listener_goes_with_its_track(room: Room) -> None:
    producer = room.publish("mic", "alice", ssrc=1, codec=OPUS)
    room.router.listen("mic", lambda _stream, _packet: None)
    room.router.close_producer("mic", 1.0)
    assert producer.forward == ()
    with pytest.raises(KeyError):
        room.router.listen("mic", lambda _stream, _packet: None)


def test_an_unsignalled_ssrc_is_found_by_its_mid(room):
    room.publish("cam", "alice", mid="0")
    room.publish("screen", "alice", mid="1")
    cam, screen = room.subscribe("cam", "bob"), room.subscribe("screen", "bob")
    room.send("alice", 50, mid="1")
    room.send("alice", 60, mid="0")
    assert room.got("bob") == [screen.ssrc, cam.ssrc]
    room.send("alice", 50, 2)  # known from now on
    assert room.got("bob")[-1] == screen.ssrc


def test_a_mid_of_no_track_is_nobodys(room):
    room.publish("cam", "alice", mid="0")
    room.subscribe("cam", "bob")
    room.send("alice", 50, mid="9")
    assert room.got("bob") == []
    assert room.router.unknown == 1


def test_without_a_mid_an_unambiguous_payload_type_will_do(room):
    room.publish("cam", "alice", mid="0")
    room.publish("mic", "alice", mid="1", codec=OPUS)
    cam = room.subscribe("cam", "bob")
    room.send("alice", 50)
    assert room.got("bob") == [cam.ssrc]


def test_an_ambiguous_payload_type_is_dropped(room):
    room.publish("cam", "alice", mid="0")
    room.publish("screen", "alice", mid="1")
    room.subscribe("cam", "bob")
    room.send("alice", 50)
    assert room.got("bob") == []
    assert room.router.unknown == 1


def test_a_flood_of_ssrcs_is_bounded(room):
    producer = room.publish("cam", "alice")
    for ssrc in range(100, 1100):
        room.send("alice", ssrc, mid="0")
    assert len(producer.ssrcs) <= 4  # each has a cache of packets
    assert room.router.unknown > 900
    assert producer.stats(1.0).packets == 1000 - room.router.unknown  # what the others had is counted


def test_peers_that_are_not_there_are_counted_and_ignored(room):
    room.send("nobody", 1)
    room.say("nobody", rtcp.picture_loss(1, 2))
    assert room.router.unknown == 2


def test_what_can_not_be_read_is_counted(room):
    room.publish("cam", "alice", ssrc=1)
    room.router.receive_rtp("alice", b"\x80", 1.0)
    room.router.receive_rtcp("alice", b"\x80\xc8", 1.0)
    assert room.router.malformed == 2


def test_feedback_counts_only_from_the_peer_it_was_sent_to(room):
    room.publish("cam", "alice", ssrc=1)
    consumer = room.subscribe("cam", "bob")
    room.subscribe("cam", "mallory")
    room.send("alice", 1)
    (asked,) = room.transport("alice").of(rtcp.PictureLoss)
    assert asked.media_ssrc == 1
    for packet in (
        rtcp.picture_loss(9, consumer.ssrc),
        rtcp.full_intra_request(9, consumer.ssrc, 1),
        rtcp.nack(9, consumer.ssrc, [1, 2, 3]),
        rtcp.receiver_report(rtcp.ReceiverReport(9, (rtcp.ReportBlock(consumer.ssrc, 255, 9, 1, 1, 1, 1),))),
    ):
        room.say("mallory", packet, now=5.0)
    assert consumer.stats(5.0).loss_rate == 0
    room.router.tick(5.0)
    assert len(room.transport("alice").of(rtcp.PictureLoss)) == 1
    room.say("bob", rtcp.picture_loss(9, consumer.ssrc), now=6.0)
    assert len(room.transport("alice").of(rtcp.PictureLoss)) == 2


def test_a_senders_report_counts_only_from_its_own_peer(room):
    room.publish("cam", "alice", ssrc=1)
    consumer = room.subscribe("cam", "bob")
    room.send("alice", 1)
    report = rtcp.sender_report(rtcp.SenderReport(1, 1 << 40, 3000, 1, 1))
    room.say("bob", report)
    consumer.report(2.0)
    assert not room.transport("bob").of(rtcp.SenderReport)
    room.say("alice", report)
    consumer.report(2.0)
    assert room.transport("bob").of(rtcp.SenderReport)


def test_a_track_that_ends_ends_its_consumers(room):
    room.publish("cam", "alice", ssrc=1)
    consumer = room.subscribe("cam", "bob")
    room.send("alice", 1)
    assert room.router.close_producer("cam", 2.0) == (consumer,)
    assert consumer.closed
    assert room.transport("bob").of(rtcp.Goodbye)
    room.send("alice", 1, 2)
    assert len(room.got("bob")) == 1
    assert room.router.close_producer("cam", 3.0) == ()
    assert not room.router.producers
    assert room.router.consumers("cam") == ()


def test_a_consumer_that_ends_leaves_the_others_alone(room):
    room.publish("cam", "alice", ssrc=1)
    bob, carol = room.subscribe("cam", "bob"), room.subscribe("cam", "carol")
    room.router.close_consumer(bob, 1.0)
    room.router.close_consumer(bob, 1.0)
    room.send("alice", 1)
    assert room.got("bob") == []
    assert room.got("carol") == [carol.ssrc]
    assert len(room.transport("bob").of(rtcp.Goodbye)) == 1


def test_a_subscriber_that_cannot_be_reached_is_not_sent_to_and_goes_on_without_a_gap(room):
    room.publish("t", "alice", ssrc=10)
    consumer = room.subscribe("t", "bob")
    room.send("alice", 10, 1)
    room.router.connected("bob", False)
    for number in range(2, 100):
        room.send("alice", 10, number, payload=DELTA, now=1.1 + RECENT_S)
    assert (len(room.got("bob")), consumer.packets, consumer.waiting) == (1, 1, True)
    asked = len(room.transport("alice").of(rtcp.PictureLoss))
    room.router.connected("bob", True)
    room.router.tick(2.0)
    assert len(room.transport("alice").of(rtcp.PictureLoss)) == asked + 1
    room.send("alice", 10, 100)
    before, after = room.transport("bob").indices
    assert after == before + 1


def test_who_comes_right_after_a_key_frame_begins_with_it(room):
    room.publish("t", "alice", ssrc=10)
    room.subscribe("t", "bob")
    room.send("alice", 10, 1, payload=DELTA)
    room.send("alice", 10, 2)
    room.send("alice", 10, 3, payload=DELTA, now=0.9 + RECENT_S)
    asked = len(room.transport("alice").of(rtcp.PictureLoss))
    carol = room.subscribe("t", "carol")
    assert (carol.waiting, carol.packets) == (False, 2)
    assert len(room.transport("alice").of(rtcp.PictureLoss)) == asked
    room.send("alice", 10, 4, payload=DELTA, now=1.1 + RECENT_S)
    dave = room.subscribe("t", "dave")
    assert (dave.waiting, dave.packets) == (True, 0)
    first, second, third = room.transport("carol").indices
    assert (second, third) == (first + 1, first + 2)


def test_the_key_frame_for_who_is_not_connected_yet_is_asked_for_already(room):
    room.publish("t", "alice", ssrc=10)
    room.transport("bob").connected = False
    bob = room.subscribe("t", "bob")
    assert len(room.transport("alice").of(rtcp.PictureLoss)) == 1
    room.send("alice", 10, 1)
    assert room.got("bob") == []
    room.router.connected("bob", True)
    assert room.got("bob") == [bob.ssrc]
    room.router.tick(2.0)
    assert len(room.transport("alice").of(rtcp.PictureLoss)) == 1


def test_a_track_can_be_published_again_with_the_same_ssrc(room):
    room.publish("cam", "alice", ssrc=1)
    room.router.close_producer("cam", 1.0)
    room.publish("cam2", "alice", ssrc=1)
    consumer = room.subscribe("cam2", "bob")
    room.send("alice", 1)
    assert room.got("bob") == [consumer.ssrc]


def test_a_track_id_is_used_once(room):
    room.publish("cam", "alice", ssrc=1)
    with pytest.raises(ValueError, match="already"):
        room.publish("cam", "bob", ssrc=1)


def test_an_unknown_track_can_not_be_had(room):
    with pytest.raises(KeyError):
        room.subscribe("nothing", "bob")
    with pytest.raises(KeyError):
        room.router.mute("nothing", True)


def test_two_streams_to_one_peer_never_share_an_ssrc(room):
    room.publish("cam", "alice", ssrc=1)
    room.publish("screen", "alice", ssrc=2, mid="1")
    taken = room.subscribe("cam", "bob")
    parameters = RtpParameters("8", "video", (VP8,), (MID,), (Encoding(taken.ssrc + 1, taken.ssrc),))
    with pytest.raises(ValueError, match="in use"):
        room.router.consume("screen", parameters, room.transport("bob"), 0.0, peer_id="bob")
    assert room.router.consumers("screen") == ()


def test_muting_twice_is_muting_once(room):
    room.publish("cam", "alice", ssrc=1)
    room.subscribe("cam", "bob")
    room.router.mute("cam", False)
    room.send("alice", 1)
    room.router.mute("cam", True)
    room.router.mute("cam", True)
    room.send("alice", 1, 2)
    assert len(room.got("bob")) == 1
    room.router.mute("cam", False)
    room.router.tick(10.0)
    room.send("alice", 1, 3)
    assert len(room.got("bob")) == 2
    assert len(room.transport("alice").of(rtcp.PictureLoss)) == 2


def test_reports_go_out_about_once_a_second_and_not_all_at_once(room):
    room.publish("cam", "alice", ssrc=1)
    peers = [f"peer-{i}" for i in range(20)]
    for peer in peers:
        room.subscribe("cam", peer)
    room.send("alice", 1)
    room.say("alice", rtcp.sender_report(rtcp.SenderReport(1, 1 << 40, 3000, 1, 1)))
    busiest = sent = 0
    for i in range(500):
        room.router.tick(i * 0.02)
        before, sent = sent, sum(len(room.transport(peer).of(rtcp.SenderReport)) for peer in peers)
        busiest = max(busiest, sent - before)
    assert all(7 <= len(room.transport(peer).of(rtcp.SenderReport)) <= 13 for peer in peers)
    assert busiest <= 5


def test_a_closed_consumer_reports_no_more(room):
    room.publish("cam", "alice", ssrc=1)
    consumer = room.subscribe("cam", "bob")
    room.router.close_consumer(consumer, 0.5)
    said = len(room.transport("bob").rtcp)
    room.router.tick(100.0)
    assert len(room.transport("bob").rtcp) == said


@given(st.lists(st.one_of(st.binary(max_size=80), st.binary(min_size=12, max_size=80)), max_size=30))
def test_nothing_that_a_peer_sends_raises(datagrams: list[bytes]):
    room = Room()
    room.publish("cam", "alice", ssrc=0x01010101)
    room.publish("mic", "alice", ssrc=2, mid="1", codec=OPUS)
    room.subscribe("cam", "alice")
    for i, data in enumerate(datagrams):
        room.router.receive_rtp("alice", data, i)
        room.router.receive_rtp("alice", b"\x80\x60" + data[:6] + b"\1\1\1\1" + data, i)
        room.router.receive_rtcp("alice", data, i)
        room.router.tick(i)
    assert room.router.malformed + room.router.unknown <= 3 * len(datagrams)


def test_a_publisher_of_numbered_packets_is_told_of_all_that_came(room):
    numbers = HeaderExtension(5, TRANSPORT_CC_URI)
    for track_id, ssrc, mid in (("cam", 1, "0"), ("screen", 2, "1")):
        vp8 = replace(VP8, feedback=("goog-remb", "transport-cc"))
        parameters = RtpParameters(mid, "video", (vp8,), (MID, numbers), (Encoding(ssrc),))
        track = TrackInfo(track_id, "user", "alice", "video", "camera", parameters)
        room.router.produce(track, room.transport("alice"), 0.0)
    for number, ssrc in enumerate((1, 2, 999)):  # what belongs to no track came over this path, too
        extension = write_elements([(5, number.to_bytes(2, "big"))])
        room.router.receive_rtp("alice", header(96, number, 0, ssrc, *extension) + KEY, 1.0)
    room.router.tick(1.0)
    (feedback,) = room.transport("alice").of(TransportFeedback)
    assert (feedback.base, feedback.count) == (0, 3)
    assert len(feedback.received) == 3
    assert not room.transport("alice").of(rtcp.Remb)


def test_a_subscribers_feedback_reaches_its_path_and_nobody_elses(room):
    room.publish("cam", "alice", ssrc=1)
    numbers = HeaderExtension(5, TRANSPORT_CC_URI)
    for peer_id, ssrc in (("bob", 900), ("carol", 901)):
        parameters = RtpParameters("7", "video", (VP8, RTX), (MID, numbers), (Encoding(ssrc, ssrc + 10),))
        room.router.consume("cam", parameters, room.transport(peer_id), 0.0, peer_id=peer_id)
    room.send("alice", 1)
    room.say("bob", twcc.write(TransportFeedback(9, 900, 1, 1, 0, ((0, 4000),))), now=1.05)
    assert room.router.downlink("bob").rtt_ms == pytest.approx(50)
    assert room.router.downlink("carol").rtt_ms is None
    assert room.router.downlink("alice") is None
    assert room.router.downlink("nobody") is None
    room.say("carol", rtcp.remb(9, 700_000, [901]))
    assert room.router.downlink("carol").bitrate_bps == pytest.approx(700_000, rel=0.001)


def test_transport_wide_numbers_go_on_while_a_subscriber_has_nothing(room):
    room.publish("cam", "alice", ssrc=1)
    numbers = HeaderExtension(5, TRANSPORT_CC_URI)

    def subscribe(ssrc: int) -> Consumer:
        parameters = RtpParameters("7", "video", (VP8, RTX), (MID, numbers), (Encoding(ssrc, ssrc + 1),))
        return room.router.consume("cam", parameters, room.transport("bob"), 0.0, peer_id="bob")

    first = subscribe(900)
    room.send("alice", 1, 1)
    room.router.close_consumer(first, 1.0)
    subscribe(910)
    room.send("alice", 1, 2)
    assert [int.from_bytes(parse(head).elements[5]) for head in room.transport("bob").headers] == [1, 2, 3]
    room.transport("bob").connected = False
    room.router.close_producer("cam", 2.0)
    room.router.connected("bob", False)
    assert room.router.downlink("bob") is None
