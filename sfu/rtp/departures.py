"""What left over one transport, by transport-wide number, until its receiver has told what became of it."""

from array import array
from typing import NamedTuple

from sfu.rtp.seq import unwrap
from sfu.rtp.twcc import TICK_S, TransportFeedback

CAPACITY = 2048
"""Packets remembered: 3 s of 5 Mbit/s, in 24 KB. Feedback comes ten times a second or more."""
OVERHEAD = 28 + 16
"""Bytes that each packet has on the way besides RTP: IPv4 and UDP, and the SRTP tag. A link carries them, too."""
_TOLD = -1.0


class Passage(NamedTuple):
    """One packet that came: its number, which here never wraps, when it left and came, and its bytes with `OVERHEAD`.

    The two times are seconds of two clocks, ours and the receiver's.
    """

    number: int
    left: float
    came: float
    size: int


class Fate(NamedTuple):
    """What feedback tells anew. A packet of `came` that was told as lost before counts as `late`."""

    came: list[Passage]
    """By rising index."""
    lost: list[int]
    late: int
    untold: int
    """Bytes that left between what was told before and this: the feedback about them was lost itself."""


class Departures:
    """Gives the packets of a transport their numbers, and understands the feedback about them."""

    __slots__ = ("_missing", "_sizes", "_times", "_told", "latest", "next", "octets")

    def __init__(self) -> None:
        self.next = 1
        """The index of the next packet; its lower 16 bits are the number."""
        self.latest = 0.0
        """When the last one left."""
        self.octets = 0
        """Of all packets, with their overhead."""
        self._times = array("d", [_TOLD]) * CAPACITY
        self._sizes = array("I", [0]) * CAPACITY
        self._told = 0  # the highest index that feedback spoke of
        self._missing: set[int] = set()

    def add(self, size: int, now: float) -> int:
        """The number, of 16 bits, of an RTP packet of `size` bytes that leaves now. Once per packet."""
        index = self.next
        self.next = index + 1
        slot = index % CAPACITY
        if now < self.latest:  # noqa: PLR1730 - once per packet and subscriber; `max` costs as much as the rest
            now = self.latest  # a packet out of a cache arrived earlier, but leaves after the one before
        self.latest = self._times[slot] = now
        size += OVERHEAD
        self._sizes[slot] = size
        self.octets += size
        return index & 0xFFFF

    def told(self, feedback: TransportFeedback) -> Fate:
        """Understand feedback. Of what was never sent, or so long ago that it is forgotten, it tells nothing."""
        oldest = max(1, self.next - CAPACITY)
        base = unwrap(feedback.base, self.next - 1)
        times, sizes, missing = self._times, self._sizes, self._missing
        came: list[Passage] = []
        lost: list[int] = []
        late = 0
        untold = self.sent_between(self._told + 1, base - 1)
        for offset, ticks in feedback.received:
            index = base + offset
            slot = index % CAPACITY
            if not oldest <= index < self.next or times[slot] == _TOLD:
                continue
            came.append(Passage(index, times[slot], ticks * TICK_S, sizes[slot]))
            times[slot] = _TOLD
            if index in missing:
                missing.remove(index)
                late += 1
        for index in range(max(base, self._told + 1, oldest), min(base + feedback.count, self.next)):
            self._told = index
            if times[index % CAPACITY] != _TOLD:
                missing.add(index)
                lost.append(index)
        if len(missing) > CAPACITY:
            self._missing = {index for index in missing if index >= oldest}
        return Fate(came, lost, late, untold)

    def sent_between(self, first: int, last: int) -> int:
        """The bytes of the packets `first` to `last`, of those that are remembered."""
        first, last = max(first, self.next - CAPACITY, 1), min(last, self.next - 1)
        return sum(self._sizes[number % CAPACITY] for number in range(first, last + 1))
