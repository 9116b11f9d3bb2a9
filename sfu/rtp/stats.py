"""What is measured of a stream: jitter, loss, rates, round trips, and the values that others see."""

from collections import deque
from dataclasses import dataclass, field

from sfu.rtp.layers import Layer
from sfu.rtp.rtcp import ReportBlock

_JITTER_LEAP_S = 5.0
"""A transit time that leaps further was a clock that stopped or was set, not the network (as libwebrtc has it)."""
_SHORTEST_SPAN_S = 0.1
"""Below it, a rate would be that of one burst."""
_LONGEST_ROUND_TRIP_S = 10
"""Nobody talks over a longer one; what says so comes from a clock that runs otherwise, or from a liar."""
_MOST_REPORTS = 64
"""Of the last seconds: whoever reports more often than libwebrtc does, several times a second, is heard for less."""
LOSS_WINDOW_S = 10.0
"""In less than that, a few packets of sound that are lost by chance would look like a bad connection; and libwebrtc
reports on sound only every 5 s."""


@dataclass(frozen=True, slots=True)
class TrackStats:
    """A published track as it arrives. Rates are of the last two seconds, counts since the beginning.

    They are what W3C's webrtc-stats calls so at the other end: `bytesSent` and `packetsSent` without what was
    retransmitted, `packetsLost`, `jitter`.
    """

    codec: str
    """In lower case: `opus`, `vp8`."""
    bitrate_bps: int
    """Of payload, of all encodings: without headers, padding and what was only sent again."""
    packets: int
    lost: int
    loss_rate: float
    """0 to 1, over the last `LOSS_WINDOW_S`; retransmission does not undo a loss."""
    jitter_ms: float
    width: int
    """0 until a key frame told it, and for audio."""
    height: int
    frame_rate: float
    expected: int = field(default=0, kw_only=True)
    """Packets that `loss_rate` is of: those that should have come in its time."""
    layers: tuple[Layer, ...] = field(default=(), kw_only=True)
    """Of video, what each layer takes."""
    rtt_ms: float | None = field(default=None, kw_only=True)
    """Between us and the other end; None until a report told it."""


@dataclass(frozen=True, slots=True)
class ConsumerStats(TrackStats):
    """A track as one subscriber gets it: loss, jitter and round trip are from its receiver reports."""


class Jitter:
    """Interarrival jitter (RFC 3550 section 6.4.1, appendix A.8), one sample a frame.

    Packets of one frame share a timestamp but leave one after the other: libwebrtc counts only the first too.
    """

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._timestamp: int | None = None
        self._arrival = 0.0
        self._jitter = 0.0

    def add(self, timestamp: int, arrival: float) -> None:
        """The first packet of a frame, in order."""
        if self._timestamp is not None:
            elapsed = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            transit = abs((arrival - self._arrival) * self._clock_rate - elapsed)
            if transit < _JITTER_LEAP_S * self._clock_rate:
                self._jitter += (transit - self._jitter) / 16
        self._timestamp, self._arrival = timestamp, arrival

    @property
    def clock_units(self) -> int:
        """As a report block has it."""
        return int(self._jitter)

    @property
    def milliseconds(self) -> float:
        """As people have it."""
        return self._jitter * 1000 / self._clock_rate


class Reception:
    """How many packets of a stream were expected and came (RFC 3550 appendix A.3)."""

    def __init__(self, first_index: int) -> None:
        self._first = first_index
        self._expected_before = 0
        self._received_before = 0
        self.received = 0

    def lost(self, highest_index: int) -> int:
        """Since the beginning; below zero where duplicates came."""
        return highest_index - self._first + 1 - self.received

    def interval_loss(self, highest_index: int) -> float:
        """The share, 0 to 1, that was lost since the last call."""
        expected_all = highest_index - self._first + 1
        expected = expected_all - self._expected_before
        received = self.received - self._received_before
        self._expected_before, self._received_before = expected_all, self.received
        return max(0.0, (expected - received) / expected) if expected > 0 else 0.0


class RecentLoss:
    """What of a stream was lost in the last `LOSS_WINDOW_S`, by the counters of reports."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, int, int]] = deque()

    def report(self, highest: int, lost: int, now: float) -> None:
        """Note the highest sequence number and all that was lost, as in a report block."""
        reports = self._reports
        reports.append((now, highest, lost))
        while len(reports) > _MOST_REPORTS or (len(reports) > 2 and now - reports[1][0] >= LOSS_WINDOW_S):
            reports.popleft()

    @property
    def expected(self) -> int:
        """Packets between the first and the last of these reports; a stream that began anew has none."""
        return max(0, self._reports[-1][1] - self._reports[0][1]) if self._reports else 0

    @property
    def lost(self) -> int:
        """How many of them were lost; what came late counts as found."""
        return min(self.expected, max(0, self._reports[-1][2] - self._reports[0][2])) if self._reports else 0


class Rate:
    """How fast a counter rises, over a sliding window: it is sampled now and then, and nothing runs per packet."""

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, total: int, now: float) -> None:
        """Note the counter: a few times within the window."""
        samples = self._samples
        samples.append((now, total))
        while len(samples) > 2 and now - samples[1][0] >= self._window_s:
            samples.popleft()

    def per_second(self, total: int, now: float) -> float:
        """The rise per second between the oldest sample of the window and `total`, which is the counter now."""
        if not self._samples:
            return 0.0
        since, before = self._samples[0]
        return (total - before) / (now - since) if now - since >= _SHORTEST_SPAN_S else 0.0


def round_trip_s(block: ReportBlock, sent: float, now: float) -> float:
    """The round trip that a report block tells (RFC 3550 section 6.4.1), in seconds.

    `sent` is when the SR that the block names in `last_sr` left. A receiver whose clock runs fast, or lies, gives 0.
    """
    return max(0.0, now - sent - block.delay / 65536)


def reference(now: float) -> int:
    """A time as a 64-bit NTP timestamp of a clock of our own, by which only differences mean something."""
    return int(now * 2**32) & (1 << 64) - 1


def answered_round_trip_s(last: int, delay: int, now: float) -> float | None:
    """The round trip that a DLRR tells (RFC 3611 section 4.5), in seconds; None for one that can't be.

    `last` is the middle of the `reference` that it answers.
    """
    elapsed = (reference(now) >> 16) - last - delay & 0xFFFFFFFF
    return elapsed / 65536 if elapsed < _LONGEST_ROUND_TRIP_S * 65536 else None
