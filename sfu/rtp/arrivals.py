"""When the packets of one transport came, until transport-wide feedback has told it."""

from sfu.rtp import twcc
from sfu.rtp.twcc import TICK_S, TransportFeedback

SPAN = 2048
"""Numbers that one feedback speaks of at most, and what a late packet may lag: 4 s of 5 Mbit/s. A gap that is wider
is a sender that leapt, or an outage of which the last part tells enough."""
MEMORY_S = 0.5
"""How long an arrival that was told is kept: a packet that comes out of order has it told again with its neighbours
(500 ms in libwebrtc's `RemoteEstimatorProxy`)."""
LATENESS_S = 4.0
"""What is told lies no further from the newest than this, so that any two times differ by less than a delta holds."""


class Arrivals:
    """Collects arrivals by transport-wide number, and makes feedback of them."""

    __slots__ = ("_feedback_count", "_highest", "_start", "_times", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        """Arrivals that were not told yet."""
        self._times: dict[int, float] = {}
        self._highest = -1
        self._start = -1
        """The first number that the next feedback speaks of."""
        self._feedback_count = 0

    def add(self, number: int, now: float) -> None:
        """A packet with this number, of 16 bits, came at `now`, in seconds. Once per packet."""
        highest = self._highest
        if highest < 0:
            index = self._start = self._highest = number + 0x10000  # a packet from before the first is above zero too
        else:
            index = highest + ((number - highest + 0x8000) & 0xFFFF) - 0x8000
            if index > highest:
                self._highest = index
            elif index <= highest - SPAN or index in self._times:
                return
            elif index < self._start:
                self._start = index
        self._times[index] = now
        self.waiting += 1

    def feedback(self, sender_ssrc: int, media_ssrc: int) -> bytes | None:
        """The RTCP packet that tells what came since the last one, or None where nothing did."""
        if not self.waiting:
            return None
        times, highest = self._times, self._highest
        newest = times[highest]
        start = max(self._start, highest - SPAN + 1)
        received = tuple(
            (index - start, int(time / TICK_S))
            for index in range(start, highest + 1)
            if (time := times.get(index)) is not None and abs(newest - time) < LATENESS_S
        )
        self._forget(newest - MEMORY_S)
        self._start = highest + 1
        self.waiting = 0
        told = TransportFeedback(
            sender_ssrc, media_ssrc, start & 0xFFFF, highest - start + 1, self._feedback_count, received
        )
        self._feedback_count = self._feedback_count + 1 & 0xFF
        return twcc.write(told)

    def _forget(self, before: float) -> None:
        """Arrivals from before that moment, and those beyond the span, oldest first."""
        times = self._times
        surplus = len(times) - SPAN
        for n, (index, time) in enumerate(list(times.items())):
            if time >= before and n >= surplus:
                return
            del times[index]
