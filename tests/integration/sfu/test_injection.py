"""What others send in a peer's name, before and during its handshake, keeps no peer from connecting.

Real ICE, DTLS and SRTP over sockets. The forger knows our address and the peer's and when it says what; it has also
seen the peer's packets. It has not the passwords that signaling gave, and does not read what we send to the peer.
"""

import asyncio
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aioice import stun

from sfu.endpoint import Endpoint
from sfu.rtp.parameters import RemoteTransport, TransportParameters
from sfu.transport import WebRtcTransport
from tests.bench.peers import Certificate, Peer, Remote

PEERS = 20
INJECTED = 10_000
AT_ONCE = 5
"""Peers that connect at the same time."""
CONNECT_S = 60.0
PACKET = struct.pack("!BBHLL", 0x80, 96, 1, 2, 3) + bytes(40)
TCP_FRAME = struct.Struct("!H")


class Forger:
    """Sends what could end a handshake, from the peer's own address and from others."""

    def __init__(self, seed: int, peer: socket.socket | None, ours: TransportParameters) -> None:
        """`peer` is the peer's socket; None: the peer is on TCP, where nobody can send in its name."""
        self.sent = 0
        self._rng = random.Random(seed)
        self._peer = peer
        self._ours = ours
        self._seen = [_hello(self._rng)]
        """The peer's own datagrams."""
        self._others: list[Any] = [Stranger() if peer is None else _udp() for _ in range(2)]

    def connect(self, address: tuple[str, int]) -> None:
        """Where to send to."""
        for other in self._others:
            other.connect(address)

    def saw(self, datagram: bytes) -> None:
        """The peer has sent this."""
        self._seen.append(datagram)

    def send(self, count: int) -> None:
        """Inject some."""
        for _ in range(count):
            forged = self._forged()
            if self._peer is not None and self._rng.random() < 0.5:
                self._peer.send(forged)
            else:
                self._rng.choice(self._others).send(forged)
            self.sent += 1

    def close(self) -> None:
        for other in self._others:
            other.close()

    def _forged(self) -> bytes:
        rng = self._rng
        seen = rng.choice(self._seen)
        match rng.randrange(9):
            case 0:
                return self._check()
            case 1:
                return _hello(rng)
            case 2:  # alerts: fatal ones, warnings, of this epoch and of the next
                return _record(21, bytes((rng.choice((1, 2)), rng.choice((0, 10, 20, 40, 80)))), rng.choice((0, 1)))
            case 3:  # records that come too early, too late or never
                return _record(rng.choice((20, 22, 23, 24, 99)), rng.randbytes(rng.randrange(60)), rng.randrange(3))
            case 4:  # handshake messages with lengths and numbers that don't add up
                head = bytes((rng.randrange(32),)) + rng.randbytes(11)
                return _record(22, head + rng.randbytes(rng.randrange(60)), 0)
            case 5:  # what the peer sent, cut off
                return seen[: rng.randrange(1, len(seen))]
            case 6:  # SRTP and SRTCP
                return bytes((0x80, rng.choice((96, 111, 200, 201)))) + rng.randbytes(rng.randrange(2, 200))
            case 7:  # nothing at all
                return rng.randbytes(rng.randrange(1, 100))
            case _:  # what the peer sent, with a byte changed; a check of its own would be as good as the peer's
                changed = bytearray(seen)
                changed[rng.randrange(min(25, len(changed)))] ^= 1 << rng.randrange(8)
                return bytes(changed)

    def _check(self) -> bytes:
        request = stun.Message(stun.Method.BINDING, self._rng.choice(list(stun.Class)))
        request.attributes["USERNAME"] = f"{self._ours.ice_ufrag}:{self._rng.randrange(99)}"
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(b"guessed")
        return bytes(request)


def _record(kind: int, body: bytes, epoch: int) -> bytes:
    return struct.pack("!BHHHLH", kind, 0xFEFD, epoch, 0, 7, len(body)) + body


def _hello(rng: random.Random) -> bytes:
    """A ClientHello, the first or the second, with or without a guessed cookie."""
    cookie = rng.randbytes(rng.choice((0, 16, 20)))
    body = b"\xfe\xfd" + rng.randbytes(32) + b"\0" + bytes((len(cookie),)) + cookie + b"\0\2\xc0\x2b\1\0"
    size = len(body).to_bytes(3, "big")
    number = bytes((0, rng.randrange(2)))
    return _record(22, b"\1" + size + number + bytes(3) + size + body, 0)


