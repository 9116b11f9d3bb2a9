import struct
from dataclasses import dataclass, field

import pytest
from aioice import stun as aioice_stun

from sfu import stun
from sfu.dtls import Dtls, Identity
from sfu.ice import CONSENT_S, HOLD_S, MAX_ADDRESSES
from sfu.plane.base import Address, SrtpKeys
from sfu.plane.python import PythonPlane, PythonSession
from sfu.rtp.parameters import RemoteTransport
from sfu.transport import CONNECT_S, EARLY_DATAGRAMS, FAIL_S, TransportState, WebRtcTransport

HOME, AWAY = ("192.0.2.1", 1000), ("198.51.100.7", 2000)
BROWSER = Identity()
HEADER = struct.pack("!BBHLL", 0x80, 96, 1, 2, 3)
REPORT = struct.pack("!BBHL", 0x80, 201, 1, 3)


class Wire:
    """A socket that keeps what is sent, as (datagram, address)."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Address]] = []

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        raise OSError("packets leave one by one here, so that a test sees each")

    def sendto(self, data: bytes, address: Address, /) -> int:
        self.sent.append((data, address))
        return len(data)

    def sendmsg(self, buffers: list[bytes], ancdata: object, flags: int, address: Address, /) -> int:
        return self.sendto(b"".join(buffers), address)

    def take(self) -> list[tuple[bytes, Address]]:
        taken, self.sent = self.sent, []
        return taken


class FakeHost:
    """An endpoint that keeps what it is told; `taken` are addresses of other peers."""

    candidates = ("candidate:1 1 udp 2130706431 192.0.2.100 40000 typ host",)

    def __init__(self) -> None:
        self.time = 1000.0
        self.wire = Wire()
        self.plane = PythonPlane(self.wire, lambda: None)
        self.ufrags: tuple[str, ...] = ()
        self.admitted: set[Address] = set()
        self.taken: set[Address] = set()
        self.left = 0

    def now(self) -> float:
        return self.time

    def listen(self, transport: WebRtcTransport, ufrags: tuple[str, ...]) -> None:
        self.ufrags = ufrags

    def admit(self, transport: WebRtcTransport, address: Address, now: float) -> bool:
        if address in self.taken:
            return False
        self.admitted.add(address)
        return True

    def release(self, address: Address) -> None:
        self.admitted.discard(address)

    def leave(self, transport: WebRtcTransport) -> None:
        self.left += 1


@dataclass
class Call:
    """A transport, its host, and a browser at the other end."""

    host: FakeHost = field(default_factory=FakeHost)
    rtp: list[tuple[bytes, float]] = field(default_factory=list)
    rtcp: list[tuple[bytes, float]] = field(default_factory=list)
    states: list[TransportState] = field(default_factory=list)
    dtls: Dtls | None = None

    def __post_init__(self) -> None:
        self.transport = WebRtcTransport(
            self.host,
            lambda packet, now: self.rtp.append((packet, now)),
            lambda packet, now: self.rtcp.append((packet, now)),
            self.states.append,
        )

    def remote(self, setup: str = "active", who: Identity = BROWSER) -> RemoteTransport:
        algorithm, _, value = who.fingerprint.partition(" ")
        return RemoteTransport("their", "p" * 24, ((algorithm, value),), setup)  # type: ignore[arg-type]

    def check(self, address: Address = HOME, *, nominate: bool = True, password: str | None = None) -> bool:
        parameters = self.transport.parameters
        message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{parameters.ice_ufrag}:their"
        if nominate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((password or parameters.ice_pwd).encode())
        request = stun.parse(bytes(message))
        assert request is not None
        return self.transport.receive_check(request, address, self.host.time)

    def browser(self, role: str = "client") -> Dtls:
        algorithm, _, value = self.transport.parameters.fingerprint.partition(" ")
        self.dtls = Dtls(role, [(algorithm, value)], BROWSER)  # type: ignore[arg-type]
        return self.dtls

    def shake(self) -> None:
        """Carry DTLS both ways until nobody has more to say; a round trip takes 20 ms."""
        assert self.dtls is not None
        quiet = False
        while not quiet:
            quiet = True
            for datagram, _ in self.host.wire.take():
                if 20 <= datagram[0] < 64:
                    self.dtls.receive(datagram)
            self.host.time += 0.02
            for datagram in self.dtls.outgoing():
                quiet = False
                self.transport.receive_dtls(datagram, self.host.time)
            quiet = quiet and not self.host.wire.sent

    def connect(self) -> PythonSession:
        """The browser's SRTP once everything is up."""
        self.transport.start(self.remote())
        self.check()
        dtls = self.browser()
        self.shake()
        assert dtls.keys is not None
        return PythonPlane(self.host.wire, lambda: None).session(dtls.keys, HOME)

    def later(self, seconds: float) -> None:
        self.host.time += seconds
        self.transport.tick(self.host.time)


