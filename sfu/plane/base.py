"""The seam between control and data: what leaves the socket, encrypted, and what comes back decrypted.

Everything per packet is behind these two protocols, so that the engine written in C (`plane.engine`) can take the
place of `plane.python` without a change elsewhere. Nothing here blocks. What cannot be sent or read is dropped and
counted.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from sfu.rtp.lane import Lanes


class TcpAddress(NamedTuple):
    """A peer at the other end of a TCP connection. With three parts it equals no address of UDP."""

    host: str
    port: int
    number: int
    """Of the connection: one that is made from the same port later is another."""


Address = tuple[str, int] | tuple[str, int, int, int] | TcpAddress
"""Where a peer is: for UDP as the socket gives it, (host, port), and for IPv6 (host, port, flow, scope)."""

BATCH = 64
"""Datagrams that `Plane.receive` gives at most."""

Profile = Literal["SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80"]
"""A DTLS-SRTP protection profile by its registered name (RFC 5764 section 4.1.2, RFC 7714 section 14.2)."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What DTLS agreed on for SRTP (RFC 5764 section 4.2): a master key and salt for each direction."""

    profile: Profile
    inbound_key: bytes
    inbound_salt: bytes
    outbound_key: bytes
    outbound_salt: bytes

    def __repr__(self) -> str:
        """Without the keys, so that none gets into a log."""
        return f"SrtpKeys({self.profile})"


@dataclass(slots=True)
class SessionCounters:
    """What one peer's session has done so far."""

    packets_received: int = 0
    """Datagrams that were authentic."""
    bytes_received: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    """Encrypted bytes, without UDP and IP headers."""
    refused: int = 0
    """Datagrams that were malformed, forged or repeated."""
    unsent: int = 0
    """Packets that were dropped instead of being sent."""


class PlaneSession(Protocol):
    """One peer's SRTP."""

    address: Address
    """Where its packets go; may change at any time."""

    @property
    def native(self) -> object | None:
        """What the lanes of an engine send by; None where there is no engine, or none for this session."""

    @property
    def counters(self) -> SessionCounters:
        """What this session has done so far."""

    @property
    def packets_received(self) -> int:
        """The one of the counters that is asked for all the time."""

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        """Encrypt one RTP packet and queue it; see `RtpTransport.send_rtp`."""

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt one compound RTCP packet and queue it."""

    def read_rtp(self, datagram: bytes) -> bytes | None:
        """The RTP packet inside an SRTP datagram, or None where it is malformed, forged or a repeat."""

    def read_rtcp(self, datagram: bytes) -> bytes | None:
        """The compound RTCP packet inside an SRTCP datagram, or None."""


class Streams(Protocol):
    """The TCP connections of those peers that have one instead of UDP; `sfu.tcp.TcpListener` has them."""

    def queue(self, address: TcpAddress, header: bytes, body: bytes) -> bool:
        """Queue one packet until the next flush; False where it is dropped."""

    def send(self, datagram: bytes, address: TcpAddress) -> bool:
        """Send one datagram now; False where it is dropped."""

    def flush(self) -> None:
        """Send what was queued."""


class Plane(Protocol):
    """Everything that is sent, by one UDP socket or by the TCP connections of those who have them; and what the UDP
    socket receives."""

    @property
    def departed(self) -> int:
        """How many packets of all sessions have been given to the kernel so far."""

    @property
    def waiting(self) -> int:
        """How many batches wait for the kernel to take more; `flush` again soon while this is not 0."""

    @property
    def lanes(self) -> Lanes | None:
        """What forwards to many without Python; None where Python does that."""

    def session(self, keys: SrtpKeys, address: Address) -> PlaneSession:
        """A session for a peer whose DTLS handshake is done."""

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one plain datagram (STUN, DTLS) at once."""

    def receive(self) -> list[tuple[bytes, Address, float]]:
        """The next datagrams of the UDP socket, a few dozen at most: what came, from where, and how many seconds ago
        the kernel had it (0 where it does not say). Fewer than `BATCH` are all there were. Raises OSError."""

    def flush(self) -> None:
        """Send what the sessions have queued."""
