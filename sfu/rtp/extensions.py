"""The header extensions that a subscriber gets: what it negotiated and nothing else (RFC 8285).

`mid` is the subscriber's own, abs-send-time and the transport-wide number are written anew, and a few travel on as
they came where both ends negotiated them. All else, known or not, is left out with the publisher's numbering.
"""

from struct import Struct

from sfu.rtp.departures import Departures
from sfu.rtp.lane import Layout
from sfu.rtp.packet import ONE_BYTE_PROFILE, RtpPacket, header, padding, write_elements
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    VIDEO_ORIENTATION_URI,
    RtpParameters,
)

PASSED_URIS = (AUDIO_LEVEL_URI, VIDEO_ORIENTATION_URI, DEPENDENCY_DESCRIPTOR_URI)
"""What means the same to a subscriber as it did to us."""


def send_time(now: float) -> int:
    """abs-send-time: seconds with 18 fractional bits, 24 bits in all, so that it wraps every 64 s."""
    return int(now * 262144) & 0xFFFFFF


class PassedElements:
    """The elements that travel on, for all subscribers that negotiated them alike: written once per packet.

    A header extension is [abs-send-time] [mid] [number] [passed elements, padding]. The first three are the
    subscriber's own; the rest is the same for all whose own take as many bytes modulo 4.
    """

    __slots__ = ("_ids", "_instead", "_nothing", "_own_size", "packet", "tail", "time")

    def __init__(self, ids: tuple[tuple[int, int], ...], own_size: int) -> None:
        """`ids` are pairs (the publisher's id, the subscriber's id)."""
        self._ids = ids
        self._instead: tuple[int | None, bytes] = (None, b"")
        self._own_size = own_size
        self._nothing = padding(own_size)
        self.packet: RtpPacket | None = None
        """The packet that the rest is for."""
        self.tail: bytes | None = b""
        """One-byte elements and padding; None where an element needs the two-byte form, which then all must have."""
        self.time = 0
        """The abs-send-time: when the packet arrived, so that writing a header again gives the same bytes (unless it
        has a number)."""

    def prepare(self, packet: RtpPacket, instead: tuple[int | None, bytes] = (None, b"")) -> None:
        """Write the rest for this packet; the element of this id, if it is there, with another value."""
        self.packet = packet
        self._instead = instead
        self.time = send_time(packet.arrival)
        self.tail = self._nothing
        if not self._ids or not packet.extension:
            return
        passed = b""
        for element_id, value in self.elements(packet):
            if element_id > 14 or not 0 < len(value) <= 16:
                self.tail = None
                return
            passed += bytes((element_id << 4 | len(value) - 1,)) + value
        self.tail = passed + padding(self._own_size + len(passed))

    def elements(self, packet: RtpPacket) -> list[tuple[int, bytes]]:
        """What of a packet's extension travels on, with the subscriber's ids."""
        found = packet.elements
        replaced, value = self._instead
        return [(to, value if to == replaced else found[of]) for of, to in self._ids if of in found]


Sharing = dict[tuple[tuple[tuple[int, int], ...], int], PassedElements]
"""A producer's `PassedElements`, by what tells them apart."""