@pytest.fixture
def call() -> Call:
    return Call()


def test_its_parameters_are_what_an_sdp_needs(call: Call) -> None:
    parameters = call.transport.parameters
    assert parameters.fingerprint.startswith("sha-256 ")
    assert parameters.candidates == call.host.candidates
    assert parameters.ice_ufrag in call.host.ufrags
    assert Call().transport.parameters.fingerprint == parameters.fingerprint
    assert Call().transport.parameters.ice_ufrag != parameters.ice_ufrag


def test_it_connects_and_packets_go_both_ways(call: Call) -> None:
    browser = call.connect()
    assert call.states == ["connecting", "connected"]
    assert call.transport.connected
    call.transport.send_rtp(3, 1, HEADER, b"down")
    call.transport.send_rtcp(REPORT)
    call.host.plane.flush()
    (rtp, to), (rtcp, _) = call.host.wire.take()
    assert (browser.read_rtp(rtp), browser.read_rtcp(rtcp), to) == (HEADER + b"down", REPORT, HOME)
    browser.send_rtp(3, 1, HEADER, b"up")
    browser.send_rtcp(REPORT)
    browser._outbox.flush()
    for datagram, _ in call.host.wire.take():
        call.transport.receive_srtp(datagram, 5.0)
    assert (call.rtp, call.rtcp) == ([(HEADER + b"up", 5.0)], [(REPORT, 5.0)])
    assert call.transport.counters.packets_received == 2


def test_the_round_trip_of_the_handshake_is_measured(call: Call) -> None:
    call.connect()
    assert call.transport.rtt_ms == pytest.approx(20.0)


def test_a_repeated_flight_measures_nothing(call: Call) -> None:
    call.transport.start(call.remote())
    call.check()
    call.browser()
    call.transport._after_dtls(call.host.time, repeats=True)
    assert call.transport.rtt_ms is None


@pytest.mark.parametrize(("setup", "role"), [("actpass", "client"), ("active", "client"), ("passive", "server")])
def test_it_is_active_only_for_a_passive_peer(call: Call, setup: str, role: str) -> None:
    call.transport.start(call.remote(setup))
    call.check()
    call.browser(role)
    call.shake()
    assert call.transport.state == "connected"


def test_an_answer_by_signaling_may_be_slower_than_the_peer(call: Call) -> None:
    assert call.check()
    browser = call.browser()
    for datagram in browser.outgoing():
        call.transport.receive_dtls(datagram, call.host.time)
    assert call.states == []
    call.transport.start(call.remote())
    call.shake()
    assert call.transport.state == "connected"


def test_what_is_kept_before_start_is_bounded(call: Call) -> None:
    call.check()
    for _ in range(100):
        call.transport.receive_dtls(bytes([22]) * 1000, call.host.time)
    assert len(call.transport._early) == EARLY_DATAGRAMS


def test_nothing_is_sent_before_keys(call: Call) -> None:
    call.transport.start(call.remote())
    call.check()
    call.host.wire.take()
    call.transport.send_rtp(3, 1, HEADER, b"")
    call.transport.send_rtcp(REPORT)
    call.transport.receive_srtp(HEADER + bytes(30), 0.0)
    call.host.plane.flush()
    assert (call.host.wire.sent, call.transport.connected, call.rtp) == ([], False, [])


def test_a_check_that_is_not_signed_by_us_gets_no_answer(call: Call) -> None:
    assert not call.check(password="wrong")
    assert call.host.wire.sent == []
    assert call.transport.address is None
    assert call.host.admitted == set()


