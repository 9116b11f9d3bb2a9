"""One DTLS 1.2 connection without a socket: the SRTP keys of one peer, and its data (RFC 6347, RFC 5764, RFC 8261).

Written on pyOpenSSL and not on aiortc's `RTCDtlsTransport`, of which it takes the certificate and the digests. That
class is a coroutine that waits for datagrams with asyncio's own clock, so time could not be given to it; an alert
that nobody signed ends its handshake; it sends a flight as one datagram of at most 1500 bytes and keeps the rest; and
it would cost a task a peer for a transport whose media pass it by.

Theory of operation: `receive` and `tick` put datagrams and time in, `outgoing` takes the datagrams out that are to be
sent, and `state` says how far it is. Retransmission timers are OpenSSL's (1 s, doubling: RFC 6347 section 4.2.4.1);
they run on the system's clock, and `tick` only gives them the chance. Until there are keys, what comes in passes by
`sfu.dtls_guard`.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from hmac import compare_digest
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from sfu.aiortc_parts import certificate_digest, generate_certificate
from sfu.dtls_guard import Guard, Role, first_hello
from sfu.plane.base import Profile, SrtpKeys

DtlsState = Literal["handshaking", "connected", "failed", "closed"]

MTU = 1200
"""UDP payload of a handshake datagram: what every path takes (RFC 9000 section 14 rests on the same number)."""
RECORD_HEADER = 13
CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
"""RFC 8827 section 6.5 asks for the first; the others are aiortc's."""
DTLS1_2 = 0xFEFD
"""The wire's number. OpenSSL 4 speaks 1.3, too, which no browser offers by default and whose records differ."""
COOKIE_EXCHANGE = 1 << 13
"""SSL_OP_COOKIE_EXCHANGE of OpenSSL's ssl.h; pyOpenSSL has it as a number or None."""
SALT_SIZE: dict[Profile, int] = {"SRTP_AEAD_AES_128_GCM": 12, "SRTP_AES128_CM_SHA1_80": 14}
"""Bytes, in order of preference (RFC 7714 section 12, RFC 5764 section 4.1.2); the keys have 16 in both."""
KEY_SIZE = 16
HASHES = ("sha-512", "sha-384", "sha-256")
"""RFC 8122 section 5, strongest first."""


