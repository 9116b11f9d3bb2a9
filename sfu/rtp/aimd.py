"""The rate that delay allows: additive increase, multiplicative decrease (draft-ietf-rmcat-gcc-02 section 5.5).

As libwebrtc does it (`aimd_rate_control.cc`, `link_capacity_estimator.cc`), and its numbers, except for one thing: no
pacer holds our packets back to the estimate. So where more arrives than was estimated the path carries that much, and
the estimate follows; to less than that while a queue grows.
"""

from math import ceil, sqrt

from sfu.rtp.trendline import Usage

LEAST_BPS = 50_000
"""Audio alone."""
MOST_BPS = 20_000_000
"""A dozen cameras of 720p: what lies above is of no use, and a receiver that lies gets no further."""
BACK_OFF = 0.85
RISE_PER_S = 1.08
LEAST_RISE_BPS = 1000.0
LEAST_SLOW_RISE_BPS = 4000.0
AHEAD, AHEAD_BPS = 1.5, 10_000
"""The estimate is never raised above 1.5 times what arrives: nobody has seen how much further it goes."""
FRAME_S = 1 / 30
PACKET_BITS = 8 * 1200
DETECTOR_S = 0.1
"""What the detector needs besides a round trip."""
TRUST_S = 0.5
"""So long after a decrease, what arrives is what leaves, no queue that drains."""


class LinkCapacity:
    """What arrived each time that the path was found overused, and how much that varies."""

    def __init__(self) -> None:
        self._kbps: float | None = None
        self._variance = 0.4

    @property
    def known(self) -> bool:
        """Whether the path was overused lately, so that more is to be asked of it with care."""
        return self._kbps is not None

    @property
    def bitrate_bps(self) -> float:
        """The mean."""
        return (self._kbps or 0.0) * 1000

    def within(self, bps: float) -> bool:
        """Whether that is within three standard deviations of what is known; of nothing known, everything."""
        return self._kbps is None or abs(bps / 1000 - self._kbps) <= 3 * sqrt(self._variance * self._kbps)

    def learn(self, bps: float) -> None:
        """So much arrived while the path was overused."""
        kbps = bps / 1000
        self._kbps = kbps if self._kbps is None else 0.95 * self._kbps + 0.05 * kbps
        error = self._kbps - kbps
        norm = max(self._kbps, 1.0)
        self._variance = min(max(0.95 * self._variance + 0.05 * error * error / norm, 0.4), 2.5)

    def forget(self) -> None:
        """The path has changed."""
        self._kbps = None


class RateControl:
    """The estimate, moved by how the path is used."""

    def __init__(self, start_bps: float) -> None:
        self.bitrate_bps = start_bps
        self.capacity = LinkCapacity()
        self._changed_at: float | None = None
        self.decreased_at = float("-inf")

    def update(self, usage: Usage, arrived_bps: float | None, rtt_s: float, now: float) -> None:
        """Usage as detected, and how much arrived, where that is known."""
        if usage == "overusing":
            if self._may_decrease(arrived_bps, rtt_s, now):
                self._decrease(arrived_bps, now)
        elif usage == "normal" and arrived_bps is not None:  # while a queue drains, wait
            self._increase(arrived_bps, rtt_s, now)
        self._changed_at = now

    def set(self, bps: float) -> None:
        """A probe has shown it."""
        self.bitrate_bps = _bounded(bps)

    def _may_decrease(self, arrived_bps: float | None, rtt_s: float, now: float) -> bool:
        """Once in a round trip, so that a decrease shows before the next; at once where far less arrives."""
        if now - self.decreased_at >= min(max(rtt_s, 0.01), 0.2):
            return True
        return arrived_bps is not None and arrived_bps < 0.5 * self.bitrate_bps

    def _decrease(self, arrived_bps: float | None, now: float) -> None:
        self.decreased_at = now
        if arrived_bps is None:
            self.bitrate_bps = _bounded(self.bitrate_bps / 2)
            return
        self.bitrate_bps = _bounded(BACK_OFF * arrived_bps)
        if not self.capacity.within(arrived_bps):
            self.capacity.forget()
        self.capacity.learn(arrived_bps)

    def _increase(self, arrived_bps: float, rtt_s: float, now: float) -> None:
        if arrived_bps > self.capacity.bitrate_bps and not self.capacity.within(arrived_bps):
            self.capacity.forget()
        bps = self.bitrate_bps
        limit = AHEAD * arrived_bps + AHEAD_BPS
        elapsed = 0.0 if self._changed_at is None else min(now - self._changed_at, 1.0)
        if bps < limit:
            if self.capacity.known:
                bps += self._slow_rise(rtt_s) * elapsed
            else:
                bps += max(bps * (RISE_PER_S**elapsed - 1), LEAST_RISE_BPS * elapsed)
            bps = min(bps, limit)
        if now - self.decreased_at > TRUST_S:
            bps = max(bps, arrived_bps)
        self.bitrate_bps = _bounded(bps)

    def _slow_rise(self, rtt_s: float) -> float:
        """Near the known capacity: about a packet for each time that it takes to notice (bits per second squared)."""
        frame_bits = self.bitrate_bps * FRAME_S
        packet_bits = frame_bits / ceil(frame_bits / PACKET_BITS)
        return max(LEAST_SLOW_RISE_BPS, packet_bits / (rtt_s + DETECTOR_S))


def _bounded(bps: float) -> float:
    return min(max(bps, LEAST_BPS), MOST_BPS)
