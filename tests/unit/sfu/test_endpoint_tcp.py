"""The endpoint's TCP port, by a peer that speaks ICE, DTLS and SRTP over one connection."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from sfu.dtls import Dtls
from sfu.endpoint import Endpoint, TcpPortTaken
from sfu.plane.base import TcpAddress
from sfu.plane.python import PythonPlane, PythonSession
from sfu.tcp.framing import Deframer, frame
from sfu.tcp.listener import MAX_UNSIGNED
from sfu.transport import WebRtcTransport

from .test_endpoint import BROWSER, HEADER, Clock, Peer, check_of, create, remote, rtp, until


class TcpPeer:
    """A browser whose network lets TCP through alone."""

    def __init__(self, endpoint: Endpoint) -> None:
        assert endpoint.tcp is not None
        self.loop = asyncio.get_running_loop()
        self.socket = socket.create_connection(("127.0.0.1", endpoint.tcp.port))
        self.socket.setblocking(False)
        self._deframer = Deframer()
        self._arrived: list[bytes] = []

    def send(self, datagram: bytes) -> None:
        self.socket.send(frame(len(datagram)) + datagram)

    async def receive(self) -> bytes:
        async with asyncio.timeout(5):
            while not self._arrived:
                data = await self.loop.sock_recv(self.socket, 1 << 16)
                if not data:
                    raise ConnectionResetError
                self._arrived += self._deframer.feed(data)
        return self._arrived.pop(0)

    async def check(self, transport: WebRtcTransport) -> None:
        self.send(check_of(transport))
        while (await self.receive())[0] >= 4:
            pass

    async def connect(self, transport: WebRtcTransport) -> PythonSession:
        transport.start(remote())
        await self.check(transport)
        algorithm, _, value = transport.parameters.fingerprint.partition(" ")
        dtls = Dtls("client", [(algorithm, value)], BROWSER)
        while dtls.state == "handshaking":
            for datagram in dtls.outgoing():
                self.send(datagram)
            dtls.receive(await self.receive())
        assert dtls.keys is not None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            return PythonPlane(unused, lambda: None).session(dtls.keys, ("127.0.0.1", 1))

    def talk(self, session: PythonSession, sequence: int, payload: bytes) -> None:
        session.send_rtp(3, sequence, rtp(sequence), payload)
        self.send(b"".join(session._run.buffers))
        session._run.free = 0


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), tcp_port=0, clock=Clock())
    yield endpoint
    endpoint.close()


async def test_a_peer_comes_and_talks_by_tcp(endpoint: Endpoint) -> None:
    transport, seen = create(endpoint)
    peer = TcpPeer(endpoint)
    session = await peer.connect(transport)
    assert isinstance(transport.address, TcpAddress)
    peer.talk(session, 1, b"up")
    await until(lambda: seen.rtp)
    assert seen.rtp == [rtp(1) + b"up"]
    for sequence in range(3):
        transport.send_rtp(3, sequence, rtp(sequence), b"down")
    got = [session.read_rtp(await peer.receive()) for _ in range(3)]
    assert got == [rtp(sequence) + b"down" for sequence in range(3)]
    peer.socket.close()


async def test_a_peer_moves_from_udp_to_tcp_and_back(endpoint: Endpoint) -> None:
    transport, seen = create(endpoint)
    udp, tcp = Peer(endpoint), TcpPeer(endpoint)
    session = await udp.connect(transport)
    transport.send_rtp(3, 1, rtp(1), b"by UDP")
    assert session.read_rtp(await udp.receive()) == rtp(1) + b"by UDP"
    await tcp.check(transport)
    transport.send_rtp(3, 2, rtp(2), b"by TCP")
    assert session.read_rtp(await tcp.receive()) == rtp(2) + b"by TCP"
    await udp.check(transport)
    transport.send_rtp(3, 3, rtp(3), b"by UDP")
    assert session.read_rtp(await udp.receive()) == rtp(3) + b"by UDP"
    assert seen.states == ["connecting", "connected"]
    udp.socket.close()
    tcp.socket.close()


async def test_a_connection_that_ends_pauses_its_peer_until_the_next_check(endpoint: Endpoint) -> None:
    transport, seen = create(endpoint)
    peer = TcpPeer(endpoint)
    session = await peer.connect(transport)
    peer.socket.close()
    await until(lambda: seen.states[-1] == "disconnected")
    transport.send_rtp(3, 1, HEADER, b"to nobody")
    again = TcpPeer(endpoint)
    await again.check(transport)
    assert seen.states[-1] == "connected"
    transport.send_rtp(3, 2, rtp(2), b"here I am")
    assert session.read_rtp(await again.receive()) == rtp(2) + b"here I am"
    again.socket.close()


async def test_closing_a_transport_closes_its_connection(endpoint: Endpoint) -> None:
    transport, _ = create(endpoint)
    peer = TcpPeer(endpoint)
    with peer.socket:
        await peer.connect(transport)
        transport.close()
        goodbye = await peer.receive()
        assert 20 <= goodbye[0] < 64
        with pytest.raises(ConnectionResetError):
            await peer.receive()
    assert endpoint._by_address == {}


async def test_a_stranger_is_not_answered_and_does_not_stay(endpoint: Endpoint) -> None:
    transport, _ = create(endpoint)
    stranger = TcpPeer(endpoint)
    forged = bytearray(check_of(transport))
    forged[-12] ^= 1  # of its MESSAGE-INTEGRITY
    stranger.send(bytes(forged))
    for _ in range(MAX_UNSIGNED):
        stranger.send(b"\x16\xfe\xfd" + bytes(200))
    with stranger.socket, pytest.raises(ConnectionResetError):
        await stranger.receive()
    assert transport.address is None
    assert (endpoint.counters.unsigned, endpoint.counters.strangers) == (1, MAX_UNSIGNED - 1)


async def test_a_taken_tcp_port_is_told_from_a_taken_udp_port(endpoint: Endpoint) -> None:
    assert endpoint.tcp is not None
    with pytest.raises(TcpPortTaken, match="in use"):
        await Endpoint.open("127.0.0.1", 0, (), tcp_port=endpoint.tcp.port)
