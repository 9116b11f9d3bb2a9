"""A subscriber of a stream with layers inside: what it gets can be decoded, and ends each picture with a marker."""

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.consumer import Consumer
from sfu.router import Router
from sfu.rtp.dependency import Dependency, Structure
from sfu.rtp.layers import LayerId
from sfu.rtp.packet import RtpPacket, header, write_elements
from sfu.rtp.parameters import (
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)
from sfu.rtp.vp9 import Vp9Descriptor

from .layered import FPS, OUT, OUT_RTX, TEMPORAL, Publisher, Subscriber
from .rtp.test_dependency import L3T3, L3T3_KEY

AV1 = RtpCodec("video/AV1", 96, 90000, feedback=("nack", "nack pli"))
VP9 = RtpCodec("video/VP9", 96, 90000, feedback=("nack", "nack pli"))
RTX = RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),))
PUBLISHED = (HeaderExtension(9, MID_URI), HeaderExtension(13, DEPENDENCY_DESCRIPTOR_URI))
RECEIVED = (HeaderExtension(1, MID_URI), HeaderExtension(5, DEPENDENCY_DESCRIPTOR_URI))
SSRC = 40
FLOOR = 20
"""Pictures, in which the floor between two requests for key frames ends."""
HALF = 2
"""Packets that a frame is sent in."""


@dataclass
class Frame:
    """A frame of one spatial layer, in packets."""

    spatial: int
    temporal: int
    packets: list[bytes] = field(default_factory=list)


class Av1:
    """Three spatial by three temporal layers, each described as Chromium does."""

    codec = AV1

    def __init__(self, key: bytes = L3T3) -> None:
        self._key = key
        self._structure = Dependency(key).structure
        self._frame = 0xFFF0
        self._number = 65500
        self._picture = 0

    def picture(self, now: float, *, key: bool) -> list[Frame]:
        """The frames of the next picture."""
        if key:
            self._picture = 0
        temporal = TEMPORAL[self._picture % 4]
        self._picture += 1
        made = []
        for spatial in range(3):
            self._frame = self._frame + 1 & 0xFFFF
            frame = Frame(spatial, temporal)
            for part in range(HALF):
                described = self._describe(spatial, temporal, part, key=key)
                marker = spatial == 2 and part == HALF - 1
                frame.packets.append(self._packet(now, marker, [(9, b"0"), (13, described)], b"\x10" + bytes(30)))
            made.append(frame)
        return made

    def _describe(self, spatial: int, temporal: int, part: int, *, key: bool) -> bytes:
        wanted = ((1,) if spatial else ()) if key else {0: 12, 1: 6, 2: 3}[temporal]
        template = next(
            at
            for at, known in enumerate(self._structure.templates)
            if (known.spatial, known.temporal) == (spatial, temporal)
            and (known.fdiffs == wanted if key else known.fdiffs[:1] == (wanted,))
        )
        first = (not part) << 7 | (part == HALF - 1) << 6 | (template + self._structure.first_template) % 64
        described = bytes((first,)) + self._frame.to_bytes(2, "big")
        return described + self._key[3:] if key and not spatial and not part else described

    def _packet(self, now: float, marker: bool, elements: list[tuple[int, bytes]], payload: bytes) -> bytes:
        self._number = self._number + 1 & 0xFFFF
        timestamp = round(now * 90000) & 0xFFFFFFFF
        return header(marker << 7 | 96, self._number, timestamp, SSRC, *write_elements(elements)) + payload


class Vp9(Av1):
    """The same by payload descriptors alone, not in flexible mode."""

    codec = VP9
    tl0, picture_id = 250, 0x7FF0

    def picture(self, now: float, *, key: bool) -> list[Frame]:
        frames = super().picture(now, key=key)
        self.picture_id = self.picture_id + 1 & 0x7FFF
        if not frames[0].temporal:
            self.tl0 = self.tl0 + 1 & 0xFF
        for frame in frames:
            frame.packets = [self._rewrapped(packet, frame, part, key) for part, packet in enumerate(frame.packets)]
        return frames

    def _rewrapped(self, packet: bytes, frame: Frame, part: int, key: bool) -> bytes:
        structure = key and not frame.spatial and not part
        first = 0xA0 | (not key) << 6 | (not part) << 3 | (part == HALF - 1) << 2 | structure << 1
        layers = frame.temporal << 5 | 0x10 | frame.spatial << 1 | bool(frame.spatial)
        payload = bytes((first, 0x80 | self.picture_id >> 8, self.picture_id & 0xFF, layers, self.tl0))
        payload += bytes.fromhex("50 0140 00b4 0280 0168 0500 02d0") if structure else b""
        number, timestamp = int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[4:8], "big")
        return header(packet[1], number, timestamp, SSRC, *write_elements([(9, b"0")])) + payload + bytes(30)


