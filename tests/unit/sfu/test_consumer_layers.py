"""A subscriber of simulcast: which encoding it is sent, and that it sees one stream."""

from collections.abc import Callable
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.rtp import rtcp
from sfu.rtp.keyframes import SPACING_S
from sfu.rtp.layers import LayerId, View
from sfu.rtp.measured import stream_layers
from sfu.rtp.meter import Share
from sfu.rtp.packet import RtpPacket, parse
from sfu.rtp.stream import RtpStream
from sfu.rtp.vp8 import Vp8Descriptor, vp8

from .layered import FPS, OUT, SIZES, SSRCS, Simulcast


def frames(packets: list[RtpPacket]) -> list[list[RtpPacket]]:
    """The packets by their timestamp, in the order of the first ones."""
    found: dict[int, list[RtpPacket]] = {}
    for packet in packets:
        found.setdefault(packet.timestamp, []).append(packet)
    return list(found.values())


def sizes(packets: list[RtpPacket]) -> list[tuple[int, int]]:
    return [tuple(found) for packet in packets if (found := vp8(packet.payload)) is not None]


def check_unbroken(packets: list[RtpPacket]) -> None:
    """Numbers without a gap; every frame whole, with the next picture id; timestamps and TL0PICIDX go on."""
    assert [p.index for p in packets] == list(range(packets[0].index, packets[0].index + len(packets)))
    last: tuple[int, int, int] | None = None
    for frame in frames(packets):
        descriptors = [Vp8Descriptor(packet.payload) for packet in frame]
        first = descriptors[0]
        assert first.starts
        assert frame[-1].marker
        assert len({d.picture_id for d in descriptors}) == 1
        assert not any(packet.marker for packet in frame[:-1])
        assert first.picture_id is not None
        assert first.tl0_picture is not None
        if last is not None:
            picture, tl0, timestamp = last
            assert first.picture_id == picture + 1 & 0x7FFF
            assert first.tl0_picture == tl0 + (first.temporal == 0) & 0xFF
            assert 0 < (frame[0].timestamp - timestamp & 0xFFFFFFFF) < 90000
        last = (first.picture_id, first.tl0_picture, frame[0].timestamp)


def test_a_subscriber_begins_with_the_lowest_layer():
    call = Simulcast()
    packets = call.run(1)
    check_unbroken(packets)
    assert sizes(packets)[0] == SIZES["q"]
    assert call.consumer.current == LayerId(0, 0)
    assert call.consumer.target == LayerId(0, 0)
    assert {Vp8Descriptor(packet.payload).temporal for packet in packets} == {0}
    assert len(frames(packets)) == pytest.approx(FPS / 4, abs=1)


def test_the_layers_are_what_is_measured():
    call = Simulcast()
    call.run(2)
    layers = call.consumer.layers(call.now)
    assert [layer.bitrate_bps for layer in layers] == sorted(layer.bitrate_bps for layer in layers)
    layers = tuple(sorted(layers, key=lambda layer: layer.id))
    assert [layer.id for layer in layers] == [(s, t) for s in range(3) for t in range(3)]
    assert [(layer.width, layer.height) for layer in layers[::3]] == [SIZES["q"], SIZES["h"], SIZES["f"]]
    assert [round(layer.frame_rate) for layer in layers[:3]] == pytest.approx([FPS / 4, FPS / 2, FPS], abs=1)


@pytest.mark.parametrize("reported", [False, True])
def test_up_and_down_on_key_frames_in_one_unbroken_stream(reported: bool):
    call = Simulcast()
    packets = call.run(0.5)
    if reported:
        for rid in "qhf":
            call.report(rid)
    for target, rid in (((2, 2), "f"), ((0, 2), "q"), ((1, 2), "h"), ((2, 0), "f"), ((0, 0), "q")):
        call.consumer.set_target(LayerId(*target), call.now)
        assert call.consumer.target == target
        sent = call.run(1.0)
        assert sizes(sent)[0] == SIZES[rid], "the change begins with a key frame of the new encoding"
        assert call.consumer.current == target
        packets += sent
    check_unbroken(packets)


def test_the_old_encoding_goes_on_until_the_key_frame_comes():
    call = Simulcast()
    call.consumer.set_target(LayerId(0, 2), call.now)
    packets = call.run(0.5)
    call.consumer.set_target(LayerId(2, 2), call.now)
    assert call.publisher.asked == [SSRCS["f"]]
    for _ in range(10):
        for made in call.frame(answer=False).values():
            for packet in made:
                call.deliver(packet)
    assert call.consumer.current == LayerId(0, 2)
    meanwhile = call.subscriber.take()
    assert len(frames(meanwhile)) == 10
    call.publisher.asked = [SSRCS["f"]]
    check_unbroken([*packets, *meanwhile, *call.run(0.5)])
    assert call.consumer.current == LayerId(2, 2)


