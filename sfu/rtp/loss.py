"""The rate that loss allows (draft-ietf-rmcat-gcc-02 section 6): for paths that drop instead of queueing.

Below a tenth, loss says little: radio loses a few per cent at any rate, and RTX repairs it. The draft holds the rate
from 2 % on; here only where nothing else is known of the path, because with arrival times delay tells congestion.
"""

FEW, MANY = 0.02, 0.10
"""Shares that are lost (section 6)."""
RISE_PER_S, RISE_BPS = 1.08, 1000
WINDOW_PACKETS = 50
"""Fewer say little about a share: at a loss of 5 %, one window of 20 in thirteen would have more than a tenth."""
WINDOW_S = 0.3
"""A decrease must show before the next; libwebrtc's interval, to which a round trip is added."""
KEPT = 0.85
"""What arrived did get through: the bound falls no further below that than it would for delay."""


class LossBound:
    """Counts what was sent and lost, and bounds the rate by it."""

    def __init__(self) -> None:
        self.bitrate_bps = float("inf")
        self.share = 0.0
        """That was lost, 0 to 1, of the last window."""
        self._sent = self._lost = 0
        self._window_from: float | None = None

    def add(self, sent: int, lost: int) -> None:
        """Of so many packets so many did not come; a negative number takes back what only came late."""
        self._sent += sent
        self._lost += lost

    def allow(self, bps: float) -> None:
        """So much was just seen to get through."""
        self.bitrate_bps = max(self.bitrate_bps, bps)

    def update(self, bps: float, arrived_bps: float, rtt_s: float, now: float, *, alone: bool) -> None:
        """`bps` is the estimate that is bounded, `alone` whether nothing but loss is known of the path."""
        if self._window_from is None:
            self._window_from = now
        elapsed = now - self._window_from
        if self._sent < WINDOW_PACKETS or elapsed < WINDOW_S + rtt_s:
            return
        self.share = max(0.0, self._lost / self._sent)
        self._sent = self._lost = 0
        self._window_from = now
        if self.share > MANY:
            self.bitrate_bps = max(min(self.bitrate_bps, bps) * (1 - self.share / 2), KEPT * arrived_bps)
        elif self.share <= FEW or not alone:
            self.bitrate_bps = self.bitrate_bps * RISE_PER_S ** min(elapsed, 1.0) + RISE_BPS