class Call:
    """A publisher and one subscriber."""

    def __init__(self, source: Av1, *, with_rtx: bool = True) -> None:
        self.source = source
        self.router = Router(rng=Random(4))
        self.publisher, self.subscriber = Publisher(), Subscriber()
        self.now = 1.0
        parameters = RtpParameters("0", "video", (source.codec, RTX), PUBLISHED, (Encoding(SSRC),))
        self.producer = self.router.produce(
            TrackInfo("t", "alice", "a", "video", "camera", parameters), self.publisher, self.now
        )
        out = Encoding(OUT, OUT_RTX if with_rtx else None)
        theirs = RtpParameters("3", "video", (source.codec, RTX), RECEIVED, (out,))
        self.consumer: Consumer = self.router.consume("t", theirs, self.subscriber, self.now, peer_id="b")
        self.begun = False

    def pictures(self, count: int, *, answer: bool = True) -> list[RtpPacket]:
        """So many pictures arrive; what the subscriber gets."""
        self.subscriber.take()
        for _ in range(count):
            self.now += 1 / FPS
            key = not self.begun or (answer and bool(self.publisher.asked))
            if key:
                self.publisher.asked = []
            self.begun = True
            for frame in self.source.picture(self.now, key=key):
                for packet in frame.packets:
                    self.router.receive_rtp("a", packet, self.now)
            self.producer.tick(self.now)
        return self.subscriber.take()

    def aim(self, spatial: int, temporal: int) -> None:
        self.consumer.set_target(LayerId(spatial, temporal), self.now)


class Decoder:
    """Takes what a subscriber gets and fails where that could not be decoded."""

    def __init__(self) -> None:
        self._structure: Structure | None = None
        self._frames: set[int] = set()
        self._index: int | None = None

    def take(self, packets: list[RtpPacket]) -> list[LayerId]:
        """The layers of the frames."""
        layers = []
        for at, packet in enumerate(packets):
            assert self._index is None or packet.index == self._index + 1
            self._index = packet.index
            found = Dependency(packet.elements[5], self._structure)
            self._structure = found.structure
            if found.starts:
                for back in found.fdiffs:
                    assert found.frame_number - back & 0xFFFF in self._frames, "built on a frame that was not sent"
                layers.append(LayerId(found.spatial, found.temporal))
            if found.ends:
                self._frames.add(found.frame_number)
            following = packets[at + 1].timestamp if at + 1 < len(packets) else None
            assert packet.marker == (following != packet.timestamp), "a marker at the end of each picture"
        return layers


@pytest.mark.parametrize("key", [L3T3, L3T3_KEY])
def test_what_is_sent_of_av1_can_always_be_decoded(key: bytes):
    call, decoder = Call(Av1(key)), Decoder()
    assert set(decoder.take(call.pictures(10))) == {LayerId(0, 0)}
    for target in ((2, 2), (0, 2), (1, 1), (2, 0), (0, 0), (1, 2), (2, 2)):
        call.aim(*target)
        decoder.take(call.pictures(10))
        assert call.consumer.current == call.consumer.target == target
        sent = decoder.take(call.pictures(8))
        assert max(sent) <= target
        assert max(layer.spatial for layer in sent) == target[0]
        assert {layer.temporal for layer in sent} == set(range(target[1] + 1))


def test_full_svc_goes_down_at_once_and_k_svc_with_a_key_frame():
    for key, at_once in ((L3T3, True), (L3T3_KEY, False)):
        call, decoder = Call(Av1(key)), Decoder()
        call.aim(2, 2)
        decoder.take(call.pictures(FLOOR))
        call.publisher.asked = []
        call.aim(0, 2)
        sent = decoder.take(call.pictures(4, answer=False))
        assert bool(call.publisher.asked) != at_once
        assert {layer.spatial for layer in sent} == ({0} if at_once else {2})


def test_temporal_layers_need_no_key_frame():
    call, decoder = Call(Av1()), Decoder()
    decoder.take(call.pictures(5))
    call.publisher.asked = []
    call.aim(0, 2)
    assert {layer.temporal for layer in decoder.take(call.pictures(8))} == {0, 1, 2}
    assert not call.publisher.asked


def test_what_is_left_out_is_told_with_the_structure():
    call = Call(Av1())
    first = call.pictures(1)[0]
    assert Dependency(first.elements[5]).active == 0b000000001
    call.aim(1, 2)
    keys = [packet for packet in call.pictures(FLOOR) if len(packet.elements[5]) > 3]
    assert [Dependency(packet.elements[5]).active for packet in keys] == [0b000111111]


