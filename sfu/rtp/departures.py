"""What left over one transport, by transport-wide number, until its receiver has told what became of it."""

from array import array
from typing import NamedTuple

from sfu.rtp.seq import unwrap
from sfu.rtp.twcc import TICK_S, TransportFeedback

CAPACITY = 2048
"""Packets remembered, a power of two: 3 s of 5 Mbit/s, in 24 KB. Feedback comes ten times a second or more."""
OVERHEAD = 28 + 16
"""Bytes that each packet has on the way besides RTP: IPv4 and UDP, and the SRTP tag. A link carries them, too."""
_SLOTS = CAPACITY - 1
_TOLD = -1.0

Passage = tuple[int, float, float, int]
"""One packet that came: its number, which here never wraps; when it left and when it came, in seconds of two clocks,
ours and the receiver's; and its bytes with `OVERHEAD`."""


class Fate(NamedTuple):
    """What feedback tells anew. A packet of `came` that was told as lost before counts as `late`."""

    came: list[Passage]
    """By rising number."""
    lost: list[int]
    late: int
    untold: int
    """Bytes that left between what was told before and this: the feedback about them was lost itself."""


class Departures:
    """Gives the packets of a transport their numbers, and understands the feedback about them."""

    __slots__ = ("_latest", "_missing", "_next", "_sizes", "_times", "_told")

    def __init__(self) -> None:
        self._next = array("Q", [1])
        self._latest = array("d", [0.0])
        self._times = array("d", [_TOLD]) * CAPACITY
        self._sizes = array("I", [0]) * CAPACITY
        self._told = 0  # the highest number that feedback spoke of
        self._missing: set[int] = set()

    @property
    def next(self) -> int:
        """The number of the next packet; 16 bits of it are sent."""
        return self._next[0]

    @property
    def memory(self) -> "tuple[array[float], array[int], array[int], array[float]]":
        """For an engine that does the same as `add`: times and sizes by number, the next number, the latest time."""
        return self._times, self._sizes, self._next, self._latest

    def add(self, size: int, now: float) -> int:
        """The number, of 16 bits, of an RTP packet of `size` bytes that leaves now. Once per packet."""
        number = self._next[0]
        self._next[0] = number + 1
        if now > self._latest[0]:
            self._latest[0] = now
        else:
            now = self._latest[0]  # a packet out of a cache arrived earlier, but leaves after the one before
        slot = number & _SLOTS
        self._times[slot] = now
        self._sizes[slot] = size
        return number & 0xFFFF

    def told(self, feedback: TransportFeedback) -> Fate:
        """Understand feedback. Of what was never sent, or so long ago that it is forgotten, it tells nothing."""
        oldest, following = max(1, self.next - CAPACITY), self.next
        base = unwrap(feedback.base, following - 1)
        times, sizes, missing = self._times, self._sizes, self._missing
        came: list[Passage] = []
        lost: list[int] = []
        late = 0
        untold = self.sent_between(self._told + 1, base - 1)
        for offset, ticks in feedback.received:
            number = base + offset
            slot = number & _SLOTS
            if not oldest <= number < following or times[slot] == _TOLD:
                continue
            came.append((number, times[slot], ticks * TICK_S, sizes[slot] + OVERHEAD))
            times[slot] = _TOLD
            if number in missing:
                missing.remove(number)
                late += 1
        for number in range(max(base, self._told + 1, oldest), min(base + feedback.count, following)):
            self._told = number
            if times[number & _SLOTS] != _TOLD:
                missing.add(number)
                lost.append(number)
        if len(missing) > CAPACITY:
            self._missing = {number for number in missing if number >= oldest}
        return Fate(came, lost, late, untold)

    def sent_between(self, first: int, last: int) -> int:
        """The bytes of the packets `first` to `last`, with their overhead, of those that are remembered."""
        first, last = max(first, self.next - CAPACITY, 1), min(last, self.next - 1)
        sizes = self._sizes
        return sum(sizes[number & _SLOTS] + OVERHEAD for number in range(first, last + 1))
