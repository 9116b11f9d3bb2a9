"""Transport-wide feedback: which packets of a transport came, and when. Bytes to values and back.

Section numbers are those of draft-holmer-rmcat-transport-wide-cc-extensions-01. Every packet of a transport, of all
its streams, has a number in a header extension; RTCP feedback of format 15 tells the arrivals by these numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from struct import Struct

from sfu.rtp.packet import PacketError, padding

FORMAT = 15
"""Of transport layer feedback (RTCP packet type 205)."""
TICK_S = 0.00025
"""The unit of arrival times (section 3.1.5)."""
MAX_COUNT = 0xFFFF
"""Numbers that one packet can speak of."""

_TICKS_A_REFERENCE = 256
"""The reference time counts 64 ms (section 3.1)."""
_LOST, _SMALL, _LARGE = 0, 1, 2
"""Symbols (section 3.1.1): not received; received, with a delta of one byte or of two."""
_MAX_RUN = 0x1FFF
_ONE_BIT, _TWO_BIT = 14, 7
"""Symbols in a status vector chunk (section 3.1.4)."""

_HEAD = Struct("!BBHLLHH")
_FIXED = Struct("!HHL")
_CHUNK = Struct("!H")
_DELTA = Struct("!h")


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """What a receiver says about the numbers `base` to `base` + `count` - 1."""

    sender_ssrc: int
    media_ssrc: int
    base: int
    """16 bits."""
    count: int
    feedback_count: int
    """8 bits: rises by one with each feedback packet, so that the other end sees one that was lost."""
    received: tuple[tuple[int, int], ...]
    """(number - `base`, arrival in `TICK_S` of the receiver's clock), by rising numbers. The others did not come.

    The clock starts anywhere; its first 24 bits above the reference's unit are told, so it wraps after 12 days.
    """


def read(sender_ssrc: int, media_ssrc: int, body: bytes) -> TransportFeedback:
    """The feedback whose RTCP body, with both SSRCs and without padding, is `body`.

    Raises `PacketError` where the chunks or the deltas end too early, or have the reserved symbol.
    """
    if len(body) < 16:
        raise PacketError("transport feedback: shorter than its head")
    base, count, reference = _FIXED.unpack_from(body, 8)
    at = 16
    came: list[tuple[int, int]] = []
    told = 0
    while told < count:
        if at + 2 > len(body):
            raise PacketError("transport feedback: a chunk is missing")
        (chunk,) = _CHUNK.unpack_from(body, at)
        at += 2
        if chunk & 0x8000:
            symbols = _vector(chunk)
            came.extend((told + i, symbol) for i, symbol in enumerate(symbols) if symbol and told + i < count)
            told += len(symbols)
        else:
            symbol, run = chunk >> 13, min(chunk & _MAX_RUN, count - told)
            if symbol:
                came.extend((told + i, symbol) for i in range(run))
            told += run
        if len(came) > len(body):  # each has a delta of a byte or two: there can't be so many
            raise PacketError("transport feedback: more packets than deltas")
    ticks = (reference >> 8) * _TICKS_A_REFERENCE
    if len(came) == count and at + count <= len(body) and all(symbol == _SMALL for _, symbol in came):
        arrivals = accumulate(body[at : at + count], initial=ticks)
        next(arrivals)
        return TransportFeedback(sender_ssrc, media_ssrc, base, count, reference & 0xFF, tuple(enumerate(arrivals)))
    received = []
    for offset, symbol in came:
        if symbol == _SMALL and at < len(body):
            ticks += body[at]
        elif symbol == _LARGE and at + 1 < len(body):
            ticks += _DELTA.unpack_from(body, at)[0]
        else:
            raise PacketError("transport feedback: a delta is missing, or a symbol reserved")
        at += symbol
        received.append((offset, ticks))
    return TransportFeedback(sender_ssrc, media_ssrc, base, count, reference & 0xFF, tuple(received))


def write(feedback: TransportFeedback) -> bytes:
    """The RTCP packet. ValueError where a number or a time does not fit: arrivals lie within 8 s of one another."""
    if not feedback.received or not 0 < feedback.count <= MAX_COUNT:
        raise ValueError("there is nothing to tell, or too much")
    reference = feedback.received[0][1] // _TICKS_A_REFERENCE
    ticks = reference * _TICKS_A_REFERENCE
    symbols = bytearray(feedback.count)
    deltas = bytearray()
    for offset, arrival in feedback.received:
        delta = arrival - ticks
        ticks = arrival
        if 0 <= delta <= 0xFF:
            symbols[offset] = _SMALL
            deltas.append(delta)
        elif -0x8000 <= delta <= 0x7FFF:
            symbols[offset] = _LARGE
            deltas += _DELTA.pack(delta)
        else:
            raise ValueError("two arrivals lie too far apart")
    tail = b"".join(map(_CHUNK.pack, _chunks(bytes(symbols)))) + deltas
    tail += padding(len(tail))
    head = _HEAD.pack(
        0x80 | FORMAT,
        205,
        (16 + len(tail)) // 4,
        feedback.sender_ssrc,
        feedback.media_ssrc,
        feedback.base & 0xFFFF,
        feedback.count,
    )
    return head + ((reference & 0xFFFFFF) << 8 | feedback.feedback_count & 0xFF).to_bytes(4, "big") + tail


def _vector(chunk: int) -> list[int]:
    if chunk & 0x4000:
        return [chunk >> shift & 3 for shift in range(12, -1, -2)]
    return [chunk >> shift & 1 for shift in range(13, -1, -1)]


def _chunks(symbols: bytes) -> Iterator[int]:
    """A run where one is longer than what a vector would hold, else the vector that holds more."""
    at, size = 0, len(symbols)
    while at < size:
        symbol = symbols[at]
        end = at + 1
        while end < size and symbols[end] == symbol and end - at < _MAX_RUN:
            end += 1
        piece = symbols[at : at + _ONE_BIT]
        held = _TWO_BIT if _LARGE in piece else _ONE_BIT
        if end - at >= held or end == size:
            yield symbol << 13 | end - at
            at = end
        elif held == _ONE_BIT:
            yield 0x8000 | _packed(piece, _ONE_BIT, 1)
            at += _ONE_BIT
        else:
            yield 0xC000 | _packed(piece[:_TWO_BIT], _TWO_BIT, 2)
            at += _TWO_BIT


def _packed(symbols: bytes, room: int, bits: int) -> int:
    value = 0
    for symbol in symbols:
        value = value << bits | symbol
    return value << bits * (room - len(symbols))
