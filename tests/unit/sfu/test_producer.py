from heapq import heappop, heappush
from random import Random

import pytest

from sfu.producer import Producer
from sfu.rtp import rtcp
from sfu.rtp.keyframes import SPACING_S
from sfu.rtp.packet import RtpPacket, write_elements
from sfu.rtp.parameters import (
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)
from sfu.rtp.stats import reference
from sfu.rtp.stream import RtpStream

VP8 = RtpCodec("video/VP8", 96, 90000, feedback=("nack", "nack pli", "ccm fir", "goog-remb"))
RTX = RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),))
OPUS = RtpCodec("audio/opus", 111, 48000, 2)
DTMF = RtpCodec("audio/telephone-event", 126, 48000)
EXTENSIONS = (HeaderExtension(4, MID_URI), HeaderExtension(10, RID_URI), HeaderExtension(11, REPAIRED_RID_URI))
SSRC, RTX_SSRC = 1000, 1001

KEY = bytes.fromhex("10 100200 9d012a 8002 6801") + bytes(50)  # 640 x 360
DELTA = bytes.fromhex("10 110200") + bytes(50)


class Transport:
    def __init__(self) -> None:
        self.connected = True
        self.sent: list[rtcp.RtcpPacket] = []
        self.compounds = 0

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        raise AssertionError("a producer sends no media")

    def send_rtcp(self, packet: bytes) -> None:
        packets = rtcp.parse(packet)
        assert isinstance(packets[0], rtcp.ReceiverReport)
        assert isinstance(packets[1], rtcp.SourceDescription)
        self.compounds += 1
        self.sent += packets

    def take(self, kind: type) -> list[rtcp.RtcpPacket]:
        found = [packet for packet in self.sent if isinstance(packet, kind)]
        self.sent = [packet for packet in self.sent if not isinstance(packet, kind)]
        return found


def producer(
    transport: Transport,
    *codecs: RtpCodec,
    kind: str = "video",
    encodings: tuple[Encoding, ...] = (Encoding(SSRC, RTX_SSRC),),
) -> Producer:
    parameters = RtpParameters("0", kind, codecs or (VP8, RTX), EXTENSIONS, encodings)
    track = TrackInfo("track", "alice", "peer", kind, "camera", parameters)
    return Producer(track, transport, reporter=(1, "meet"), remb_bps=5_000_000, now=0.0)


def video(number: int, payload: bytes = DELTA, *, timestamp: int | None = None, ssrc: int = SSRC) -> RtpPacket:
    return RtpPacket(96, number & 0xFFFF, 3000 * number if timestamp is None else timestamp, ssrc, payload)


def rtx(number: int, payload: bytes = DELTA, *, rtx_number: int = 1) -> RtpPacket:
    return RtpPacket(97, rtx_number, 3000 * number, RTX_SSRC, number.to_bytes(2, "big") + payload)


@pytest.fixture
def transport() -> Transport:
    return Transport()


def watch(p: Producer) -> list[tuple[RtpStream, RtpPacket]]:
    got: list[tuple[RtpStream, RtpPacket]] = []
    p.forward = (lambda stream, packet: got.append((stream, packet)),)
    return got


def test_each_packet_is_handed_over_once(transport):
    p = producer(transport)
    got = watch(p)
    for number in (1, 2, 2, 4, 3):
        p.receive_rtp(video(number), 1.0)
    assert [packet.index for _, packet in got] == [1, 2, 4, 3]


def test_a_muted_track_hands_nothing_over_and_is_still_measured(transport):
    p = producer(transport)
    got = watch(p)
    p.muted = True
    p.receive_rtp(video(1), 1.0)
    assert not got
    assert p.stats(1.0).packets == 1


def test_losses_are_asked_for_and_rtx_repairs_them(transport):
    p = producer(transport)
    got = watch(p)
    p.receive_rtp(video(1, KEY), 1.0)
    p.receive_rtp(video(4), 1.0)
    p.tick(1.02)
    assert transport.take(rtcp.Nack) == [rtcp.Nack(1, SSRC, (2, 3))]
    p.receive_rtp(rtx(2), 1.05)
    assert got[-1][1].payload == DELTA
    assert (got[-1][1].ssrc, got[-1][1].payload_type, got[-1][1].index) == (SSRC, 96, 2)
    p.tick(2.0)
    assert transport.take(rtcp.Nack) == [rtcp.Nack(1, SSRC, (3,))]


