"""How much arrives at the other end, by its own clock."""

from collections import deque

WINDOW_S = 0.5
"""Long enough for a dozen frames, so that a large one does not count for a change; libwebrtc's first window."""
BURST_S = 0.15
"""The newest packets: those of the last feedback or two."""
MOST_TOLD = 256
"""Feedbacks within that time; more come of a receiver whose clock stands still."""


class Acknowledged:
    """The rate at which packets arrived, over the last half second in which any did."""

    def __init__(self) -> None:
        self._told: deque[tuple[float, int]] = deque()
        """When the last packet of each feedback came, and the bytes since the one before."""
        self._octets = 0
        """Of all but the oldest, which only tells when the time begins."""

    def add(self, came: float, octets: int) -> None:
        """So many bytes have come since the last call, the last of them at `came`."""
        told = self._told
        if told and not -WINDOW_S < came - told[-1][0] < 4 * WINDOW_S:
            told.clear()  # a pause, or a clock that was set: what was measured before is no more
            self._octets = 0
        if told:
            self._octets += octets
        told.append((max(came, told[-1][0]) if told else came, octets))
        while len(told) > 2 and (told[1][0] <= came - WINDOW_S or len(told) > MOST_TOLD):
            told.popleft()
            self._octets -= told[0][1]

    @property
    def bitrate_bps(self) -> float | None:
        """None before half a second was seen."""
        span_s = self._told[-1][0] - self._told[0][0] if self._told else 0.0
        return 8 * self._octets / span_s if span_s >= WINDOW_S else None

    @property
    def burst_bps(self) -> float | None:
        """How fast the newest packets came, at least `bitrate_bps`: while a queue grows, what the path carries."""
        average, told = self.bitrate_bps, self._told
        if average is None:
            return None
        newest, octets = told[-1][0], 0
        for at in range(len(told) - 1, 0, -1):
            octets += told[at][1]
            span_s = newest - told[at - 1][0]
            if span_s >= BURST_S:
                return max(average, 8 * octets / span_s)
        return average
