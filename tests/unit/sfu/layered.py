"""A publisher whose tracks have layers and a subscriber that checks what it is sent, for tests of layers."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from sfu.consumer import Consumer
from sfu.router import Router
from sfu.rtp import rtcp
from sfu.rtp.packet import RtpPacket, header, parse, write_elements
from sfu.rtp.parameters import (
    MID_URI,
    RID_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)

VP8 = RtpCodec("video/VP8", 96, 90000, feedback=("nack", "nack pli"))
RTX = RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),))
EXTENSIONS = (HeaderExtension(4, MID_URI), HeaderExtension(10, RID_URI))
OUT, OUT_RTX = 7000, 7001
SSRCS = {"q": 20, "h": 21, "f": 22}
SIZES = {"q": (320, 180), "h": (640, 360), "f": (1280, 720)}
FPS = 30
TEMPORAL = (0, 2, 1, 2)
"""The temporal layers of successive frames, where there are three."""


class Publisher:
    """Keeps what it is asked for."""

    connected = True

    def __init__(self) -> None:
        self.asked: list[int] = []

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        raise AssertionError("nothing is forwarded to the publisher")

    def send_rtcp(self, packet: bytes) -> None:
        self.asked += [p.media_ssrc for p in rtcp.parse(packet) if isinstance(p, rtcp.PictureLoss)]


class Subscriber:
    """Keeps what it is sent, and holds the sender to what AES-GCM demands."""

    connected = True

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.repeated: list[RtpPacket] = []
        self._sealed: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        packet = parse(header + payload)
        again = (ssrc, index) in self._sealed
        assert self._sealed.setdefault((ssrc, index), (header, payload)) == (header, payload)
        packet.index = index
        (self.repeated if again or ssrc != OUT else self.packets).append(packet)

    def send_rtcp(self, packet: bytes) -> None:
        pass

    def take(self) -> list[RtpPacket]:
        taken, self.packets = self.packets, []
        return taken


@dataclass
class Source:
    """One VP8 encoding with three temporal layers: what Chromium sends of a rid."""

    rid: str
    parts: int
    number: int
    picture: int
    tl0: int
    clock: int
    """The timestamp at the beginning."""
    frame: int = 0
    """Since the last key frame."""

    def packets(self, at: float, *, key: bool = False, temporal_layers: int = 3) -> list[bytes]:
        """The packets of the frame that is taken at `at` seconds."""
        if key:
            self.frame = 0
        temporal = TEMPORAL[self.frame % 4] if temporal_layers == 3 else 0
        sync = temporal > 0 and self.frame % 8 < 4 and (temporal, self.frame % 4) != (2, 3)
        self.frame += 1
        self.picture = self.picture + 1 & 0x7FFF
        if temporal == 0:
            self.tl0 = self.tl0 + 1 & 0xFF
        made = []
        for part in range(self.parts):
            self.number = self.number + 1 & 0xFFFF
            width, height = SIZES[self.rid]
            data = b"\x10\x02\x00\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
            fields = bytes(
                (0x90 if not part else 0x80, 0xE0, 0x80 | self.picture >> 8, self.picture & 0xFF, self.tl0)
            )
            fields += bytes((temporal << 6 | sync << 5,))
            payload = fields + (data if key and not part else b"\x11\x02\x00") + bytes(40 * self.parts)
            marker = 0x80 if part == self.parts - 1 else 0
            extension = write_elements([(4, b"0"), (10, self.rid.encode())])
            timestamp = self.clock + round(at * 90000) & 0xFFFFFFFF
            made.append(header(marker | 96, self.number, timestamp, SSRCS[self.rid], *extension) + payload)
        return made


class Simulcast:
    """A call with a publisher of several encodings and one subscriber."""

    def __init__(self, rids: Iterable[str] = "qhf", *, with_rtx: bool = True, seed: int = 5) -> None:
        rng = Random(seed)
        self.router = Router(rng=rng)
        self.publisher, self.subscriber = Publisher(), Subscriber()
        self.now = 1.0
        self.sources = {
            rid: Source(
                rid, parts, rng.randrange(1 << 16), rng.randrange(1 << 15), rng.randrange(256), rng.randrange(1 << 32)
            )
            for parts, rid in enumerate(rids, 1)
        }
        encodings = tuple(Encoding(rid=rid) for rid in self.sources)
        parameters = RtpParameters("0", "video", (VP8, RTX), EXTENSIONS, encodings)
        self.producer = self.router.produce(
            TrackInfo("t", "alice", "a", "video", "camera", parameters), self.publisher, self.now
        )
        theirs = RtpParameters(
            "3", "video", (VP8, RTX), (HeaderExtension(1, MID_URI),), (Encoding(OUT, OUT_RTX if with_rtx else None),)
        )
        self.consumer: Consumer = self.router.consume("t", theirs, self.subscriber, self.now, peer_id="b")
        self.off: set[str] = set()
        """Encodings that are not sent."""
        self._wanted: set[str] = set(self.sources)
        self._ticked = self.now

    def deliver(self, packet: bytes) -> None:
        self.router.receive_rtp("a", packet, self.now)

    def frame(self, *, key: str = "", answer: bool = True) -> dict[str, list[bytes]]:
        """The packets of the next frame of each encoding, by rid: a key frame of those asked for, and of `key`."""
        self.now += 1 / FPS
        asked, self.publisher.asked = self.publisher.asked, []
        if answer:
            self._wanted |= {rid for rid in self.sources if SSRCS[rid] in asked}
        made = {}
        for rid, source in self.sources.items():
            if rid in self.off:
                self._wanted.add(rid)
                continue
            made[rid] = source.packets(self.now, key=rid in self._wanted or rid in key)
            self._wanted.discard(rid)
        return made

    def tick(self) -> None:
        while self._ticked <= self.now:
            self.producer.tick(self._ticked)  # not the router: its downlink would choose the target
            self._ticked += 0.02

    def run(self, seconds: float) -> list[RtpPacket]:
        """Everything arrives in order; what the subscriber got meanwhile."""
        self.subscriber.take()
        for _ in range(round(seconds * FPS)):
            for packets in self.frame().values():
                for packet in packets:
                    self.deliver(packet)
            self.tick()
        return self.subscriber.take()

    def report(self, rid: str, ntp_s: float | None = None) -> None:
        """A sender report of an encoding, true unless `ntp_s` says otherwise."""
        source = self.sources[rid]
        timestamp = source.clock + round(self.now * 90000) & 0xFFFFFFFF
        ntp = round((self.now if ntp_s is None else ntp_s) * 2**32)
        data = rtcp.sender_report(rtcp.SenderReport(SSRCS[rid], ntp, timestamp, 0, 0))
        self.router.receive_rtcp("a", data, self.now)
