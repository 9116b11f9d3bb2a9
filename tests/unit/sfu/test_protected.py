"""A track with parity, from Chromium's own packets: five of VP8 and the five of parity after them, each in RED."""

from pathlib import Path
from random import Random

import pytest

from sfu.producer import Producer
from sfu.protected import ProtectedProducer
from sfu.router import Router
from sfu.rtp import rtcp
from sfu.rtp.packet import RtpPacket, header, parse
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    TRANSPORT_CC_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)

CAPTURED = Path(__file__).parents[2] / "data" / "rtp" / "chromium-ulpfec.hex"
VP8 = RtpCodec("video/VP8", 96, 90000, feedback=("nack pli",))
VP8_RTX = RtpCodec("video/rtx", 98, 90000, parameters=(("apt", "96"),))
RED = RtpCodec("video/red", 118, 90000)
ULPFEC = RtpCodec("video/ulpfec", 120, 90000)
EXTENSIONS = (HeaderExtension(2, ABS_SEND_TIME_URI), HeaderExtension(3, TRANSPORT_CC_URI))
KEY = bytes.fromhex("10 100200 9d012a 8002 6801") + bytes(50)
MEDIA = 5


class Wire:
    connected = True
    arrived = None

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.reports: list[rtcp.ReportBlock] = []
        self.asked_key_frames = 0

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        self.packets.append(parse(header + payload))

    def send_rtcp(self, packet: bytes) -> None:
        for found in rtcp.parse(packet):
            assert not isinstance(found, rtcp.Nack), "who brings parity is not asked again"
            self.asked_key_frames += isinstance(found, rtcp.PictureLoss)
            if isinstance(found, rtcp.ReceiverReport):
                self.reports += found.reports


class Call:
    """The publisher of the captured packets, and somebody who watches."""

    def __init__(self, *further: RtpCodec) -> None:
        self.raw = [bytes.fromhex(line) for line in CAPTURED.read_text().split()]
        first = parse(self.raw[0])
        self.ssrc, self.number, self.timestamp = first.ssrc, first.sequence_number, first.timestamp
        self.router = Router(rng=Random(5))
        self.publisher, self.subscriber = Wire(), Wire()
        source = RtpParameters("0", "video", (VP8, RED, ULPFEC, *further), EXTENSIONS, (Encoding(self.ssrc),))
        track = TrackInfo("t", "alice", "a", "video", "camera", source)
        self.producer = self.router.produce(track, self.publisher, 0.0)
        target = RtpParameters("3", "video", (VP8,), encodings=(Encoding(7000),))
        self.router.consume("t", target, self.subscriber, 0.0, peer_id="b")

    def begin(self) -> None:
        """The key frame before the captured packets, in RED as they are."""
        head = header(0x80 | 118, self.number - 1, self.timestamp - 3000, self.ssrc)
        self.router.receive_rtp("a", head + b"\x60" + KEY, 1.0)

    def send(self, *lost: int) -> None:
        """All captured packets but these."""
        for at, data in enumerate(self.raw):
            if at not in lost:
                self.router.receive_rtp("a", data, 1.0)


def test_red_and_parity_end_here():
    call = Call()
    call.begin()
    call.send()
    payloads = [parse(data).payload for data in call.raw[:MEDIA]]
    got = call.subscriber.packets
    assert [packet.payload for packet in got] == [KEY, *(payload[1:] for payload in payloads)]
    assert {packet.payload_type for packet in got} == {96}
    assert [packet.sequence_number - got[0].sequence_number for packet in got] == list(range(MEDIA + 1))
    assert call.producer.codec == VP8


