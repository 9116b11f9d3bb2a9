"""The data plane in C, with what stays in Python: TCP, and peers that take no AES-GCM."""

import socket
from collections.abc import Callable, Sequence

from sfu.plane.base import Address, PlaneSession, SessionCounters, SrtpKeys, Streams, TcpAddress
from sfu.plane.derivation import aead_keys
from sfu.plane.engine import native
from sfu.plane.python import PythonPlane, PythonSession
from sfu.rtp.lane import Callback, EngineLane, Lanes


class EngineSession:
    """One peer's SRTP with AES-GCM; implements `PlaneSession`."""

    def __init__(self, sender: native.Session, by_tcp: PythonSession) -> None:
        """`by_tcp` encrypts with `sender` too, reads what arrives, and sends where there is a TCP connection."""
        self._native = sender
        self._by_tcp = by_tcp
        self.address = by_tcp.address

    @property
    def address(self) -> Address:
        """See `PlaneSession.address`."""
        return self._by_tcp.address

    @address.setter
    def address(self, address: Address) -> None:
        tcp = isinstance(address, TcpAddress)
        self._by_tcp.address = address
        self._to: PythonSession | native.Session = self._by_tcp if tcp else self._native
        self._native.direct(None if tcp else address)

    @property
    def native(self) -> native.Session:
        """See `PlaneSession.native`."""
        return self._native

    @property
    def counters(self) -> SessionCounters:
        """See `PlaneSession.counters`."""
        sent, rest = self._native, self._by_tcp.counters
        return SessionCounters(
            packets_received=rest.packets_received,
            bytes_received=rest.bytes_received,
            packets_sent=sent.packets_sent + rest.packets_sent,
            bytes_sent=sent.bytes_sent + rest.bytes_sent,
            refused=rest.refused,
            unsent=sent.unsent + rest.unsent,
        )

    @property
    def packets_received(self) -> int:
        """See `PlaneSession.packets_received`."""
        return self._by_tcp.counters.packets_received

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        """See `PlaneSession.send_rtp`."""
        self._to.send_rtp(ssrc, index, header, payload)

    def send_rtcp(self, packet: bytes) -> None:
        """See `PlaneSession.send_rtcp`."""
        self._to.send_rtcp(packet)

    def read_rtp(self, datagram: bytes) -> bytes | None:
        """See `PlaneSession.read_rtp`."""
        return self._by_tcp.read_rtp(datagram)

    def read_rtcp(self, datagram: bytes) -> bytes | None:
        """See `PlaneSession.read_rtcp`."""
        return self._by_tcp.read_rtcp(datagram)


class EngineLanes:
    """Implements `sfu.rtp.lane.Lanes`."""

    def lane(self, highest_in: int) -> native.Lane:
        """See `Lanes.lane`."""
        return native.Lane(highest_in)

    def fan(self, lanes: Sequence[EngineLane], functions: Sequence[Callback]) -> native.Fan:
        """See `Lanes.fan`."""
        return native.Fan(tuple(lanes), tuple(functions))


class EnginePlane:
    """Implements `Plane` over one non-blocking UDP socket, and TCP connections where there are `streams`.

    To be used by one thread, the one that makes it. `wake` is called when there is something to flush, mostly once
    until the next flush.
    """

    def __init__(self, sock: socket.socket, wake: Callable[[], None], streams: Streams | None = None) -> None:
        self._outbox = native.Outbox(sock, wake)
        self._inbox = native.Inbox(sock)
        self._rest = PythonPlane(sock, wake, streams)

    @property
    def departed(self) -> int:
        """See `Plane.departed`."""
        return self._outbox.departed + self._rest.departed

    @property
    def waiting(self) -> int:
        """See `Plane.waiting`."""
        return len(self._outbox) + self._rest.waiting

    @property
    def dropped(self) -> int:
        """Packets that the kernel would not take."""
        return self._outbox.dropped + self._rest.dropped

    @property
    def lanes(self) -> Lanes:
        """See `Plane.lanes`."""
        return EngineLanes()

    def session(self, keys: SrtpKeys, address: Address) -> PlaneSession:
        """See `Plane.session`."""
        if keys.profile != "SRTP_AEAD_AES_128_GCM":
            return self._rest.session(keys, address)
        ours = aead_keys(keys.outbound_key, keys.outbound_salt)
        theirs = aead_keys(keys.inbound_key, keys.inbound_salt)
        sender = native.Session(self._outbox, ours.rtp_key, ours.rtp_salt, ours.rtcp_key, ours.rtcp_salt)
        receiver = native.Receiver(theirs.rtp_key, theirs.rtp_salt, theirs.rtcp_key, theirs.rtcp_salt)
        return EngineSession(sender, PythonSession(sender, receiver, self._rest.box_for, address))

    def send(self, datagram: bytes, address: Address) -> None:
        """See `Plane.send`."""
        self._rest.send(datagram, address)

    def receive(self) -> list[tuple[bytes, Address, float]]:
        """See `Plane.receive`."""
        return self._inbox.receive()

    def flush(self) -> None:
        """See `Plane.flush`."""
        self._outbox.flush()
        self._rest.flush()
