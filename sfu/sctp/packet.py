"""SCTP packets: a header with a CRC32c, and chunks (RFC 9260 section 3)."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from google_crc32c import value as crc32c

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN, SHUTDOWN_ACK, ERROR = range(10)
COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE = 10, 11, 14
RE_CONFIG, FORWARD_TSN = 130, 192
"""RFC 6525 section 3.1, RFC 3758 section 3.2"""

END, BEGIN, UNORDERED = 1, 2, 4
"""Flags of DATA."""

HEADER = struct.Struct("!HHLL")
CHUNK = struct.Struct("!BBH")
DATA_HEADER = struct.Struct("!LHHL")
INIT_HEADER = struct.Struct("!LLHHL")
SACK_HEADER = struct.Struct("!LLHH")
PAIR = struct.Struct("!HH")

MAX_PACKET = 1160
"""Of 1200 bytes of UDP, a DTLS record takes 37 (RFC 6347 section 4.1, RFC 5288 section 3); a multiple of four."""
MAX_FRAGMENT = MAX_PACKET - HEADER.size - CHUNK.size - DATA_HEADER.size


class SctpError(Exception):
    """The peer has sent what no SCTP stack sends."""


class Chunk(NamedTuple):
    """One chunk as it stands in a packet, without its length and padding."""

    type: int
    flags: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose checksum is right."""

    source_port: int
    destination_port: int
    tag: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """A DATA chunk: a message, or a piece of one (section 3.3.1)."""

    flags: int
    tsn: int
    stream: int
    sequence: int
    protocol: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Init:
    """INIT or INIT ACK (sections 3.3.2 and 3.3.3)."""

    tag: int
    window: int
    outbound_streams: int
    inbound_streams: int
    tsn: int
    parameters: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Sack:
    """What the peer has (section 3.3.4); the gaps count from `cumulative`, both ends included."""

    cumulative: int
    window: int
    gaps: tuple[tuple[int, int], ...]


def parse(datagram: bytes) -> Packet:
    """Read one packet.

    Raises:
        SctpError: it is cut off, or its checksum is wrong.
    """
    if len(datagram) < HEADER.size + CHUNK.size:
        raise SctpError("too short")
    source, destination, tag, checksum = HEADER.unpack_from(datagram)
    if checksum != _checksum(datagram):
        raise SctpError("wrong checksum")
    return Packet(source, destination, tag, tuple(_chunks(datagram)))


def write(source_port: int, destination_port: int, tag: int, chunks: Iterable[Chunk]) -> bytes:
    """One packet."""
    parts = [HEADER.pack(source_port, destination_port, tag, 0)]
    for chunk in chunks:
        parts += (CHUNK.pack(chunk.type, chunk.flags, CHUNK.size + len(chunk.body)), chunk.body)
        parts.append(bytes(-len(chunk.body) % 4))
    packet = b"".join(parts)
    return packet[:8] + _checksum(packet).to_bytes(4) + packet[12:]


def size(chunk: Chunk) -> int:
    """Bytes that a chunk takes in a packet."""
    return CHUNK.size + len(chunk.body) + -len(chunk.body) % 4


def read_data(chunk: Chunk) -> Data:
    """Raises SctpError."""
    tsn, stream, sequence, protocol = _unpack(DATA_HEADER, chunk.body)
    payload = chunk.body[DATA_HEADER.size :]
    if not payload:
        raise SctpError("a DATA chunk without data")  # section 6.2: to be answered with an ABORT
    return Data(chunk.flags, tsn, stream, sequence, protocol, payload)


def data_chunk(data: Data) -> Chunk:
    """A DATA chunk."""
    header = DATA_HEADER.pack(data.tsn, data.stream, data.sequence, data.protocol)
    return Chunk(DATA, data.flags, header + data.payload)


def read_init(chunk: Chunk) -> Init:
    """Raises SctpError."""
    tag, window, outbound, inbound, tsn = _unpack(INIT_HEADER, chunk.body)
    if not tag or not outbound or not inbound:
        raise SctpError("INIT without a tag or streams")
    return Init(tag, window, outbound, inbound, tsn, tuple(read_parameters(chunk.body[INIT_HEADER.size :])))


def init_chunk(type_: int, init: Init) -> Chunk:
    """An INIT or INIT ACK."""
    header = INIT_HEADER.pack(init.tag, init.window, init.outbound_streams, init.inbound_streams, init.tsn)
    return Chunk(type_, 0, header + write_parameters(init.parameters))


def read_sack(chunk: Chunk) -> Sack:
    """Raises SctpError."""
    cumulative, window, count, _duplicates = _unpack(SACK_HEADER, chunk.body)
    end = SACK_HEADER.size + count * PAIR.size
    if len(chunk.body) < end:
        raise SctpError("a SACK that is cut off")
    return Sack(cumulative, window, tuple(PAIR.iter_unpack(chunk.body[SACK_HEADER.size : end])))


def sack_chunk(sack: Sack, duplicates: list[int]) -> Chunk:
    """A SACK chunk."""
    body = SACK_HEADER.pack(sack.cumulative, sack.window, len(sack.gaps), len(duplicates))
    body += b"".join(PAIR.pack(*gap) for gap in sack.gaps)
    return Chunk(SACK, 0, body + b"".join(tsn.to_bytes(4) for tsn in duplicates))


def read_parameters(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Type-length-value parameters (section 3.2.1). Raises SctpError."""
    position = 0
    while position + PAIR.size <= len(body):
        kind, length = PAIR.unpack_from(body, position)
        if length < PAIR.size or position + length > len(body):
            raise SctpError("a parameter of a wrong length")
        yield kind, body[position + PAIR.size : position + length]
        position += length + -length % 4


def write_parameters(parameters: Iterable[tuple[int, bytes]]) -> bytes:
    """The parameters behind each other, the last without padding."""
    body = b""
    for kind, value in parameters:
        body += bytes(-len(body) % 4) + PAIR.pack(kind, PAIR.size + len(value)) + value
    return body


def _chunks(datagram: bytes) -> Iterator[Chunk]:
    position = HEADER.size
    while position + CHUNK.size <= len(datagram):
        kind, flags, length = CHUNK.unpack_from(datagram, position)
        if length < CHUNK.size or position + length > len(datagram):
            raise SctpError("a chunk of a wrong length")
        yield Chunk(kind, flags, datagram[position + CHUNK.size : position + length])
        position += length + -length % 4


def _unpack(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise SctpError("a chunk that is cut off")
    return layout.unpack_from(body)


def _checksum(packet: bytes) -> int:
    """CRC32c with the field itself as zero (section 6.8), as the number that a big-endian reader finds there."""
    return int.from_bytes(crc32c(packet[:8] + bytes(4) + packet[12:]).to_bytes(4, "little"))
