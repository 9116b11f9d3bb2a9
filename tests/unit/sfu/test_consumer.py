from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.consumer import Consumer
from sfu.router import Router
from sfu.rtp import rtcp
from sfu.rtp.matching import IncompatibleCodecs
from sfu.rtp.packet import RtpPacket, header, parse
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)
from sfu.rtp.repetitions import BURST, LOOK_COST

VP8 = RtpCodec("video/VP8", 96, 90000, feedback=("nack", "nack pli"))
OPUS = RtpCodec("audio/opus", 111, 48000, 2)
RTX = RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),))
THEIR_VP8 = RtpCodec("video/VP8", 120, 90000, feedback=("nack", "nack pli"))
THEIR_RTX = RtpCodec("video/rtx", 121, 90000, parameters=(("apt", "120"),))
NUMBERS = 3
EXTENSIONS = (
    HeaderExtension(1, MID_URI),
    HeaderExtension(2, ABS_SEND_TIME_URI),
    HeaderExtension(NUMBERS, TRANSPORT_CC_URI),
)
SSRC, OUT, OUT_RTX = 1000, 7000, 7001
KEY = bytes.fromhex("10 100200 9d012a 8002 6801") + bytes(50)
DELTA = bytes.fromhex("10 110200") + bytes(50)


class Publisher:
    connected = True

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        raise AssertionError("nothing is forwarded to the publisher")

    def send_rtcp(self, packet: bytes) -> None:
        self.plis = getattr(self, "plis", 0) + sum(isinstance(p, rtcp.PictureLoss) for p in rtcp.parse(packet))


class Subscriber:
    """Keeps what it is sent, and holds the sender to what AES-GCM demands."""

    connected = True

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.rtcp: list[rtcp.RtcpPacket] = []
        self._sealed: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        packet = parse(header + payload)
        assert packet.ssrc == ssrc
        assert packet.sequence_number == index & 0xFFFF
        assert self._sealed.setdefault((ssrc, index), (header, payload)) == (header, payload)
        packet.index = index
        self.packets.append(packet)

    def send_rtcp(self, packet: bytes) -> None:
        self.rtcp += rtcp.parse(packet)

    def take(self) -> list[RtpPacket]:
        taken, self.packets = self.packets, []
        return taken


class Call:
    """One publisher, one subscriber."""

    def __init__(
        self, kind: str = "video", *, with_rtx: bool = True, theirs: tuple[RtpCodec, ...] | None = None
    ) -> None:
        self.router = Router(rng=Random(5))
        self.publisher, self.subscriber = Publisher(), Subscriber()
        ours = (VP8, RTX) if kind == "video" else (OPUS,)
        if theirs is None:
            theirs = (THEIR_VP8, THEIR_RTX) if kind == "video" else (OPUS,)
        parameters = RtpParameters("0", kind, ours, EXTENSIONS, (Encoding(SSRC, 1001),))
        self.router.produce(TrackInfo("t", "alice", "a", kind, "camera", parameters), self.publisher, 0.0)
        encoding = Encoding(OUT, OUT_RTX if with_rtx else None)
        self.consumer: Consumer = self.router.consume(
            "t",
            RtpParameters("3", kind, theirs, EXTENSIONS, (encoding,), cname="alice"),
            self.subscriber,
            0.0,
            peer_id="b",
        )
        self.payload_type = ours[0].payload_type
        self.clock_rate = ours[0].clock_rate

    def send(
        self,
        number: int,
        payload: bytes = DELTA,
        *,
        now: float = 1.0,
        timestamp: int | None = None,
        payload_type: int | None = None,
        ssrc: int = SSRC,
    ) -> None:
        timestamp = number * 3000 if timestamp is None else timestamp
        head = header(payload_type or self.payload_type, number & 0xFFFF, timestamp, ssrc)
        self.router.receive_rtp("a", head + payload, now)

    def say(self, *packets: bytes, now: float = 1.0) -> None:
        self.router.receive_rtcp("b", b"".join(packets), now)


def numbers(packets: list[RtpPacket]) -> list[int]:
    return [packet.index for packet in packets]


def test_video_begins_at_a_key_frame_which_is_asked_for():
    call = Call()
    assert call.publisher.plis == 1
    call.send(10)
    assert call.consumer.waiting
    call.send(11, KEY)
    call.send(12)
    first, second = call.subscriber.take()
    assert first.payload == KEY
    assert first.payload_type == 120
    assert first.elements.keys() == {1, 2, NUMBERS}
    assert first.elements[1] == b"3"
    assert second.index == first.index + 1
    assert 0 < first.index < 1 << 15
    assert not call.consumer.waiting


