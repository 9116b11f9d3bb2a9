"""One unbroken stream for a subscriber, whatever happens to its sources.

The subscriber's sequence numbers run on without a gap that it would ask about: across pauses, across packets that are
left out on purpose, across a change of source. Between such events a stretch of the source's indices maps to the
subscriber's by one constant, so a packet that was lost on the way in keeps its number free until it comes.

Theory of operation. A *segment* is such a stretch: indices [first, last] of one source, out = index + delta, and one
`rewrite`: whatever else is the same for all its packets, which the munger keeps and does not look at. The current
segment is open at the end. `follow`, `skip` and `cut` close it and open another, whose first packet takes the number
after the highest that was given out, so no two packets ever share a number: AES-GCM allows no repetition with other
bytes. Closed segments are kept for late packets, and to find the packet that a NACK means: a bounded number, and
those of the last few sources alone, since each keeps its source's packets in memory.
"""

from bisect import bisect_right
from collections import deque
from typing import Generic, NamedTuple, TypeVar

from sfu.rtp.lane import Lane, PythonLane

S = TypeVar("S")
R = TypeVar("R")

MAX_SEGMENTS = 128
"""As in Galène's `packetmap`: four seconds where every second frame is left out. Who asks later is not helped."""
MAX_SOURCES = 4
"""Three simulcast encodings, and what came before them."""


class Segment(NamedTuple, Generic[S, R]):
    """Indices `first` to `last` of `source` go out as index + `delta`, written as `rewrite` says."""

    source: S
    first: int
    last: int
    delta: int
    rewrite: R


class Munger(Generic[S, R]):
    """The map from sources' indices to a subscriber's. A source is anything that is compared by identity."""

    def __init__(self, first_index: int, rewrite: R, lane: Lane | None = None) -> None:
        """`first_index` is the first index that goes out; `rewrite` stands for one until the first `follow`. A `lane`
        begins with the index before that one."""
        self._closed: deque[Segment[S, R]] = deque(maxlen=MAX_SEGMENTS)
        self._sources: list[S] = []  # the last ones, the current one at the end
        self._source: S | None = None
        self._first = first_index
        self._lane = lane or PythonLane(first_index - 1)
        self._delta = 0
        self.rewrite = rewrite
        """How packets of the current segment are written."""

    @property
    def source(self) -> S | None:
        """The source that is followed, None before the first."""
        return self._source

    @property
    def highest_in(self) -> int:
        """The highest index of the source that was mapped, or passed over by `follow` or `skip`."""
        return self._lane.highest_in

    @property
    def delta(self) -> int:
        """What is added to the indices of the current segment."""
        return self._delta

    @property
    def highest_out(self) -> int:
        """The highest index that was given out."""
        return self.highest_in + self._delta

    def follow(self, source: S, index: int, rewrite: R) -> None:
        """Go on with `source` at `index`, which takes the next number.

        The same source may be followed anew, after a pause, only at an index above `highest_in`: ValueError.
        """
        if source is self._source and index <= self.highest_in:
            raise ValueError("this packet of the source was passed already")
        out = self.highest_out + 1
        self._close(self.highest_in)
        if source is not self._source:
            self._sources = [*(known for known in self._sources if known is not source), source][-MAX_SOURCES:]
            kept = (s for s in self._closed if any(s.source is known for known in self._sources))
            self._closed = deque(kept, MAX_SEGMENTS)
        self._source = source
        self.rewrite = rewrite
        self._open(index, out)

    def cut(self, index: int, rewrite: R) -> None:
        """From `index` on, which is above `highest_in`, packets are written otherwise. No number is passed over."""
        out = index + self._delta
        self._close(index - 1)
        self.rewrite = rewrite
        self._open(index, out)

    def advance(self, index: int) -> int:
        """The subscriber's index of a packet of the followed source that is in order, above `highest_in`."""
        self._lane.highest_in = index
        return index + self._delta

    def find(self, index: int) -> Segment[S, R] | None:
        """The segment of a packet of the followed source that is late; None where the subscriber must not get it.

        That is a packet from before the subscriber's start, out of a pause, or from before the source was followed.
        """
        if self._source is None or index > self.highest_in:
            return None
        if index >= self._first:
            return Segment(self._source, self._first, self.highest_in, self._delta, self.rewrite)
        for segment in reversed(self._closed):
            if segment.source is not self._source:
                return None
            if index >= segment.first:
                return segment if index <= segment.last else None
        return None

    def skip(self, index: int) -> bool:
        """Leave a packet of the followed source out, so that the subscriber never misses it.

        False where it is too late for that: a newer packet went out already and left a number free for this one.
        """
        if index <= self.highest_in:
            return False
        if index == self._first:
            self._open(index + 1, self._first + self._delta)
            return True
        out = index + self._delta
        self._close(index - 1)
        self._open(index + 1, out)
        return True

    def locate(self, out_index: int) -> Segment[S, R] | None:
        """The segment that a number which was given out lies in; the source's index is `out_index` - `delta`."""
        if self._source is not None and self._first + self._delta <= out_index <= self.highest_out:
            return Segment(self._source, self._first, self.highest_in, self._delta, self.rewrite)
        at = bisect_right(self._closed, out_index, key=_first_out) - 1
        if at >= 0 and out_index <= self._closed[at].last + self._closed[at].delta:
            return self._closed[at]
        return None

    def forget(self) -> None:
        """Let go of every source: what went out is not found any more, and the next `follow` goes on behind it."""
        self._closed.clear()
        self._sources.clear()
        self._source = None

    def _close(self, last: int) -> None:
        if self._source is not None and last >= self._first:
            self._closed.append(Segment(self._source, self._first, last, self._delta, self.rewrite))

    def _open(self, first: int, out: int) -> None:
        self._first = first
        self._lane.highest_in = first - 1
        self._lane.settled = False
        self._delta = out - first


def _first_out(segment: Segment[S, R]) -> int:
    return segment.first + segment.delta
