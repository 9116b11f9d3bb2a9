"""RTP packets (RFC 3550 section 5.1) and their header extensions (RFC 8285): bytes in, bytes out."""

from collections.abc import Iterable
from struct import Struct
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from sfu.rtp.dependency import Dependency
    from sfu.rtp.vp8 import Vp8Descriptor
    from sfu.rtp.vp9 import Vp9Descriptor

PacketLayer = Union["Vp8Descriptor", "Vp9Descriptor", "Dependency"]
"""What tells the layer of a packet."""

ONE_BYTE_PROFILE = 0xBEDE
"""RFC 8285 section 4.2"""
TWO_BYTE_PROFILE = 0x1000
"""RFC 8285 section 4.3; the low four bits belong to the application."""

_FIXED = Struct("!BBHLL")
_EXTENDED = Struct("!BBHLLHH")
_PREAMBLE = Struct("!HH")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class PacketError(ValueError):
    """These bytes are not what the standard says; the packet they came in is to be dropped."""


class RtpPacket:
    """One RTP packet without its padding, and what the receiving stream found out about it.

    `marker_type` is the second byte of the header as it stands there: the marker in the top bit, the payload type
    below. `extension` is the body of the header extension block and `profile` its kind, 0 where there is none.
    """

    __slots__ = (
        "_elements",
        "arrival",
        "csrcs",
        "dependency",
        "descriptor",
        "extension",
        "index",
        "key_frame",
        "layer",
        "layered",
        "marker_type",
        "payload",
        "profile",
        "sequence_number",
        "ssrc",
        "timestamp",
    )

    def __init__(  # noqa: PLR0917 - the header's fields, in its order
        self,
        marker_type: int,
        sequence_number: int,
        timestamp: int,
        ssrc: int,
        payload: bytes,
        profile: int = 0,
        extension: bytes = b"",
        csrcs: tuple[int, ...] = (),
    ) -> None:
        self.marker_type = marker_type
        self.sequence_number = sequence_number
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
        self.profile = profile
        self.extension = extension
        self.csrcs = csrcs
        self.index = sequence_number
        """The unwrapped sequence number, once a stream took the packet in."""
        self.arrival = 0.0
        """When it arrived, in monotonic seconds, once a stream took it in."""
        self.key_frame = False
        """Whether a decoder can start here: the first packet of a key frame."""
        self.layered = False
        """Whether it names a layer, or has a dependency descriptor."""
        self.layer: PacketLayer | None = None
        """What says which layer the packet is of, of a codec and a stream that have any."""
        self.descriptor: Vp8Descriptor | Vp9Descriptor | None = None
        """The payload descriptor, whose numbers are rewritten."""
        self.dependency: Dependency | None = None
        """The dependency descriptor among the header extensions."""
        self._elements: dict[int, bytes] | None = None

    @property
    def marker(self) -> bool:
        """The marker bit: the last packet of a video frame, the first of a talkspurt."""
        return self.marker_type >= 0x80

    @property
    def payload_type(self) -> int:
        """The payload type, 0 to 127."""
        return self.marker_type & 0x7F

    @property
    def elements(self) -> dict[int, bytes]:
        """The header extension elements by id, read at the first use."""
        if self._elements is None:
            self._elements = read_elements(self.profile, self.extension)
        return self._elements


def parse(data: bytes) -> RtpPacket:
    """Read one packet. Raises `PacketError` for whatever is not RTP version 2 with lengths that add up."""
    size = len(data)
    if size < 12:
        raise PacketError("RTP: shorter than a header")
    first, marker_type, sequence_number, timestamp, ssrc = _FIXED.unpack_from(data)
    if first >> 6 != 2:
        raise PacketError("RTP: not version 2")
    start, end, profile, extension, csrcs = 12, size, 0, b"", ()
    if first & 0x0F:
        start += 4 * (first & 0x0F)
        if start > size:
            raise PacketError("RTP: CSRC list beyond the end")
        csrcs = Struct(f"!{first & 0x0F}L").unpack_from(data, 12)
    if first & 0x10:
        if start + 4 > size:
            raise PacketError("RTP: header extension beyond the end")
        profile, words = _PREAMBLE.unpack_from(data, start)
        block = start + 4
        start = block + 4 * words
        if start > size:
            raise PacketError("RTP: header extension beyond the end")
        extension = data[block:start]
    if first & 0x20:
        end -= data[-1]
        if end == size or end < start:
            raise PacketError("RTP: padding count out of range")
    return RtpPacket(marker_type, sequence_number, timestamp, ssrc, data[start:end], profile, extension, csrcs)


def read_elements(profile: int, block: bytes) -> dict[int, bytes]:
    """The elements of a header extension block by id; nothing where the profile is not one of RFC 8285's.

    An element that claims more bytes than there are ends the block: what stands before it is good.
    """
    elements: dict[int, bytes] = {}
    size, at = len(block), 0
    if profile == ONE_BYTE_PROFILE:
        while at < size:
            head = block[at]
            if not head:  # padding may stand between elements
                at += 1
                continue
            end = at + 2 + (head & 0x0F)
            if not 0 < head >> 4 < 15 or end > size:  # ids 0 and 15 end the block (section 4.2)
                break
            elements[head >> 4] = block[at + 1 : end]
            at = end
    elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
        while at < size:
            element_id = block[at]
            if not element_id:
                at += 1
                continue
            if at + 2 > size:
                break
            end = at + 2 + block[at + 1]
            if end > size:
                break
            elements[element_id] = block[at + 2 : end]
            at = end
    return elements


def write_elements(elements: Iterable[tuple[int, bytes]]) -> tuple[int, bytes]:
    """A header extension block: its profile and its body, padded to words; the one-byte form where it can be.

    Raises `PacketError` for an id outside 1 to 255 or a value above 255 bytes.
    """
    pairs = list(elements)
    if all(0 < element_id < 15 and 0 < len(value) <= 16 for element_id, value in pairs):
        profile = ONE_BYTE_PROFILE
        body = b"".join(bytes((element_id << 4 | len(value) - 1,)) + value for element_id, value in pairs)
    elif all(0 < element_id < 256 and len(value) < 256 for element_id, value in pairs):
        profile = TWO_BYTE_PROFILE
        body = b"".join(bytes((element_id, len(value))) + value for element_id, value in pairs)
    else:
        raise PacketError("RTP: no form of header extension can hold these elements")
    return profile, body + padding(len(body))


def padding(size: int) -> bytes:
    """The zero bytes that bring `size` to a multiple of four."""
    return _PADDING[size & 3]


def header(  # noqa: PLR0917 - the header's fields, in its order
    marker_type: int, sequence_number: int, timestamp: int, ssrc: int, profile: int = 0, extension: bytes = b""
) -> bytes:
    """A header without CSRCs and padding; with an extension block where `extension` has bytes (whole words)."""
    if not extension:
        return _FIXED.pack(0x80, marker_type, sequence_number, timestamp, ssrc)
    words = len(extension) >> 2
    return _EXTENDED.pack(0x90, marker_type, sequence_number, timestamp, ssrc, profile, words) + extension
