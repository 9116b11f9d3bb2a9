"""What is on its way on one association, what is sent again, and what is given up.

Congestion control is RFC 9260's (section 7, in `congestion`), partial reliability RFC 3758's. Fragments are cut when
their turn comes; a message's pieces have consecutive TSNs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sfu.sctp.congestion import MAX_TIMEOUTS, Congestion
from sfu.sctp.inbound import after
from sfu.sctp.packet import (
    BEGIN,
    END,
    FORWARD_TSN,
    MAX_FRAGMENT,
    MAX_PACKET,
    PAIR,
    UNORDERED,
    Chunk,
    Data,
    Sack,
    SctpError,
    data_chunk,
)
from sfu.sctp.queue import Outgoing, Queue

MAX_FLIGHT = 1024
"""Chunks that are on their way at most, however small."""
MISSES = 3
"""Reports of later data, after which a chunk is sent again at once (section 7.2.4)."""
MAX_SKIPPED = (MAX_PACKET - 12 - 4 - 4) // PAIR.size
"""Streams that fit into a FORWARD TSN."""


@dataclass(slots=True)
class _Sent:
    """One chunk that is on its way."""

    data: Data
    message: Outgoing
    sent_at: float
    times: int = 1
    misses: int = 0
    acknowledged: bool = False
    lost: bool = False
    """It is to be sent again."""


class Outbound:
    """The sending half. Messages are put into its `queue`."""

    def __init__(self, first_tsn: int, window: int, *, gives_up: bool) -> None:
        """`window` is the peer's; without `gives_up` it knows no FORWARD TSN, and everything is repeated for ever."""
        self.queue = Queue()
        self._tsn = first_tsn
        self._acknowledged = (first_tsn - 1) & 0xFFFFFFFF
        self._given_up = self._acknowledged
        self._window = window
        self._gives_up = gives_up
        self._congestion = Congestion()
        self._sequences: dict[int, int] = {}
        self._flight: dict[int, _Sent] = {}
        """By TSN, in its order; acknowledged ones stay until those before them are, too."""
        self._flying = 0
        """Bytes on their way."""
        self._any_lost = False
        self._skipped: dict[int, int] = {}
        """The last sequence number that was given up, by stream; told until the peer is past it."""
        self._forward_due = False
        self._timer: float | None = None

    @property
    def last_tsn(self) -> int:
        """The last TSN that was used."""
        return (self._tsn - 1) & 0xFFFFFFFF

    @property
    def rto_s(self) -> float:
        """How long to wait for an answer."""
        return self._congestion.rto_s

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return self.queue.first is None and not self._flight

    @property
    def lost(self) -> bool:
        """Whether the peer has not been heard for too long."""
        return self._congestion.timeouts > MAX_TIMEOUTS

    def restart(self, stream: int) -> None:
        """A stream was reset: its sequence numbers begin anew (RFC 6525 section 5.2.2)."""
        self._sequences.pop(stream, None)

    def acknowledged(self, sack: Sack, now: float) -> None:
        """Take a SACK.

        Raises:
            SctpError: it acknowledges what was never sent.
        """
        if after(sack.cumulative, self.last_tsn):
            raise SctpError("a SACK for what was not sent")
        if after(self._acknowledged, sack.cumulative):
            return  # an older one that was overtaken
        was_full = self._flying + MAX_PACKET > self._congestion.window
        advanced = sack.cumulative != self._acknowledged
        landed = self._take_cumulative(sack.cumulative) + self._take_gaps(sack)
        # Karn: where a chunk was sent twice, which of the two is acknowledged is not known.
        if fresh := [sent.sent_at for sent in landed if sent.times == 1]:
            self._congestion.measured(now - max(fresh))
        self._window = sack.window
        gained = sum(len(sent.data.payload) for sent in landed) if advanced and was_full else 0
        self._congestion.acknowledged(self._acknowledged, gained)
        self._congestion.timeouts = 0
        self._give_up(now)
        if not self._skipping:
            self._skipped.clear()
        if not self._flight and not self._skipping:
            self._timer = None
        elif advanced:
            self._timer = now + self.rto_s

    def tick(self, now: float) -> None:
        """Take what has been lost for lost."""
        if self._timer is None or now < self._timer:
            return
        self._congestion.timed_out()
        for sent in self._flight.values():
            sent.acknowledged = False  # a receiver may have changed its mind (section 6.2)
            sent.lost = True
            sent.misses = 0
        self._flying = 0
        self._any_lost = True
        self._give_up(now)
        self._forward_due = self._skipping
        self._timer = now + self.rto_s if self._flight or self._skipping else None

    def chunks(self, now: float) -> Iterator[Chunk]:
        """What may be sent now; whoever takes a chunk sends it."""
        if self._forward_due:
            self._forward_due = False
            self._start_timer(now)
            yield self._forward()
        yield from self._repeat(now)
        while (message := self.queue.first) and len(self._flight) < MAX_FLIGHT:
            if self._gives_up and message.position == 0 and now >= message.expires_at:
                self.queue.drop()
            elif self._has_room(min(MAX_FRAGMENT, len(message.payload) - message.position)):
                yield self._cut(message, now)
            else:
                return

    @property
    def _skipping(self) -> bool:
        """Whether the peer has still to be told of what was given up."""
        return after(self._given_up, self._acknowledged)

    def _repeat(self, now: float) -> Iterator[Chunk]:
        """What was lost, as far as there is room."""
        if not self._any_lost:
            return
        for sent in self._flight.values():
            if not sent.lost or sent.message.abandoned:
                continue
            if not self._has_room(len(sent.data.payload)):
                return
            sent.lost, sent.sent_at, sent.times = False, now, sent.times + 1
            self._flying += len(sent.data.payload)
            self._start_timer(now)
            yield data_chunk(sent.data)
        self._any_lost = False

    def _cut(self, message: Outgoing, now: float) -> Chunk:
        """The next piece of the first message."""
        flags = 0 if message.reliability.ordered else UNORDERED
        if message.position == 0:
            flags |= BEGIN
            if message.reliability.ordered:
                message.sequence = self._sequences.get(message.stream, 0)
                self._sequences[message.stream] = (message.sequence + 1) & 0xFFFF
        payload = self.queue.take(MAX_FRAGMENT)
        if message.position == len(message.payload):
            flags |= END
        data = Data(flags, self._tsn, message.stream, message.sequence, message.protocol, payload)
        self._flight[self._tsn] = _Sent(data, message, now)
        self._flying += len(payload)
        self._tsn = (self._tsn + 1) & 0xFFFFFFFF
        self._start_timer(now)
        return data_chunk(data)

    def _has_room(self, size: int) -> bool:
        """Whether the congestion window and the peer's have room; one chunk may always be on its way (6.1 A)."""
        fits = self._flying + size <= max(self._window, MAX_FRAGMENT)
        return not self._flying or (self._flying < self._congestion.window and fits)

    def _start_timer(self, now: float) -> None:
        if self._timer is None:
            self._timer = now + self.rto_s

    def _take_cumulative(self, cumulative: int) -> list[_Sent]:
        """Forget what has arrived; the chunks of which that is new."""
        landed = []
        while self._flight:
            tsn, sent = next(iter(self._flight.items()))
            if after(tsn, cumulative):
                break
            del self._flight[tsn]
            if not sent.acknowledged:
                landed.append(sent)
                self._land(sent)
        self._acknowledged = cumulative
        if after(cumulative, self._given_up):
            self._given_up = cumulative
        return landed

    def _take_gaps(self, sack: Sack) -> list[_Sent]:
        """Note what has arrived beyond a hole, and what is missing before it; the chunks that have arrived."""
        landed: list[_Sent] = []
        highest = sack.cumulative
        gaps = iter(sack.gaps)
        start, end = next(gaps, (0, 0))
        if not end:
            return landed
        for tsn, sent in self._flight.items():
            offset = (tsn - sack.cumulative) & 0xFFFFFFFF
            while end < offset and (following := next(gaps, None)):
                start, end = following
            if start <= offset <= end and not sent.acknowledged:
                sent.acknowledged = True
                landed.append(sent)
                self._land(sent)
                highest = tsn
        for tsn, sent in self._flight.items():
            if not after(highest, tsn):
                break
            if not sent.acknowledged and not sent.lost:
                sent.misses += 1
                if sent.misses == MISSES:
                    self._lose(sent)
        return landed

    def _land(self, sent: _Sent) -> None:
        if not sent.lost:
            self._flying -= len(sent.data.payload)
        sent.lost = False

    def _lose(self, sent: _Sent) -> None:
        sent.lost = self._any_lost = True
        self._flying -= len(sent.data.payload)
        self._congestion.missed(self.last_tsn)

    def _give_up(self, now: float) -> None:
        """Abandon the messages that need not arrive any more, all their pieces together (RFC 3758 section 3.5)."""
        if not self._gives_up or not self._any_lost:
            return
        for sent in self._flight.values():
            message = sent.message
            most = message.reliability.max_retransmits
            if sent.lost and (now >= message.expires_at or (most is not None and sent.times > most)):
                message.abandoned = True
        first = self.queue.first
        if first is not None and first.abandoned:  # its rest never gets a TSN
            self.queue.drop()
        while self._flight:
            tsn, sent = next(iter(self._flight.items()))
            if not sent.message.abandoned:
                break
            del self._flight[tsn]
            if not sent.acknowledged:
                self._land(sent)
            if sent.message.reliability.ordered:
                self._skipped[sent.data.stream] = sent.data.sequence
            self._given_up = tsn
            self._forward_due = True

    def _forward(self) -> Chunk:
        streams = islice(self._skipped.items(), MAX_SKIPPED)
        return Chunk(FORWARD_TSN, 0, self._given_up.to_bytes(4) + b"".join(PAIR.pack(*pair) for pair in streams))