def test_on_the_way_down_the_old_encoding_takes_less_at_once():
    call = Simulcast()
    call.consumer.set_target(LayerId(2, 2), call.now)
    packets = call.run(1.0)
    call.consumer.set_target(LayerId(0, 2), call.now)
    for _ in range(8):
        for made in call.frame(answer=False).values():
            for packet in made:
                call.deliver(packet)
    meanwhile = call.subscriber.take()
    assert len(frames(meanwhile)) == 2
    call.publisher.asked = [SSRCS["q"]]
    check_unbroken([*packets, *meanwhile, *call.run(0.5)])
    assert call.consumer.current == LayerId(0, 2)


def test_key_frames_are_asked_for_with_a_floor():
    call = Simulcast()
    call.run(1.0)
    call.publisher.asked = []
    for target in (2, 1, 2, 1, 2):
        call.consumer.set_target(LayerId(target, 2), call.now)
    assert call.publisher.asked == [SSRCS["f"]], "libwebrtc would not hear a second one now"
    call.producer.tick(call.now + SPACING_S)
    assert call.publisher.asked == [SSRCS["f"], SSRCS["h"]]


def test_after_a_way_down_nothing_of_the_larger_picture_is_repeated():
    call = Simulcast()
    call.consumer.set_target(LayerId(2, 2), call.now)
    large = call.run(1)
    call.consumer.set_target(LayerId(0, 2), call.now)
    small = call.run(1)
    call.run(0.2)

    def repeated(packets: list[RtpPacket]) -> int:
        before = call.consumer.resent
        nack = rtcp.nack(1, OUT, [packet.sequence_number for packet in packets])
        call.router.receive_rtcp("b", rtcp.receiver_report(rtcp.ReceiverReport(1)) + nack, call.now)
        return call.consumer.resent - before

    begins = next(at for at, packet in enumerate(small) if vp8(packet.payload) == SIZES["q"])
    assert repeated(large[-5:]) == repeated(small[:begins][-5:]) == 0
    assert repeated(small[begins : begins + 5]) == 5
    call.consumer.set_target(LayerId(2, 2), call.now)
    call.run(1)
    assert repeated(small[-5:]) == 5, "on the way up there is room"


def test_a_temporal_layer_goes_at_once_and_comes_where_it_can_begin():
    call = Simulcast("q")
    call.consumer.set_target(LayerId(0, 2), call.now)
    packets = call.run(1.0)
    call.publisher.asked = []
    call.consumer.set_target(LayerId(0, 0), call.now)
    low = call.run(1.0)
    assert {Vp8Descriptor(packet.payload).temporal for packet in low} == {0}
    assert call.consumer.current == LayerId(0, 0)
    call.consumer.set_target(LayerId(0, 2), call.now)
    high = call.run(1.0)
    began = [d for d in (Vp8Descriptor(packet.payload) for packet in high) if d.temporal]
    assert (began[0].temporal, began[0].sync) == (1, True)
    assert next(d for d in began if d.temporal == 2).sync
    assert call.consumer.current == LayerId(0, 2)
    assert not call.publisher.asked, "temporal layers need no key frame"
    check_unbroken([*packets, *low, *high])


def test_a_pause_sends_nothing_and_ends_with_a_key_frame():
    call = Simulcast()
    packets = call.run(0.5)
    call.consumer.set_target(None, call.now)
    assert (call.consumer.target, call.consumer.current) == (None, None)
    assert not call.run(0.5)
    assert not call.publisher.asked
    call.consumer.set_target(LayerId(1, 0), call.now)
    assert call.publisher.asked == [SSRCS["h"]]
    again = call.run(0.5)
    assert sizes(again)[0] == SIZES["h"]
    check_unbroken([*packets, *again])


def test_what_nobody_looks_at_is_not_sent():
    call = Simulcast()
    call.consumer.set_target(LayerId(2, 2), call.now)
    call.run(1.0)
    call.consumer.set_view(View(visible=False), call.now)
    assert call.consumer.layers(call.now) == ()
    assert call.consumer.target is None
    assert not call.run(0.5)
    call.consumer.set_view(View(), call.now)
    assert sizes(call.run(0.5))[0] == SIZES["f"]


@pytest.mark.parametrize(
    ("view", "spatial", "temporal"),
    [
        (View(width=200, height=100), 0, 2),
        (View(width=640, height=360), 1, 2),
        (View(width=641), 2, 2),
        (View(width=4000, height=4000), 2, 2),
        (View(cap=LayerId(1, 1)), 1, 1),
        (View(width=100, height=100, cap=LayerId(1, 1)), 0, 1),
    ],
)
def test_a_view_bounds_what_is_sent(view: View, spatial: int, temporal: int):
    call = Simulcast()
    call.consumer.set_target(LayerId(2, 2), call.now)
    call.run(1.0)
    call.consumer.set_view(view, call.now)
    assert call.consumer.layers(call.now)[-1].id == (spatial, temporal)
    call.run(1.0)
    assert call.consumer.current == call.consumer.target == (spatial, temporal)