def test_an_address_of_another_peer_gets_no_answer(call: Call) -> None:
    call.host.taken.add(HOME)
    assert not call.check()
    assert (call.host.wire.sent, call.transport.address) == ([], None)


def test_a_wrong_certificate_fails_without_keys(call: Call) -> None:
    call.transport.start(call.remote(who=Identity()))
    call.check()
    call.browser()
    call.shake()
    assert call.states == ["connecting", "failed"]
    assert not call.transport.connected
    assert call.host.left == 1


def test_without_a_check_it_fails_in_time(call: Call) -> None:
    call.transport.start(call.remote())
    call.later(CONNECT_S - 0.1)
    assert call.transport.state == "connecting"
    call.later(0.2)
    assert call.transport.state == "failed"


def test_a_handshake_that_never_ends_fails_in_time(call: Call) -> None:
    call.transport.start(call.remote())
    call.host.time += CONNECT_S - 1
    call.check()
    call.later(CONNECT_S - 0.1)
    assert call.transport.state == "connecting"
    call.check()
    call.later(0.2)
    assert call.states == ["connecting", "failed"]


def test_sending_stops_when_consent_lapses_and_goes_on_when_it_returns(call: Call) -> None:
    call.connect()
    call.check()
    call.later(CONSENT_S - 0.1)
    assert call.transport.connected
    call.later(0.1)
    assert call.states[-1] == "disconnected"
    call.transport.send_rtp(3, 1, HEADER, b"")
    call.host.plane.flush()
    assert [to for datagram, to in call.host.wire.take() if datagram[0] >= 128] == []
    call.check(AWAY)
    assert call.states[-1] == "connected"
    call.transport.send_rtp(3, 1, HEADER, b"")
    call.host.plane.flush()
    assert call.host.wire.take()[-1][1] == AWAY


def test_a_peer_that_stays_silent_fails(call: Call) -> None:
    call.connect()
    call.check()
    call.later(CONSENT_S)
    call.later(FAIL_S - CONSENT_S - 0.1)
    assert call.transport.state == "disconnected"
    call.later(0.1)
    assert call.states == ["connecting", "connected", "disconnected", "failed"]
    assert call.host.left == 1


def test_packets_keep_consent_alive_where_no_checks_come(call: Call) -> None:
    browser = call.connect()
    call.host.wire.take()
    for index in range(4):
        call.later(CONSENT_S / 2)
        browser.send_rtp(9, index, struct.pack("!BBHLL", 0x80, 96, index, 2, 9), b"")
        browser._outbox.flush()
        for datagram, _ in call.host.wire.take():
            call.transport.receive_srtp(datagram, call.host.time)
    assert call.transport.state == "connected"
    call.later(0.1)
    call.later(CONSENT_S)
    assert call.transport.state == "disconnected"


def test_a_forged_check_does_not_keep_consent_alive(call: Call) -> None:
    call.connect()
    call.check()
    call.host.time += CONSENT_S
    call.check(password="wrong")
    call.transport.tick(call.host.time)
    assert call.transport.state == "disconnected"


def test_a_peer_that_moves_is_followed(call: Call) -> None:
    browser = call.connect()
    call.check(AWAY)
    call.host.wire.take()
    call.transport.send_rtp(3, 7, struct.pack("!BBHLL", 0x80, 96, 7, 2, 3), b"moved")
    call.host.plane.flush()
    (datagram, to) = call.host.wire.take()[0]
    assert to == AWAY
    assert browser.read_rtp(datagram) is not None


def test_an_ice_restart_keeps_the_keys(call: Call) -> None:
    call.connect()
    former = call.transport.parameters
    fresh = call.transport.restart_ice()
    assert fresh.ice_ufrag != former.ice_ufrag
    assert set(call.host.ufrags) == {fresh.ice_ufrag, former.ice_ufrag}
    call.transport.start(call.remote())
    assert call.check(AWAY)
    assert call.host.ufrags == (fresh.ice_ufrag,)
    assert call.states == ["connecting", "connected"]
    assert (call.transport.connected, call.transport.address) == (True, AWAY)


def test_addresses_beyond_the_bound_are_released(call: Call) -> None:
    for n in range(MAX_ADDRESSES + 5):
        call.host.time += 0.1
        call.check(("203.0.113.1", n + 1), nominate=n == 0)
    assert len(call.host.admitted) == MAX_ADDRESSES
    assert call.transport.address in call.host.admitted