def test_audio_begins_at_once():
    call = Call("audio")
    call.send(10, b"opus")
    assert [packet.payload for packet in call.subscriber.take()] == [b"opus"]


def test_a_key_frame_that_comes_late_brings_along_what_followed_it():
    call = Call()
    call.send(10)
    call.send(13)
    call.send(12)
    call.send(11, KEY)
    call.send(14)
    packets = call.subscriber.take()
    assert [packet.timestamp for packet in packets] == [33000, 36000, 39000, 42000]
    assert numbers(packets) == list(range(packets[0].index, packets[0].index + 4))


def test_losses_and_disorder_pass_through():
    call = Call()
    for number, payload in ((1, KEY), (2, DELTA), (5, DELTA), (4, DELTA), (5, DELTA)):
        call.send(number, payload)
    start, *rest = numbers(call.subscriber.take())
    assert rest == [start + 1, start + 4, start + 3]


def test_padding_in_order_is_left_out_without_a_trace():
    call = Call()
    call.send(1, KEY)
    call.send(2, b"")
    call.send(3)
    start, following = numbers(call.subscriber.take())
    assert following == start + 1


def test_padding_out_of_order_fills_its_number():
    call = Call()
    call.send(1, KEY)
    call.send(3)
    call.send(2, b"")
    packets = call.subscriber.take()
    assert numbers(packets) == [packets[0].index, packets[0].index + 2, packets[0].index + 1]
    assert packets[-1].payload == b""


def test_what_the_subscriber_did_not_agree_on_is_left_out():
    call = Call("audio", theirs=(OPUS,))
    call.router.close_producer("t", 0.0)
    dtmf = RtpCodec("audio/telephone-event", 126, 48000)
    parameters = RtpParameters("0", "audio", (OPUS, dtmf), EXTENSIONS, (Encoding(SSRC),))
    call.router.produce(TrackInfo("t", "alice", "a", "audio", "microphone", parameters), call.publisher, 0.0)
    theirs = RtpParameters("3", "audio", (OPUS,), EXTENSIONS, (Encoding(OUT),))
    call.router.consume("t", theirs, call.subscriber, 0.0, peer_id="b")
    call.send(1, b"dtmf", payload_type=126)
    call.send(2, b"opus")
    call.send(3, b"dtmf", payload_type=126)
    call.send(4, b"opus")
    start, following = numbers(call.subscriber.take())
    assert following == start + 1


def test_a_mute_leaves_no_gap_and_ends_at_a_key_frame():
    call = Call()
    call.send(1, KEY)
    call.router.mute("t", True)
    call.send(2)
    call.send(3, KEY)
    call.router.mute("t", False)
    call.send(4)
    call.send(5, KEY, now=3.0)
    first, second = call.subscriber.take()
    assert second.index == first.index + 1
    assert second.timestamp - first.timestamp == 4 * 3000, "the source's own clock went on"


def test_a_source_that_starts_anew_goes_on_in_number_and_time():
    call = Call()
    call.send(1, KEY, now=1.0, timestamp=5_000_000)
    call.send(40000, now=1.5, timestamp=77)
    call.send(40001, DELTA, now=1.5, timestamp=77)
    call.send(40002, KEY, now=2.0, timestamp=45077)
    first, second = call.subscriber.take()
    assert second.index == first.index + 1
    assert second.timestamp - first.timestamp == 90000, "a second of arrival is a second of timestamps"


def test_a_late_packet_does_not_turn_the_clock_back():
    call = Call()
    call.send(1, KEY, now=1.0, timestamp=1_000_000)
    call.send(3, now=1.1, timestamp=1_009_000)
    call.send(2, now=1.2, timestamp=1_004_500)
    call.send(40000, now=1.2, timestamp=77)
    call.send(40001, KEY, now=1.2, timestamp=77)
    *_, late, moved = call.subscriber.take()
    assert late.timestamp == 1_004_500
    assert moved.timestamp == 1_009_000 + 9_000


