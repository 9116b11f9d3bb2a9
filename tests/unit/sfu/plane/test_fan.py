"""The engine forwards as `Consumer` does: the same packets, byte for byte, whatever happens in between.

The same calls are made on two rooms that are alike, one of which has the engine. What the subscribers receive is
decrypted and compared, and so is all that is counted.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.consumer import Consumer
from sfu.plane.base import Plane, PlaneSession, SrtpKeys
from sfu.plane.choice import PlaneName, make_plane
from sfu.plane.python import PythonPlane
from sfu.router import Router
from sfu.rtp import rtcp
from sfu.rtp.layers import LayerId, View
from sfu.rtp.packet import header, write_elements
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)
from tests.unit.sfu.test_consumer_svc import PUBLISHED, Av1, Vp9
from tests.unit.sfu.test_consumer_svc import SSRC as LAYERED

VP8 = RtpCodec("video/VP8", 96, 90000, feedback=("nack", "nack pli", "transport-cc"))
RTX = RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),))
THEIR_VP8 = RtpCodec("video/VP8", 120, 90000, feedback=("nack", "nack pli", "transport-cc"))
THEIR_RTX = RtpCodec("video/rtx", 121, 90000, parameters=(("apt", "120"),))
OPUS = RtpCodec("audio/opus", 111, 48000, 2)
LEVEL, DEPENDENCY = 5, 6
OURS = (
    HeaderExtension(1, MID_URI),
    HeaderExtension(2, ABS_SEND_TIME_URI),
    HeaderExtension(3, TRANSPORT_CC_URI),
    HeaderExtension(LEVEL, AUDIO_LEVEL_URI),
    HeaderExtension(DEPENDENCY, DEPENDENCY_DESCRIPTOR_URI),
)
THEIRS = tuple(HeaderExtension(extension.id + 4, extension.uri) for extension in OURS)
KEYS = SrtpKeys("SRTP_AEAD_AES_128_GCM", b"A" * 16, b"a" * 12, b"B" * 16, b"b" * 12)
MIRRORED = SrtpKeys("SRTP_AEAD_AES_128_GCM", b"B" * 16, b"b" * 12, b"A" * 16, b"a" * 12)
SMALL, LARGE, OUT = 1000, 2000, 7000
SUBSCRIBERS = 3


class Wire:
    """A subscriber's transport over a real plane, as `WebRtcTransport` is one."""

    connected = True
    arrived = None

    def __init__(self, session: PlaneSession) -> None:
        self.session = session
        self.engine_session = session.native

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        self.session.send_rtp(ssrc, index, header, payload)

    def send_rtcp(self, packet: bytes) -> None:
        """Reports are not what this is about."""


class Publisher:
    connected = True
    arrived = None

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        raise AssertionError("nothing is forwarded to the publisher")

    def send_rtcp(self, packet: bytes) -> None:
        """It does what is asked of it without."""