def test_rtx_that_only_probes_or_repeats_nothing_known_is_left(transport):
    p = producer(transport)
    got = watch(p)
    p.receive_rtp(rtx(5), 0.9)  # before any media
    p.receive_rtp(video(1), 1.0)
    p.receive_rtp(RtpPacket(97, 2, 0, RTX_SSRC, b""), 1.0)  # padding
    p.receive_rtp(RtpPacket(99, 2, 0, RTX_SSRC, b"\0\5abc"), 1.0)  # no payload type of RTX
    p.receive_rtp(RtpPacket(96, 2, 0, 5555, b"abc"), 1.0)  # no SSRC of ours
    assert len(got) == 1


def test_payload_types_that_were_not_agreed_on_are_dropped(transport):
    p = producer(transport)
    got = watch(p)
    p.receive_rtp(RtpPacket(100, 1, 0, SSRC, b"abc"), 1.0)
    p.receive_rtp(RtpPacket(97, 2, 0, SSRC, b"\0\1RTX in a stream of media"), 1.0)
    assert not got
    assert p.stats(1.0).codec == "vp8"


def test_what_is_inside_red_does_not_make_rtx_the_codec_of_a_track(transport):
    p = producer(transport, VP8, RtpCodec("video/red", 100, 90000), RTX)
    p.receive_rtp(RtpPacket(100, 1, 0, SSRC, b"\x60" + KEY), 1.0)
    p.receive_rtp(RtpPacket(100, 2, 0, SSRC, b"\x61" + DELTA), 1.0)
    assert p.codec == VP8


def test_key_frames_are_seen_with_their_size(transport):
    p = producer(transport)
    got = watch(p)
    for number, payload in ((1, KEY), (2, DELTA), (3, b"\x10"), (4, b"")):
        p.receive_rtp(video(number, payload), 1.0)
    assert [packet.key_frame for _, packet in got] == [True, False, False, False]
    assert p.malformed == 1
    stats = p.stats(1.0)
    assert (stats.width, stats.height) == (640, 360)


def test_every_packet_of_audio_is_a_place_to_begin(transport):
    p = producer(transport, OPUS, DTMF, kind="audio")
    got = watch(p)
    p.receive_rtp(RtpPacket(111, 1, 0, SSRC, b"opus"), 1.0)
    p.receive_rtp(RtpPacket(126, 2, 0, SSRC, b"dtmf"), 1.0)
    assert [packet.key_frame for _, packet in got] == [True, True]
    assert p.stats(1.0).codec == "opus"


def test_requests_for_key_frames_have_a_floor(transport):
    p = producer(transport)
    p.request_key_frame(1.0)
    p.request_key_frame(1.1)
    assert transport.take(rtcp.PictureLoss) == [rtcp.PictureLoss(1, SSRC)]
    p.tick(1.4)
    assert not transport.take(rtcp.PictureLoss)
    p.tick(1.5)
    assert transport.take(rtcp.PictureLoss) == [rtcp.PictureLoss(1, SSRC)]


def test_a_request_waits_for_the_connection(transport):
    p = producer(transport)
    transport.connected = False
    p.request_key_frame(1.0)
    assert not transport.sent
    transport.connected = True
    p.tick(1.02)
    assert transport.take(rtcp.PictureLoss)


def test_fir_is_sent_where_only_that_was_agreed_on(transport):
    p = producer(transport, RtpCodec("video/VP8", 96, 90000, feedback=("ccm fir",)))
    p.request_key_frame(1.0)
    p.request_key_frame(2.0)
    assert transport.take(rtcp.FullIntraRequest) == [
        rtcp.FullIntraRequest(1, ((SSRC, 1),)),
        rtcp.FullIntraRequest(1, ((SSRC, 2),)),
    ]


def test_audio_has_no_key_frames_to_ask_for(transport):
    p = producer(transport, OPUS, kind="audio")
    p.request_key_frame(1.0)
    p.tick(2.0)
    assert not transport.sent


def test_what_is_given_up_leads_to_a_key_frame(transport):
    p = producer(transport)
    p.receive_rtp(video(1, KEY), 0.0)
    p.receive_rtp(video(3), 0.0)
    for i in range(1, 80):
        p.tick(i * 0.02)
    assert len(transport.take(rtcp.Nack)) == 10
    assert transport.take(rtcp.PictureLoss)


