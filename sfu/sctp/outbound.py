"""What is to be sent on one association: a bounded queue, and what is on its way.

Congestion control is RFC 9260's (section 7: slow start, congestion avoidance, fast retransmit, one timer), partial
reliability RFC 3758's. Fragments are cut when their turn comes; a message's pieces have consecutive TSNs.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

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

MAX_BUFFERED = 2 << 20
"""Bytes that wait for one receiver; what comes on top is not taken."""
MESSAGE_BYTES = 64
"""What a message counts beside its payload, so that empty ones have a bound, too."""
MAX_FLIGHT = 1024
"""Chunks that are on their way at most, however small."""
MAX_CWND = 1 << 20
INITIAL_CWND = 10 * MAX_PACKET
"""RFC 6928 section 2, as dcSCTP and usrsctp have it."""
RTO_INITIAL_S, RTO_MIN_S, RTO_MAX_S = 0.5, 0.4, 3.0
"""dcSCTP's, but for the last: section 16's 1 to 60 s are for telephone exchanges. The minimum is above the 200 ms
that a receiver may keep its SACK (section 6.2); the maximum lets `MAX_TIMEOUTS` last about as long as consent."""
MAX_TIMEOUTS = 10
"""One after the other, until the association counts as lost (section 16)."""
MISSES = 3
"""Reports of later data, after which a chunk is sent again at once (section 7.2.4)."""
MAX_SKIPPED = (MAX_PACKET - 12 - 4 - 4) // PAIR.size
"""Streams that fit into a FORWARD TSN."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """What a channel promises (RFC 8832 section 5.1): everything, or so many repetitions, or so long a time."""

    ordered: bool = True
    max_retransmits: int | None = None
    lifetime_s: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing is given up."""
        return self.max_retransmits is None and self.lifetime_s is None


@dataclass(slots=True, eq=False)
class _Outgoing:
    """One message that waits, or is being sent."""

    stream: int
    protocol: int
    payload: bytes
    reliability: Reliability
    expires_at: float
    sequence: int = 0
    position: int = 0
    abandoned: bool = False


@dataclass(slots=True)
class _Sent:
    """One chunk that is on its way."""

    data: Data
    message: _Outgoing
    sent_at: float
    times: int = 1
    misses: int = 0
    acknowledged: bool = False
    lost: bool = False
    """It is to be sent again."""


@dataclass(slots=True)
class _Rto:
    """The retransmission timeout (section 6.3.1)."""

    value: float = RTO_INITIAL_S
    _smooth: float | None = None
    _variance: float = 0.0

    def measured(self, rtt: float) -> None:
        if self._smooth is None:
            self._smooth, self._variance = rtt, rtt / 2
        else:
            self._variance += (abs(self._smooth - rtt) - self._variance) / 4
            self._smooth += (rtt - self._smooth) / 8
        self.value = min(max(RTO_MIN_S, self._smooth + 4 * self._variance), RTO_MAX_S)

    def doubled(self) -> None:
        self.value = min(2 * self.value, RTO_MAX_S)


