"""Whether packets queue more and more on their way: the delay-based detector of Google Congestion Control.

draft-ietf-rmcat-gcc-02 in the form that libwebrtc gave it (`inter_arrival_delta.cc`, `trendline_estimator.cc`): the
slope of a line through the delays that add up between groups of packets, held against a threshold that adapts, so
that a flow that competes by loss (TCP) does not starve us. Numbers without another source are libwebrtc's.
"""

from collections import deque
from collections.abc import Iterable
from typing import Literal

from sfu.rtp.departures import Passage

Usage = Literal["normal", "overusing", "underusing"]

GROUP_S = 0.005
"""What leaves within this time is one group."""
BURST_S = 0.1
"""What arrives at once, though it left at different times, was held up together; at most so long."""
LEAP_S = 3.0
"""Between two groups, one of the clocks was set or stood still."""
REORDERED_MOST = 3
"""Groups that seem to arrive before their predecessor; the receiver's clock went backwards."""

WINDOW = 20
"""Groups that the line goes through."""
SMOOTHING = 0.9
GAIN = 4.0
MOST_DELTAS = 60
"""The slope counts for more the longer it is known, up to so many groups."""
OVERUSE_MS = 10.0
"""Above the threshold for so long, it is no accident."""
THRESHOLD_MS = 12.5
THRESHOLD_RANGE_MS = (6.0, 600.0)
RISE, FALL = 0.0087, 0.039
"""How fast the threshold follows, per millisecond (section 5.4: K_u, K_d)."""
OUTLIER_MS = 15.0
"""A slope so far above the threshold is a sudden event that the threshold must not learn from."""
STEP_MS = 100.0
"""The longest time that one update of the threshold stands for."""


class Trendline:
    """Compares when packets left with when they came, and says how the path is used."""

    def __init__(self) -> None:
        self.usage: Usage = "normal"
        self._started = False
        self._first_left = self._last_left = self._first_came = self._last_came = 0.0
        """Of the group that grows."""
        self._before: tuple[float, float] | None = None
        """When the last packets of the group before it left and came."""
        self._reordered = 0
        self._deltas = 0
        self._delay_ms = self._smoothed_ms = 0.0
        self._line = _Line()
        self._slope = 0.0
        self._threshold_ms = THRESHOLD_MS
        self._updated: float | None = None
        self._above_ms = -1.0
        self._above_count = 0

    def add(self, passages: Iterable[Passage]) -> None:
        """Packets that came, in the order in which they left."""
        for _, left, came, _ in passages:
            if not self._started:
                self._started = True
            elif left - self._first_left <= GROUP_S or self._held_up(left, came):
                if left >= self._first_left:
                    self._last_left = left
                    self._last_came = max(self._last_came, came)
                continue
            else:
                if self._before is not None:
                    self._compare(*self._before)
                self._before = self._last_left, self._last_came
            self._first_left = self._last_left = left
            self._first_came = self._last_came = came

    def skip(self) -> None:
        """What comes now is not to be compared with what came before: a probe lay between."""
        self._started = False
        self._before = None

    def _held_up(self, left: float, came: float) -> bool:
        """Whether the packet came together with the group, though it left later."""
        later = came - self._last_came
        return later <= GROUP_S and later < left - self._last_left and came - self._first_came < BURST_S

    def _compare(self, left_before: float, came_before: float) -> None:
        sent, arrived = self._last_left - left_before, self._last_came - came_before
        if abs(arrived - sent) > LEAP_S:
            self._start_anew()
        elif arrived < 0:
            self._reordered += 1
            if self._reordered >= REORDERED_MOST:
                self._start_anew()
        else:
            self._reordered = 0
            self._learn((arrived - sent) * 1000, sent * 1000, self._last_came)

    def _start_anew(self) -> None:
        self._reordered = self._deltas = 0
        self._delay_ms = self._smoothed_ms = self._slope = 0.0
        self._line = _Line()
        self._updated = None
        self.usage = "normal"

    def _learn(self, delta_ms: float, sent_ms: float, came: float) -> None:
        self._deltas = min(self._deltas + 1, MOST_DELTAS)
        self._delay_ms += delta_ms
        self._smoothed_ms = SMOOTHING * self._smoothed_ms + (1 - SMOOTHING) * self._delay_ms
        slope = self._line.add(came * 1000, self._smoothed_ms)
        self._judge(self._slope if slope is None else slope, sent_ms)
        self._adapt(came)

    def _judge(self, slope: float, sent_ms: float) -> None:
        trend = slope * self._deltas * GAIN
        if trend > self._threshold_ms:
            self._above_ms = sent_ms / 2 if self._above_ms < 0 else self._above_ms + sent_ms
            self._above_count += 1
            if self._above_ms > OVERUSE_MS and self._above_count > 1 and slope >= self._slope:
                self._above_ms, self._above_count = 0.0, 0
                self.usage = "overusing"
        else:
            self._above_ms, self._above_count = -1.0, 0
            self.usage = "underusing" if trend < -self._threshold_ms else "normal"
        self._slope = slope

    def _adapt(self, came: float) -> None:
        trend_ms = abs(self._slope * self._deltas * GAIN)
        elapsed_ms = 0.0 if self._updated is None else min((came - self._updated) * 1000, STEP_MS)
        self._updated = came
        if trend_ms > self._threshold_ms + OUTLIER_MS:
            return
        speed = FALL if trend_ms < self._threshold_ms else RISE
        threshold = self._threshold_ms + speed * (trend_ms - self._threshold_ms) * elapsed_ms
        self._threshold_ms = min(max(threshold, THRESHOLD_RANGE_MS[0]), THRESHOLD_RANGE_MS[1])


class _Line:
    """The line with the least squares through the last points, from sums that move with them."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()
        self._x = self._y = self._xx = self._xy = 0.0
        self._origin = 0.0
        self._moved = 0

    def add(self, x: float, y: float) -> float | None:
        """A point more; the slope, or None before the window is full."""
        points = self._points
        points.append((x, y))
        if self._moved == 0:  # anew from time to time, so that the sums stay small and exact
            self._sum_up(x)
        else:
            x -= self._origin
            self._x, self._y, self._xx, self._xy = self._x + x, self._y + y, self._xx + x * x, self._xy + x * y
        self._moved = (self._moved + 1) % WINDOW
        if len(points) > WINDOW:
            x, y = points.popleft()
            x -= self._origin
            self._x, self._y, self._xx, self._xy = self._x - x, self._y - y, self._xx - x * x, self._xy - x * y
        elif len(points) < WINDOW:
            return None
        square = WINDOW * self._xx - self._x * self._x
        return (WINDOW * self._xy - self._x * self._y) / square if square > 0 else 0.0

    def _sum_up(self, origin: float) -> None:
        self._origin = origin
        self._x = self._y = self._xx = self._xy = 0.0
        for x, y in self._points:
            self._x += x - origin
            self._y += y
            self._xx += (x - origin) ** 2
            self._xy += (x - origin) * y