def test_a_nack_is_answered_over_rtx():
    call = Call()
    call.send(1, KEY)
    call.send(2)
    first, second = call.subscriber.take()
    call.say(rtcp.nack(9, OUT, [second.sequence_number]), now=1.5)
    (repeated,) = call.subscriber.take()
    assert (repeated.ssrc, repeated.payload_type) == (OUT_RTX, 121)
    assert repeated.payload == second.sequence_number.to_bytes(2, "big") + second.payload
    assert repeated.timestamp == second.timestamp
    assert repeated.elements[1] == b"3"
    assert repeated.elements[2] != second.elements[2], "its own send time"
    call.say(rtcp.nack(9, OUT, [first.sequence_number]), now=1.5)
    (again,) = call.subscriber.take()
    assert again.index == repeated.index + 1


def test_without_rtx_the_very_same_bytes_go_again():
    call = Call(with_rtx=False)
    for number, payload in ((1, KEY), (2, DELTA), (3, DELTA)):
        call.send(number, payload, now=1.0 + number / 100)
    first, second, _ = call.subscriber.take()
    call.say(rtcp.nack(9, OUT, [first.sequence_number, second.sequence_number]), now=2.0)
    # Subscriber.send_rtp compares the bytes
    assert numbers(call.subscriber.take()) == [first.index, second.index]


def test_the_bytes_are_the_same_after_a_pause_and_another_source():
    call = Call(with_rtx=False)
    call.send(1, KEY)
    call.router.mute("t", True)
    call.router.mute("t", False)
    call.send(5, KEY, now=2.0)
    call.send(40000, now=2.5, timestamp=77)
    call.send(40001, KEY, now=2.5, timestamp=78)
    sent = call.subscriber.take()
    assert len(sent) == 3
    call.say(rtcp.nack(9, OUT, [packet.sequence_number for packet in sent]), now=3.0)
    assert numbers(call.subscriber.take()) == numbers(sent)


def transport_wide(packets: list[RtpPacket]) -> list[int]:
    return [int.from_bytes(packet.elements[NUMBERS]) for packet in packets]


def test_every_packet_of_the_transport_has_the_next_number_repetitions_too():
    call = Call()
    for n in range(1, 5):
        call.send(n, KEY if n == 1 else DELTA)
    call.say(rtcp.nack(9, OUT, [call.subscriber.packets[1].sequence_number]))
    call.send(5)
    assert [packet.ssrc for packet in call.subscriber.packets] == [OUT] * 4 + [OUT_RTX, OUT]
    assert transport_wide(call.subscriber.packets) == [1, 2, 3, 4, 5, 6]


def test_a_stream_that_is_repeated_without_rtx_has_no_numbers():
    call = Call(with_rtx=False)
    call.send(1, KEY)
    assert NUMBERS not in call.subscriber.packets[0].elements


def test_sound_that_has_numbers_is_never_repeated_whoever_asks():
    call = Call("audio")
    for n in range(1, 4):
        call.send(n)
    sent = call.subscriber.take()
    assert transport_wide(sent) == [1, 2, 3]
    call.say(rtcp.nack(9, OUT, [packet.sequence_number for packet in sent]))
    assert call.subscriber.take() == []


def test_a_probe_repeats_the_newest_packets_over_rtx():
    call = Call()
    for n in range(1, 30):
        call.send(n, KEY if n == 1 else DELTA)
    sent = call.subscriber.take()
    octets = call.consumer.probe(500, 2.0)
    probe = call.subscriber.take()
    assert {packet.ssrc for packet in probe} == {OUT_RTX}
    assert [int.from_bytes(packet.payload[:2]) for packet in probe] == [
        packet.sequence_number for packet in reversed(sent[-len(probe) :])
    ]
    assert 500 <= octets < 700
    assert transport_wide(probe) == list(range(30, 30 + len(probe)))


def test_a_probe_before_anything_was_sent_is_padding():
    call = Call()
    octets = call.consumer.probe(1000, 2.0)
    probe = call.subscriber.take()
    assert {(packet.ssrc, packet.payload_type, packet.payload) for packet in probe} == {(OUT_RTX, 121, b"")}
    assert 1000 <= octets < 1400
    assert octets == pytest.approx(len(probe) * (255 + 32), abs=len(probe) * 4)


def test_who_knows_no_rtx_or_is_not_connected_is_not_probed():
    call = Call(with_rtx=False)
    assert call.consumer.probe(1000, 2.0) == 0
    assert Call("audio").consumer.probe(1000, 2.0) == 0
    call = Call()
    call.router.connected("b", False)
    assert call.consumer.probe(1000, 2.0) == 0
    assert call.subscriber.take() == []


