import asyncio
import gc
import logging
import socket
import struct
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from aioice import stun as aioice_stun

from sfu.dtls import Dtls, Identity
from sfu.endpoint import BUSY_PPS, LOAD_WINDOW_S, Endpoint
from sfu.ice import CONSENT_S, HOLD_S
from sfu.plane.python import PythonPlane, PythonSession
from sfu.rtp.parameters import RemoteTransport
from sfu.transport import TransportState, WebRtcTransport

BROWSER = Identity()
MakePeer = Callable[..., "Peer"]
HEADER = struct.pack("!BBHLL", 0x80, 96, 1, 2, 3)
SOL_UDP, UDP_GRO = 17, 104
"""linux/udp.h"""


@dataclass
class Clock:
    time: float = 1000.0

    def __call__(self) -> float:
        return self.time


@dataclass
class Seen:
    """What a transport's handlers were given."""

    rtp: list[bytes] = field(default_factory=list)
    rtcp: list[bytes] = field(default_factory=list)
    states: list[TransportState] = field(default_factory=list)


class Peer:
    """A browser's socket, ICE and DTLS in a few lines."""

    def __init__(self, endpoint: Endpoint, host: str = "127.0.0.1") -> None:
        self.loop = asyncio.get_running_loop()
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((host, 0))
        self.server = (host, endpoint.port)

    @property
    def address(self) -> tuple[str, int]:
        address: tuple[str, int] = self.socket.getsockname()
        return address

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.server)

    async def receive(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.loop.sock_recv(self.socket, 2048)

    async def check(self, transport: WebRtcTransport, *, nominate: bool = True) -> aioice_stun.Message:
        self.send(check_of(transport, nominate=nominate))
        while True:
            datagram = await self.receive()
            if datagram[0] < 4:
                return aioice_stun.parse_message(datagram)

    async def connect(self, transport: WebRtcTransport) -> PythonSession:
        """ICE and DTLS; its SRTP, whose packets go to this peer's socket."""
        transport.start(remote())
        await self.check(transport)
        algorithm, _, value = transport.parameters.fingerprint.partition(" ")
        self.dtls = Dtls("client", [(algorithm, value)], BROWSER)
        while self.dtls.state == "handshaking":
            for datagram in self.dtls.outgoing():
                self.send(datagram)
            self.dtls.receive(await self.receive())
        assert self.dtls.keys is not None
        assert transport.state == "connected"
        return PythonPlane(self.socket, lambda: None).session(self.dtls.keys, self.server)


def remote() -> RemoteTransport:
    algorithm, _, value = BROWSER.fingerprint.partition(" ")
    return RemoteTransport("their", "p" * 24, ((algorithm, value),), "active")


def check_of(transport: WebRtcTransport, *, nominate: bool = True, controlled: bool = False) -> bytes:
    parameters = transport.parameters
    message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{parameters.ice_ufrag}:their"
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    if controlled:
        message.attributes["ICE-CONTROLLED"] = 1
    message.add_message_integrity(parameters.ice_pwd.encode())
    return bytes(message)


def create(endpoint: Endpoint) -> tuple[WebRtcTransport, Seen]:
    seen = Seen()
    return endpoint.create_transport(
        lambda packet, now: seen.rtp.append(packet), lambda packet, now: seen.rtcp.append(packet), seen.states.append
    ), seen


def rtp(sequence: int) -> bytes:
    return struct.pack("!BBHLL", 0x80, 96, sequence, 2, 3)


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until it is so."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a socket's callback
            await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["python", "engine"])
async def endpoint(clock: Clock, request: pytest.FixtureRequest) -> AsyncIterator[Endpoint]:
    announced = ("192.0.2.1", "2001:db8::1")
    endpoint = await Endpoint.open("127.0.0.1", 0, announced, plane=request.param, clock=clock)
    yield endpoint
    endpoint.close()


@pytest.fixture
async def make_peer(endpoint: Endpoint) -> AsyncIterator[MakePeer]:
    with ExitStack() as open_sockets:

        def make(host: str = "127.0.0.1", to: Endpoint = endpoint) -> Peer:
            peer = Peer(to, host)
            open_sockets.enter_context(peer.socket)
            return peer

        yield make


async def test_candidates_name_the_announced_addresses_in_order(endpoint: Endpoint) -> None:
    transport, _ = create(endpoint)
    assert transport.parameters.candidates == (
        f"candidate:1 1 udp 2130706431 192.0.2.1 {endpoint.port} typ host",
        f"candidate:2 1 udp 2130706175 2001:db8::1 {endpoint.port} typ host",
    )


