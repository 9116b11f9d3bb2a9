"""STUN binding requests as an ICE-lite agent reads them, and its answers (RFC 8489, RFC 8445).

Read with a parser of our own, because `aioice.stun` parses the values of all attributes before anybody has checked
the integrity of the message: a wrong length raises `struct.error`, a cut-off attribute passes, and a datagram full
of FINGERPRINT attributes costs a copy and a checksum of the whole datagram for each. Here a stranger's datagram costs
one pass over its attribute headers, and nothing raises.
"""

import hmac
import ipaddress
import struct
import zlib
from dataclasses import dataclass

from sfu.plane.base import Address

BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101
BINDING_ERROR = 0x0111

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A

ROLE_CONFLICT = 487
"""RFC 8445 section 7.3.1.1"""

MAGIC_COOKIE = 0x2112A442
HEADER = struct.Struct("!HHI12s")
ATTRIBUTE = struct.Struct("!HH")
INTEGRITY_SIZE = 4 + 20
FINGERPRINT_SIZE = 4 + 4
FINGERPRINT_XOR = 0x5354554E


@dataclass(frozen=True, slots=True)
class Message:
    """A well-formed STUN message. What it says is a stranger's word until `authentic` has been asked."""

    type: int
    transaction_id: bytes
    attributes: dict[int, bytes]
    """The first of each type up to MESSAGE-INTEGRITY; what stands behind that is not covered by it and not here."""
    covered: bytes | None
    """What MESSAGE-INTEGRITY signs, or None where the message has none."""

    def authentic(self, password: str) -> bool:
        """Whether MESSAGE-INTEGRITY is there and right (RFC 8489 section 14.5), with a short-term credential."""
        if self.covered is None:
            return False
        return hmac.compare_digest(self.attributes[MESSAGE_INTEGRITY], _integrity(self.covered, password))

    @property
    def local_ufrag(self) -> str:
        """Our part of USERNAME (RFC 8445 section 7.2.2), or an empty string."""
        return self.attributes.get(USERNAME, b"").partition(b":")[0].decode("ascii", "replace")


def parse(datagram: bytes) -> Message | None:
    """The message, or None where this is not STUN, is cut off, or has a wrong FINGERPRINT."""
    size = len(datagram)
    if size < HEADER.size or size % 4:
        return None
    type_, length, cookie, transaction_id = HEADER.unpack_from(datagram)
    if type_ > 0x3FFF or cookie != MAGIC_COOKIE or length != size - HEADER.size:
        return None
    attributes: dict[int, bytes] = {}
    covered = None
    position = HEADER.size
    while position < size:
        kind, length = ATTRIBUTE.unpack_from(datagram, position)
        value = datagram[position + 4 : position + 4 + length]
        if len(value) < length:
            return None
        if kind == FINGERPRINT:
            right = _fingerprint(datagram[:position])
            # RFC 8489 section 14.7: the last attribute of all
            return Message(type_, transaction_id, attributes, covered) if datagram[position:] == right else None
        if covered is None:
            attributes.setdefault(kind, value)
            if kind == MESSAGE_INTEGRITY:
                covered = _with_length(datagram[:position], INTEGRITY_SIZE)
        position += 4 + length + -length % 4
    return Message(type_, transaction_id, attributes, covered)


def success(request: Message, address: Address, password: str) -> bytes:
    """The answer to a binding request from `address` (RFC 8445 section 7.3.1.2)."""
    value = _xor_address(address, request.transaction_id)
    return _sign(BINDING_SUCCESS, request.transaction_id, _attribute(XOR_MAPPED_ADDRESS, value), password)


def error(request: Message, code: int, reason: str, password: str) -> bytes:
    """An error response (RFC 8489 section 14.8)."""
    value = struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()
    return _sign(BINDING_ERROR, request.transaction_id, _attribute(ERROR_CODE, value), password)


def _sign(type_: int, transaction_id: bytes, attributes: bytes, password: str) -> bytes:
    """A message with MESSAGE-INTEGRITY and FINGERPRINT behind its attributes."""
    message = HEADER.pack(type_, len(attributes), MAGIC_COOKIE, transaction_id) + attributes
    message += _attribute(MESSAGE_INTEGRITY, _integrity(_with_length(message, INTEGRITY_SIZE), password))
    message = _with_length(message, FINGERPRINT_SIZE)
    return message + _fingerprint(message)


def _with_length(message: bytes, more: int) -> bytes:
    """The message with the length in its header as it is once an attribute of `more` bytes stands behind it."""
    return message[:2] + (len(message) - HEADER.size + more).to_bytes(2) + message[4:]


def _integrity(covered: bytes, password: str) -> bytes:
    return hmac.digest(password.encode(), covered, "sha1")


def _fingerprint(message: bytes) -> bytes:
    """The FINGERPRINT attribute for a message whose header's length counts it already."""
    return _attribute(FINGERPRINT, (zlib.crc32(message) ^ FINGERPRINT_XOR).to_bytes(4))


def _attribute(kind: int, value: bytes) -> bytes:
    return ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _xor_address(address: Address, transaction_id: bytes) -> bytes:
    """RFC 8489 section 14.2. What a dual-stack socket shows as IPv4-mapped IPv6 is an IPv4 address to its owner."""
    ip = ipaddress.ip_address(address[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    key = MAGIC_COOKIE.to_bytes(4) + transaction_id
    mixed = bytes(a ^ b for a, b in zip(ip.packed, key, strict=False))
    return struct.pack("!BBH", 0, 1 if ip.version == 4 else 2, address[1] ^ MAGIC_COOKIE >> 16) + mixed