class Room:
    """One publisher of two encodings or of sound, three subscribers that negotiated differently."""

    def __init__(self, plane: Plane, sink: socket.socket, kind: str) -> None:
        """`kind`: `audio`, `video` (simulcast of VP8), or `AV1` and `VP9` with layers inside."""
        self.plane, self.sink = plane, sink
        self.router = Router(rng=Random(7), lanes=plane.lanes)
        codecs, extensions, encodings = (VP8, RTX), OURS, (Encoding(SMALL, rid="l"), Encoding(LARGE, rid="h"))
        taken = (THEIR_VP8, THEIR_RTX)
        if kind == "audio":
            codecs, encodings, taken = (OPUS,), (Encoding(SMALL),), (OPUS,)
        elif kind != "video":
            layered = Av1.codec if kind == "AV1" else Vp9.codec
            codecs, extensions, encodings, taken = (layered, RTX), PUBLISHED, (Encoding(LAYERED),), (layered, RTX)
        medium: Any = "audio" if kind == "audio" else "video"
        source: Any = "microphone" if kind == "audio" else "camera"
        parameters = RtpParameters("0", medium, codecs, extensions, encodings, "alice")
        self.router.produce(TrackInfo("track", "alice", "alice", medium, source, parameters), Publisher(), 0.0)
        self.consumers: list[Consumer] = []
        self.wires: list[Wire] = []
        for number in range(SUBSCRIBERS):
            # one has everything, one nothing, one only a part
            wanted = (THEIRS, (), OURS[:2])[number]
            ssrc = OUT + 10 * number
            encoding = Encoding(ssrc, rtx_ssrc=None if kind == "audio" else ssrc + 1)
            negotiated = RtpParameters(str(number), medium, taken, wanted, (encoding,))
            wire = Wire(plane.session(KEYS, sink.getsockname()))
            self.wires.append(wire)
            self.consumers.append(self.router.consume("track", negotiated, wire, 0.0, peer_id=f"peer{number}"))
        self.readers = {
            OUT + 10 * number + rtx: PythonPlane(sink, lambda: None).session(MIRRORED, ("127.0.0.1", 1))
            for number in range(SUBSCRIBERS)
            for rtx in (0, 1)
        }

    def got(self) -> dict[int, list[bytes]]:
        """What left by SSRC, decrypted."""
        self.plane.flush()
        found: dict[int, list[bytes]] = {}
        while True:
            try:
                datagram = self.sink.recv(2048)
            except BlockingIOError:
                return found
            ssrc = int.from_bytes(datagram[8:12])
            packet = self.readers[ssrc].read_rtp(datagram)
            assert packet is not None, "not authentic, or a number that was used before"
            found.setdefault(ssrc, []).append(packet)

    def state(self) -> list[Any]:
        """All that a packet moves."""
        return [
            (
                consumer.packets,
                consumer.octets,
                consumer.resent,
                consumer.waiting,
                consumer.current,
                consumer._munger.highest_in,
                consumer._munger.highest_out,
                None if consumer.lane.last is None else consumer.lane.last.index,
                None if consumer._departures is None else list(consumer._departures._times[:64]),
                None if consumer._departures is None else list(consumer._departures._sizes[:64]),
            )
            for consumer in self.consumers
        ]

    def act(self, action: tuple[Any, ...], now: float) -> None:
        what, *rest = action
        router = self.router
        if what == "rtp":
            router.receive_rtp("alice", rest[0], now)
        elif what == "layer":
            number, spatial, temporal = rest
            self.consumers[number].set_target(None if spatial is None else LayerId(spatial, temporal), now)
        elif what == "view":
            self.consumers[rest[0]].set_view(View(visible=rest[1]), now)
        elif what == "mute":
            router.mute("track", rest[0])
        elif what == "connected":
            self.wires[rest[0]].connected = rest[1]  # type: ignore[misc]
            router.connected(f"peer{rest[0]}", rest[1])
        elif what == "nack":
            consumer = self.consumers[rest[0]]
            highest = consumer._munger.highest_out
            lost = [highest - behind & 0xFFFF for behind in rest[1] if highest >= behind]
            if lost:
                router.receive_rtcp(consumer.peer_id, rtcp.nack(1, consumer.ssrc, lost), now)
        else:
            router.tick(now)


@contextmanager
def twins(kind: str) -> Iterator[tuple[Room, Room]]:
    names: tuple[PlaneName, PlaneName] = ("python", "engine")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        for sock in (out, one, two):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        rooms = [
            Room(make_plane(name, out, lambda: None, None), sink, kind)
            for name, sink in zip(names, (one, two), strict=True)
        ]
        yield rooms[0], rooms[1]


def play(kind: str, actions: list[tuple[Any, ...]]) -> None:
    with twins(kind) as (python, engine):
        for n, action in enumerate(actions):
            now = 100.0 + n * 0.011
            python.act(action, now)
            engine.act(action, now)
            if n % 16 == 15 or n == len(actions) - 1:
                assert engine.got() == python.got()
            assert engine.state() == python.state()


