"""H.264 over RTP (RFC 6184, packetization modes 0 and 1) to Annex B of ITU-T H.264: a start code before each unit."""

from collections.abc import Iterator, Sequence

from sfu.rtp.bits import need
from sfu.rtp.packet import PacketError

_START = b"\0\0\0\1"
_STAP_A, _FU_A = 24, 28


def h264(payloads: Sequence[bytes]) -> bytes:
    """The access unit."""
    return b"".join(_START + unit for unit in _units(payloads))


def _units(payloads: Sequence[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []  # of a unit in fragments
    for payload in payloads:
        need(payload, 1)
        kind = payload[0] & 0x1F
        if kind == _FU_A:
            need(payload, 2)
            starts, ends = bool(payload[1] & 0x80), bool(payload[1] & 0x40)
            if starts == bool(pending):
                raise PacketError("H.264: a fragment of a unit is missing")
            if starts:
                pending.append(bytes((payload[0] & 0xE0 | payload[1] & 0x1F,)))
            pending.append(payload[2:])
            if ends:
                yield b"".join(pending)
                pending = []
            continue
        if pending:
            raise PacketError("H.264: a unit has no end")
        if kind == _STAP_A:
            yield from _aggregated(payload)
        elif 1 <= kind <= 23:
            yield payload
        else:
            raise PacketError(f"H.264: packets of type {kind} were not negotiated")
    if pending:
        raise PacketError("H.264: a unit has no end")


def _aggregated(payload: bytes) -> Iterator[bytes]:
    at = 1
    while at < len(payload):
        need(payload, at + 2)
        end = at + 2 + int.from_bytes(payload[at : at + 2], "big")
        need(payload, end)
        if end > at + 2:
            yield payload[at + 2 : end]
        at = end