def test_a_repetition_is_not_repeated_at_once():
    call = Call()
    call.send(1, KEY)
    (first,) = call.subscriber.take()
    for now in (1.5, 1.505, 1.52):
        call.say(rtcp.nack(9, OUT, [first.sequence_number]), now=now)
    assert len(call.subscriber.take()) == 2


def test_what_was_never_sent_or_is_long_gone_is_not_answered():
    call = Call()
    call.send(1, KEY)
    (first,) = call.subscriber.take()
    call.say(rtcp.nack(9, OUT, [first.sequence_number - 1, first.sequence_number + 1]))
    assert not call.subscriber.take()
    for number in range(2, 1200):
        call.send(number)
    call.subscriber.take()
    call.say(rtcp.nack(9, OUT, [first.sequence_number]))
    assert not call.subscriber.take()
    assert call.consumer.resent == 0


def test_a_subscriber_that_claims_to_miss_everything_gets_a_bounded_answer():
    call = Call()
    for number in range(1, 1001):
        call.send(number, KEY if number == 1 else DELTA)
    sent = call.subscriber.take()
    everything = [packet.sequence_number for packet in sent]
    for i in range(100):
        call.say(rtcp.nack(9, OUT, everything), now=2.0 + i)
    assert len(call.subscriber.take()) == BURST
    assert call.consumer.resends_refused > 0
    for number in range(1001, 1101):
        call.send(number)
    call.subscriber.take()
    call.say(rtcp.nack(9, OUT, everything[100:]), now=200.0)
    assert len(call.subscriber.take()) == 50


def test_a_storm_of_numbers_that_were_never_sent_is_not_looked_up_for_ever(monkeypatch):
    call = Call()
    call.send(1, KEY)
    (first,) = call.subscriber.take()
    looks = []
    monkeypatch.setattr(call.consumer, "_resend", lambda index, now: looks.append(index))
    storm = rtcp.nack(9, OUT, [(first.sequence_number + n) & 0xFFFF for n in range(1000, 5000)])
    for _ in range(10):
        call.say(storm)
    assert len(looks) <= BURST / LOOK_COST


def test_key_frame_requests_go_to_the_publisher():
    call = Call()
    call.send(1, KEY)
    call.say(rtcp.picture_loss(9, OUT), now=2.0)
    call.say(rtcp.full_intra_request(9, OUT, 1), now=3.0)
    call.consumer.request_key_frame(4.0)
    assert call.publisher.plis == 4


def sender_report(call: Call, ntp: int, timestamp: int, now: float) -> None:
    data = rtcp.sender_report(rtcp.SenderReport(SSRC, ntp, timestamp, 0, 0))
    call.router.receive_rtcp("a", data, now)


def test_the_senders_clock_reaches_the_subscriber_on_its_own_timeline():
    call = Call()
    call.send(1, KEY, now=1.0, timestamp=1000)
    call.send(40000, now=1.0, timestamp=0)
    call.send(40001, KEY, now=2.0, timestamp=500_000)  # a new source: its timestamps are moved
    moved = call.subscriber.take()[1].timestamp - 500_000 & 0xFFFFFFFF
    sender_report(call, ntp=100 << 32, timestamp=500_000, now=2.0)
    call.consumer.report(3.5)
    (report,) = [packet for packet in call.subscriber.rtcp if isinstance(packet, rtcp.SenderReport)]
    assert report.ssrc == OUT
    assert report.ntp == (100 << 32) + 3 * (1 << 31)
    assert report.timestamp == (500_000 + 135_000 + moved) & 0xFFFFFFFF
    assert (report.packets, report.octets) == (2, 2 * len(KEY))
    assert rtcp.SourceDescription(((OUT, "alice"),)) in call.subscriber.rtcp


def test_lips_match_for_two_tracks_of_one_clock():
    """Two SRs of one wall clock that arrive at different times tell the subscriber the same relation."""
    audio, video = Call("audio"), Call("video")
    audio.send(1, b"opus", now=1.0, timestamp=48_000)
    video.send(1, KEY, now=1.0, timestamp=90_000)
    sender_report(audio, ntp=50 << 32, timestamp=48_000, now=1.02)
    sender_report(video, ntp=51 << 32, timestamp=180_000, now=2.05)
    seconds = []
    for call in (audio, video):
        call.consumer.report(4.0)
        (report,) = [packet for packet in call.subscriber.rtcp if isinstance(packet, rtcp.SenderReport)]
        seconds.append(report.ntp / 2**32 - report.timestamp / call.clock_rate)
    assert seconds[0] == pytest.approx(seconds[1], abs=0.0001)


