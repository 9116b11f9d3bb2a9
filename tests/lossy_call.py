"""A call over bad ways in virtual time: two ends of `tests.ends`, and our router between them.

Nothing sleeps, and nothing is left to chance but what the seed says: a minute of a call takes a second and is the
same each time.
"""

from dataclasses import dataclass
from itertools import pairwise
from random import Random
from statistics import fmean, quantiles

from sfu.router import Router
from sfu.rtp.parameters import TrackInfo
from tests.ends import FRAME_RATE, Publisher, Subscriber, parameters
from tests.way import Way

TICK_S = 0.02
"""Of the media process (`sfu/node.py`), and of libwebrtc's NACK timer."""
HEADERS = 20 + 8 + 16
"""Bytes of IP, UDP and the tag of SRTP."""
SETTLE_S = 3.0
_PUBLISHED, _SUBSCRIBED = (1000, 1001), (2000, 2001)


@dataclass(frozen=True)
class Outcome:
    """What became of a call."""

    sent: int
    """Frames."""
    decoded: int
    longest_gap_s: float
    """Between two decoded frames."""
    late_s: float
    latest_s: float
    """How much later than it was sent a frame was decoded: on average, and 99 of 100 not later than this."""
    key_frames: int
    """That the publisher was made to send, the first not counted."""
    repeated: int
    """Packets that the publisher and the router sent again."""

    @property
    def share(self) -> float:
        """Of the frames sent, those decoded."""
        return self.decoded / self.sent


class LossyCall:
    """The publisher's two ways, the subscriber's two, and who meets on them."""

    def __init__(self, rtt_s: float, seed: int = 0, *, jitter_s: float = 0.005) -> None:
        """`rtt_s` is that of the publisher and the router, and again that of the router and the subscriber."""
        self.now = 0.0
        ways = [Way[bytes](4 * seed + number) for number in range(4)]
        for way in ways:
            way.delay_s, way.jitter_s = rtt_s / 2, jitter_s
        self.up, self.back, self.down, self.back_up = ways
        """From the publisher and to it, to the subscriber and from it."""
        self._router = Router(rng=Random(seed))
        self.publisher = Publisher(_Wire(self, self.up).put, *_PUBLISHED, Random(seed), rtt_s=rtt_s)
        self._subscriber = Subscriber(_Wire(self, self.back_up).put, _SUBSCRIBED[0])
        track = TrackInfo("t", "u", "p", "video", "camera", parameters(*_PUBLISHED))
        self._router.produce(track, _Wire(self, self.back), 0.0)
        down = _Wire(self, self.down)
        self._consumer = self._router.consume("t", parameters(*_SUBSCRIBED), down, 0.0, peer_id="s")

    def run(self, seconds: float) -> Outcome:
        """So much of a call; what is still on its way at the end is waited for."""
        frames = round(seconds * FRAME_RATE)
        frame_at: float | None = 0.0
        tick_at = 0.0
        while self.now < seconds + SETTLE_S:
            if frame_at is not None and frame_at <= self.now:
                self.publisher.send_frame()
                sent = self.publisher.frames
                frame_at = sent / FRAME_RATE if sent < frames else None
            if tick_at <= self.now:
                self._router.tick(self.now)
                self._subscriber.tick(self.now)
                tick_at += TICK_S
            self._deliver()
            ways = (self.up, self.back, self.down, self.back_up)
            events = (frame_at, tick_at, *(way.next_at() for way in ways))
            self.now = min(event for event in events if event is not None)
        return self._outcome()

    def _deliver(self) -> None:
        now = self.now
        for data in self.up.take(now):
            self._router.receive_rtp("p", data, now)
        for data in self.back.take(now):
            self.publisher.receive(data, now)
        for data in self.down.take(now):
            self._subscriber.receive(data, now)
        for data in self.back_up.take(now):
            self._router.receive_rtcp("s", data, now)

    def _outcome(self) -> Outcome:
        decoded = self._subscriber.decoded
        late = [at - timestamp / 90000 for at, timestamp in decoded]
        return Outcome(
            sent=self.publisher.frames,
            decoded=len(decoded),
            longest_gap_s=max(after - before for (before, _), (after, _) in pairwise(decoded)),
            late_s=fmean(late),
            latest_s=quantiles(late, n=100)[-1],
            key_frames=self.publisher.key_frames - 1,
            repeated=self.publisher.repeated + self._consumer.resent,
        )


class _Wire:
    """What is sent sets out on a way; an `RtpTransport`."""

    connected = True

    def __init__(self, call: LossyCall, way: Way[bytes]) -> None:
        self._call = call
        self._way = way

    def put(self, data: bytes) -> None:
        self._way.put(data, len(data) + HEADERS, self._call.now)

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        self.put(header + payload)

    def send_rtcp(self, packet: bytes) -> None:
        self.put(packet)
