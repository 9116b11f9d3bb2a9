"""What has arrived of one association: put in order, put together, acknowledged.

Messages are given out in the order of their TSNs, which is the order in which they were sent, in each stream and
among streams; nothing more is promised to anybody (RFC 8831 section 6.6). One that is unordered and in one piece does
not wait for what is missing before it. So no stream needs a state, and there is one message at a time to put
together: its pieces have consecutive TSNs (RFC 9260 section 6.9).
"""

from collections.abc import Iterator
from typing import NamedTuple

from sfu.sctp.packet import BEGIN, END, MAX_PACKET, SACK_HEADER, UNORDERED, Chunk, Data, Sack, SctpError, sack_chunk

WINDOW = 512 << 10
"""Bytes that are kept at most; twice the largest message."""
MAX_AHEAD = 1024
"""TSNs beyond the first missing one that are kept."""
MAX_DUPLICATES = 16
MAX_GAPS = (MAX_PACKET - 16 - SACK_HEADER.size - 4 * MAX_DUPLICATES) // 4
"""That are told in one SACK."""
SACK_EVERY = 2
"""Packets (section 6.2)."""
AHEAD_PER_PACKET = 8
"""What is kept beyond a hole is listed in each SACK, so a SACK waits for one packet more for each eight such chunks:
else whoever leaves a thousand holes would have each small packet cost us a thousand steps. The first few reports of a
hole, of which a sender needs three, wait for nothing; `late` ones never do."""


class Message(NamedTuple):
    """One whole message."""

    stream: int
    protocol: int
    """The payload protocol identifier."""
    payload: bytes


def after(one: int, other: int) -> bool:
    """Whether a TSN comes after another (RFC 1982 with 32 bits)."""
    return 0 < (one - other) & 0xFFFFFFFF < 0x80000000


class Inbound:
    """The receiving half. `limit` is the longest message that is taken, in bytes."""

    def __init__(self, first_tsn: int, limit: int) -> None:
        self.cumulative = (first_tsn - 1) & 0xFFFFFFFF
        """The last TSN before the first that is missing."""
        self.throttled = False
        """Whether to take nothing for a while: the window is told as 0, and who sends all the same is not heard."""
        self._limit = limit
        self._ahead: dict[int, Data | None] = {}
        """By TSN, what came too early; None where it was given out already."""
        self._ahead_bytes = 0
        self._whole: bytearray | None = None
        """The message that is being put together, up to `_last`."""
        self._last: Data | None = None
        self._duplicates: list[int] = []
        self._unacknowledged = 0
        """Packets since the last SACK."""
        self._at_once = False
        self._told_window = WINDOW

    @property
    def window(self) -> int:
        """Bytes that may be sent to us."""
        return 0 if self.throttled else max(0, WINDOW - self._ahead_bytes - len(self._whole or b""))

    def receive(self, data: Data) -> Iterator[Message]:
        """Take a chunk; the messages that are whole because of it.

        Raises:
            SctpError: a message is longer than the limit.
        """
        distance = (data.tsn - self.cumulative) & 0xFFFFFFFF
        if distance == 0 or distance >= 0x80000000 or data.tsn in self._ahead:
            self._at_once = True
            if len(self._duplicates) < MAX_DUPLICATES:
                self._duplicates.append(data.tsn)
            return
        if self.throttled or distance > MAX_AHEAD:
            self._at_once = True
            return
        if distance == 1:
            self.cumulative = data.tsn
            yield from self._assemble(data)
            yield from self._advance()
            return
        self._at_once = True
        if data.flags & UNORDERED and data.flags & BEGIN and data.flags & END:
            self._ahead[data.tsn] = None
            yield Message(data.stream, data.protocol, data.payload)
        elif self._ahead_bytes + len(data.payload) <= WINDOW // 2:
            self._ahead[data.tsn] = data
            self._ahead_bytes += len(data.payload)

    def skip_to(self, tsn: int) -> Iterator[Message]:
        """The peer has given up what is missing up to here (RFC 3758 section 3.6). Raises SctpError."""
        self._at_once = True
        first = self.cumulative
        if not after(tsn, first):
            return
        for offset in range(1, min((tsn - first) & 0xFFFFFFFF, MAX_AHEAD) + 1):
            early = (first + offset) & 0xFFFFFFFF
            if early in self._ahead:
                yield from self._assemble(self._take(early))
        self.cumulative = tsn
        yield from self._advance()

    def packet_received(self) -> None:
        """A packet with DATA has been read to its end."""
        self._unacknowledged += 1

    def sack(self, *, late: bool = False) -> Chunk | None:
        """A SACK where one is due. `late`: the last packet was a tick ago, or there may be room again."""
        reopened = self._told_window < MAX_PACKET <= self.window
        news = self._at_once or self._unacknowledged >= SACK_EVERY
        patient = self._unacknowledged >= len(self._ahead) // AHEAD_PER_PACKET
        due = (news and patient) or (late and (news or self._unacknowledged or reopened))
        if not due:
            return None
        duplicates, self._duplicates = self._duplicates, []
        self._unacknowledged, self._at_once = 0, False
        self._told_window = self.window
        return sack_chunk(Sack(self.cumulative, self.window, self._gaps()), duplicates)

    def _gaps(self) -> tuple[tuple[int, int], ...]:
        gaps: list[tuple[int, int]] = []
        for offset in sorted((tsn - self.cumulative) & 0xFFFFFFFF for tsn in self._ahead):
            if gaps and gaps[-1][1] == offset - 1:
                gaps[-1] = gaps[-1][0], offset
            else:
                gaps.append((offset, offset))
        return tuple(gaps[:MAX_GAPS])

    def _advance(self) -> Iterator[Message]:
        while (following := (self.cumulative + 1) & 0xFFFFFFFF) in self._ahead:
            self.cumulative = following
            yield from self._assemble(self._take(following))

    def _take(self, tsn: int) -> Data | None:
        data = self._ahead.pop(tsn)
        if data is not None:
            self._ahead_bytes -= len(data.payload)
        return data

    def _assemble(self, data: Data | None) -> Iterator[Message]:
        """Take the next chunk in order. A piece that does not go on where the last ended has lost its message."""
        goes_on = (
            data is not None
            and self._last is not None
            and not data.flags & BEGIN
            and data.tsn == (self._last.tsn + 1) & 0xFFFFFFFF
            and data.stream == self._last.stream
        )
        whole, self._whole, self._last = self._whole, None, None
        if data is None or not (goes_on or data.flags & BEGIN):
            return
        whole = whole if whole is not None and goes_on else bytearray()
        whole += data.payload
        if len(whole) > self._limit:
            raise SctpError("a message that is too long")
        if data.flags & END:
            yield Message(data.stream, data.protocol, bytes(whole))
        else:
            self._whole, self._last = whole, data
