"""Ending streams, ours and the peer's: RE-CONFIG with its one request at a time (RFC 6525 sections 4 and 5)."""

import struct
from collections.abc import Iterator
from itertools import islice

from sfu.sctp.congestion import RTO_MAX_S
from sfu.sctp.inbound import Inbound, after
from sfu.sctp.outbound import Outbound
from sfu.sctp.packet import MAX_PACKET, RE_CONFIG, Chunk, SctpError, read_parameters, write_parameters

OUTGOING_REQUEST, INCOMING_REQUEST, RESPONSE, ADD_OUTGOING, ADD_INCOMING = 0x0D, 0x0E, 0x10, 0x11, 0x12
NOTHING_TO_DO, PERFORMED, DENIED, BAD_SEQUENCE, IN_PROGRESS = 0, 1, 2, 5, 6
"""Section 4.4."""
REQUEST = struct.Struct("!LLL")
ANSWER = struct.Struct("!LL")
MAX_STREAMS_OF_ONE = (MAX_PACKET - 12 - 4 - 4 - REQUEST.size) // 2
"""Streams that fit into one request."""


class Resets:
    """Which streams are being ended."""

    def __init__(self, first_tsn: int, peer_first_tsn: int) -> None:
        """Requests are numbered from the first TSN of who asks (section 4.1)."""
        self._next = first_tsn
        self._expected = peer_first_tsn
        self._answered = NOTHING_TO_DO
        self._wanted: dict[int, None] = {}
        self._asked: tuple[int, ...] = ()
        self._chunk: Chunk | None = None
        self._due = float("inf")
        self._timeout_s = 0.0
        self.failures = 0
        """Requests in a row that nobody answered."""

    def ask(self, stream: int) -> None:
        """End our half of a stream, as soon as what waits on it has left."""
        if stream not in self._asked:
            self._wanted[stream] = None

    def tick(self, now: float) -> None:
        """Ask again where no answer came."""
        if self._chunk is not None and now >= self._due:
            self.failures += 1
            self._timeout_s = min(2 * self._timeout_s, RTO_MAX_S)
            self._due = float("-inf")

    def chunks(self, outbound: Outbound, now: float) -> Iterator[Chunk]:
        """The request to send now, if any."""
        if self._chunk is None:
            ready = (stream for stream in self._wanted if not outbound.queue.has(stream))
            streams = list(islice(ready, MAX_STREAMS_OF_ONE))
            if not streams:
                return
            for stream in streams:
                del self._wanted[stream]
            self._asked = tuple(streams)
            body = REQUEST.pack(self._next, (self._expected - 1) & 0xFFFFFFFF, outbound.last_tsn)
            body += b"".join(stream.to_bytes(2) for stream in streams)
            self._chunk = Chunk(RE_CONFIG, 0, write_parameters([(OUTGOING_REQUEST, body)]))
            self._timeout_s, self._due = outbound.rto_s, float("-inf")
        if self._due < now:
            self._due = now + self._timeout_s
            yield self._chunk

    def receive(self, chunk: Chunk, inbound: Inbound, outbound: Outbound) -> tuple[list[Chunk], tuple[int, ...]]:
        """Take a RE-CONFIG: what to answer, and the streams of the peer that have ended.

        Raises:
            SctpError: it is malformed.
        """
        answers: list[Chunk] = []
        ended: tuple[int, ...] = ()
        for kind, value in read_parameters(chunk.body):
            if kind == RESPONSE:
                self._answer_came(value, outbound)
            elif kind in (OUTGOING_REQUEST, INCOMING_REQUEST, ADD_OUTGOING, ADD_INCOMING):
                if len(value) < 8:
                    raise SctpError("a RE-CONFIG request that is cut off")
                number = int.from_bytes(value[:4])
                result, streams = self._judge(kind, number, value, inbound)
                ended += streams
                response = ANSWER.pack(number, result)
                answers.append(Chunk(RE_CONFIG, 0, write_parameters([(RESPONSE, response)])))
        return answers, ended

    def _judge(self, kind: int, number: int, value: bytes, inbound: Inbound) -> tuple[int, tuple[int, ...]]:
        """The result of a request, and the streams that end with it."""
        if number == (self._expected - 1) & 0xFFFFFFFF:
            return self._answered, ()  # asked again: our answer was lost
        if number != self._expected:
            return BAD_SEQUENCE, ()
        streams: tuple[int, ...] = ()
        result = DENIED
        if kind == OUTGOING_REQUEST:
            if len(value) < REQUEST.size:
                raise SctpError("a RE-CONFIG request that is cut off")
            if after(int.from_bytes(value[8:12]), inbound.cumulative):
                return IN_PROGRESS, ()  # what was sent before is still on its way; the peer asks again
            result = PERFORMED
            listed = value[REQUEST.size :]
            streams = tuple(int.from_bytes(listed[at : at + 2]) for at in range(0, len(listed) - 1, 2))
        elif kind == ADD_OUTGOING:
            result = PERFORMED  # nothing is kept for a stream, so there may be as many as it likes
        self._expected = (self._expected + 1) & 0xFFFFFFFF
        self._answered = result
        return result, streams

    def _answer_came(self, value: bytes, outbound: Outbound) -> None:
        if len(value) < ANSWER.size:
            raise SctpError("a RE-CONFIG response that is cut off")
        number, result = ANSWER.unpack_from(value)
        if self._chunk is None or number != self._next:
            return
        self.failures = 0
        if result == IN_PROGRESS:
            return
        # Where the peer refuses, nothing else can be done: the stream is not used again before a new connection.
        if result in (NOTHING_TO_DO, PERFORMED):
            for stream in self._asked:
                outbound.restart(stream)
        self._chunk, self._asked = None, ()
        self._next = (self._next + 1) & 0xFFFFFFFF
        self._due = float("inf")