def test_a_lost_address_may_not_be_sent_to(call: Call) -> None:
    call.connect()
    assert call.transport.holds(HOME, call.host.time + HOLD_S - 0.1)
    call.transport.lose(AWAY)
    assert call.transport.connected
    call.transport.lose(HOME)
    assert not call.transport.holds(HOME, call.host.time)
    assert (call.transport.state, call.transport.connected) == ("disconnected", False)
    call.later(CONSENT_S)
    assert call.transport.state == "disconnected"
    call.check(AWAY)
    assert (call.transport.state, call.transport.connected) == ("connected", True)


def test_the_peers_goodbye_closes(call: Call) -> None:
    call.connect()
    assert call.dtls is not None
    call.dtls.close()
    call.shake()
    assert call.states == ["connecting", "connected", "closed"]


def test_our_goodbye_is_heard_and_is_the_last_word(call: Call) -> None:
    call.connect()
    call.transport.close()
    call.transport.close()
    assert call.dtls is not None
    for datagram, _ in call.host.wire.take():
        call.dtls.receive(datagram)
    assert call.dtls.state == "closed"
    assert (call.states[-1], call.host.left, call.transport.connected) == ("closed", 1, False)
    call.transport.start(call.remote())
    call.later(CONNECT_S)
    assert call.states == ["connecting", "connected", "closed"]


def test_closing_what_never_began_is_quiet(call: Call) -> None:
    call.transport.close()
    assert (call.states, call.host.wire.sent) == (["closed"], [])


def test_a_handler_that_raises_costs_its_packet_and_is_logged_once(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    browser = call.connect()
    call.transport._on_rtp = lambda packet, now: 1 / 0  # type: ignore[assignment,return-value]
    for sequence in range(3):
        browser.send_rtp(3, sequence, struct.pack("!BBHLL", 0x80, 96, sequence, 2, 3), b"up")
    browser.send_rtcp(REPORT)
    browser._outbox.flush()
    for datagram, _ in call.host.wire.take():
        call.transport.receive_srtp(datagram, 5.0)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert len(call.rtcp) == 1


def test_keys_are_not_shown(call: Call) -> None:
    call.connect()
    assert call.transport._dtls is not None
    assert isinstance(call.transport._dtls.keys, SrtpKeys)
    assert repr(call.transport._dtls.keys) == "SrtpKeys(SRTP_AEAD_AES_128_GCM)"


class Echo:
    """Speaks inside of DTLS: says everything again, and something at each tick."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.says: list[bytes] = []

    def receive(self, datagram: bytes, now: float) -> None:
        self.heard.append(datagram)
        self.says.append(b"echo of " + datagram)

    def tick(self, now: float) -> None:
        self.says.append(b"tick")

    def outgoing(self, now: float) -> list[bytes]:
        said, self.says = self.says, []
        return said


def test_who_speaks_inside_of_dtls_is_carried(call: Call) -> None:
    call.connect()
    assert call.dtls is not None
    call.dtls.send(b"for nobody")
    call.shake()
    call.transport.flush_data()
    echo = Echo()
    call.transport.carry(echo)
    call.dtls.send(b"hello")
    call.shake()
    call.shake()
    assert (echo.heard, call.dtls.received) == ([b"hello"], [b"echo of hello"])
    call.later(0.05)
    call.shake()
    assert call.dtls.received[1:] == [b"tick"]
    call.later(CONSENT_S)  # no consent, no data
    echo.says.append(b"to nobody")
    call.transport.flush_data()
    assert call.host.wire.take() == []


def test_without_consent_nobody_inside_of_dtls_is_heard(call: Call) -> None:
    call.connect()
    assert call.dtls is not None
    echo = Echo()
    call.transport.carry(echo)
    call.later(CONSENT_S)
    assert call.states[-1] == "disconnected"
    call.dtls.send(b"to be answered")
    call.shake()
    assert (echo.heard, echo.says) == ([], [])  # its answers would gather for as long as it says more
    call.check()
    call.dtls.send(b"again")
    call.shake()
    assert echo.heard == [b"again"]