def test_the_order_of_rids_says_nothing():
    call = Simulcast("fhq")
    call.sources = {rid: call.sources[rid] for rid in "hfq"}
    packets = call.run(1.0)
    assert sizes(packets)[-1] == SIZES["q"]
    call.consumer.set_target(LayerId(2, 2), call.now)
    assert sizes(call.run(1.0))[-1] == SIZES["f"]


def test_an_encoding_that_falls_silent_is_replaced_within_a_second_and_comes_back():
    call = Simulcast()
    call.consumer.set_target(LayerId(2, 2), call.now)
    packets = call.run(1.0)
    assert call.consumer.current == LayerId(2, 2)
    call.off = {"f"}
    stopped = call.now
    while call.consumer.current != LayerId(1, 2):
        packets += call.run(1 / FPS)
        assert call.now < stopped + 1
    assert {layer.id.spatial for layer in call.consumer.layers(call.now)} == {0, 1}
    packets += call.run(1.0)
    call.off = {"f", "h"}
    packets += call.run(1.0)
    assert call.consumer.current == LayerId(0, 2)
    call.off = set()
    packets += call.run(0.5)
    assert call.consumer.current == LayerId(2, 2), "it begins with a key frame by itself"
    check_unbroken(packets)


def test_a_target_means_an_encoding_though_others_appear_below_it():
    call = Simulcast()
    call.off = {"q"}
    call.run(0.5)
    call.consumer.set_target(LayerId(1, 0), call.now)
    call.run(0.5)
    assert sizes(call.run(0.1)) == []
    call.off = set()
    call.run(0.5)
    assert call.consumer.target == call.consumer.current == LayerId(2, 0)


def test_clocks_are_aligned_by_sender_reports():
    call = Simulcast()
    call.run(0.5)
    for rid in "qhf":
        call.report(rid)
    call.consumer.set_target(LayerId(0, 2), call.now)
    call.run(1.0)
    taken = call.now
    (before,) = {packet.timestamp for packet in call.run(1 / FPS)}
    call.consumer.set_target(LayerId(2, 2), call.now)
    call.run(1.0)
    (after,) = {packet.timestamp for packet in call.run(1 / FPS)}
    assert (after - before & 0xFFFFFFFF) / 90000 == pytest.approx(call.now - taken - 1 / FPS, abs=2 / 90000)


def test_reports_that_are_wrong_move_nothing_far():
    call = Simulcast()
    packets = call.run(0.5)
    call.report("q")
    call.report("f", ntp_s=1e6)
    call.consumer.set_target(LayerId(2, 2), call.now)
    check_unbroken([*packets, *call.run(1.0)])


def test_what_is_repeated_is_what_was_sent():
    call = Simulcast(with_rtx=False)
    packets = call.run(0.5)
    for target in ((1, 2), (2, 1), (2, 2)):
        call.consumer.set_target(LayerId(*target), call.now)
        packets += call.run(0.4)
    call.consumer.receive_nack([packet.sequence_number for packet in packets], call.now)
    assert len(call.subscriber.repeated) == len(packets) > 50  # `Subscriber.send_rtp` compares the bytes


def test_statistics_are_of_what_is_sent():
    call = Simulcast()
    call.consumer.set_target(LayerId(1, 2), call.now)
    call.run(2.0)
    stats = call.consumer.stats(call.now)
    assert (stats.width, stats.height) == SIZES["h"]
    assert stats.frame_rate == pytest.approx(FPS, abs=1)


