"""The guard at the door: what a hostile network may send to the media port while a real client is in a call."""

import asyncio
import hmac
import random
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import closing

import aiortc
import aiortc.sdp
import pytest
from aioice import stun as aioice_stun
from aiortc.rtcdtlstransport import SRTP_AES128_CM_SHA1_80

from sfu.endpoint import Endpoint
from sfu.ice import CONSENT_S, MAX_ADDRESSES
from sfu.plane.base import Address
from sfu.rtp.parameters import RemoteTransport
from sfu.transport import TransportState, WebRtcTransport

REPORT = struct.pack("!BBHL", 0x80, 201, 1, 3)
UNSIGNED_ALERT = bytes.fromhex("15fefd000000000000000000020228")
"""A fatal handshake_failure, 15 bytes"""
STRANGER = ("198.51.100.7", 4000)


class Clock:
    """A clock that stands still until the test moves it."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


class Client:
    """aiortc's own ICE and DTLS, which know nothing of this project."""

    def __init__(self) -> None:
        self.gatherer = aiortc.RTCIceGatherer(iceServers=[])
        self.ice = aiortc.RTCIceTransport(self.gatherer)
        self.dtls = aiortc.RTCDtlsTransport(self.ice, [aiortc.RTCCertificate.generateCertificate()])
        self.received: list[bytes] = []
        self.dtls._handle_rtp_data = self._keep
        self.dtls._handle_rtcp_data = self._keep

    async def _keep(self, data: bytes, arrival_time_ms: int = 0) -> None:
        self.received.append(data)

    async def parameters(self) -> RemoteTransport:
        """What its SDP would say."""
        await self.gatherer.gather()
        ice, dtls = self.gatherer.getLocalParameters(), self.dtls.getLocalParameters()
        fingerprints = tuple((f.algorithm, f.value) for f in dtls.fingerprints)
        return RemoteTransport(ice.usernameFragment, ice.password, fingerprints, "active")

    async def connect(self, transport: WebRtcTransport) -> None:
        ours = transport.parameters
        self.ice._connection.ice_controlling = True
        self.ice._role_set = True
        for candidate in ours.candidates:
            await self.ice.addRemoteCandidate(aiortc.sdp.candidate_from_sdp(candidate.removeprefix("candidate:")))
        await self.ice.addRemoteCandidate(None)
        await self.ice.start(aiortc.RTCIceParameters(ours.ice_ufrag, ours.ice_pwd))
        self.dtls._set_role("client")
        algorithm, _, value = ours.fingerprint.partition(" ")
        await self.dtls.start(aiortc.RTCDtlsParameters([aiortc.RTCDtlsFingerprint(algorithm, value)]))

    async def stop(self) -> None:
        await self.dtls.stop()
        await self.ice.stop()


class Call:
    """A transport of ours and a client; nothing is connected yet."""

    def __init__(self, endpoint: Endpoint, client: Client) -> None:
        self.endpoint, self.client = endpoint, client
        self.received: list[bytes] = []
        self.states: list[TransportState] = []
        self.sequence = 0
        self.transport = endpoint.create_transport(
            lambda packet, now: self.received.append(packet),
            lambda packet, now: self.received.append(packet),
            self.states.append,
        )

    async def start(self) -> None:
        self.transport.start(await self.client.parameters())

    async def connect(self) -> None:
        await self.start()
        await self.client.connect(self.transport)
        assert self.client.dtls.state == "connected"
        await until(lambda: self.transport.state == "connected")

    async def talk(self) -> None:
        """A packet each way, and a report each way: it is up, whatever happened before."""
        self.received.clear()
        self.client.received.clear()
        self.sequence += 1
        packet = rtp(self.sequence) + b"hello"
        await self.client.dtls._send_rtp(packet)
        await self.client.dtls._send_rtp(REPORT)
        self.transport.send_rtp(3, self.sequence, packet[:12], packet[12:])
        self.transport.send_rtcp(REPORT)
        await until(lambda: len(self.received) == len(self.client.received) == 2)
        assert self.received == self.client.received == [packet, REPORT]