async def test_two_peers_share_the_socket_and_are_kept_apart(endpoint: Endpoint, make_peer: MakePeer) -> None:
    (one, one_seen), (two, two_seen) = create(endpoint), create(endpoint)
    peer_one, peer_two = make_peer(), make_peer()
    session_one, session_two = await peer_one.connect(one), await peer_two.connect(two)
    session_one.send_rtp(3, 1, HEADER, b"from one")
    session_two.send_rtp(3, 1, HEADER, b"from two")
    session_one._outbox.flush()
    session_two._outbox.flush()
    await until(lambda: one_seen.rtp and two_seen.rtp)
    assert (one_seen.rtp, two_seen.rtp) == ([HEADER + b"from one"], [HEADER + b"from two"])
    one.send_rtp(3, 1, HEADER, b"to one")
    two.send_rtp(3, 1, HEADER, b"to two")
    assert session_one.read_rtp(await peer_one.receive()) == HEADER + b"to one"
    assert session_two.read_rtp(await peer_two.receive()) == HEADER + b"to two"


async def test_what_a_burst_leads_to_leaves_in_one_run(endpoint: Endpoint, make_peer: MakePeer) -> None:
    source, sink = create(endpoint)[0], create(endpoint)[0]
    sending, receiving = make_peer(), make_peer()
    session = await sending.connect(source)
    reader = await receiving.connect(sink)
    forwarded = iter(range(100))
    source._on_rtp = lambda packet, now: sink.send_rtp(3, n := next(forwarded), rtp(n), bytes(1000))
    receiving.socket.setsockopt(SOL_UDP, UDP_GRO, 1)  # what was sent in one piece over loopback comes in one piece
    for sequence in range(6):
        session.send_rtp(3, sequence, rtp(sequence), b"up")
    session._outbox.flush()
    async with asyncio.timeout(5):
        together = await asyncio.get_running_loop().sock_recv(receiving.socket, 65535)
    size = 12 + 1000 + 16
    assert len(together) == 6 * size
    got = [reader.read_rtp(together[n * size : (n + 1) * size]) for n in range(6)]
    assert got == [rtp(n) + bytes(1000) for n in range(6)]


async def test_under_load_arrivals_gather_and_without_it_nothing_waits(
    endpoint: Endpoint, clock: Clock, make_peer: MakePeer
) -> None:
    transport, seen = create(endpoint)
    peer = make_peer()
    session = await peer.connect(transport)
    assert not endpoint._busy
    endpoint._load_since = clock.time - LOAD_WINDOW_S
    endpoint._load_departed = endpoint.plane.departed - int(BUSY_PPS * LOAD_WINDOW_S) - 1
    endpoint._flush()
    assert endpoint._busy
    session.send_rtp(3, 1, rtp(1), b"gathered")
    session._outbox.flush()
    await until(lambda: endpoint._read_handle is not None)
    assert seen.rtp == []
    session.send_rtp(3, 2, rtp(2), b"gathered")
    session._outbox.flush()
    await until(lambda: len(seen.rtp) == 2)
    clock.time += LOAD_WINDOW_S
    endpoint._flush()
    assert not endpoint._busy


async def test_the_endpoint_drives_the_timers_itself(endpoint: Endpoint, clock: Clock, make_peer: MakePeer) -> None:
    transport, seen = create(endpoint)
    await make_peer().connect(transport)
    clock.time += CONSENT_S
    await until(lambda: seen.states[-1] == "disconnected")


async def test_an_address_in_use_cannot_be_claimed_by_another_peer(
    endpoint: Endpoint, clock: Clock, make_peer: MakePeer
) -> None:
    victim, _ = create(endpoint)
    thief, _ = create(endpoint)
    peer = make_peer()
    await peer.connect(victim)
    endpoint.receive(check_of(thief), peer.address, clock.time)
    assert (thief.address, victim.address) == (None, peer.address)
    assert endpoint.counters.unsigned == 1
    endpoint.receive(check_of(thief), peer.address, clock.time + HOLD_S)  # a reload that got the same port
    assert (thief.address, victim.address) == (peer.address, None)
    assert victim.state == "disconnected"


async def test_a_check_in_the_wrong_role_validates_no_address(endpoint: Endpoint, clock: Clock) -> None:
    transport, _ = create(endpoint)
    for port in range(1000, 1100):
        endpoint.receive(check_of(transport, controlled=True), ("127.0.0.1", port), clock.time)
    assert endpoint._by_address == {}
    assert endpoint.counters.unsigned == 0


async def test_a_peer_that_moves_is_read_at_its_new_address(endpoint: Endpoint, make_peer: MakePeer) -> None:
    transport, seen = create(endpoint)
    session = await make_peer().connect(transport)
    elsewhere = make_peer()
    await elsewhere.check(transport)
    session.send_rtp(3, 1, HEADER, b"moved")
    elsewhere.send(b"".join(session._run.buffers))
    await until(lambda: seen.rtp)
    assert transport.address == elsewhere.address