STEPS = st.one_of(
    st.tuples(st.just("frames"), st.integers(1, 12)),
    st.tuples(st.just("target"), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    st.tuples(st.just("pause"), st.none()),
    st.tuples(st.just("silent"), st.sets(st.sampled_from("qhf"))),
    st.tuples(st.just("nack"), st.integers(1, 30)),
)
ACCIDENTS = st.sampled_from(["none"] * 12 + ["lost", "late", "later", "twice"])


@settings(deadline=None, max_examples=50)
@given(st.lists(STEPS, max_size=25), st.lists(ACCIDENTS, min_size=1, max_size=60), st.booleans(), st.integers(0, 99))
def test_whatever_happens_the_subscriber_sees_one_stream(steps, accidents, with_rtx, seed):
    """Losses, disorder and duplicates on the way in; switches, pauses and silence; repetitions on the way out."""
    call = Simulcast(with_rtx=with_rtx, seed=seed)
    fate = cycle(accidents)
    late: list[tuple[int, bytes]] = []  # how many packets later it comes
    lost = 0
    sent: list[RtpPacket] = []

    def arrive(packet: bytes) -> None:
        nonlocal late, lost
        match next(fate):
            case "lost":
                lost += 1
            case "late":
                late.append((2, packet))
            case "later":
                late.append((25, packet))
            case "twice":
                call.deliver(packet)
                call.deliver(packet)
            case _:
                call.deliver(packet)
        for _, due in [each for each in late if each[0] == 0]:
            call.deliver(due)
        late = [(left - 1, packet) for left, packet in late if left]

    for step, value in [("frames", 4), *steps, ("frames", 12)]:
        match step:
            case "target":
                call.consumer.set_target(LayerId(*value), call.now)
            case "pause":
                call.consumer.set_target(None, call.now)
            case "silent":
                call.off = value
            case "nack":
                call.consumer.receive_nack([packet.sequence_number for packet in sent[-value:]], call.now)
            case _:
                for _ in range(value):
                    for packets in call.frame().values():
                        for packet in packets:
                            arrive(packet)
                    call.tick()
        sent += call.subscriber.take()
    for _, packet in late:
        call.deliver(packet)
    sent += call.subscriber.take()
    if not sent:
        return
    call.consumer.set_target(LayerId(2, 2), call.now)
    call.subscriber.repeated.clear()
    got = {packet.index for packet in sent}
    missing = sorted(set(range(let_go(sent), max(got))) - got)
    call.consumer.receive_nack([index & 0xFFFF for index in missing], call.now + 1)
    found = len(call.subscriber.repeated) + len(call.subscriber.take())
    assert len(missing) - found <= lost, "nothing is missing but what never came"
    check_order([packet for packet in sorted(sent, key=lambda packet: packet.index) if packet.payload])


def let_go(packets: list[RtpPacket]) -> int:
    """Where the last change to a smaller picture began: what is missing before that is not sent again."""
    first = min(packet.index for packet in packets)
    height = 0
    for packet in sorted(packets, key=lambda packet: packet.index):
        size = vp8(packet.payload) if packet.payload else None
        if size is not None:
            first = packet.index if size.height < height else first
            height = size.height
    return first


def check_order(packets: list[RtpPacket]) -> None:
    """Frames follow each other in every number, and each encoding begins with a key frame."""
    pictures: dict[int, int | None] = {}
    encoding = 0
    highest: tuple[int, int, int] | None = None
    for packet in packets:
        descriptor = Vp8Descriptor(packet.payload)
        assert descriptor.picture_id is not None
        assert descriptor.tl0_picture is not None
        assert pictures.setdefault(packet.timestamp, descriptor.picture_id) == descriptor.picture_id
        now = (packet.timestamp, descriptor.picture_id, descriptor.tl0_picture)
        if highest is not None:
            ahead = [
                (one - other + half & 2 * half - 1) - half
                for one, other, half in zip(now, highest, (1 << 31, 1 << 14, 1 << 7), strict=True)
            ]
            assert min(ahead) >= 0
            assert (ahead[0] > 0) == (ahead[1] > 0)
        highest = now
        parts = (len(packet.payload) - descriptor.size) // 40
        if parts != encoding:
            assert vp8(packet.payload) is not None
        encoding = parts
    assert len(set(pictures.values())) == len(pictures)


def test_packets_that_name_no_layer_have_the_same_bytes_again_though_others_were_left_out():
    call = Simulcast("q", with_rtx=False)
    call.run(0.5)
    (data,) = call.frame()["q"]
    payload = parse(data).payload
    without_layer = payload[:1] + b"\xc0" + payload[2:5] + payload[6:]
    call.deliver(data[: -len(payload)] + without_layer)
    (sent,) = call.subscriber.take()
    call.router.receive_rtcp("b", rtcp.nack(9, OUT, [sent.sequence_number]), call.now + 1)
    (again,) = call.subscriber.repeated  # which compares the bytes
    assert again.payload == sent.payload


def test_what_is_inside_a_stream_is_found_out_once_for_all_who_ask(monkeypatch):
    call = Simulcast("q")
    call.run(1.0)
    asked: list[RtpStream] = []

    def counted(stream: RtpStream, now: float) -> dict[LayerId, Callable[[Share], bool]]:
        asked.append(stream)
        return stream_layers(stream, now)

    monkeypatch.setattr("sfu.rtp.measured.stream_layers", counted)
    told = [(call.consumer.current, call.consumer.target) for _ in range(3)]
    assert len(asked) <= 1
    (data,) = call.frame()["q"]
    call.deliver(data)
    assert (call.consumer.current, call.consumer.target) == told[0]
    assert 1 <= len(asked) <= 2