class Besieged:
    """A peer's socket: around each datagram that it sends, others are injected."""

    def __init__(self, real: socket.socket, forger: Forger) -> None:
        self._real = real
        self._forger = forger

    def connect(self, address: tuple[str, int]) -> None:
        self._real.connect(address)
        self._forger.connect(address)
        self._forger.send(INJECTED // PEERS // 2)

    def send(self, datagram: bytes) -> None:
        self._forger.send(INJECTED // PEERS // 8)
        self._real.send(datagram)
        self._forger.saw(datagram)
        self._forger.send(INJECTED // PEERS // 8)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Framed:
    """A TCP connection with a datagram socket's methods (RFC 4571)."""

    def __init__(self) -> None:
        self._real = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def connect(self, address: tuple[str, int]) -> None:
        self._real.connect(address)

    def send(self, datagram: bytes) -> None:
        self._real.sendall(TCP_FRAME.pack(len(datagram)) + datagram)

    def recv(self, _: int) -> bytes:
        """The next datagram; nothing is lost where it has not come whole."""
        head = self._real.recv(TCP_FRAME.size, socket.MSG_PEEK)
        if len(head) < TCP_FRAME.size:
            raise BlockingIOError
        size = TCP_FRAME.size + TCP_FRAME.unpack(head)[0]
        if len(self._real.recv(size, socket.MSG_PEEK)) < size:
            time.sleep(0)
            raise BlockingIOError
        return self._real.recv(size)[TCP_FRAME.size :]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Stranger:
    """Somebody on TCP, who comes again when hung up on."""

    def __init__(self) -> None:
        self._frames = Framed()
        self._address = ("", 0)

    def connect(self, address: tuple[str, int]) -> None:
        self._address = address
        self._frames.connect(address)

    def send(self, datagram: bytes) -> None:
        try:
            self._frames.send(datagram)
        except ConnectionError:
            self._frames.close()
            self._frames = Framed()
            self._frames.connect(self._address)

    def close(self) -> None:
        self._frames.close()


def _udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


class Leg:
    """One transport of ours and its peer, whose certificate is `signaled` by its fingerprint."""

    def __init__(
        self,
        endpoint: Endpoint,
        certificate: Certificate,
        seed: int,
        *,
        passive: bool = False,
        tcp: bool = False,
        signaled: Certificate | None = None,
    ) -> None:
        self.heard: list[bytes] = []
        self._hear = asyncio.Event()
        self.transport: WebRtcTransport = endpoint.create_transport(self._on_rtp, lambda *_: None, lambda _: None)
        self._peer = Peer(certificate, passive=passive)
        if tcp:
            self._peer.socket.close()
            self._peer.socket = Framed()
        self.forger = Forger(seed, None if tcp else self._peer.socket, self.transport.parameters)
        self._peer.socket = Besieged(self._peer.socket, self.forger)
        algorithm, _, value = (signaled or certificate).fingerprint.partition(" ")
        role = "passive" if passive else "active"
        self.transport.start(RemoteTransport(self._peer.ufrag, self._peer.pwd, ((algorithm, value),), role))
        ours = self.transport.parameters
        port = endpoint.tcp.port if tcp and endpoint.tcp else endpoint.port
        self._remote = Remote(ours.ice_ufrag, ours.ice_pwd, ("127.0.0.1", port))

    async def connect(self) -> None:
        """Connect, and carry a packet each way."""
        await asyncio.to_thread(self._peer.connect, self._remote, deadline_s=CONNECT_S)
        self.forger.send(10)
        async with asyncio.timeout(CONNECT_S):
            self._peer.send(PACKET)
            await self._hear.wait()
            assert self.transport.state == "connected"
            self.transport.send_rtp(3, 1, PACKET[:12], PACKET[12:])
            while not self._peer.received:
                self._peer.drain(time.monotonic())
                await asyncio.sleep(0.01)
        assert self.heard == [PACKET]

    async def is_refused(self) -> None:
        """Do what the peer would to connect, which is all for nothing: it never hears of its failure."""
        await asyncio.to_thread(self._peer.connect, self._remote, deadline_s=CONNECT_S)
        async with asyncio.timeout(CONNECT_S):
            while self.transport.state != "failed":  # noqa: ASYNC110 - what is waited for is in another thread
                await asyncio.sleep(0.01)
        self._peer.send(PACKET)
        self.transport.send_rtp(3, 1, PACKET[:12], PACKET[12:])

    def close(self) -> None:
        self.forger.close()
        self._peer.close()

    def _on_rtp(self, packet: bytes, _: float) -> None:
        self.heard.append(packet)
        self._hear.set()


@pytest.fixture(scope="module")
def certificate() -> Iterator[Certificate]:
    return Certificate()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), tcp_port=0)
    yield endpoint
    endpoint.close()


async def test_ten_thousand_forged_packets_keep_nobody_out(endpoint: Endpoint, certificate: Certificate) -> None:
    legs = [Leg(endpoint, certificate, n, passive=n % 5 == 4) for n in range(PEERS)]
    try:
        for at in range(0, PEERS, AT_ONCE):
            await asyncio.gather(*(leg.connect() for leg in legs[at : at + AT_ONCE]))
        assert [leg.transport.state for leg in legs] == ["connected"] * PEERS
    finally:
        for leg in legs:
            leg.close()
    assert sum(leg.forger.sent for leg in legs) >= INJECTED
    assert endpoint.counters.bugs == 0
    assert endpoint.counters.strangers > 0
    assert endpoint.counters.unsigned > 0


async def test_strangers_on_tcp_keep_nobody_out(endpoint: Endpoint, certificate: Certificate) -> None:
    legs = [Leg(endpoint, certificate, n, tcp=True) for n in range(4)]
    try:
        await asyncio.gather(*(leg.connect() for leg in legs))
    finally:
        for leg in legs:
            leg.close()
    assert sum(leg.forger.sent for leg in legs) >= 4 * INJECTED // PEERS
    assert endpoint.counters.bugs == 0


async def test_who_has_another_certificate_than_was_signaled_is_nobody(
    endpoint: Endpoint, certificate: Certificate
) -> None:
    other = Certificate()
    for passive in (False, True):
        leg = Leg(endpoint, certificate, 1, passive=passive, signaled=other)
        honest = Leg(endpoint, certificate, 2, passive=passive)
        try:
            await leg.is_refused()
            await honest.connect()  # by then, what the other has sent was read
            assert leg.heard == []
            assert not leg.transport.connected
        finally:
            leg.close()
            honest.close()
