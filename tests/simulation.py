"""A subscriber behind a bottleneck, in virtual time: a path with a rate, a queue, delay and loss.

Deterministic: the same seed gives the same call. Nothing of the SFU is replaced but the consumers, which make frames
instead of forwarding them; the receiver is the SFU's own `Arrivals`, whose feedback Chromium understands.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

from sfu.downlink import Downlink
from sfu.rtp import rtcp
from sfu.rtp.arrivals import Arrivals
from sfu.rtp.layers import Layer, LayerId
from sfu.rtp.twcc import TransportFeedback
from tests.way import Way

LOW, MIDDLE, HIGH = LayerId(0, 0), LayerId(1, 0), LayerId(2, 0)
SIMULCAST = (
    Layer(LOW, 150_000, 320, 180, 25),
    Layer(MIDDLE, 500_000, 640, 360, 25),
    Layer(HIGH, 1_700_000, 1280, 720, 25),
)
"""What Chromium sends of 720p, about."""
STEP_S = 0.005
PACKET = 1100
AUDIO_PACKET = 100

Rate = Callable[[float], float]


class Link:
    """One direction of a path whose rate is a function of time."""

    def __init__(
        self, rate_bps: Rate, *, delay_s: float = 0.025, queue_s: float = 0.3, loss: float = 0.0, seed: int = 1
    ) -> None:
        self.way: Way[Any] = Way(seed)
        self.way.delay_s, self.way.queue_s, self.way.loss = delay_s, queue_s, loss
        self._rate_bps = rate_bps

    def send(self, size: int, what: Any, now: float) -> None:
        """Something of `size` bytes enters."""
        self.way.rate_bps = self._rate_bps(now)
        self.way.put(what, size, now)

    def arrived(self, until: float) -> list[tuple[float, Any]]:
        """What arrives until then, each with its time."""
        way, found = self.way, []
        while (at := way.next_at()) is not None and at <= until:
            way.rate_bps = self._rate_bps(at)
            found += [(at, what) for what in way.take(at)]
        return found


class Connected:
    """A transport that has nothing to send: the consumers here put their packets on the link themselves."""

    connected = True
    arrived = None

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        raise AssertionError("nobody sends through this")

    def send_rtcp(self, packet: bytes) -> None:
        raise AssertionError("nobody sends through this")


class Camera:
    """A consumer that makes its frames itself; a change of layer takes a while, as a key frame does."""

    def __init__(
        self, call: "Call", layers: tuple[Layer, ...] = SIMULCAST, *, switch_s: float = 0.2, seed: int = 7
    ) -> None:
        self.offered = layers
        self.target: LayerId | None = layers[0].id
        self.current: LayerId | None = layers[0].id
        self.speaking = self.screen = False
        self.changes: list[tuple[float, LayerId | None]] = []
        """When which target was set."""
        self.probes = 0
        self._call = call
        self._switch_s = switch_s
        self._rng = Random(seed)
        self._frame_at = self._rng.random() / 25
        self._switch_at: float | None = None

    def layers(self, now: float) -> tuple[Layer, ...]:
        return self.offered

    def set_target(self, target: LayerId | None, now: float) -> None:
        self.changes.append((now, target))
        self.target = target
        if target is None:
            self.current, self._switch_at = None, None
        else:
            self._switch_at = now + self._switch_s

    def probe(self, size: int, now: float) -> int:
        sent = 0
        while sent < size:
            self._call.send(PACKET, "probe", now)
            sent += PACKET
        self.probes += sent
        return sent

    def run(self, now: float) -> None:
        while self._frame_at <= now:
            self._frame_at += 1 / 25
            key = self._switch_at is not None and self._switch_at <= now
            if key:
                self.current, self._switch_at = self.target, None
            layer = next((each for each in self.offered if each.id == self.current), None)
            if layer is None:
                continue
            size = layer.bitrate_bps / 8 / 25 * self._rng.uniform(0.7, 1.3) * (4 if key else 1)
            for _ in range(max(1, round(size / PACKET))):
                self._call.send(min(PACKET, round(size)), self, now)


class Microphone:
    """A consumer of audio: 50 packets a second."""

    def __init__(self, call: "Call") -> None:
        self.packets = self.octets = 0
        self._call = call
        self._next_at = 0.0

    def run(self, now: float) -> None:
        while self._next_at <= now:
            self._next_at += 0.02
            self.packets += 1
            self.octets += 80
            self._call.send(AUDIO_PACKET, self, now)


@dataclass
class Heard:
    """What arrived of one sender."""

    times: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


class Call:
    """One subscriber's downlink with a microphone, cameras and a path; `run` moves time."""

    def __init__(
        self,
        down: Link,
        up: Link | None = None,
        *,
        cameras: int = 1,
        feedback_s: float = 0.1,
        clock: Callable[[float], float] = lambda now: now + 5000,
        mend: Callable[[TransportFeedback], TransportFeedback | None] = lambda feedback: feedback,
    ) -> None:
        """`clock` is the receiver's; `mend` may change what it says."""
        self.now = 0.0
        self.down = down
        self.up = up or Link(lambda _: 10_000_000)
        self.downlink = Downlink(Connected())
        self.microphone = Microphone(self)
        self.cameras = [Camera(self, seed=7 + n) for n in range(cameras)]
        self.heard: dict[object, Heard] = {}
        self.estimates: list[tuple[float, float]] = []
        self._feedback_s, self._clock, self._mend = feedback_s, clock, mend
        self._arrivals = Arrivals()
        self._feedback_at = self._tick_at = 0.0
        self.downlink.add_audio(self.microphone)
        for camera in self.cameras:
            self.downlink.add_video(camera)

    def send(self, size: int, who: object, now: float) -> None:
        """A packet leaves with a transport-wide number."""
        number = self.downlink.departures.add(size, now)
        self.down.send(size + 44, (number, who, now), now)

    def run(self, until: float) -> None:
        while self.now < until:
            self.now = round(self.now + STEP_S, 6)
            now = self.now
            self.microphone.run(now)
            for camera in self.cameras:
                camera.run(now)
            for at, packet in self.down.arrived(now):
                self._take(packet, at)
            for at, feedback in self.up.arrived(now):
                self.downlink.hear(feedback, at)
            if now >= self._tick_at:
                self._tick_at += 0.02
                self.downlink.tick(now)
                self.estimates.append((now, self.downlink.stats().bitrate_bps))
            if now >= self._feedback_at:
                self._feedback_at += self._feedback_s
                self._tell(now)

    def target(self, camera: int = 0, *, at: float = float("inf")) -> LayerId | None:
        """What a camera's target was at a time, or is now."""
        return next((target for when, target in reversed(self.cameras[camera].changes) if when <= at), LOW)

    def when(self, camera: int, layer: LayerId | None, after: float) -> float:
        """When a camera's target next was this layer, after a time; infinity for never."""
        if self.target(camera, at=after) == layer:
            return after
        changes = self.cameras[camera].changes
        return next((at for at, target in changes if at > after and target == layer), float("inf"))

    def turns(self, camera: int = 0) -> list[float]:
        """When a camera changed direction: down after up, or up after down."""
        ups = [
            (at, (target or (-1, -1)) > (before or (-1, -1)))
            for (_, before), (at, target) in pairwise([(0.0, LOW), *self.cameras[camera].changes])
        ]
        return [at for (_, before), (at, up) in pairwise(ups) if up != before]

    def gap(self, who: object, since: float, until: float) -> float:
        """The longest time in which nothing of a sender arrived."""
        times = [since, *(at for at in self.heard[who].times if since < at < until), until]
        return max(b - a for a, b in pairwise(times))

    def delay(self, who: object, since: float, until: float) -> float:
        """The longest way of a packet that arrived between these."""
        heard = self.heard[who]
        return max(delay for at, delay in zip(heard.times, heard.delays, strict=True) if since < at < until)

    def _take(self, what: tuple[int, object, float], now: float) -> None:
        number, who, left = what
        self._arrivals.add(number, self._clock(now))
        heard = self.heard.setdefault(who, Heard())
        heard.times.append(now)
        heard.delays.append(now - left)

    def _tell(self, now: float) -> None:
        packet = self._arrivals.feedback(1, 2)
        if packet is None:
            return
        (feedback,) = rtcp.parse(packet)
        assert isinstance(feedback, TransportFeedback)
        mended = self._mend(feedback)
        if mended is not None:
            self.up.send(len(packet), mended, now)
