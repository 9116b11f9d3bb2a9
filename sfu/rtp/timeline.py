"""The timestamps of a subscriber's stream, which go on evenly when its source changes.

The encodings of one picture have clocks that start anywhere. Where sender reports relate both to the publisher's wall
clock (RFC 3550 section 6.4.1), the new source continues exactly where the old one would be at the same moment of
capture; before that, by the time between arrivals. In either case a timestamp never repeats nor goes back: libwebrtc
would take a second frame of the same timestamp for a layer of the first.
"""

from sfu.rtp.packet import RtpPacket
from sfu.rtp.stream import RtpStream

TRUSTED_S = 1.0
"""Sender reports that put a packet further than this from where its arrival does are wrong: no network and no encoder
delays one encoding so much more than another."""


class Timeline:
    """What is to be added to the timestamps of each source in turn."""

    def __init__(self) -> None:
        self._source: RtpStream | None = None
        self._offset = 0
        self._ahead = 0  # how much of the offset only keeps timestamps from repeating

    def begin(self, stream: RtpStream, packet: RtpPacket, last: RtpPacket | None) -> int:
        """The offset of `stream` from this packet on; `last` is the newest that was sent, of what was followed."""
        before, self._source = self._source, stream
        if last is None or before is stream:  # the source's own clock goes on, also over a pause
            return self._offset
        highest = last.timestamp + self._offset
        elapsed = max(1, round((packet.arrival - last.arrival) * stream.clock_rate))
        offset = highest + elapsed - packet.timestamp
        reported = None if before is None else self._by_reports(before, stream)
        if reported is not None and abs(_signed(reported - offset)) <= TRUSTED_S * stream.clock_rate:
            offset = reported
        self._ahead = max(0, 1 - _signed(packet.timestamp + offset - highest))
        self._offset = offset + self._ahead
        return self._offset

    def _by_reports(self, before: RtpStream, stream: RtpStream) -> int | None:
        old, new = before.sender_report, stream.sender_report
        if old is None or new is None:
            return None
        elapsed = round((new.ntp - old.ntp) * before.clock_rate / 2**32)
        return old.timestamp + elapsed + self._offset - self._ahead - new.timestamp


def _signed(difference: int) -> int:
    """A difference of timestamps of 32 bits."""
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000
