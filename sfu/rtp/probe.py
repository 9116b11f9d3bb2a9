"""A short time in which more is sent than needed, and what that tells of the path.

How fast packets arrive that left faster than the path carries them is how fast it carries them. Numbers without
another source are those of libwebrtc's `probe_bitrate_estimator.cc`.
"""

from sfu.rtp.departures import Departures, Passage

LOST_MOST = 0.2
"""The share of its packets that may be lost by chance. Above it, the path dropped what it could not queue."""
SATURATED = 0.85
"""Arriving at less of the rate at which they left, packets have met the limit of the path (libwebrtc: 0.9, but its
pacer sends evenly),"""
UTILISATION = 0.95
"""of which no more than this is to be used, so that queues drain."""
FEWEST = 5
"""Packets that have to come, and those of at least half of the probe."""
AT_ONCE_S = 0.002
"""What left within that time left together."""
ABSURD = 2.0
"""Packets that arrive so much faster than they left had been held up, and say nothing."""


class Probe:
    """The packets `first` to `last` of a transport, by index, and what became of them."""

    def __init__(self, departures: Departures, rate_bps: float, now: float) -> None:
        """It begins with the next packet that leaves. `rate_bps` is the rate that it is meant to have."""
        self.rate_bps = rate_bps
        self.began = now
        self.first = departures.next
        self.last: int | None = None
        """None until it `ended`."""
        self.done = False
        """Whether all its packets were told about, or never will be."""
        self._departures = departures
        self._came: list[Passage] = []
        self._lost = self._told = 0

    def end(self) -> None:
        """The packet that left last was its last."""
        self.last = self._departures.next - 1
        self.done = self._told >= self.last

    @property
    def octets(self) -> int:
        """How much has left since it began."""
        return self._departures.sent_between(self.first, self._departures.next - 1)

    def covers(self, number: int) -> bool:
        """Whether a packet belongs to it."""
        return number >= self.first and (self.last is None or number <= self.last)

    def add(self, passage: Passage) -> bool:
        """A packet that came; whether it belongs to the probe."""
        number = passage[0]
        own = self.covers(number)
        if own and not self.done:
            self._came.append(passage)
        self._told = max(self._told, number)
        self.done = self.last is not None and self._told >= self.last
        return own

    def lose(self, number: int) -> bool:
        """A packet that did not come; whether it belongs to the probe."""
        own = self.covers(number)
        self._lost += own
        return own

    def result(self) -> tuple[float, bool] | None:
        """What the path carries, in bits per second, and whether that is its limit; None where it can't be told."""
        came = self._came
        if self.last is None or len(came) < FEWEST:
            return None
        first, first_left, _, first_size = came[0]
        last, last_left, _, _ = came[-1]
        arrivals = [at for _, _, at, _ in came]
        left_s, came_s = last_left - first_left, max(arrivals) - min(arrivals)
        if 2 * (last - first) < self.last - self.first or left_s <= 0 or came_s <= 0 or left_s > ABSURD * came_s:
            return None
        loss = self._lost / (len(came) + self._lost)
        octets = self._departures.sent_between(first + 1, last)
        came_bps = 8 * octets / came_s
        if left_s < SATURATED * came_s or loss > LOST_MOST:
            return UTILISATION * (1 - loss) * came_bps, True
        last_lump = sum(size for _, left, _, size in came if last_left - left <= AT_ONCE_S)
        return min(8 * (octets + first_size - last_lump) / left_s, came_bps), False
