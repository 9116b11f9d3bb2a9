"""Opus over RTP (RFC 7587): a packet each."""

from collections.abc import Sequence

from sfu.rtp.bits import need


def opus(payloads: Sequence[bytes]) -> bytes:
    """The Opus packet."""
    (packet,) = payloads
    need(packet, 1)
    return packet
