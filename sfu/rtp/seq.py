"""Sequence numbers of 16 bits as indices that never wrap (RFC 3711 section 3.3.1).

An index is `rollover counter * 65536 + sequence number`. Everything inside the SFU counts in indices; only the
header of a packet and the fields of an RTCP packet have 16 bits.
"""

_HALF = 1 << 15


def unwrap(sequence_number: int, highest: int) -> int:
    """The index of a packet: of all that end in `sequence_number`, the one closest to `highest`.

    `highest` is the highest index so far; the caller raises it where the answer is above. The answer lies in
    [highest - 32768, highest + 32767]. It is below zero only for a packet from before the first of a stream that
    started near zero.
    """
    return highest + ((sequence_number - highest + _HALF) & 0xFFFF) - _HALF
