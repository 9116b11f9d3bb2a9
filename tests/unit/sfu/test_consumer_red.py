"""RED from a publisher, for subscribers that took it and for such as did not."""

from random import Random

import pytest

from sfu.router import Router
from sfu.rtp import rtcp
from sfu.rtp.packet import RtpPacket, header, parse
from sfu.rtp.parameters import Encoding, RtpCodec, RtpParameters, TrackInfo

OPUS = RtpCodec("audio/opus", 111, 48000, 2, feedback=("nack",))
RED = RtpCodec("audio/red", 63, 48000, 2, (("111/111", ""),))
THEIR_OPUS = RtpCodec("audio/opus", 109, 48000, 2, feedback=("nack",))
THEIR_RED = RtpCodec("audio/red", 62, 48000, 2, (("109/109", ""),))
SSRC, OUT = 1000, 7000


class Wire:
    connected = True

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        self.packets.append(parse(header + payload))

    def send_rtcp(self, packet: bytes) -> None:
        pass


class Call:
    """A publisher of RED and a subscriber that took `codecs`."""

    def __init__(self, *codecs: RtpCodec) -> None:
        self.router = Router(rng=Random(5))
        self.wire = Wire()
        source = RtpParameters("0", "audio", (RED, OPUS), encodings=(Encoding(SSRC),))
        self.router.produce(TrackInfo("t", "alice", "a", "audio", "microphone", source), Wire(), 0.0)
        target = RtpParameters("3", "audio", codecs, encodings=(Encoding(OUT),))
        self.consumer = self.router.consume("t", target, self.wire, 0.0, peer_id="b")

    def send(self, number: int, payload: bytes, payload_type: int = 63) -> None:
        head = header(payload_type, number, number * 960, SSRC)
        self.router.receive_rtp("a", head + payload, number * 0.02)

    @property
    def got(self) -> list[tuple[int, int, bytes]]:
        """Number, from the first on, payload type and payload of what the subscriber got."""
        first = self.wire.packets[0].sequence_number
        return [(p.sequence_number - first, p.payload_type, p.payload) for p in self.wire.packets]


def frame(number: int) -> bytes:
    return b"opus%d" % number


def red(number: int, opus: int = 111) -> bytes:
    """The frame with the one before it inside, as Chromium does."""
    older = frame(number - 1)
    return (
        bytes((0x80 | opus,)) + (960 << 10 | len(older)).to_bytes(3, "big") + bytes((opus,)) + older + frame(number)
    )


def test_who_took_red_gets_it_as_it_is():
    call = Call(RED, OPUS)
    for number in range(10, 13):
        call.send(number, red(number))
    assert call.got == [(number - 10, 63, red(number)) for number in range(10, 13)]


def test_who_took_opus_alone_gets_an_unbroken_stream_of_it():
    call = Call(THEIR_OPUS)
    for number in range(10, 14):
        if number == 12:  # a talkspurt may begin without RED
            call.send(number, frame(number), payload_type=111)
        else:
            call.send(number, red(number))
    assert call.got == [(number - 10, 109, frame(number)) for number in range(10, 14)]
    assert call.consumer.octets == sum(len(frame(number)) for number in range(10, 14))


def test_who_has_other_numbers_gets_red_with_them():
    call = Call(THEIR_RED, THEIR_OPUS)
    call.send(10, red(10))
    assert call.got == [(0, 62, red(10, opus=109))]


@pytest.mark.parametrize("codecs", [(OPUS,), (THEIR_RED, THEIR_OPUS)])
def test_what_cannot_be_read_leaves_no_gap(codecs: tuple[RtpCodec, ...]):
    call = Call(*codecs)
    call.send(9, b"\xef\x00")  # nothing to begin with
    call.send(10, red(10))
    call.send(11, b"\xef\x00\xff\xff")
    call.send(12, red(12))
    assert [number for number, _, _ in call.got] == [0, 1]


def test_what_comes_late_and_what_is_asked_for_again_is_unwrapped_too():
    call = Call(OPUS)
    for number in (10, 12, 11):
        call.send(number, red(number))
    assert call.got == [(0, 111, frame(10)), (2, 111, frame(12)), (1, 111, frame(11))]
    lost = call.wire.packets[0].sequence_number + 2
    call.router.receive_rtcp("b", rtcp.receiver_report(rtcp.ReceiverReport(1)) + rtcp.nack(1, OUT, [lost]), 1.0)
    assert call.got[-1] == (2, 111, frame(12))


def test_a_subscriber_of_another_track_goes_on_with_one_that_is_red():
    call = Call(OPUS)
    call.send(10, red(10))
    other = RtpParameters("1", "audio", (RED, OPUS), encodings=(Encoding(2000),))
    call.router.produce(TrackInfo("u", "carol", "c", "audio", "microphone", other), Wire(), 0.3)
    call.router.follow(call.consumer, "u", call.consumer.parameters, 0.3)
    call.router.receive_rtp("c", header(63, 500, 48000, 2000) + red(40), 0.4)
    assert call.got == [(0, 111, frame(10)), (1, 111, frame(40))]