class Identity:
    """A self-signed certificate and what OpenSSL makes of it; its fingerprint stands in our SDP."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = generate_certificate(key)
        self.fingerprint = f"sha-256 {certificate_digest(certificate, 'sha-256')}"
        """As in an SDP: `sha-256 AB:CD:…`."""
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(DTLS1_2)
        context.set_max_proto_version(DTLS1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU | COOKIE_EXCHANGE)
        context.set_cookie_generate_callback(lambda ssl: ssl.get_app_data())
        context.set_cookie_verify_callback(lambda ssl, cookie: compare_digest(cookie, ssl.get_app_data()))
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        # Any certificate passes here; its fingerprint is what counts, and is compared after the handshake.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_cipher_list(CIPHERS)
        context.set_tlsext_use_srtp(":".join(SALT_SIZE).encode())
        self.context = context


@cache
def identity() -> Identity:
    """The identity of this process; the same for all peers."""
    return Identity()


class Dtls:
    """One connection. Nothing here raises, whatever the peer sends."""

    def __init__(self, role: Role, fingerprints: Iterable[tuple[str, str]], who: Identity | None = None) -> None:
        """`fingerprints` are the peer's, from its SDP: (algorithm, value). A client makes its first flight now."""
        self._role = role
        self._fingerprints = tuple(fingerprints)
        self._ssl = SSL.Connection((who or identity()).context, None)
        self._ssl.set_ciphertext_mtu(MTU)
        self._guard = Guard(role)
        self._ssl.set_app_data(self._guard.cookie)
        self.received: list[bytes] = []
        """What the peer has sent inside, one item a record; whoever takes it clears it."""
        self.state: DtlsState = "handshaking"
        self.reason = ""
        """Why it failed."""
        self.keys: SrtpKeys | None = None
        """There once `state` is `connected`."""
        if role == "server":
            self._ssl.set_accept_state()
            self._ssl.bio_write(first_hello())
            self._handshake()
            self._drain()  # its HelloVerifyRequest is nobody's: the guard asks for the cookie
        else:
            self._ssl.set_connect_state()
            self._handshake()

    def receive(self, datagram: bytes) -> None:
        """Take one datagram from the peer."""
        if self.state not in ("handshaking", "connected"):
            return
        admit = self._guard.admit if self.state == "handshaking" else _signed
        records = b"".join(map(admit, _records(datagram)))
        if not records:
            return
        self._ssl.bio_write(records)
        if self.state == "handshaking":
            self._handshake()
        if self.state == "connected":
            self._read()

    def tick(self) -> None:
        """Let OpenSSL send its last flight again where it is time."""
        if self.state == "handshaking":
            try:
                self._ssl.DTLSv1_handle_timeout()
            except SSL.Error as error:  # after a dozen repetitions it gives up
                self._fail(f"no answer: {error}")

    def outgoing(self) -> list[bytes]:
        """The datagrams to send now. OpenSSL's memory is a stream of records: they are packed up to the MTU again."""
        datagrams, self._guard.replies = self._guard.replies, []
        for record in _records(self._drain()):
            if datagrams and len(datagrams[-1]) + len(record) <= MTU:
                datagrams[-1] += record
            else:
                datagrams.append(record)
        return datagrams

    def send(self, data: bytes) -> None:
        """Put one record of data into what `outgoing` has; nothing unless connected."""
        if self.state == "connected":
            try:
                self._ssl.send(data)
            except SSL.Error as error:
                self._fail(str(error))

    def close(self) -> None:
        """Say goodbye (close_notify) with what `outgoing` then has."""
        if self.state == "connected":
            try:
                self._ssl.shutdown()
            except SSL.Error as error:
                self.reason = str(error)
        self.state = "closed"
        self.keys = None

    def _drain(self) -> bytes:
        """What OpenSSL has written."""
        written = b""
        try:
            while True:
                written += self._ssl.bio_read(1 << 16)
        except SSL.Error:  # WantReadError: there is no more
            return written

    def _handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self._fail(f"handshake failed: {error}")
            return
        if not self._peer_is_who_it_said():
            self._fail("the certificate is not the one whose fingerprint was signaled")
            return
        self.keys = self._export()
        if self.keys is None:
            self._fail("no SRTP profile in common")
            return
        self.state = "connected"

    def _read(self) -> None:
        """Data, or the peer's goodbye."""
        try:
            while True:
                self.received.append(self._ssl.recv(2048))
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.state = "closed"
        except SSL.Error as error:
            self._fail(str(error))

    def _fail(self, reason: str) -> None:
        self.state = "failed"
        self.reason = reason
        self.keys = None

    def _peer_is_who_it_said(self) -> bool:
        """RFC 8122 section 5: one of the fingerprints of the strongest hash function that we know must match.

        The certificate is not read any further: OpenSSL takes some that `cryptography` raises for.
        """
        certificate = self._ssl.get_peer_certificate()
        if certificate is None:
            return False
        for algorithm in HASHES:
            expected = {value.upper() for name, value in self._fingerprints if name.lower() == algorithm}
            if expected:
                return certificate.digest(algorithm.replace("-", "")).decode() in expected
        return False

    def _export(self) -> SrtpKeys | None:
        """RFC 5764 section 4.2: both keys, then both salts, the client's first."""
        selected = self._ssl.get_selected_srtp_profile().decode()
        profile = next((name for name in SALT_SIZE if name == selected), None)
        if profile is None:
            return None
        salt_size = SALT_SIZE[profile]
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (KEY_SIZE + salt_size))
        salts = material[2 * KEY_SIZE :]
        client = material[:KEY_SIZE], salts[:salt_size]
        server = material[KEY_SIZE : 2 * KEY_SIZE], salts[salt_size:]
        inbound, outbound = (client, server) if self._role == "server" else (server, client)
        return SrtpKeys(profile, *inbound, *outbound)


def _records(datagram: bytes) -> Iterator[bytes]:
    """The DTLS records of a datagram (RFC 6347 section 4.1), up to the first that is cut off."""
    position = 0
    while position + RECORD_HEADER <= len(datagram):
        end = position + RECORD_HEADER + int.from_bytes(datagram[position + 11 : position + 13])
        if end > len(datagram):
            return
        yield datagram[position:end]
        position = end


def _signed(record: bytes) -> bytes:
    """The record if it claims to be authenticated, being of a later epoch than 0; else nothing."""
    return record if record[3:5] != b"\0\0" else b""