def rtp(sequence: int) -> bytes:
    return struct.pack("!BBHLL", 0x80, 96, sequence, 2, 3)


def check(transport: WebRtcTransport, *, password: str | None = None, **attributes: object) -> bytes:
    parameters = transport.parameters
    message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{parameters.ice_ufrag}:their"
    message.attributes.update({name.replace("_", "-"): value for name, value in attributes.items()})
    message.add_message_integrity((password or parameters.ice_pwd).encode())
    return bytes(message)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a socket's callback
            await asyncio.sleep(0)


class Attacker:
    """A socket of somebody who was given nothing by signaling."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    async def send(self, *datagrams: bytes) -> None:
        """Send, and wait until all is read."""
        counters = self.endpoint.counters
        before = counters.strangers + counters.unsigned
        for datagram in datagrams:
            self.socket.sendto(datagram, ("127.0.0.1", self.endpoint.port))
        await until(lambda: counters.strangers + counters.unsigned == before + len(datagrams))

    def was_answered(self) -> bool:
        try:
            self.socket.recv(2048)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def endpoint(clock: Clock) -> AsyncIterator[Endpoint]:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), clock=clock)
    yield endpoint
    endpoint.close()


@pytest.fixture
async def call(endpoint: Endpoint) -> AsyncIterator[Call]:
    client = Client()
    yield Call(endpoint, client)
    await client.stop()


@pytest.fixture
async def attacker(endpoint: Endpoint) -> AsyncIterator[Attacker]:
    with closing(Attacker(endpoint)) as attacker:
        yield attacker


async def test_a_real_client_connects_and_talks(call: Call) -> None:
    await call.connect()
    assert call.states == ["connecting", "connected"]
    for _ in range(3):
        await call.talk()
    assert call.client.dtls._ssl.get_selected_srtp_profile() == b"SRTP_AEAD_AES_128_GCM"


async def test_a_real_client_without_gcm_connects_and_talks(call: Call) -> None:
    call.client.dtls._srtp_profiles = [SRTP_AES128_CM_SHA1_80]
    await call.connect()
    await call.talk()


async def test_a_real_client_that_is_passive_connects_and_talks(call: Call) -> None:
    remote = await call.client.parameters()
    call.transport.start(RemoteTransport(remote.ice_ufrag, remote.ice_pwd, remote.fingerprints, "passive"))
    set_role = call.client.dtls._set_role
    call.client.dtls._set_role = lambda role: set_role("server")
    await call.client.connect(call.transport)
    await until(lambda: call.transport.connected)
    await call.talk()


async def test_a_clients_goodbye_is_heard(call: Call) -> None:
    await call.connect()
    await call.client.dtls.stop()
    await until(lambda: call.states[-1] == "closed")


async def test_our_goodbye_is_heard(call: Call) -> None:
    await call.connect()
    call.transport.close()
    await until(lambda: call.client.dtls.state == "closed")


async def test_a_stranger_is_neither_read_nor_answered(call: Call, attacker: Attacker) -> None:
    await call.connect()
    await attacker.send(
        UNSIGNED_ALERT,
        b"\x16\xfe\xfd" + bytes(200),
        rtp(1) + bytes(100),
        REPORT + bytes(30),
        b"\xff" * 50,
        bytes(20),
        b"",
    )
    assert call.endpoint.counters.strangers == 6
    await call.talk()
    assert not attacker.was_answered()


async def test_an_alert_from_elsewhere_before_the_handshake_ends_nothing(call: Call, attacker: Attacker) -> None:
    await call.start()
    await attacker.send(UNSIGNED_ALERT, UNSIGNED_ALERT)
    await call.client.connect(call.transport)
    await call.talk()


async def test_an_alert_in_the_clients_name_during_the_handshake_ends_nothing(call: Call, clock: Clock) -> None:
    await call.start()
    receive = call.endpoint.receive

    def with_alerts(datagram: bytes, address: Address, now: float) -> None:
        if 20 <= datagram[0] < 64:
            receive(UNSIGNED_ALERT, address, now)
        receive(datagram, address, now)

    call.endpoint.receive = with_alerts  # type: ignore[method-assign]
    await call.client.connect(call.transport)
    await call.talk()


async def test_a_forged_check_is_not_answered(call: Call, attacker: Attacker) -> None:
    await call.connect()
    unsigned = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    unsigned.attributes["USERNAME"] = f"{call.transport.parameters.ice_ufrag}:their"
    anonymous = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    response = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.RESPONSE)
    response.add_message_integrity(call.transport.parameters.ice_pwd.encode())
    await attacker.send(
        check(call.transport, password="guessed", USE_CANDIDATE=None),
        bytes(unsigned),
        bytes(anonymous),
        bytes(response),
        check(call.transport)[:-8],
    )
    assert not attacker.was_answered()
    assert call.endpoint.counters.unsigned == 5
    assert len(call.endpoint._by_address) == 1
    await call.talk()


def signed(transport: WebRtcTransport, attributes: bytes) -> bytes:
    """A check with attributes that aioice would not pack, and a MESSAGE-INTEGRITY that is right."""
    parameters = transport.parameters
    name = f"{parameters.ice_ufrag}:their12".encode()
    body = struct.pack("!HH", 6, len(name)) + name + bytes(-len(name) % 4) + attributes
    message = struct.pack("!HHI12s", 1, len(body) + 24, 0x2112A442, bytes(12)) + body
    return message + b"\x00\x08\x00\x14" + hmac.digest(parameters.ice_pwd.encode(), message, "sha1")


async def test_a_cut_attribute_is_not_believed_even_of_a_peer(call: Call, attacker: Attacker) -> None:
    await attacker.send(signed(call.transport, b"\x00\x24\xff\xff"), signed(call.transport, b"\x00\x24\x00\x30lost"))
    assert not attacker.was_answered()
    assert call.transport.address is None


@pytest.mark.parametrize("attribute", [b"\x00\x24\x00\x02\1\1\0\0", b"\x80\x2a\x00\x00", b"\xc0\x57\x00\x01\1\0\0\0"])
async def test_odd_attributes_of_a_peer_do_no_harm(call: Call, attacker: Attacker, attribute: bytes) -> None:
    attacker.socket.sendto(signed(call.transport, attribute), ("127.0.0.1", call.endpoint.port))
    await until(lambda: call.transport.address is not None)
    assert attacker.was_answered()


async def test_a_check_without_priority_is_answered(call: Call, attacker: Attacker) -> None:
    attacker.socket.sendto(check(call.transport, USE_CANDIDATE=None), ("127.0.0.1", call.endpoint.port))
    await until(lambda: call.transport.address is not None)
    assert attacker.was_answered()


async def test_an_unsigned_check_does_not_move_a_peer(call: Call, clock: Clock) -> None:
    await call.connect()
    home = call.transport.address
    call.endpoint.receive(check(call.transport, password="guessed", USE_CANDIDATE=None), STRANGER, clock.time)
    assert call.transport.address == home
    await call.talk()


async def test_sending_ends_within_30_seconds_of_the_last_check(call: Call, clock: Clock) -> None:
    await call.connect()
    await call.talk()
    call.endpoint.tick(clock.time)  # what it said is a sign of life, too
    clock.time += CONSENT_S
    await until(lambda: call.states[-1] == "disconnected")
    sent = call.transport.counters.packets_sent
    call.transport.send_rtp(3, 2, rtp(2), b"")
    assert call.transport.counters.packets_sent == sent
    clock.time += CONSENT_S
    await until(lambda: call.states[-1] == "failed")
    assert call.endpoint.transports == ()


async def test_a_flood_of_strangers_takes_no_memory(call: Call, clock: Clock) -> None:
    await call.connect()
    rng = random.Random(5)
    forged = check(call.transport, password="guessed")
    kinds = [forged, UNSIGNED_ALERT, rtp(1) + bytes(1000), REPORT + bytes(40), check(call.transport)[:-30]]

    def flood(count: int) -> None:
        for n in range(count):
            address = (f"198.51.{n >> 8 & 255}.{n & 255}", rng.randrange(1, 65536))
            call.endpoint.receive(kinds[n % len(kinds)], address, clock.time)

    flood(1000)  # whatever is made once
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        flood(5_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000
    assert len(call.endpoint._by_address) == 1
    await call.talk()


async def test_a_flood_by_the_peer_itself_takes_bounded_memory(call: Call, clock: Clock) -> None:
    """It has the password: its checks are answered from anywhere, but only so many addresses are kept."""
    await call.connect()
    for n in range(300):
        clock.time += 0.001
        call.endpoint.receive(check(call.transport), (f"198.51.100.{n & 255}", 1 + n), clock.time)
    assert len(call.endpoint._by_address) == len(call.transport.addresses) == MAX_ADDRESSES
    await call.talk()


def mutate(rng: random.Random, datagram: bytes) -> bytes:
    """Change, cut, repeat or lengthen a datagram; a check that stays as it was would move the peer."""
    while (mutated := mutate_or_not(rng, datagram)) == datagram:
        pass
    return mutated


def mutate_or_not(rng: random.Random, datagram: bytes) -> bytes:
    mutated = bytearray(datagram)
    for _ in range(rng.randrange(1, 6)):
        mutated[rng.randrange(min(len(mutated), rng.choice((4, 16, 40, 2000))))] = rng.randrange(256)
    kind = rng.randrange(5)
    if kind == 0:
        del mutated[rng.randrange(len(mutated)) :]
    elif kind == 1:
        mutated += mutated[: rng.randrange(len(mutated))]
    elif kind == 2:
        mutated += rng.randbytes(rng.randrange(40))
    return bytes(mutated)


async def test_mutations_of_every_kind_of_datagram_raise_nothing_and_end_nothing(call: Call, clock: Clock) -> None:
    seen: list[bytes] = []
    receive = call.endpoint.receive

    def recorded(datagram: bytes, address: Address, now: float) -> None:
        seen.append(datagram)
        receive(datagram, address, now)

    call.endpoint.receive = recorded  # type: ignore[method-assign]
    await call.connect()
    await call.talk()
    call.endpoint.receive = receive  # type: ignore[method-assign]
    home = call.transport.address
    assert home is not None
    kinds = {"stun": seen[0][0] < 4, "dtls": any(20 <= d[0] < 64 for d in seen), "srtp": seen[-1][0] >= 128}
    assert kinds == {"stun": True, "dtls": True, "srtp": True}
    rng = random.Random(6)
    for n in range(6000):
        receive(mutate(rng, rng.choice(seen)), home if n % 3 else STRANGER, clock.time)
    assert call.states == ["connecting", "connected"]
    await call.talk()


async def test_mutations_during_the_handshake_raise_nothing(endpoint: Endpoint, call: Call, clock: Clock) -> None:
    seen: list[bytes] = []
    receive = endpoint.receive

    def recorded(datagram: bytes, address: Address, now: float) -> None:
        seen.append(datagram)
        receive(datagram, address, now)

    endpoint.receive = recorded  # type: ignore[method-assign]
    await call.connect()
    endpoint.receive = receive  # type: ignore[method-assign]
    flights = [datagram for datagram in seen if 20 <= datagram[0] < 64]
    remote = call.transport._remote
    assert remote is not None
    rng = random.Random(7)
    ended = 0
    for n in range(200):
        states: list[TransportState] = []
        transport = endpoint.create_transport(lambda packet, now: None, lambda packet, now: None, states.append)
        address = ("198.51.100.9", 1000 + n)
        if rng.random() < 0.8:
            transport.start(remote)
        receive(check(transport), address, clock.time)
        for _ in range(10):
            receive(mutate(rng, rng.choice(flights)), address, clock.time)
        assert transport.state in ("new", "connecting", "failed")
        ended += transport.state == "failed"
        transport.close()
    assert ended < 200
    assert endpoint.transports == (call.transport,)
    await call.talk()