@pytest.mark.parametrize("lost", [(0,), (4,), (1, 2), (0, 1, 3, 4)])
def test_what_was_lost_goes_on_as_if_it_had_come(lost: tuple[int, ...]):
    whole, call = Call(), Call()
    for each in (whole, call):
        each.begin()
    whole.send()
    call.send(*lost)
    expected = {(p.sequence_number, p.timestamp, p.marker, p.payload) for p in whole.subscriber.packets}
    assert {(p.sequence_number, p.timestamp, p.marker, p.payload) for p in call.subscriber.packets} == expected
    assert isinstance(call.producer, ProtectedProducer)
    assert call.producer.recovered == len(lost)


def test_what_is_made_again_is_told_as_lost():
    call = Call()
    call.begin()
    call.send(1, 2)
    for now in (1.1, 2.2):
        call.router.tick(now)
    assert call.publisher.reports[-1].packets_lost == 2
    assert call.producer.stats(2.2).lost == 2


def test_a_key_frame_is_asked_for_where_parity_does_not_suffice():
    call = Call()
    call.begin()
    call.router.tick(1.1)
    call.publisher.asked_key_frames = 0
    call.send(0, 1, 2, 3, 4)
    call.router.tick(1.1)
    assert call.publisher.asked_key_frames == 0
    call.router.tick(1.3)
    assert call.publisher.asked_key_frames == 1


def test_of_a_muted_track_nothing_is_made_again_for_anybody():
    call = Call()
    call.begin()
    call.router.mute("t", True)
    call.send(1)
    assert len(call.subscriber.packets) == 1
    assert isinstance(call.producer, ProtectedProducer)
    assert call.producer.recovered == 1


def test_a_sender_that_starts_anew_has_parity_of_its_own():
    call = Call()
    head = header(0x80 | 118, self_number := call.number + 30_000, call.timestamp, call.ssrc)
    call.router.receive_rtp("a", head + b"\x60" + KEY, 0.5)
    parity = header(118, self_number + 1 & 0xFFFF, call.timestamp, call.ssrc) + parse(call.raw[MEDIA]).payload
    call.router.receive_rtp("a", parity, 0.6)
    call.begin()
    call.send(2)
    assert isinstance(call.producer, ProtectedProducer)
    assert call.producer.recovered == 1


def test_what_makes_no_sense_is_left_out_and_counted():
    call = Call()
    call.begin()
    number = call.number
    for payload in (b"\xe0\0", b"\x76abc", b"\x01abc", b"\x78short"):
        call.router.receive_rtp("a", header(118, number, call.timestamp, call.ssrc) + payload, 1.0)
        number += 1
    assert call.producer.malformed == 4
    call.router.receive_rtp("a", header(118, number, call.timestamp, call.ssrc) + b"\x60" + KEY, 1.0)
    first, second = call.subscriber.packets
    assert second.sequence_number == first.sequence_number + 1


@pytest.mark.parametrize("payload_type", [97, 98])
def test_parity_that_makes_what_was_not_agreed_on_is_left_out_and_counted(payload_type: int):
    """98 is RTX, which is no payload type of the stream's own."""
    call = Call(VP8_RTX)
    call.begin()
    call.send(2, *range(MEDIA, len(call.raw)))
    before = len(call.subscriber.packets)
    parities = [parse(data) for data in call.raw[MEDIA:]]
    for parity in parities:
        changed = bytearray(parity.payload)
        changed[2] ^= 96 ^ payload_type
        call.router.receive_rtp(
            "a", header(118, parity.sequence_number, parity.timestamp, call.ssrc) + bytes(changed), 1.0
        )
    assert isinstance(call.producer, ProtectedProducer)
    assert call.producer.recovered >= 1
    assert call.producer.malformed == call.producer.recovered
    assert len(call.subscriber.packets) == before
    assert call.producer.codec == VP8


def test_a_track_without_parity_is_not_made_for_it():
    router = Router(rng=Random(5))
    source = RtpParameters("0", "video", (VP8,), EXTENSIONS, (Encoding(1),))
    track = TrackInfo("t", "alice", "a", "video", "camera", source)
    assert type(router.produce(track, Wire(), 0.0)) is Producer
