"""Where a coded video sequence of AV1 starts ("RTP Payload Format For AV1" 1.0 of the AOM), and how large it is."""

from collections.abc import Iterator

from sfu.rtp.bits import Bits, KeyFrame, need
from sfu.rtp.packet import PacketError


def av1(payload: bytes) -> KeyFrame | None:
    """The aggregation header's N bit starts a coded video sequence; the sequence header OBU has the size."""
    need(payload, 1)
    if payload[0] & 0x88 != 0x08:
        return None
    for obu in _obus(payload):
        if obu[0] >> 3 & 0x0F == 1:
            try:
                return _read_sequence_header(obu)
            except PacketError:  # it may go on in the next packet
                break
    return KeyFrame()


def sequence_size(unit: bytes) -> KeyFrame | None:
    """The size that the sequence header of a temporal unit tells, whose OBUs all have sizes (AV1 specification
    section 5.2); None where it has none. `PacketError` where it is cut."""
    at = 0
    while at < len(unit):
        head = 2 if unit[at] & 4 else 1
        size, data = _leb128(unit, at + head)
        need(unit, data + size)
        if unit[at] >> 3 & 0x0F == 1:
            return _read_sequence_header(unit[at : data + size])
        at = data + size
    return None


def _obus(payload: bytes) -> Iterator[bytes]:
    count, at, number = payload[0] >> 4 & 3, 1, 0
    while at < len(payload):
        number += 1
        if number == count:
            end = len(payload)  # the last of a counted number has no length
        else:
            size, at = _leb128(payload, at)
            end = at + size
            need(payload, end)
        if end > at:
            yield payload[at:end]
        at = end


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        need(data, at + 1)
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
    raise PacketError("AV1: a number of more than eight bytes")


def _read_sequence_header(obu: bytes) -> KeyFrame:
    """AV1 specification section 5.5.1, up to the size."""
    at = 2 if obu[0] & 4 else 1
    if obu[0] & 2:
        _, at = _leb128(obu, at)
    bits = Bits(obu[at:])
    bits.take(4)
    if bits.take(1):  # reduced_still_picture_header
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return KeyFrame(bits.take(width_bits) + 1, bits.take(height_bits) + 1)


def _skip_operating_points(bits: Bits) -> None:
    delay_bits = 0
    decoder_model = 0
    if bits.take(1):  # timing_info_present_flag
        bits.take(64)
        if bits.take(1):
            bits.uvlc()
        decoder_model = bits.take(1)
        if decoder_model:
            delay_bits = bits.take(5) + 1
            bits.take(42)
    display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if decoder_model and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.take(1):
            bits.take(4)
