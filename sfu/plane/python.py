"""The data plane in Python: always there, no compiler needed."""

from collections.abc import Callable
from typing import Protocol

from sfu.plane.base import Address, SessionCounters, SrtpKeys, Streams, TcpAddress
from sfu.plane.cm import CmReceiver, CmSender
from sfu.plane.derivation import aead_keys
from sfu.plane.gcm import GcmReceiver, GcmSender
from sfu.plane.inbox import DatagramSource, Inbox
from sfu.plane.outbox import ENDED, DatagramSocket, Outbox, Run
from sfu.plane.streams import StreamOutbox


class Sender(Protocol):
    """Encrypts one direction. None is the answer to what cannot be sent."""

    def seal_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> bytes | None:
        """What follows the header on the wire."""

    def seal_rtcp(self, packet: bytes) -> bytes | None:
        """The SRTCP packet."""


class Receiver(Protocol):
    """Decrypts one direction. None is the answer to what is not authentic, or a repeat."""

    def open_rtp(self, packet: bytes) -> bytes | None:
        """The RTP packet."""

    def open_rtcp(self, packet: bytes) -> bytes | None:
        """The compound RTCP packet."""


class Box(Protocol):
    """Where encrypted packets wait to be sent."""

    def begin(self, address: Address, header: bytes, body: bytes, size: int) -> Run | None:
        """Queue a packet, and tell which run further ones may join; None: it was dropped."""


class PythonSession:
    """One peer's SRTP; implements `PlaneSession`. `box_for` says where what is sent to an address waits."""

    def __init__(
        self, sender: Sender, receiver: Receiver, box_for: Callable[[Address], Box], address: Address
    ) -> None:
        self._sender = sender
        self._receiver = receiver
        self._box_for = box_for
        self._outbox = box_for(address)
        self._address = address
        self._run = ENDED
        self.counters = SessionCounters()

    @property
    def native(self) -> None:
        """See `PlaneSession.native`."""
        return

    @property
    def address(self) -> Address:
        """Where its packets go."""
        return self._address

    @address.setter
    def address(self, address: Address) -> None:
        self._address = address
        self._outbox = self._box_for(address)
        self._run = ENDED

    @property
    def packets_received(self) -> int:
        """See `PlaneSession.packets_received`."""
        return self.counters.packets_received

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        """See `PlaneSession.send_rtp`."""
        self._queue(header, self._sender.seal_rtp(ssrc, index, header, payload))

    def send_rtcp(self, packet: bytes) -> None:
        """See `PlaneSession.send_rtcp`."""
        self._queue(b"", self._sender.seal_rtcp(packet))

    def read_rtp(self, datagram: bytes) -> bytes | None:
        """See `PlaneSession.read_rtp`."""
        return self._count(datagram, self._receiver.open_rtp(datagram))

    def read_rtcp(self, datagram: bytes) -> bytes | None:
        """See `PlaneSession.read_rtcp`."""
        return self._count(datagram, self._receiver.open_rtcp(datagram))

    def _count(self, datagram: bytes, packet: bytes | None) -> bytes | None:
        if packet is None:
            self.counters.refused += 1
        else:
            self.counters.packets_received += 1
            self.counters.bytes_received += len(datagram)
        return packet

    def _queue(self, header: bytes, body: bytes | None) -> None:
        if body is None:
            self.counters.unsent += 1
            return
        size = len(header) + len(body)
        run = self._run
        if run.free and size <= run.segment:
            run.buffers += (header, body)
            run.free = run.free - 1 if size == run.segment else 0
        else:
            begun = self._outbox.begin(self._address, header, body, size)
            if begun is None:
                self.counters.unsent += 1
                return
            self._run = begun
        self.counters.packets_sent += 1
        self.counters.bytes_sent += size


class UdpSocket(DatagramSocket, DatagramSource, Protocol):
    """The part of `socket.socket` that sends and receives."""


class PythonPlane:
    """Implements `Plane` over one non-blocking UDP socket, and TCP connections where there are `streams`.

    `wake` is called when there is something to flush, once until the next flush.
    """

    def __init__(self, sock: UdpSocket, wake: Callable[[], None], streams: Streams | None = None) -> None:
        self._outbox = Outbox(sock, wake)
        self._inbox = Inbox(sock)
        self._streams = StreamOutbox(streams)

    @property
    def departed(self) -> int:
        """See `Plane.departed`."""
        return self._outbox.departed + self._streams.departed

    @property
    def waiting(self) -> int:
        """See `Plane.waiting`."""
        return len(self._outbox)

    @property
    def dropped(self) -> int:
        """Packets that the kernel would not take."""
        return self._outbox.dropped + self._streams.dropped

    @property
    def lanes(self) -> None:
        """See `Plane.lanes`."""
        return

    def session(self, keys: SrtpKeys, address: Address) -> PythonSession:
        """See `Plane.session`."""
        sender: Sender
        receiver: Receiver
        if keys.profile == "SRTP_AEAD_AES_128_GCM":
            sender = GcmSender(aead_keys(keys.outbound_key, keys.outbound_salt))
            receiver = GcmReceiver(aead_keys(keys.inbound_key, keys.inbound_salt))
        else:
            sender = CmSender(keys.outbound_key, keys.outbound_salt)
            receiver = CmReceiver(keys.inbound_key, keys.inbound_salt)
        return PythonSession(sender, receiver, self.box_for, address)

    def send(self, datagram: bytes, address: Address) -> None:
        """See `Plane.send`."""
        if isinstance(address, TcpAddress):
            self._streams.send(datagram, address)
        else:
            self._outbox.send(datagram, address)

    def receive(self) -> list[tuple[bytes, Address, float]]:
        """See `Plane.receive`."""
        return self._inbox.receive()

    def flush(self) -> None:
        """See `Plane.flush`."""
        self._outbox.flush()
        self._streams.flush()

    def box_for(self, address: Address) -> Box:
        """Where what is sent to an address waits."""
        return self._streams if isinstance(address, TcpAddress) else self._outbox
