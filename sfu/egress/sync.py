"""When each frame was captured, on the machine's monotonic clock: what keeps people, and their lips, in step.

A publisher has one wall clock, and a media clock for each track; none of them runs quite as fast as ours. Its sender
reports say which timestamp of a track is which moment of the wall clock (RFC 3550 section 6.4.1), so tracks of one
publisher are laid on that: `TrackClock`. The wall clock of each publisher is laid on ours by when packets arrive:
those that the network delayed least tell how far the two are apart (`Envelope`), and go on telling it, since clocks
drift. What remains between two publishers is the difference of their shortest ways here.
"""

from collections import deque
from typing import NamedTuple

from sfu.rtp.numbers import Unwrapper
from sfu.rtp.rtcp import SenderReport

WINDOW_S = 10.0
"""The least delay is that of one to two of these: at 100 ppm, clocks move by 2 ms in this time, and a network that is
busy lets a packet through undelayed."""
SETTLED_S = 2.0
"""A new publisher's least delay is taken as it comes for this long; later it is followed smoothly."""
FOLLOW_S = 10.0
"""Time constant of that: behind a clock that is 100 ppm off by 1 ms."""
TRUSTED_S = 10.0
"""What would have been captured longer ago than this, or this long after it came, was told wrongly: no buffer on a
way is so deep. Then all is learnt anew from that packet on."""

REPORTS = 10
"""So many sender reports make the line between a media clock and the wall clock, as in libwebrtc's
`RtpToNtpEstimator`: a single one is off by some milliseconds. They come once a second, so that sound which lost some
samples is in step again soon."""
MAX_DRIFT = 500e-6
"""A media clock is no more than this off the wall clock of the same machine: crystals are good to 100 ppm."""
REPORT_JUMP_S = 0.05
"""A report this far off the line begins a new one: the publisher's clock was set, or its track began anew."""

SLEW = 0.02
"""How fast a track moves to where it belongs: 20 ms in a second, which nobody hears."""
STEP_S = 0.3
"""From further away it jumps, and where its first report says that it belongs elsewhere: lips count from then on."""


class Envelope:
    """How far a remote clock is behind ours, by the packets that were delayed least."""

    def __init__(self) -> None:
        self._least = self._least_before = float("inf")
        self._window_began = 0.0
        self._began: float | None = None
        self._followed_at = 0.0
        self._offset = 0.0

    def heard(self, remote: float, arrival: float) -> None:
        """Something that happened at `remote`, in seconds of the other clock, arrived."""
        delay = arrival - remote
        if self._began is None or abs(delay - self._offset) > TRUSTED_S:
            self._began = self._window_began = self._followed_at = arrival
            self._least, self._least_before, self._offset = delay, float("inf"), delay
            return
        if arrival - self._window_began >= WINDOW_S:
            self._least_before, self._least = self._least, delay
            self._window_began = arrival
        else:
            self._least = min(self._least, delay)
        target = min(self._least, self._least_before)
        if arrival - self._began < SETTLED_S:
            self._offset = target
        else:
            step = min(1.0, max(0.0, arrival - self._followed_at) / FOLLOW_S)
            self._offset += (target - self._offset) * step
        self._followed_at = arrival

    def local(self, remote: float) -> float:
        """The same moment on our clock; meaningless before anything was heard."""
        return remote + self._offset


class Line(NamedTuple):
    """The wall clock of a publisher over the media clock of one track, both in seconds."""

    media: float
    wall: float
    slope: float

    def at(self, media: float) -> float:
        """The wall clock at this time."""
        return self.wall + (media - self.media) * self.slope


class TrackClock:
    """From a track's timestamps to our clock."""

    def __init__(self, clock_rate: int, publisher: Envelope) -> None:
        """`publisher` is that of its wall clock, which its other tracks share."""
        self._rate = clock_rate
        self._publisher = publisher
        self._own = Envelope()
        """For as long as no report came: its packets alone tell."""
        self._timestamps = Unwrapper()
        self._reports: deque[tuple[float, float]] = deque(maxlen=REPORTS)
        """(media time, wall clock), each in seconds."""
        self._line: Line | None = None
        self._offset = 0.0
        """From media time to our clock, as it was used last."""
        self._jumps = True
        """Whether it is taken as it is next time: nobody has heard anything yet that would have to go on smoothly, or
        what was taken for true was not."""
        self._began: float | None = None
        self._used_at = 0.0

    @property
    def reported(self) -> bool:
        """Whether a sender report came: before, arrivals alone tell, and the first packet may have been late."""
        return self._line is not None

    def report(self, report: SenderReport) -> None:
        """A sender report of this track came."""
        media, wall = self._media(report.timestamp), report.ntp / 2**32
        if self._line is None or abs(self._line.at(media) - wall) > REPORT_JUMP_S:
            self._reports.clear()
            self._jumps = True
        self._reports.append((media, wall))
        self._line = _line_through(self._reports)

    def at(self, timestamp: int, arrival: float) -> float:
        """When what has this timestamp, and arrived then, was captured."""
        media = self._media(timestamp)
        if self._line is None:
            self._own.heard(media, arrival)
            target = self._own.local(media) - media
        else:
            wall = self._line.at(media)
            self._publisher.heard(wall, arrival)
            target = self._publisher.local(wall) - media
        if self._began is None:
            self._began = arrival
        if self._jumps or arrival - self._began < SETTLED_S or abs(target - self._offset) > STEP_S:
            self._offset, self._jumps = target, False
        else:
            most = SLEW * max(0.0, arrival - self._used_at)
            self._offset += max(-most, min(most, target - self._offset))
        self._used_at = max(self._used_at, arrival)
        return media + self._offset

    def _media(self, timestamp: int) -> float:
        return self._timestamps.take(timestamp, 32) / self._rate


class Sync:
    """The clocks of everybody in a room."""

    def __init__(self) -> None:
        self._publishers: dict[str, Envelope] = {}

    def clock(self, peer_id: str, clock_rate: int) -> TrackClock:
        """For a track of a publishing connection, whose timestamps count so many a second."""
        return TrackClock(clock_rate, self._publishers.setdefault(peer_id, Envelope()))


def _line_through(reports: deque[tuple[float, float]]) -> Line:
    """Least squares; the slope is about 1."""
    first_media, first_wall = reports[0]  # differences: seconds since 1900 have few digits left
    xs = [media - first_media for media, _ in reports]
    ys = [wall - first_wall for _, wall in reports]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((one - x) ** 2 for one in xs)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / spread if spread else 1.0
    return Line(first_media + x, first_wall + y, max(1 - MAX_DRIFT, min(slope, 1 + MAX_DRIFT)))
