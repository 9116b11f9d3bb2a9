"""The guard before a DTLS handshake: what a stranger says in the peer's name must not end it (RFC 6347).

An address tells who sent a datagram only as long as nobody forges it. So two things are asked of a record that is
not authenticated yet, before OpenSSL, for which an unexpected one is the end of the handshake, gets to see it:

* It must be one that a peer may send now (`Guard.admit`): a piece of a handshake message of the other role, whole
  and with lengths that add up, or ChangeCipherSpec. Alerts aren't: 15 bytes would end a handshake. A peer that means
  one will not finish the handshake either, and the deadline ends that.
* A handshake begins with a ClientHello that repeats our cookie (section 4.2.1). One without is answered with a
  HelloVerifyRequest, for which nothing is kept: it is the same for everybody who says hello from that address. Only
  who can read what is sent there can repeat it. Else a forged hello would begin a handshake, and the real client,
  for which each ServerHello is the answer to its own, would fail.

A hello may come in pieces (Chromium's does, its post-quantum key is longer than a datagram); the cookie is in the
first one. What is left to a forger is to guess the moment and the numbers of a message in the middle of a handshake.

OpenSSL reads each message of a handshake once and keeps the pieces of those that came too early; with the bounds
below on their number and length, what a peer can make us do or keep before it has keys is bounded, too.
"""

import secrets
from hmac import compare_digest
from struct import Struct
from typing import Literal, NamedTuple

Role = Literal["server", "client"]

CHANGE_CIPHER_SPEC, HANDSHAKE = 20, 22
HELLO, HELLO_VERIFY = 1, 3
FROM: dict[Role, frozenset[int]] = {
    "client": frozenset((HELLO, 11, 15, 16)),  # Certificate, CertificateVerify, ClientKeyExchange
    "server": frozenset((2, HELLO_VERIFY, 11, 12, 13, 14)),  # ServerHello, Certificate to ServerHelloDone
}
"""The handshake messages that each end sends (RFC 6347 section 4.3.2), without those that are encrypted."""
LONGEST = 16 * 1024
"""Of one handshake message; a certificate of ours or of a browser's takes 500 bytes."""
LAST = 9
"""The highest message_seq; a handshake has up to 6 messages in plaintext from one end."""
COOKIE_SIZE = 16

_HEAD = Struct("!BHQH")
_RECORD_SIZE = 13
_MESSAGE_SIZE = 12
_VERSION_1_0, _VERSION_1_2 = 0xFEFF, 0xFEFD


class Piece(NamedTuple):
    """A piece of a handshake message (section 4.2.2)."""

    kind: int
    number: int
    """The message's: message_seq."""
    offset: int
    data: bytes


def read_piece(record: bytes) -> Piece | None:
    """What a plaintext handshake record holds, where that is one piece whose lengths add up."""
    body = record[_RECORD_SIZE:]
    if len(body) < _MESSAGE_SIZE:
        return None
    length, offset, size = (int.from_bytes(body[at : at + 3], "big") for at in (1, 6, 9))
    number = int.from_bytes(body[4:6], "big")
    if size != len(body) - _MESSAGE_SIZE or offset + size > length or length > LONGEST or number > LAST:
        return None
    return Piece(body[0], number, offset, body[_MESSAGE_SIZE:])


def cookie_of(hello: Piece) -> bytes | None:
    """The cookie in the first piece of a ClientHello; None where it ends before that."""
    data = hello.data
    at = 2 + 32  # version, random
    if len(data) <= at:
        return None
    at += 1 + data[at]  # session id
    if len(data) <= at:
        return None
    cookie = data[at + 1 : at + 1 + data[at]]
    return cookie if len(cookie) == data[at] else None


def first_hello() -> bytes:
    """The shortest ClientHello, without a cookie: it brings a server of OpenSSL to where it awaits one with it."""
    body = _VERSION_1_2.to_bytes(2, "big") + bytes(32) + b"\0" + b"\0" + b"\0\2\xc0\x2b" + b"\1\0"
    return _record(_message(HELLO, body))


def verify_request(cookie: bytes) -> bytes:
    """HelloVerifyRequest, as the record 0.

    Section 4.2.1 would have it under the number of the hello that it answers, so a forger could choose it, and with a
    high one make the client take all our later records for replays. A client needs to take only one of them.
    """
    return _record(_message(HELLO_VERIFY, _VERSION_1_0.to_bytes(2, "big") + bytes((len(cookie),)) + cookie))


class Guard:
    """What one end of a handshake lets pass of what comes in, unauthenticated, from the other."""

    def __init__(self, role: Role) -> None:
        self._expected = FROM["client" if role == "server" else "server"]
        self.cookie = secrets.token_bytes(COOKIE_SIZE)
        self.greeted = role == "client"
        """Whether the handshake has begun."""
        self._admitted = 0
        self.replies: list[bytes] = []
        """Records to send back; whoever does clears it."""

    def admit(self, record: bytes) -> bytes:
        """What OpenSSL is to be given of a whole record; nothing where that is nothing.

        `greeted` turns true with the one that begins the handshake. Records get numbers of our own: whoever could
        choose them would, with a high one, make all that come later look like replays.
        """
        if record[3:5] != b"\0\0":  # OpenSSL drops what turns out not to be signed
            return record if self.greeted and record[3:5] == b"\0\1" else b""
        if not self._is_due(record):
            return b""
        self._admitted += 1
        return record[:5] + self._admitted.to_bytes(6, "big") + record[11:]

    def _is_due(self, record: bytes) -> bool:
        if record[0] == CHANGE_CIPHER_SPEC:
            return self.greeted and record[_RECORD_SIZE:] == b"\1"
        piece = read_piece(record) if record[0] == HANDSHAKE else None
        if piece is None or piece.kind not in self._expected:
            return False
        if piece.kind != HELLO:
            return self.greeted
        if not self.greeted:
            self._hear(piece)
        return self.greeted and piece.number == 1

    def _hear(self, hello: Piece) -> None:
        cookie = cookie_of(hello) if not hello.offset else None
        if cookie is None:
            return
        if hello.number == 1 and compare_digest(cookie, self.cookie):
            self.greeted = True
        else:
            self.replies.append(verify_request(self.cookie))


def _message(kind: int, body: bytes) -> bytes:
    """A handshake message in one piece, the first of its sender."""
    size = len(body).to_bytes(3, "big")
    return bytes((kind,)) + size + b"\0\0" + bytes(3) + size + body


def _record(body: bytes) -> bytes:
    """A plaintext handshake record with the number 0, of the version that says nothing (section 4.2.1)."""
    return _HEAD.pack(HANDSHAKE, _VERSION_1_0, 0, len(body)) + body
