"""RED (RFC 2198): a packet that brings older ones again, so that one which was lost needs no asking.

As browsers use it for Opus, each packet has the one before it inside. RED is passed on to who took it as it is, and
to who took plain Opus as its newest block alone, which is the very packet that would have been sent without RED: the
numbers of the stream hold either way.

Every block names a payload type of the publisher. Where the subscriber's differ they are written anew; what is
encrypted end to end within the blocks stays as it is. Where the blocks' headers are encrypted too, as by a browser's
encoded transform, which comes after RED, nothing can be read: that is passed on where all numbers are the same.
"""

from typing import NamedTuple

from sfu.rtp.bits import need
from sfu.rtp.matching import payload_types
from sfu.rtp.packet import PacketError, RtpPacket
from sfu.rtp.parameters import RtpParameters


class RedBlock(NamedTuple):
    """One payload inside a RED packet."""

    payload_type: int
    offset: int
    """How much older it is than the packet, in units of its clock."""
    payload: bytes


def red_blocks(payload: bytes) -> list[RedBlock]:
    """The blocks of a RED packet, the primary one last, and that with offset 0. `PacketError` where it is cut."""
    heads: list[tuple[int, int, int]] = []
    at = 0
    while True:
        need(payload, at + 1)
        if not payload[at] & 0x80:
            break
        need(payload, at + 4)
        fields = int.from_bytes(payload[at + 1 : at + 4], "big")
        heads.append((payload[at] & 0x7F, fields >> 10, fields & 0x3FF))
        at += 4
    last_type = payload[at]
    at += 1
    blocks = []
    for payload_type, offset, size in heads:
        need(payload, at + size)
        blocks.append(RedBlock(payload_type, offset, payload[at : at + size]))
        at += size
    return [*blocks, RedBlock(last_type, 0, payload[at:])]


def red_primary(payload: bytes) -> tuple[int, bytes]:
    """The payload type and payload of the newest block of a RED packet. `PacketError` where it is cut."""
    primary = red_blocks(payload)[-1]
    return primary.payload_type, primary.payload


class RedPassage:
    """How the RED of one publisher reaches one subscriber that cannot have it as it comes."""

    def __init__(self, source_type: int, target_type: int | None, types: dict[int, int]) -> None:
        """`source_type` is RED's payload type at the publisher, `target_type` at the subscriber, None where it took
        none; `types` are the subscriber's numbers for the publisher's others."""
        self.source_type = source_type
        self._target_type = target_type
        self._types = types

    def rewritten(self, packet: RtpPacket) -> tuple[int, bytes] | None:
        """The second byte of the header and the payload to send; None for what can't be passed on."""
        if packet.payload_type != self.source_type or not packet.payload:
            return None
        marker = packet.marker_type & 0x80
        try:
            if self._target_type is not None:
                return marker | self._target_type, self._renumbered(packet.payload)
            payload_type, payload = red_primary(packet.payload)
            return (marker | self._types[payload_type], payload) if payload else None
        except (PacketError, KeyError):
            return None

    def _renumbered(self, payload: bytes) -> bytes:
        """Every block's payload type as the subscriber knows it."""
        changed, at = bytearray(payload), 0
        while changed[at] & 0x80:
            changed[at] = 0x80 | self._types[changed[at] & 0x7F]
            at += 4
            need(payload, at + 1)
        changed[at] = self._types[changed[at]]
        return bytes(changed)


def red_passage(source: RtpParameters, target: RtpParameters) -> RedPassage | None:
    """What has to be done to the publisher's RED; None where it sends none, or the subscriber can have it as it is.

    Raises `IncompatibleCodecs` as `payload_types` does.
    """
    types = payload_types(source, target)
    sent = next((codec for codec in source.codecs if codec.name == "red"), None)
    if sent is None or sent.payload_type in types:
        return None
    taken = next((codec.payload_type for codec in target.codecs if codec.name == "red"), None)
    return RedPassage(sent.payload_type, taken, types)