class HeaderWriter:
    """Writes the RTP headers of one SSRC of one subscriber."""

    __slots__ = (
        "_departures",
        "_dependency_id",
        "_mid",
        "_mid_id",
        "_mid_text",
        "_number_word",
        "_own_size",
        "_pack",
        "_passed",
        "_rewritten",
        "_time_id",
        "_time_word",
        "ssrc",
    )

    def __init__(
        self,
        source: RtpParameters,
        target: RtpParameters,
        ssrc: int,
        sharing: Sharing,
        departures: Departures | None = None,
    ) -> None:
        """`source` is what the publisher negotiated, `target` the subscriber. With the `departures` of the
        subscriber's transport, each header has a transport-wide number, where the subscriber negotiated that.

        Raises ValueError where one of our own elements has an id above 14, or the mid more than 16 bytes: the SFU
        offers, so it never has to.
        """
        self.ssrc = ssrc
        self._time_id = target.extension_id(ABS_SEND_TIME_URI)
        self._mid_id = target.extension_id(MID_URI) if target.mid else None
        self._mid_text = target.mid.encode()
        number_id = None if departures is None else target.extension_id(TRANSPORT_CC_URI)
        if max(self._time_id or 1, self._mid_id or 1, number_id or 1) > 14 or len(self._mid_text) > 16:
            raise ValueError("abs-send-time, mid and number do not fit the one-byte form")
        self._mid = b""
        if self._mid_id is not None:
            self._mid = bytes((self._mid_id << 4 | len(self._mid_text) - 1,)) + self._mid_text
        self._time_word = None if self._time_id is None else (self._time_id << 4 | 2) << 24
        self._departures = None if number_id is None else departures
        self._number_word = ((number_id or 0) << 4 | 1) << 16
        self._own_size = len(self._mid) + (0 if self._time_id is None else 4) + (0 if number_id is None else 3)
        self._pack = Struct(f"!BBHLLHH{'' if self._time_id is None else 'L'}{len(self._mid)}s").pack
        ids = tuple(
            (of, to)
            for uri in PASSED_URIS
            if (of := source.extension_id(uri)) is not None and (to := target.extension_id(uri)) is not None
        )
        key = (ids, self._own_size & 3)
        self._passed = sharing.setdefault(key, PassedElements(*key))
        self._dependency_id = target.extension_id(DEPENDENCY_DESCRIPTOR_URI)
        self._rewritten = PassedElements(*key)
        """This subscriber's own, where its dependency descriptor is not the publisher's."""

    @property
    def numbered(self) -> bool:
        """Whether each header differs from all before it by a transport-wide number: none can be written again."""
        return self._departures is not None

    @property
    def layout(self) -> Layout:
        """What an engine needs to write the same: the SSRC, the id of abs-send-time, the element of the mid, the ids
        of the transport-wide number and of the dependency descriptor (0 for what there is not), the elements that
        travel on, and what numbers are taken from."""
        departures = self._departures
        return (
            self.ssrc,
            self._time_id or 0,
            self._mid,
            0 if departures is None else self._number_word >> 20,
            self._dependency_id or 0,
            self._passed,
            None if departures is None else departures.memory,
        )

    def write(  # noqa: PLR0917 - the header's fields, in its order
        self,
        packet: RtpPacket,
        marker_type: int,
        sequence_number: int,
        timestamp: int,
        now: float | None = None,
        dependency: bytes | None = None,
    ) -> bytes:
        """The header under which `packet` leaves: to be called once for each time that it does.

        `now` is when; without it, as soon as the packet arrived. `dependency` is sent instead of the packet's
        dependency descriptor. Unless `numbered`, the same arguments give the same bytes each time.
        """
        passed = self._passed
        if dependency is not None:
            passed = self._rewritten
            passed.prepare(packet, (self._dependency_id, dependency))
        elif passed.packet is not packet:
            passed.prepare(packet)
        tail = passed.tail
        time = passed.time if now is None else send_time(now)
        if tail is None:
            elements = passed.elements(packet)
            return self._long(packet, (marker_type, sequence_number, timestamp, self.ssrc), elements, time, now)
        size = self._own_size + len(tail)
        words = size >> 2
        departures = self._departures
        if departures is not None:
            number = departures.add(16 + size + len(packet.payload), packet.arrival if now is None else now)
            tail = (self._number_word | number).to_bytes(3, "big") + tail
        ssrc, pack = self.ssrc, self._pack
        if self._time_word is not None:
            time |= self._time_word
            own = pack(0x90, marker_type, sequence_number, timestamp, ssrc, ONE_BYTE_PROFILE, words, time, self._mid)
            return own + tail
        if words:
            return (
                pack(0x90, marker_type, sequence_number, timestamp, ssrc, ONE_BYTE_PROFILE, words, self._mid) + tail
            )
        return header(marker_type, sequence_number, timestamp, ssrc)

    def write_padding(self, marker_type: int, sequence_number: int, timestamp: int, size: int, now: float) -> bytes:
        """The header of a packet that has no payload but `size` bytes of padding, which follow it (1 to 255)."""
        empty = RtpPacket(marker_type, sequence_number, timestamp, self.ssrc, bytes(size))
        written = self.write(empty, marker_type, sequence_number, timestamp, now)
        return bytes((written[0] | 0x20,)) + written[1:]

    def _long(
        self,
        packet: RtpPacket,
        fields: tuple[int, int, int, int],
        elements: list[tuple[int, bytes]],
        time: int,
        now: float | None,
    ) -> bytes:
        """The two-byte form, for a dependency descriptor that brings its structure on a key frame.

        RFC 8285 section 4.1.2 wants a mix of forms negotiated; who negotiated that extension reads both.
        """
        if self._mid_id is not None:
            elements.append((self._mid_id, self._mid_text))
        if self._time_id is not None:
            elements.append((self._time_id, time.to_bytes(3, "big")))
        if self._departures is not None:
            size = 4 + sum(2 + len(value) for _, value in elements)
            size += 16 + len(padding(size)) + len(packet.payload)
            number = self._departures.add(size, packet.arrival if now is None else now)
            elements.append((self._number_word >> 20, number.to_bytes(2, "big")))
        return header(*fields, *write_elements(elements))