def test_nothing_is_told_of_a_clock_that_is_not_known():
    call = Call()
    call.consumer.report(1.0)
    call.send(1, KEY)
    call.consumer.report(2.0)
    assert not call.subscriber.rtcp


def test_the_subscribers_reports_tell_loss_jitter_and_round_trip():
    call = Call()
    call.send(1, KEY)
    assert call.consumer.stats(1.0).rtt_ms is None
    sender_report(call, ntp=100 << 32, timestamp=3000, now=1.0)
    call.consumer.report(2.0)
    (sent,) = [packet for packet in call.subscriber.rtcp if isinstance(packet, rtcp.SenderReport)]
    highest = call.consumer._munger.highest_out + 11  # of twelve packets three are lost
    block = rtcp.ReportBlock(OUT, 64, 3, highest, 900, sent.ntp >> 16 & 0xFFFFFFFF, 65536 // 2)
    call.say(rtcp.receiver_report(rtcp.ReceiverReport(9, (block,))), now=2.58)
    stats = call.consumer.stats(2.6)
    assert stats.rtt_ms == pytest.approx(80)
    assert (stats.lost, stats.loss_rate, stats.jitter_ms) == (3, 0.25, 10.0)
    assert (stats.codec, stats.width, stats.packets) == ("vp8", 640, 1)
    unknown = rtcp.ReportBlock(OUT, 0, 3, 1, 900, 12345, 0)
    call.say(rtcp.receiver_report(rtcp.ReceiverReport(9, (unknown,))), now=60.0)
    assert call.consumer.stats(60.0).rtt_ms == pytest.approx(80), "an SR that we don't know tells no time"


def test_the_bit_rate_is_that_of_what_was_sent():
    call = Call()
    for i in range(400):
        call.send(i + 1, KEY if i == 0 else DELTA, now=i / 100)
        call.router.tick(i / 100)
    assert call.consumer.stats(4.0).bitrate_bps == pytest.approx(100 * len(DELTA) * 8, rel=0.05)


def test_the_end_is_told():
    call = Call()
    call.router.close_consumer(call.consumer, 5.0)
    assert rtcp.Goodbye((OUT, OUT_RTX)) in call.subscriber.rtcp
    assert call.consumer.closed


def test_a_consumer_needs_an_ssrc_and_a_common_codec():
    call = Call()
    for parameters, error in (
        (RtpParameters("1", "video", (THEIR_VP8,)), ValueError),
        (RtpParameters("1", "video", (OPUS,), encodings=(Encoding(1),)), IncompatibleCodecs),
    ):
        with pytest.raises(error):
            call.router.consume("t", parameters, call.subscriber, 0.0, peer_id="c")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["next", "lost", "late", "duplicate", "padding", "mute", "anew", "nack"]),
            st.integers(1, 9),
        ),
        max_size=150,
    ),
    st.booleans(),
    st.integers(0, 65535),
)
def test_whatever_happens_no_index_is_sent_with_other_bytes(steps, with_rtx, number):
    call = Call(with_rtx=with_rtx)
    now, recent = 1.0, [number]
    call.send(number, KEY)
    for step, size in steps:
        now += 0.01
        if step == "nack":
            sent = [packet.sequence_number for packet in call.subscriber.packets if packet.ssrc == OUT]
            call.say(rtcp.nack(9, OUT, sent[-5 * size :]), now=now)
            continue
        if step == "mute":
            call.router.mute("t", True)
            call.router.mute("t", False)
        if step == "anew":
            number += 30000
        number += {"lost": size, "late": 0, "duplicate": 0}.get(step, 1)
        current = {"late": number - size, "duplicate": recent[-1]}.get(step, number)
        recent.append(current)
        payload = b"" if step == "padding" else KEY if size == 9 else DELTA
        call.send(current, payload, now=now, timestamp=current * 3000 & 0xFFFFFFFF)
    media = [packet for packet in call.subscriber.packets if packet.ssrc == OUT]
    assert media[0].payload == KEY
