"""ULPFEC (RFC 5109): packets that were lost, made again from the parity that a publisher sent along.

What is protected is a packet as its sender had it when it made the parity. For libwebrtc that is without the RED
around it, and with zeros where the transport-wide number and the send time are written later (`zeroed`, as its
`UlpfecReceiver` does). One level of protection is read, all that is ever sent.

Repaired here, at the end of the publisher's hop, and never passed on: parity over the publisher's numbers, timestamps
and header extensions repairs nothing that a subscriber has, since all three are written anew.
"""

from collections import deque
from struct import Struct

from sfu.rtp.bits import need
from sfu.rtp.cache import PacketCache
from sfu.rtp.packet import ONE_BYTE_PROFILE, TWO_BYTE_PROFILE, PacketError, RtpPacket, parse
from sfu.rtp.seq import unwrap

PATIENCE_S = 0.2
"""Parity follows what it protects at once, so what is later than that by more than jitter will not come."""
MAX_WAITING = 48
"""Parities kept for packets that may come: as many as libwebrtc keeps (`kUlpfecMaxMediaPackets`)."""

_HEADER = Struct("!BBHLHH")
_FIXED = Struct("!BBHLL")
_BLOCK = Struct("!HH")


class Parity:
    """One packet of ULPFEC: over which packets, and the exclusive or of them."""

    __slots__ = ("arrival", "indices", "last", "recovery")

    def __init__(self, payload: bytes, highest: int, now: float) -> None:
        """`highest` is the highest index of the stream so far. Raises `PacketError` where the payload is cut."""
        self.arrival = now
        need(payload, 14)
        first, second, base, timestamp, length, size = _HEADER.unpack_from(payload)
        mask_bytes = 6 if first & 0x40 else 2
        start = 12 + mask_bytes
        need(payload, start + size)
        mask = int.from_bytes(payload[12:start], "big")
        begin, bits = unwrap(base, highest), 8 * mask_bytes
        self.indices = tuple(begin + bit for bit in range(bits) if mask >> bits - 1 - bit & 1)
        """Of the packets that it protects."""
        self.last = begin + bits
        self.recovery = (first & 0x3F, second, timestamp, length, payload[start : start + size])


class Repair:
    """What was lost of one stream, from its parities."""

    def __init__(self, cache: PacketCache, ssrc: int, zeroed: frozenset[int]) -> None:
        """`zeroed` are the ids of header extensions that are written after the parity is made."""
        self.recovered = 0
        self._cache = cache
        self._ssrc = ssrc
        self._zeroed = zeroed
        self._waiting: deque[Parity] = deque(maxlen=MAX_WAITING)

    def add(self, payload: bytes, highest: int, now: float) -> None:
        """A parity came. Raises `PacketError` for one that makes no sense."""
        parity = Parity(payload, highest, now)
        if parity.indices:
            self._waiting.append(parity)

    def take(self, oldest: int) -> RtpPacket | None:
        """A packet that can be made now, or None; ask again once it is in the cache.

        Parities over packets before `oldest` are given up.
        """
        for parity in tuple(self._waiting):
            missing = [index for index in parity.indices if self._cache.get(index) is None]
            if len(missing) > 1 and parity.last >= oldest:
                continue
            self._waiting.remove(parity)
            if len(missing) != 1:
                continue
            try:
                packet = self._made(parity, missing[0])
            except PacketError:
                continue
            self.recovered += 1
            return packet
        return None

    def gave_up(self, now: float) -> bool:
        """Whether packets are lost for good, as two or more of a parity's still are after some time."""
        waiting = len(self._waiting)
        while self._waiting and now - self._waiting[0].arrival > PATIENCE_S:
            self._waiting.popleft()
        return len(self._waiting) < waiting

    def _made(self, parity: Parity, missing: int) -> RtpPacket:
        """RFC 5109 section 9: the exclusive or of the parity and of all that did come."""
        first, second, timestamp, length, tail = parity.recovery
        rest = int.from_bytes(tail, "little")
        for index in parity.indices:
            held = self._cache.get(index)
            if held is None:
                continue
            head, body = self._protected(held)
            first ^= head & 0x3F
            second ^= held.marker_type
            timestamp ^= held.timestamp
            length ^= len(body)
            rest ^= int.from_bytes(body[: len(tail)], "little")
        if length > len(tail):
            raise PacketError("FEC: a packet longer than what is protected")
        body = rest.to_bytes(len(tail), "little")[:length]
        return parse(_FIXED.pack(0x80 | first, second, missing & 0xFFFF, timestamp, self._ssrc) + body)

    def _protected(self, packet: RtpPacket) -> tuple[int, bytes]:
        """The first byte of a header, and what followed its fixed twelve bytes when the parity was made."""
        head = 0x80 | len(packet.csrcs)
        body = b"".join(csrc.to_bytes(4, "big") for csrc in packet.csrcs)
        if packet.profile:
            head |= 0x10
            block = _without(packet.profile, packet.extension, self._zeroed)
            body += _BLOCK.pack(packet.profile, len(block) >> 2) + block
        return head, body + packet.payload


def _without(profile: int, block: bytes, zeroed: frozenset[int]) -> bytes:
    """A header extension block with zeros for the values of some elements (RFC 8285)."""
    changed, size, at = bytearray(block), len(block), 0
    while at < size:
        if not block[at]:
            at += 1
            continue
        if profile == ONE_BYTE_PROFILE:
            element_id, start, end = block[at] >> 4, at + 1, at + 2 + (block[at] & 0x0F)
        elif profile & 0xFFF0 == TWO_BYTE_PROFILE and at + 1 < size:
            element_id, start, end = block[at], at + 2, at + 2 + block[at + 1]
        else:
            break
        if end > size:
            break
        if element_id in zeroed:
            changed[start:end] = bytes(end - start)
        at = end
    return bytes(changed)