def test_the_first_report_comes_with_the_first_packets_and_then_one_a_second(transport):
    p = producer(transport)
    p.tick(0.5)
    assert not transport.sent
    p.receive_rtp(video(1, KEY), 0.6)
    for i in range(31, 181):
        p.tick(i * 0.02)
    reports = [packet for packet in transport.take(rtcp.ReceiverReport) if packet.reports]
    assert len(reports) == 3
    assert reports[0].reports[0].ssrc == SSRC
    assert transport.take(rtcp.Remb) == [rtcp.Remb(1, 5_000_000, (SSRC,))] * 3
    assert transport.take(rtcp.SourceDescription)[0].cnames == ((1, "meet"),)


def test_remb_goes_only_to_those_who_agreed_on_it(transport):
    p = producer(transport, OPUS, kind="audio")
    p.receive_rtp(RtpPacket(111, 1, 0, SSRC, b"opus"), 1.0)
    p.tick(1.02)
    assert transport.compounds == 1
    assert not transport.take(rtcp.Remb)


def test_the_senders_report_is_kept_and_answered(transport):
    p = producer(transport)
    p.receive_rtp(video(1, KEY), 1.0)
    p.receive_report(rtcp.SenderReport(SSRC, 0xAAAA_BBBB_CCCC_DDDD, 5, 1, 1), 1.0)
    p.receive_report(rtcp.SenderReport(4242, 1, 5, 1, 1), 1.0)
    p.tick(1.5)
    (report,) = transport.take(rtcp.ReceiverReport)
    assert (report.reports[0].last_sr, report.reports[0].delay) == (0xBBBB_CCCC, 32768)


def test_the_rates_are_those_of_the_last_seconds(transport):
    p = producer(transport)
    number = 0
    for i in range(200):  # 4 s of 25 frames a second, two packets each
        now = i * 0.02
        if i % 2 == 0:
            for _ in range(2):
                number += 1
                p.receive_rtp(video(number, KEY if number == 1 else DELTA, timestamp=i * 1800), now)
        p.tick(now)
    stats = p.stats(4.0)
    assert stats.frame_rate == pytest.approx(25, rel=0.05)
    assert stats.bitrate_bps == pytest.approx(50 * 54 * 8, rel=0.05)
    assert stats.codec == "vp8"
    assert (stats.packets, stats.lost, stats.loss_rate) == (200, 0, 0.0)
    assert stats.jitter_ms == pytest.approx(0, abs=1)


def test_losses_show_in_the_stats(transport):
    p = producer(transport)
    for number in range(1, 101):
        if number % 10:
            p.receive_rtp(video(number), 1.0)
    p.receive_rtp(video(101), 1.0)
    p.tick(1.1)
    assert p.stats(1.1).lost == 10
    assert p.stats(1.1).loss_rate == pytest.approx(10 / 101)


def test_the_publisher_s_answer_to_our_reference_time_tells_the_round_trip(transport):
    p = producer(transport)
    p.receive_rtp(video(1, KEY), 100.0)
    assert p.stats(100.0).rtt_ms is None
    last = reference(100.0) >> 16 & 0xFFFFFFFF
    for somebody_s, expected_ms in ((12345, None), (1, 60.0)):
        p.receive_delay(rtcp.DelaySinceReference(5, ((somebody_s, last, 65536),)), 101.06)
        assert p.stats(101.1).rtt_ms == (expected_ms and pytest.approx(expected_ms, abs=0.1))
    p.receive_delay(rtcp.DelaySinceReference(5, ((1, last, 7 * 65536),)), 101.06)  # held back for longer than it took
    assert p.stats(101.1).rtt_ms == pytest.approx(60, abs=0.1)


def test_before_anything_came_the_stats_are_of_what_was_agreed(transport):
    stats = producer(transport).stats(1.0)
    assert (stats.codec, stats.bitrate_bps, stats.width, stats.frame_rate) == ("vp8", 0, 0, 0.0)


def test_a_publisher_that_starts_anew_goes_on_in_a_new_stream(transport):
    p = producer(transport)
    got = watch(p)
    p.receive_rtp(video(100, KEY), 1.0)
    p.receive_rtp(video(30000), 1.1)
    p.receive_rtp(video(30001, KEY), 1.1)
    assert [packet.index for _, packet in got] == [100, 30001]
    assert got[0][0] is not got[1][0]
    assert p.active is got[1][0]
    assert p.stats(1.2).packets == 2
    p.receive_rtp(rtx(30001), 1.2)
    p.receive_rtp(rtx(29999), 1.2)
    assert [packet.index for _, packet in got] == [100, 30001, 29999]


