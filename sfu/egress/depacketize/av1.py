"""AV1 over RTP ("RTP Payload Format For AV1" 1.0 of the AOM) to the low-overhead bitstream format.

On the way OBUs have no sizes, and may be cut: packets say whether they go on with the last one (Z) and whether theirs
goes on (Y). A decoder gets a temporal unit with a size in each OBU and, as files want it, no temporal delimiter
("AV1 Codec ISO Media File Format Binding" section 2.4, and Matroska's likewise).
"""

from collections.abc import Iterator, Sequence

from sfu.rtp.bits import need
from sfu.rtp.packet import PacketError

_HAS_SIZE, _HAS_EXTENSION = 0x02, 0x04
_TEMPORAL_DELIMITER, _TILE_LIST = 2, 8


def av1(payloads: Sequence[bytes]) -> bytes:
    """The temporal unit."""
    return b"".join(_sized(obu) for obu in _obus(payloads) if _kind(obu) not in (_TEMPORAL_DELIMITER, _TILE_LIST))


def _obus(payloads: Sequence[bytes]) -> Iterator[bytes]:
    pending: bytes | None = None  # the beginning of one that goes on in the next packet
    for payload in payloads:
        need(payload, 2)
        continues, goes_on = bool(payload[0] & 0x80), bool(payload[0] & 0x40)
        if continues != (pending is not None):
            raise PacketError("AV1: a part of an OBU is missing")
        elements = list(_elements(payload))
        if not elements:
            raise PacketError("AV1: a packet without an OBU")
        if pending is not None:
            elements[0] = pending + elements[0]
        pending = elements.pop() if goes_on else None
        yield from filter(None, elements)
    if pending is not None:
        raise PacketError("AV1: an OBU has no end")


def _elements(payload: bytes) -> Iterator[bytes]:
    """Section 4.4: W elements, of which the last has no length; where W is 0 all have one."""
    count, at, number = payload[0] >> 4 & 3, 1, 0
    while at < len(payload):
        number += 1
        if number == count:
            size = len(payload) - at
        else:
            size, at = _leb128(payload, at)
        need(payload, at + size)
        yield payload[at : at + size]
        at += size


def _kind(obu: bytes) -> int:
    return obu[0] >> 3 & 0x0F


def _sized(obu: bytes) -> bytes:
    """With `obu_has_size_field` (AV1 specification section 5.3)."""
    if obu[0] & _HAS_SIZE:
        return obu
    head = 2 if obu[0] & _HAS_EXTENSION else 1
    need(obu, head)
    return bytes((obu[0] | _HAS_SIZE,)) + obu[1:head] + _as_leb128(len(obu) - head) + obu[head:]


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        need(data, at + 1)
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
    raise PacketError("AV1: a number of more than eight bytes")


def _as_leb128(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