def test_decode_targets_are_measured():
    call = Call(Av1(L3T3_KEY))
    call.pictures(60)
    layers = {layer.id: layer for layer in call.consumer.layers(call.now)}
    assert set(layers) == {LayerId(s, t) for s in range(3) for t in range(3)}
    rates = [layers[LayerId(spatial, 2)].bitrate_bps for spatial in range(3)]
    assert max(rates) < 1.2 * min(rates), "of a K-SVC stream only one spatial layer is sent"
    assert [layers[LayerId(2, temporal)].frame_rate for temporal in range(3)] == pytest.approx([7.5, 15, 30], abs=1)
    assert (layers[LayerId(1, 0)].width, layers[LayerId(2, 2)].height) == (640, 720)


def test_frame_numbers_go_on_after_a_pause():
    call, decoder = Call(Av1()), Decoder()
    before = call.pictures(FLOOR)
    decoder.take(before)
    call.consumer.set_target(None, call.now)
    assert not call.pictures(5)
    call.aim(0, 0)
    after = call.pictures(5)
    decoder.take(after)
    last, first = (int.from_bytes(packet.elements[5][1:3], "big") for packet in (before[-1], after[0]))
    assert 0 < (first - last & 0xFFFF) <= 12, "frames that were left out may keep their numbers"


def test_a_structure_may_change_with_a_key_frame():
    call, decoder = Call(Av1()), Decoder()
    call.aim(2, 2)
    decoder.take(call.pictures(6))
    call.source._key, call.source._structure = L3T3_KEY, Dependency(L3T3_KEY).structure
    call.begun = False
    decoder.take(call.pictures(6))
    assert call.consumer.current == (2, 2)


def vp9(packets: list[RtpPacket]) -> list[Vp9Descriptor]:
    return [Vp9Descriptor(packet.payload) for packet in packets]


def test_spatial_and_temporal_layers_of_vp9():
    call = Call(Vp9())
    index = 0
    for target in ((0, 0), (2, 2), (0, 2), (1, 1), (2, 0), (1, 2)):
        call.aim(*target)
        call.pictures(10)
        assert call.consumer.current == target
        sent = call.pictures(8)
        assert {(d.spatial, d.temporal) for d in vp9(sent)} == {
            (spatial, temporal) for spatial in range(target[0] + 1) for temporal in range(target[1] + 1)
        }
        for packet, following in pairwise(sent):
            assert packet.marker == (packet.timestamp != following.timestamp)
            assert following.index == packet.index + 1
        assert sent[0].index > index
        index = sent[-1].index


def test_vp9_goes_down_at_once_and_up_with_a_key_frame():
    call = Call(Vp9())
    call.aim(2, 2)
    call.pictures(FLOOR)
    call.publisher.asked = []
    call.aim(0, 2)
    assert {d.spatial for d in vp9(call.pictures(4, answer=False))} == {0}
    assert not call.publisher.asked
    call.aim(1, 2)
    assert call.publisher.asked
    assert {d.spatial for d in vp9(call.pictures(4, answer=False))} == {0}
    up = vp9(call.pictures(4))
    first = next(d for d in up if d.spatial)
    assert not first.inter_picture


def test_picture_ids_of_vp9_keep_the_gaps_of_what_is_left_out_and_go_on_after_a_pause():
    call = Call(Vp9())
    ids = [d.picture_id for d in vp9(call.pictures(9)) if d.starts]
    assert ids == [ids[0], ids[0] + 4, ids[0] + 8]
    call.consumer.set_target(None, call.now)
    call.pictures(FLOOR)
    call.aim(0, 0)
    after = next(d for d in vp9(call.pictures(3)))
    assert after.picture_id == ids[-1] + 1
    assert after.tl0_picture == 250 + 4 & 0xFF


LAYERS = st.tuples(st.integers(0, 2), st.integers(0, 2))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.one_of(st.none(), LAYERS), st.integers(1, 7), st.booleans()), max_size=15),
    st.sampled_from([L3T3, L3T3_KEY]),
)
def test_whatever_the_targets_all_can_be_decoded(steps, key):
    call, decoder = Call(Av1(key), with_rtx=False), Decoder()
    sent = []
    for target, count, answer in steps:
        call.consumer.set_target(target and LayerId(*target), call.now)
        sent += call.pictures(count, answer=answer)
    decoder.take(sent)
    call.consumer.receive_nack([packet.sequence_number for packet in sent], call.now)
    assert len(call.subscriber.repeated) == min(len(sent), 250)  # `Subscriber.send_rtp` compares the bytes