class Outbound:
    """The sending half."""

    def __init__(self, first_tsn: int, window: int, *, gives_up: bool) -> None:
        """`window` is the peer's; without `gives_up` it knows no FORWARD TSN, and everything is repeated for ever."""
        self.buffered = 0
        """Bytes that wait and are not on their way."""
        self._tsn = first_tsn
        self._acknowledged = (first_tsn - 1) & 0xFFFFFFFF
        self._given_up = self._acknowledged
        self._window = window
        self._gives_up = gives_up
        self._queue: deque[_Outgoing] = deque()
        self._sequences: dict[int, int] = {}
        self._flight: dict[int, _Sent] = {}
        """By TSN, in its order; acknowledged ones stay until those before them are, too."""
        self._flying = 0
        self._any_lost = False
        self._skipped: dict[int, int] = {}
        """The last sequence number that was given up, by stream; told until the peer is past it."""
        self._forward_due = False
        self._cwnd = INITIAL_CWND
        self._ssthresh = MAX_CWND
        self._partial = 0
        self._recover_at: int | None = None
        self._rto = _Rto()
        self._timer: float | None = None
        self._timeouts = 0

    @property
    def last_tsn(self) -> int:
        """The last TSN that was used."""
        return (self._tsn - 1) & 0xFFFFFFFF

    @property
    def rto_s(self) -> float:
        """How long to wait for an answer."""
        return self._rto.value

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return not self._queue and not self._flight

    @property
    def lost(self) -> bool:
        """Whether the peer has not been heard for too long."""
        return self._timeouts > MAX_TIMEOUTS

    def put(self, stream: int, protocol: int, payload: bytes, reliability: Reliability, now: float) -> bool:
        """Queue one message; False where there is no room."""
        if self.buffered + len(payload) + MESSAGE_BYTES > MAX_BUFFERED:
            return False
        expires_at = now + reliability.lifetime_s if reliability.lifetime_s is not None else float("inf")
        self._queue.append(_Outgoing(stream, protocol, payload, reliability, expires_at))
        self.buffered += len(payload) + MESSAGE_BYTES
        return True

    def waits_for(self, stream: int) -> bool:
        """Whether a message of this stream has not left yet."""
        return any(message.stream == stream for message in self._queue)

    def clear(self, stream: int) -> None:
        """Forget what waits of a stream, except for a message that has begun to leave."""
        kept = deque(message for message in self._queue if message.stream != stream or message.position)
        self.buffered -= sum(_cost(message) for message in self._queue) - sum(_cost(message) for message in kept)
        self._queue = kept

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
        was_full = self._flying + MAX_PACKET > self._cwnd
        advanced = sack.cumulative != self._acknowledged
        landed = self._take_cumulative(sack.cumulative) + self._take_gaps(sack)
        gained = sum(len(sent.data.payload) for sent in landed)
        # Karn: where a chunk was sent twice, which of the two is acknowledged is not known.
        if fresh := [sent.sent_at for sent in landed if sent.times == 1]:
            self._rto.measured(now - max(fresh))
        self._window = sack.window
        self._grow(gained if advanced and was_full else 0)
        if self._recover_at is not None and not after(self._recover_at, self._acknowledged):
            self._recover_at = None
        self._timeouts = 0
        self._give_up(now)
        if not self._skipping:
            self._skipped.clear()
        if not self._flight and not self._skipping:
            self._timer = None
        elif advanced:
            self._timer = now + self._rto.value

    def tick(self, now: float) -> None:
        """Take what has been lost for lost."""
        if self._timer is None or now < self._timer:
            return
        self._timeouts += 1
        self._rto.doubled()
        self._ssthresh = max(self._cwnd // 2, 4 * MAX_PACKET)
        self._cwnd = MAX_PACKET
        self._partial, self._recover_at = 0, None
        for sent in self._flight.values():
            sent.acknowledged = False  # a receiver may have changed its mind (section 6.2)
            sent.lost = True
            sent.misses = 0
        self._flying = 0
        self._any_lost = True
        self._give_up(now)
        self._forward_due = self._skipping
        self._timer = now + self._rto.value if self._flight or self._skipping else None

    def chunks(self, now: float) -> Iterator[Chunk]:
        """What may be sent now; whoever takes a chunk sends it."""
        if self._forward_due:
            self._forward_due = False
            self._start_timer(now)
            yield self._forward()
        yield from self._repeat(now)
        while self._queue and len(self._flight) < MAX_FLIGHT:
            message = self._queue[0]
            if self._is_over(message, now):
                self._queue.popleft()
                self.buffered -= _cost(message)
                continue
            if not self._has_room(min(MAX_FRAGMENT, len(message.payload) - message.position)):
                return
            yield self._cut(message, now)

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

    def _cut(self, message: _Outgoing, now: float) -> Chunk:
        """The next piece of the first message."""
        flags = 0 if message.reliability.ordered else UNORDERED
        if message.position == 0:
            flags |= BEGIN
            if message.reliability.ordered:
                message.sequence = self._sequences.get(message.stream, 0)
                self._sequences[message.stream] = (message.sequence + 1) & 0xFFFF
        payload = message.payload[message.position : message.position + MAX_FRAGMENT]
        message.position += len(payload)
        self.buffered -= len(payload)
        if message.position == len(message.payload):
            flags |= END
            self._queue.popleft()
            self.buffered -= MESSAGE_BYTES
        data = Data(flags, self._tsn, message.stream, message.sequence, message.protocol, payload)
        self._flight[self._tsn] = _Sent(data, message, now)
        self._flying += len(payload)
        self._tsn = (self._tsn + 1) & 0xFFFFFFFF
        self._start_timer(now)
        return data_chunk(data)

    def _has_room(self, size: int) -> bool:
        """Whether the congestion window and the peer's have room; one chunk may always be on its way (6.1 A)."""
        return not self._flying or (
            self._flying < self._cwnd and self._flying + size <= max(self._window, MAX_FRAGMENT)
        )

    def _start_timer(self, now: float) -> None:
        if self._timer is None:
            self._timer = now + self._rto.value

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
        """Send a chunk again, and slow down once for all that were lost together (section 7.2.4)."""
        sent.lost = self._any_lost = True
        self._flying -= len(sent.data.payload)
        if self._recover_at is None:
            self._ssthresh = max(self._cwnd // 2, 4 * MAX_PACKET)
            self._cwnd = self._ssthresh
            self._partial = 0
            self._recover_at = self.last_tsn

    def _grow(self, gained: int) -> None:
        """Section 7.2.1 and 7.2.2."""
        if not gained or self._recover_at is not None:
            return
        if self._cwnd <= self._ssthresh:
            self._cwnd = min(self._cwnd + min(gained, MAX_PACKET), MAX_CWND)
            return
        self._partial += gained
        if self._partial >= self._cwnd:
            self._partial -= self._cwnd
            self._cwnd = min(self._cwnd + MAX_PACKET, MAX_CWND)

    def _is_over(self, message: _Outgoing, now: float) -> bool:
        return message.abandoned or (self._gives_up and message.position == 0 and now >= message.expires_at)

    def _give_up(self, now: float) -> None:
        """Abandon the messages that need not arrive any more, all their pieces together (RFC 3758 section 3.5)."""
        if not self._gives_up or not self._any_lost:
            return
        for sent in self._flight.values():
            message = sent.message
            most = message.reliability.max_retransmits
            if sent.lost and (now >= message.expires_at or (most is not None and sent.times > most)):
                message.abandoned = True
        if self._queue and self._queue[0].abandoned:  # its rest never gets a TSN
            self.buffered -= _cost(self._queue.popleft())
        given_up = self._given_up
        while self._flight:
            tsn, sent = next(iter(self._flight.items()))
            if not sent.message.abandoned:
                break
            del self._flight[tsn]
            if not sent.acknowledged:
                self._land(sent)
            if sent.message.reliability.ordered:
                self._skipped[sent.data.stream] = sent.data.sequence
            given_up = tsn
        if given_up != self._given_up:
            self._given_up = given_up
            self._forward_due = True

    def _forward(self) -> Chunk:
        streams = islice(self._skipped.items(), MAX_SKIPPED)
        return Chunk(FORWARD_TSN, 0, self._given_up.to_bytes(4) + b"".join(PAIR.pack(*pair) for pair in streams))


def _cost(message: _Outgoing) -> int:
    return len(message.payload) - message.position + MESSAGE_BYTES
