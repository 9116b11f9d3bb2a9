"""The stream beside a subscriber's own on which it gets packets again (RFC 4588): an SSRC and numbers of its own."""

from collections.abc import Callable, Mapping
from random import Random

from sfu.rtp.extensions import HeaderWriter
from sfu.rtp.packet import RtpPacket

PADDING = 255
"""Bytes of a packet that is only padding: the most that its last byte can count (RFC 3550 section 5.1)."""


def first_index(rng: Random) -> int:
    """Where the numbers of a stream begin.

    A start below 2**15 keeps the rollover counter of a receiver that misses the first packets at 0.
    """
    return rng.randrange(1, 1 << 15)


class RtxStream:
    """What one subscriber is sent again of one stream. Call `follow` first."""

    def __init__(self, ssrc: int, index: int, send: Callable[[int, int, bytes, bytes], None]) -> None:
        """`send` takes an SSRC, a packet's index, its header and its payload."""
        self.ssrc = ssrc
        self.types: Mapping[int, int] = {}
        """Payload type of a codec to the one of its repetitions; what is not in it can't be repeated here."""
        self._index = index
        self._send = send
        self._writer: HeaderWriter | None = None

    def follow(self, types: Mapping[int, int], writer: HeaderWriter) -> None:
        """From now on it is packets of these types, whose headers are written so, that are repeated."""
        self.types, self._writer = types, writer

    def repeat(
        self,
        packet: RtpPacket,
        index: int,
        now: float,
        *,
        marker_type: int,
        payload: bytes,
        timestamp: int,
        dependency: bytes | None,
    ) -> int:
        """Send again what had `index` and these contents, of a type that is in `types`; how many bytes it took."""
        if self._writer is None:
            return 0
        marker_type = marker_type & 0x80 | self.types[marker_type & 0x7F]
        number = self._next()
        header = self._writer.write(packet, marker_type, number & 0xFFFF, timestamp, now, dependency)
        self._send(self.ssrc, number, header, (index & 0xFFFF).to_bytes(2, "big") + payload)
        return len(header) + 2 + len(payload)

    def pad(self, timestamp: int, now: float) -> int:
        """Send a packet that is nothing but padding; how many bytes it took."""
        if self._writer is None:
            return 0
        marker_type, number = next(iter(self.types.values())), self._next()
        header = self._writer.write_padding(marker_type, number & 0xFFFF, timestamp, PADDING, now)
        self._send(self.ssrc, number, header, bytes(PADDING - 1) + bytes((PADDING,)))
        return len(header) + PADDING

    def _next(self) -> int:
        self._index += 1
        return self._index - 1
