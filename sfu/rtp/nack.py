"""Asking again for what was lost: which sequence numbers to put into a NACK, and when (RFC 4585 section 6.2.1).

A gap is asked for at the first tick after it shows, which spares packets that were only reordered; then again on a
timer gated by the round trip, a bounded number of times. The numbers are mediasoup's (`NackGenerator.cpp`): 40 ms,
10 times, 1000 packets, a round trip of 100 ms until one was measured.

To ask at once and not with the next tick was tried: at 5 % loss it spares 1 to 4 ms of a frame's way on average, and
asks for everything that jitter brings out of order (`tests/unit/sfu/test_loss.py` has the call that this comes from).
"""

from collections import deque

MIN_INTERVAL_S = 0.04
MAX_TRIES = 10
MAX_MISSING = 1000
MAX_ASKED_AT_ONCE = 250
"""Keeps one NACK within one datagram whatever the pattern of loss."""
DEFAULT_RTT_S = 0.1
PATIENCE = 9 / 8
"""Round trips until an answer is taken for lost, as in QUIC (RFC 9002 section 6.1.2). A publisher that is asked again
before its own round trip has passed does not answer at all (libwebrtc's `RtpPacketHistory`)."""
_RTT_SAMPLES = 16


class _Missing:
    __slots__ = ("asked_first", "asked_last", "tries")

    def __init__(self) -> None:
        self.asked_first = 0.0
        self.asked_last = 0.0
        self.tries = 0


class NackGenerator:
    """The missing packets of one received stream, by index, the oldest first."""

    def __init__(self) -> None:
        self._missing: dict[int, _Missing] = {}
        self._rtts: deque[float] = deque(maxlen=_RTT_SAMPLES)
        self._key_frame_index = -1
        self.key_frame_needed = False
        """Something that decoding depends on was given up; whoever asks for the key frame sets it back."""

    def __len__(self) -> int:
        return len(self._missing)

    @property
    def rtt_s(self) -> float:
        """From a request to its answer.

        The shortest of the last samples: each runs from the first request, so one that had to be repeated is long.
        """
        return min(self._rtts, default=DEFAULT_RTT_S)

    def gap(self, first: int, end: int) -> None:
        """The packets `first` to `end` - 1 were passed over by a newer one."""
        if end - first + len(self._missing) > MAX_MISSING:
            self._forget_before(self._key_frame_index)
            if end - first + len(self._missing) > MAX_MISSING:
                self._missing.clear()
                self.key_frame_needed = True
                return
        for index in range(first, end):
            self._missing[index] = _Missing()

    def arrived(self, index: int, now: float) -> None:
        """A packet that was passed over came after all."""
        missing = self._missing.pop(index, None)
        if missing is not None and missing.tries:
            self._rtts.append(now - missing.asked_first)

    def key_frame(self, index: int) -> None:
        """A key frame starts at `index`: what is given up before it needs no other."""
        self._key_frame_index = max(index, self._key_frame_index)

    def due(self, now: float, oldest: int) -> list[int]:
        """What to ask for now, ascending. `oldest` is the first index that would still be of use."""
        if not self._missing:
            return []
        interval = max(MIN_INTERVAL_S, PATIENCE * self.rtt_s)
        asked: list[int] = []
        given_up: list[int] = []
        for index, missing in self._missing.items():
            if index < oldest:
                given_up.append(index)
            elif not missing.tries or now - missing.asked_last >= interval:
                if missing.tries == MAX_TRIES:
                    given_up.append(index)
                    continue
                if len(asked) == MAX_ASKED_AT_ONCE:
                    break
                if not missing.tries:
                    missing.asked_first = now
                missing.asked_last = now
                missing.tries += 1
                asked.append(index)
        for index in given_up:
            del self._missing[index]
            if index >= self._key_frame_index:
                self.key_frame_needed = True
        return asked

    def _forget_before(self, index: int) -> None:
        for old in [missing for missing in self._missing if missing < index]:
            del self._missing[old]