@pytest.mark.parametrize(("one_way_s", "loss"), [(0.025, 0.05), (0.075, 0.05), (0.15, 0.1)])
def test_a_lossy_link_is_repaired(transport, one_way_s: float, loss: float):
    """Ten seconds of 180 packets a second; media, requests and repetitions are all lost with the same chance."""
    rng, p = Random(11), producer(transport)
    got = watch(p)
    under_way: list[tuple[float, int, str, int]] = []
    number, now, order = 0, 0.0, 0

    def leave(what: str, number: int) -> None:
        nonlocal order
        order += 1
        if rng.random() >= loss:
            heappush(under_way, (now + one_way_s, order, what, number))

    while now < 12:
        now = round(now + 0.005, 3)
        if now < 10 and number < now * 180:
            number += 1
            leave("media", number)
        while under_way and under_way[0][0] <= now:
            _, order_then, what, which = heappop(under_way)
            if what == "asked":
                leave("repeated", which)
            elif what == "media":
                p.receive_rtp(video(which, KEY if which == 1 else DELTA), now)
            else:
                p.receive_rtp(rtx(which, rtx_number=order_then & 0xFFFF), now)
        if round(now * 1000) % 20 == 0:
            p.tick(now)
            for nack in transport.take(rtcp.Nack):
                for which in nack.sequence_numbers:
                    leave("asked", which)
    came = {packet.index for _, packet in got}
    first = min(came)
    assert len(came) >= 0.999 * (number - first + 1)


# --- several encodings


def simulcast(rid: str, number: int, ssrc: int, payload: bytes = KEY) -> RtpPacket:
    profile, block = write_elements([(4, b"0"), (10, rid.encode())])
    return RtpPacket(96, number, 3000 * number, ssrc, payload, profile, block)


KEY_360, KEY_720 = KEY, bytes.fromhex("10 100200 9d012a 0005 d002") + bytes(50)
Q_AND_F = (Encoding(rid="q"), Encoding(rid="f"))


def hear(p: Producer, rid: str, number: int, ssrc: int, payload: bytes, now: float) -> None:  # noqa: PLR0917 - terse
    packet = simulcast(rid, number, ssrc, payload)
    if ssrc not in p.ssrcs:
        assert p.learn(packet)
    p.receive_rtp(packet, now)


def test_each_encoding_is_handed_over_as_a_stream_of_its_own(transport):
    p = producer(transport, encodings=Q_AND_F)
    got = watch(p)
    for ssrc, rid in ((20, "q"), (21, "f")):
        hear(p, rid, 1, ssrc, KEY, 1.0)
    hear(p, "q", 2, 20, DELTA, 1.1)
    assert [(stream.rid, packet.ssrc) for stream, packet in got] == [("q", 20), ("f", 21), ("q", 20)]
    assert p.ssrcs == [20, 21]
    assert p.stats(1.1).packets == 3


def test_the_order_of_encodings_is_measured(transport):
    p = producer(transport, encodings=Q_AND_F)
    hear(p, "f", 1, 21, KEY_720, 1.0)
    hear(p, "q", 1, 20, KEY_360, 1.0)
    assert [rung.rid for rung in p.ladder.rungs] == ["q", "f"]
    other = producer(transport, encodings=Q_AND_F)
    hear(other, "q", 1, 20, KEY_720, 1.0)
    hear(other, "f", 1, 21, KEY_360, 1.0)
    assert [rung.rid for rung in other.ladder.rungs] == ["f", "q"]
    assert (other.picture.width, other.stats(1.0).height) == (1280, 720)


def test_key_frames_are_asked_of_one_encoding_or_of_all(transport):
    p = producer(transport, encodings=Q_AND_F)
    hear(p, "q", 1, 20, DELTA, 1.0)
    hear(p, "f", 1, 21, DELTA, 1.0)
    q, f = p.ladder.rungs
    p.request_key_frame(1.1, f)
    p.request_key_frame(1.2, f)
    p.request_key_frame(1.3)
    assert [pli.media_ssrc for pli in transport.take(rtcp.PictureLoss)] == [21]
    p.tick(1.1 + SPACING_S)
    assert [pli.media_ssrc for pli in transport.take(rtcp.PictureLoss)] == [20]
    assert (q.rid, f.rid) == ("q", "f")


def test_layers_are_measured(transport):
    p = producer(transport, encodings=Q_AND_F)
    for i in range(50):
        now = 1 + i * 0.04
        hear(p, "q", i, 20, DELTA if i else KEY_360, now)
        for part in range(4):
            hear(p, "f", 4 * i + part, 21, DELTA if i else KEY_720, now)
        p.tick(now)
    q, f = p.layers(3.0)
    assert (q.id, q.width, q.height) == ((0, 0), 640, 360)
    assert (f.id, f.width, f.height) == ((1, 0), 1280, 720)
    assert q.bitrate_bps == pytest.approx(25 * 8 * (12 + 8 + len(DELTA)), rel=0.1)
    assert f.frame_rate == pytest.approx(25 * 4, rel=0.1), "each packet has a timestamp of its own here"
    assert p.active is p.ladder.rungs[1]


