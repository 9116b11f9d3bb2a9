"""How often a subscriber may ask for a packet again: not while it is on its way, and not without end.

A NACK of one datagram names four thousand packets, and a subscriber may send as many NACKs as it likes. So
repetitions are paid from a credit, which packets sent for the first time earn.
"""

BURST = 250
"""Repetitions that may be sent at once; then one for every two packets forwarded, whatever the subscriber claims."""
SHARE = 0.5
LOOK_COST = 0.1
"""What a number costs of this that can't be repeated."""
MIN_INTERVAL_S = 0.01
"""The same packet is not repeated sooner, nor within half a round trip: its first repetition is still on the way.

Half of it because libwebrtc's receivers take 100 ms for the round trip where they only receive, and ask in that
rhythm whatever it is: at 150 ms to wait for all of it would put one that was lost twice off by another 100 ms.
"""
_REMEMBERED = 2 * BURST


class Repetitions:
    """The books of one subscriber's stream."""

    def __init__(self) -> None:
        self._credit = float(BURST)
        self._earned = 0
        self._sent_at: dict[int, float] = {}
        self.since = 0
        """The first index that is repeated: what was sent before is of no use any more."""

    @property
    def affordable(self) -> bool:
        """Whether there is credit for one more."""
        return self._credit >= 1

    def earn(self, packets: int) -> None:
        """So many packets were sent for the first time, since the beginning."""
        self._credit = min(float(BURST), self._credit + (packets - self._earned) * SHARE)
        self._earned = packets

    def needless(self, index: int, now: float, rtt_s: float | None) -> bool:
        """Whether a packet is of no use, or went out so short a time ago that who asks for it can't have it yet."""
        return index < self.since or now - self._sent_at.get(index, float("-inf")) < max(
            MIN_INTERVAL_S, (rtt_s or 0.0) / 2
        )

    def repeated(self, index: int, now: float) -> None:
        """A packet was sent again."""
        self._credit -= 1
        self.came_late(index, now)

    def came_late(self, index: int, now: float) -> None:
        """A packet was sent for the first time after newer ones: it was asked for already, and in vain."""
        self._sent_at.pop(index, None)
        if len(self._sent_at) == _REMEMBERED:
            del self._sent_at[next(iter(self._sent_at))]
        self._sent_at[index] = now

    def in_vain(self) -> None:
        """What was asked for is not there."""
        self._credit -= LOOK_COST
