"""How much arrives at the other end, by its own clock."""

from collections import deque

from sfu.rtp.departures import Passage

WINDOW_S = 0.5
"""Long enough for a dozen frames, so that a large one does not count for a change; libwebrtc's first window."""
BURST_S = 0.2


class Acknowledged:
    """The rate at which packets arrived, over the last half second in which any did."""

    def __init__(self) -> None:
        self._packets: deque[tuple[float, int]] = deque()
        self._octets = 0
        self._since: float | None = None

    def add(self, passage: Passage) -> None:
        """A packet that came."""
        packets, came = self._packets, passage.came
        if packets and not -WINDOW_S < came - packets[-1][0] < 4 * WINDOW_S:
            packets.clear()  # a pause, or a clock that was set: what was measured before is no more
            self._octets = 0
            self._since = None
        if self._since is None:
            self._since = came
        packets.append((came, passage.size))
        self._octets += passage.size
        while packets[0][0] <= came - WINDOW_S:
            self._octets -= packets.popleft()[1]

    def credit(self, octets: int) -> None:
        """So many bytes most likely came with the newest packet, though nobody told."""
        if self._packets and octets:
            self._packets.append((self._packets[-1][0], octets))
            self._octets += octets

    @property
    def bitrate_bps(self) -> float | None:
        """None before half a second was seen."""
        if self._since is None or self._packets[-1][0] - self._since < WINDOW_S:
            return None
        return 8 * self._octets / WINDOW_S

    @property
    def burst_bps(self) -> float | None:
        """How fast the newest packets came one after the other: while a queue grows, what the path carries, however
        little was sent before. At least `bitrate_bps`."""
        packets, average = self._packets, self.bitrate_bps
        if average is None:
            return None
        newest = packets[-1][0]
        octets, first = 0, newest
        for came, size in reversed(packets):
            if came < newest - BURST_S:
                break
            octets, first, oldest = octets + size, came, size
        return max(average, 8 * (octets - oldest) / (newest - first)) if newest > first else average