def test_an_encoding_that_falls_silent_is_no_layer_until_it_sends_again(transport):
    p = producer(transport, encodings=Q_AND_F)
    for i in range(50):
        now = 1 + i * 0.04
        hear(p, "q", i, 20, DELTA if i else KEY_360, now)
        if i < 20:
            hear(p, "f", i, 21, DELTA if i else KEY_720, now)
        p.tick(now)
    assert [layer.id.spatial for layer in p.layers(3.0)] == [0]
    assert p.active is p.ladder.rungs[0]
    revision = p.ladder.revision
    hear(p, "f", 60, 21, KEY_720, 3.0)
    assert p.ladder.revision > revision
    assert p.active is p.ladder.rungs[1]


def test_a_still_screen_is_not_silent(transport):
    p = producer(transport, encodings=Q_AND_F)
    for i in range(6):
        for late, (rid, ssrc) in enumerate((("q", 20), ("f", 21))):
            hear(p, rid, i, ssrc, KEY_360, 1 + i + late * 0.1)
            for tick in range(40):
                p.tick(1 + i + late * 0.1 + tick * 0.02)
                assert not any(rung.silent for rung in p.ladder.rungs)


def test_a_rid_that_goes_on_under_another_ssrc_is_the_same_encoding(transport):
    p = producer(transport, encodings=Q_AND_F)
    got = watch(p)
    for ssrc in range(30, 33):
        hear(p, "q", 1, ssrc, KEY_360, 1.0)
    assert [rung.ssrc for rung in p.ladder.rungs] == [32]
    assert p.stats(1.0).packets == 3
    p.receive_rtp(simulcast("q", 2, 31), 1.1)
    assert len(got) == 3
    for ssrc in range(100, 200):
        if p.learn(simulcast("q", 1, ssrc)):
            p.receive_rtp(simulcast("q", 1, ssrc), 1.0)
    assert len(p.ssrcs) == 1


def test_rids_are_bounded(transport):
    p = producer(transport, encodings=Q_AND_F)
    assert sum(p.learn(simulcast(f"r{ssrc}", 1, ssrc)) for ssrc in range(50)) <= 4


def test_an_ssrc_without_a_rid_takes_the_place_of_one_that_ended(transport):
    p = producer(transport)
    p.receive_rtp(video(1, KEY), 1.0)
    p.learn(video(1, KEY, ssrc=77))
    p.receive_rtp(video(1, KEY, ssrc=77), 2.0)
    assert p.active is not None
    assert p.active.ssrc == SSRC
    p.receive_rtp(video(2, KEY, ssrc=77), 3.5)
    assert p.active.ssrc == 77
    assert len(p.ladder.rungs) == 1


def test_rtx_without_signalling_repairs_by_rid_or_the_only_stream(transport):
    p = producer(transport, encodings=(Encoding(rid="q"), Encoding(rid="f")))
    got = watch(p)
    unsignalled = RtpPacket(97, 1, 0, 31, b"\0\5" + DELTA, *write_elements([(11, b"f")]))
    assert not p.learn(unsignalled)
    for ssrc, rid in ((20, "q"), (21, "f")):
        p.learn(simulcast(rid, 4, ssrc))
        p.receive_rtp(simulcast(rid, 4, ssrc), 1.0)
    assert p.learn(unsignalled)
    p.receive_rtp(unsignalled, 1.1)
    assert p.stats(1.1).packets == 3
    assert (got[-1][0].rid, got[-1][1].index) == ("f", 5)
    alone = RtpPacket(97, 1, 0, 32, b"\0\6" + DELTA)
    assert p.learn(alone)
    p.receive_rtp(alone, 1.2)
    assert got[-1][1].index == 6


def test_the_table_of_streams_is_bounded(transport):
    p = producer(transport)
    learnt = sum(p.learn(video(1, ssrc=ssrc)) for ssrc in range(5000, 5100))
    assert learnt < 40
    assert not p.learn(RtpPacket(77, 1, 0, 9, b""))


def test_a_track_has_a_codec():
    with pytest.raises(ValueError, match="without a codec"):
        producer(Transport(), RTX)
