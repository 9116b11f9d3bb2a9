"""What a receiver remembers of one SRTP stream: how far it is, and which packets it has seen."""

WINDOW = 1024
"""Packets that may arrive late. RFC 3711 section 3.3.2 asks for 64; a burst of video is longer than that."""


class ReplayWindow:
    """The highest packet index of a stream and a bit for each of the `WINDOW` indices up to it.

    Use: `index = window.estimate(sequence)`; `window.admits(index)`; authenticate; `window.record(index)`. Only a
    packet that was authentic may change the window, or anybody could push it away.
    """

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0

    def estimate(self, sequence: int) -> int:
        """The packet index that a 16-bit sequence number stands for: the nearest to the highest (section 3.3.1).

        The rollover counter starts at 0. Below 0 is possible, for a packet from before the stream began.
        """
        if self._highest < 0:
            return sequence
        ahead = (sequence - self._highest) & 0xFFFF
        return self._highest + (ahead if ahead < 0x8000 else ahead - 0x10000)

    def admits(self, index: int) -> bool:
        """Whether the index is neither a repeat nor too old to know (section 3.3.2)."""
        behind = self._highest - index
        if behind < 0:
            return True
        return behind < WINDOW and index >= 0 and not self._seen >> behind & 1

    def record(self, index: int) -> None:
        """Remember an index that `admits` let through."""
        ahead = index - self._highest
        if ahead <= 0:
            self._seen |= 1 << -ahead
            return
        self._seen = (self._seen << ahead | 1) & (1 << WINDOW) - 1 if ahead < WINDOW else 1
        self._highest = index
