"""One direction of a path through the network, as arithmetic: what is put in comes out later, or not at all.

A packet meets, in this order: loss, a bottleneck of `rate_bps` before which a bounded queue stands, and the time that
it takes, `delay_s` and up to `jitter_s` more. Time is an argument, and every draw comes from one seeded generator,
two a packet: the same packets meet the same fate each time. `tests/link.py` puts real packets through it, simulations
their own.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from math import exp
from random import Random
from typing import Generic, TypeVar

P = TypeVar("P")

MTU = 1500
DEFAULT_QUEUE_S = 0.3
LEAST_QUEUE = 4 * MTU
"""Bytes that the queue holds whatever the rate: fewer would lose every burst, which no real modem does."""


class Way(Generic[P]):
    """One direction. Its attributes may be set at any time, also while packets are on their way."""

    def __init__(self, seed: int = 0) -> None:
        """Without loss, limit and delay."""
        self.delay_s = 0.0
        self.jitter_s = 0.0
        """The most that is added to the delay of a packet, drawn evenly."""
        self.reorder = False
        """Whether jitter may let a packet overtake another one."""
        self.loss = 0.0
        """The share of packets that is lost, 0 to 1."""
        self.burst_s = 0.0
        """How long a time in which all is lost lasts on average (Gilbert's model, in time: what is sent seldom is hit
        as often as what is sent in flocks); 0 for losses that know nothing of each other."""
        self.rate_bps: float | None = None
        """What the bottleneck lets through, whole packets counted; None for no limit."""
        self.queue_s = DEFAULT_QUEUE_S
        """How much its queue holds, as time at that rate; what comes to a full queue is dropped."""
        self.offered = 0
        """Packets that were put in."""
        self.lost = 0
        """Of these, lost at random."""
        self.dropped = 0
        """Of these, dropped before the bottleneck."""
        self.delivered = 0
        self.delivered_bytes = 0
        self._random = Random(seed)
        self._bad = False
        self._drew_at = 0.0
        self._queue: deque[tuple[float, int, P]] = deque()
        self._queued_bytes = 0
        self._free_at = 0.0
        self._served_at: float | None = None
        self._flying: list[tuple[float, int, int, P]] = []
        self._order = count()
        self._last_due = 0.0

    def mend(self) -> None:
        """Nothing is lost, late or held up any more; what is in the queue leaves it at once."""
        self.delay_s = self.jitter_s = self.loss = self.burst_s = 0.0
        self.rate_bps, self.queue_s, self.reorder = None, DEFAULT_QUEUE_S, False

    def put(self, packet: P, size: int, now: float) -> None:
        """A packet of `size` bytes sets out."""
        self.offered += 1
        lost, late = self._draw_loss(now), self._random.random()
        if lost:
            self.lost += 1
            return
        rate = self.rate_bps
        if rate is None and not self._queue:
            self._fly(packet, size, now, late)
            return
        if self._queue and self._queued_bytes + size > max(LEAST_QUEUE, self.queue_s * (rate or 0) / 8):
            self.dropped += 1
            return
        self._queue.append((late, size, packet))
        self._queued_bytes += size
        if len(self._queue) == 1:
            self._serve(max(now, self._free_at))

    def take(self, now: float) -> Iterator[P]:
        """What has arrived until now, in order."""
        while self._served_at is not None and self._served_at <= now:
            late, size, packet = self._queue.popleft()
            self._queued_bytes -= size
            self._free_at = self._served_at
            self._fly(packet, size, self._free_at, late)
            self._serve(self._free_at)
        while self._flying and self._flying[0][0] <= now:
            _, _, size, packet = heappop(self._flying)
            self.delivered += 1
            self.delivered_bytes += size
            yield packet

    def next_at(self) -> float | None:
        """When `take` has something to do next; None while the way is empty."""
        times = [self._flying[0][0]] if self._flying else []
        if self._served_at is not None:
            times.append(self._served_at)
        return min(times, default=None)

    def _serve(self, start: float) -> None:
        """Begin to send the head of the queue: it leaves at the rate of this moment, whatever that becomes."""
        if not self._queue:
            self._served_at = None
            return
        rate = self.rate_bps
        self._served_at = start if rate is None else start + self._queue[0][1] * 8 / rate

    def _fly(self, packet: P, size: int, now: float, late: float) -> None:
        due = now + self.delay_s + late * self.jitter_s
        if not self.reorder:
            due = self._last_due = max(due, self._last_due)
        heappush(self._flying, (due, next(self._order), size, packet))

    def _draw_loss(self, now: float) -> bool:
        chance = self.loss
        if self.burst_s and chance < 1:
            # a Markov chain of two states forgets the one it was in with this time constant
            kept = exp((self._drew_at - now) / (self.burst_s * (1 - chance)))
            chance += (self._bad - chance) * kept
            self._drew_at = now
        self._bad = self._random.random() < chance
        return self._bad