async def test_closing_leaves_nothing_behind(endpoint: Endpoint, make_peer: MakePeer) -> None:
    transport, seen = create(endpoint)
    peer = make_peer()
    session = await peer.connect(transport)
    transport.close()
    assert endpoint.transports == ()
    assert (endpoint._by_ufrag, endpoint._by_address, endpoint._listening) == ({}, {}, {})
    peer.dtls.receive(await peer.receive())
    assert peer.dtls.state == "closed"
    session.send_rtp(3, 1, HEADER, b"late")
    session._outbox.flush()
    await until(lambda: endpoint.counters.strangers == 1)
    assert seen.rtp == []
    gone = weakref.ref(transport)
    del transport, seen
    gc.collect()
    assert gone() is None


async def test_a_failed_transport_is_forgotten(endpoint: Endpoint, clock: Clock) -> None:
    transport, _ = create(endpoint)
    transport.start(remote())
    clock.time += 31
    endpoint.tick(clock.time)
    assert transport.state == "failed"
    assert (endpoint.transports, endpoint._by_ufrag) == ((), {})


async def test_closing_the_endpoint_closes_its_transports_and_the_port(
    endpoint: Endpoint, make_peer: MakePeer
) -> None:
    port = endpoint.port
    transport, seen = create(endpoint)
    peer = make_peer()
    await peer.connect(transport)
    endpoint.close()
    endpoint.close()
    assert seen.states[-1] == "closed"
    peer.dtls.receive(await peer.receive())
    assert peer.dtls.state == "closed"
    again = await Endpoint.open("127.0.0.1", port, ("127.0.0.1",))
    with pytest.raises(OSError, match="in use"):
        await Endpoint.open("127.0.0.1", port, ("127.0.0.1",))
    again.close()


async def test_closing_from_within_a_handler_is_safe(endpoint: Endpoint, make_peer: MakePeer) -> None:
    transport, _ = create(endpoint)
    session = await make_peer().connect(transport)
    transport._on_rtp = lambda packet, now: endpoint.close()
    for sequence in range(3):
        session.send_rtp(3, sequence, rtp(sequence), b"")
    session._outbox.flush()
    await until(lambda: endpoint._closed)


async def test_an_ipv6_socket_takes_both(clock: Clock, make_peer: MakePeer) -> None:
    endpoint = await Endpoint.open("::", 0, ("::1", "127.0.0.1"), clock=clock)
    try:
        for host in ("::1", "127.0.0.1"):
            transport, seen = create(endpoint)
            peer = make_peer(host, endpoint)
            answer = await peer.check(transport)
            assert answer.attributes["XOR-MAPPED-ADDRESS"] == peer.address[:2]
            session = await peer.connect(transport)
            session.send_rtp(3, 1, HEADER, b"six")
            session._outbox.flush()
            await until(lambda seen=seen: seen.rtp)  # type: ignore[misc]
    finally:
        endpoint.close()


@pytest.mark.parametrize(("host", "announced"), [("localhost", ()), ("127.0.0.1", ("sfu.example.com",))])
async def test_names_are_not_addresses(host: str, announced: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        await Endpoint.open(host, 0, announced)


async def test_a_socket_that_breaks_is_logged_and_not_raised(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[object]:
        raise OSError("gone")

    monkeypatch.setattr(endpoint.plane, "receive", broken)
    endpoint._read_burst()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("busy", [False, True])
async def test_an_error_of_ours_costs_one_datagram_and_is_logged_once(
    endpoint: Endpoint,
    make_peer: MakePeer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    busy: bool,
) -> None:
    transport, seen = create(endpoint)
    peer = make_peer()
    session = await peer.connect(transport)
    monkeypatch.setattr(transport, "receive_dtls", lambda *_: 1 / 0)
    endpoint._busy = busy
    for _ in range(2):
        peer.send(bytes([22, 0]))
    await until(lambda: endpoint.counters.bugs == 2)
    session.send_rtp(3, 1, HEADER, b"still read")
    session._outbox.flush()
    await until(lambda: seen.rtp)
    assert len(caplog.records) == 1


async def test_a_transport_whose_timer_raises_takes_no_other_with_it(
    endpoint: Endpoint, clock: Clock, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, _ = create(endpoint)
    transport, seen = create(endpoint)
    await make_peer().connect(transport)
    monkeypatch.setattr(broken, "tick", lambda now: 1 / 0)
    await until(lambda: endpoint.counters.bugs >= 2)
    clock.time += CONSENT_S
    await until(lambda: seen.states[-1] == "disconnected")


async def test_a_datagram_is_known_to_have_arrived_before_it_was_read(
    endpoint: Endpoint, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the process does something else, the kernel notes when packets come."""
    seen: list[tuple[float, float | None]] = []
    monkeypatch.setattr(endpoint, "receive", lambda datagram, address, now: seen.append((now, endpoint.arrived)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(2):
            sender.sendto(b"x", ("127.0.0.1", endpoint.port))
            time.sleep(0.05)  # noqa: ASYNC251 - to keep the event loop from reading is what this is for
    await until(lambda: len(seen) == 2)
    (read, first), (_, second) = seen
    assert first is not None
    assert second is not None
    assert second - first >= 0.045
    assert read - first >= 0.09
    assert endpoint.arrived is None