def vp8(ssrc: int, sequence: int, frame: int, temporal: int | None, *, key: bool, dependency: bytes = b"") -> bytes:
    """A packet of a frame of its own, with a picture id of 15 bits, TL0PICIDX and, maybe, its layer."""
    start = b"\x90" + bytes((0xE0 if temporal is not None else 0xC0,))
    start += (0x8000 | frame & 0x7FFF).to_bytes(2) + bytes((frame // 2 & 0xFF,))
    if temporal is not None:
        start += bytes((temporal << 6 | (0x20 if temporal else 0),))
    data = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" if key else b"\x11\x02\x00"
    elements = [(1, b"0"), (2, b"abc"), (3, sequence.to_bytes(2))] + (
        [(DEPENDENCY, dependency)] if dependency else []
    )
    written = header(0x80 | 96, sequence & 0xFFFF, frame * 3000 & 0xFFFFFFFF, ssrc, *write_elements(elements))
    return written + start + data + struct.pack("!L", sequence) * (10 + frame % 5)


def opus(sequence: int, level: int) -> bytes:
    elements = write_elements([(1, b"0"), (LEVEL, bytes((level,)))])
    return header(111, sequence & 0xFFFF, sequence * 960 & 0xFFFFFFFF, SMALL, *elements) + bytes(sequence % 90)


def test_sound() -> None:
    play("audio", [("rtp", opus(65_500 + n, n % 128)) for n in range(100)])


def counting(forward: Callable[..., None], calls: list[object]) -> Callable[..., None]:
    def counted(*arguments: object) -> None:
        calls.append(arguments)
        forward(*arguments)

    return counted


def test_the_engine_does_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or all that is compared here would be Python."""
    with twins("video") as (_, engine):
        by_python = []
        for consumer in engine.consumers:
            monkeypatch.setattr(consumer, "forward", counting(consumer.forward, by_python))
        engine.router.mute("track", True)
        engine.router.mute("track", False)  # so that nothing is settled
        for n in range(50):
            engine.act(("rtp", vp8(SMALL, n, n, 0, key=n == 0)), 1.0 + n / 100)
        assert [len(packets) for packets in engine.got().values()] == [50] * SUBSCRIBERS
        assert len(by_python) == 2 * SUBSCRIBERS  # the key frame: where to begin, and then to be sent


@pytest.mark.parametrize("temporal", [None, 0, 1])
def test_a_layer_is_left_out_and_comes_back(temporal: int | None) -> None:
    frames = [
        ("rtp", vp8(SMALL, 10 + n, 100 + n, None if temporal is None else n % 2, key=n % 40 == 0)) for n in range(120)
    ]
    down = [("layer", 0, 0, 0), ("layer", 1, None, 0), ("layer", 2, 0, 1)]
    up = [("layer", number, 1, 7) for number in range(SUBSCRIBERS)]
    play("video", [*frames[:50], *down, *frames[50:90], *up, *frames[90:]])


video = st.builds(
    lambda ssrc, at, key, temporal: ("video", ssrc, at, key, temporal),
    st.sampled_from([SMALL, SMALL, LARGE]),
    st.sampled_from([1, 1, 1, 1, 1, 1, 2, 3, 0, -1, -2]),
    st.sampled_from([False] * 7 + [True]),
    st.sampled_from([None, 0, 1, 1]),
)
numbers = st.integers(0, SUBSCRIBERS - 1)
others = st.one_of(
    st.tuples(st.just("layer"), numbers, st.sampled_from([None, 0, 1]), st.integers(0, 2)),
    st.tuples(st.just("view"), numbers, st.booleans()),
    st.tuples(st.just("mute"), st.booleans()),
    st.tuples(st.just("connected"), numbers, st.booleans()),
    st.tuples(st.just("nack"), numbers, st.lists(st.integers(0, 12), min_size=1, max_size=4)),
    st.tuples(st.just("tick")),
)


def layered_pictures(source: Av1, key_every: int) -> list[tuple[Any, ...]]:
    frames = (source.picture(n / 30, key=n % key_every == 0) for n in range(60))
    return [("rtp", packet) for picture in frames for frame in picture for packet in frame.packets]


@pytest.mark.parametrize("kind", ["AV1", "VP9"])
@settings(deadline=None, max_examples=6)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 359),
            st.one_of(
                st.tuples(st.just("layer"), numbers, st.sampled_from([None, 0, 1, 2]), st.integers(0, 2)),
                st.tuples(st.just("view"), numbers, st.booleans()),
                st.tuples(st.just("nack"), numbers, st.lists(st.integers(0, 12), min_size=1, max_size=4)),
            ),
        ),
        max_size=12,
    ),
    st.sampled_from([30, 1000]),
)
def test_of_layers_inside_both_send_the_same(kind: str, changes: list[tuple[int, Any]], key_every: int) -> None:
    actions = layered_pictures(Av1() if kind == "AV1" else Vp9(), key_every)
    for at, change in sorted(changes, key=lambda each: each[0], reverse=True):
        actions.insert(at, change)
    play(kind, [("layer", 0, 2, 2), *actions])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 65_535), st.lists(st.one_of(video, video, video, video, others), max_size=120))
def test_whatever_happens_both_send_the_same(first: int, steps: list[tuple[Any, ...]]) -> None:
    highest = {SMALL: first, LARGE: first}
    frames = {SMALL: 32_700, LARGE: 5}
    actions: list[tuple[Any, ...]] = [("rtp", vp8(SMALL, first, 32_700, None, key=True))]
    for step in steps:
        if step[0] == "video":
            _, ssrc, ahead, key, temporal = step
            sequence = highest[ssrc] + ahead
            highest[ssrc] = max(sequence, highest[ssrc])
            frame = frames[ssrc] + sequence - first
            actions.append(("rtp", vp8(ssrc, sequence & 0xFFFF, frame, temporal, key=key)))
        else:
            actions.append(step)
    play("video", actions)
