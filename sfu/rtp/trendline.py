"""Whether packets queue more and more on their way: the delay-based detector of Google Congestion Control.

draft-ietf-rmcat-gcc-02 in the form that libwebrtc gave it (`inter_arrival_delta.cc`, `trendline_estimator.cc`): the
slope of a line through the delays that add up between groups of packets, held against a threshold that adapts, so
that a flow that competes by loss (TCP) does not starve us. Numbers without another source are libwebrtc's.
"""

from collections import deque
from typing import Literal, NamedTuple

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


class _Group(NamedTuple):
    first_left: float
    last_left: float
    first_came: float
    last_came: float


class Trendline:
    """Takes the two times of each packet that came, in seconds, and says how the path is used."""

    def __init__(self) -> None:
        self.usage: Usage = "normal"
        self._group: _Group | None = None
        self._previous: _Group | None = None
        self._reordered = 0
        self._deltas = 0
        self._delay_ms = self._smoothed_ms = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._slope = 0.0
        self._threshold_ms = THRESHOLD_MS
        self._updated: float | None = None
        self._above_ms = -1.0
        self._above_count = 0

    def add(self, left: float, came: float) -> None:
        """A packet left and came at these times, of two clocks; packets in the order in which they left."""
        group = self._group
        if group is None:
            self._group = _Group(left, left, came, came)
        elif left < group.first_left:
            return
        elif self._belongs(group, left, came):
            self._group = _Group(group.first_left, left, group.first_came, max(came, group.last_came))
        else:
            if self._previous is not None:
                self._compare(self._previous, group)
            self._previous = group
            self._group = _Group(left, left, came, came)

    def skip(self) -> None:
        """What comes now is not to be compared with what came before: a probe lay between."""
        self._group = self._previous = None

    @staticmethod
    def _belongs(group: _Group, left: float, came: float) -> bool:
        if left - group.first_left <= GROUP_S:
            return True
        later = came - group.last_came
        return later - (left - group.last_left) < 0 and later <= GROUP_S and came - group.first_came < BURST_S

    def _compare(self, before: _Group, after: _Group) -> None:
        sent, arrived = after.last_left - before.last_left, after.last_came - before.last_came
        if abs(arrived - sent) > LEAP_S:
            self._start_anew()
        elif arrived < 0:
            self._reordered += 1
            if self._reordered >= REORDERED_MOST:
                self._start_anew()
        else:
            self._reordered = 0
            self._learn((arrived - sent) * 1000, sent * 1000, after.last_came)

    def _start_anew(self) -> None:
        self._reordered = self._deltas = 0
        self._delay_ms = self._smoothed_ms = self._slope = 0.0
        self._points.clear()
        self._updated = None
        self.usage = "normal"

    def _learn(self, delta_ms: float, sent_ms: float, came: float) -> None:
        self._deltas = min(self._deltas + 1, MOST_DELTAS)
        self._delay_ms += delta_ms
        self._smoothed_ms = SMOOTHING * self._smoothed_ms + (1 - SMOOTHING) * self._delay_ms
        self._points.append((came * 1000, self._smoothed_ms))
        slope = _slope(self._points) if len(self._points) == WINDOW else self._slope
        self._judge(slope, sent_ms)
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


def _slope(points: deque[tuple[float, float]]) -> float:
    """Of the line with the least squares of distance."""
    mean_x = mean_y = 0.0
    for x, y in points:
        mean_x += x
        mean_y += y
    mean_x /= len(points)
    mean_y /= len(points)
    product = square = 0.0
    for x, y in points:
        apart = x - mean_x
        product += apart * (y - mean_y)
        square += apart * apart
    return product / square if square else 0.0
