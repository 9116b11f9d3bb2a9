"""A peer's way in and out: ICE-lite, DTLS and SRTP put together.

Theory of operation. The endpoint gives a transport its peer's checks (`receive_check`) and, from addresses that a
check has validated, datagrams of DTLS (`receive_dtls`) and SRTP (`receive_srtp`), and the time (`tick`).

| state | what holds | leaves to |
|---|---|---|
| new | checks are answered; the first DTLS datagrams are kept until `start` says what to make of them | connecting |
| connecting | `start` was called; DTLS runs as soon as an address is selected | connected, failed (30 s), closed |
| connected | keys are there; packets go both ways | disconnected (30 s without a check or a packet), closed |
| disconnected | consent has lapsed (RFC 7675): nothing is sent | connected (a check), failed (30 s more), closed |
| failed | the endpoint has forgotten it | closed |
| closed | the end: by `close`, or by the peer's close_notify | |
"""

import logging
from collections.abc import Callable
from typing import Literal, Protocol

from sfu import stun
from sfu.dtls import Dtls, identity
from sfu.ice import CONSENT_S, IceLite
from sfu.plane.base import Address, Plane, PlaneSession, SessionCounters
from sfu.rtp.parameters import RemoteTransport, TransportParameters

logger = logging.getLogger(__name__)

TransportState = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]
PacketHandler = Callable[[bytes, float], None]
"""Takes a decrypted packet and its arrival time in seconds of the endpoint's clock."""
StateHandler = Callable[[TransportState], None]

CONNECT_S = 30.0
"""From `start`, or the first address selected after it, to keys; DTLS repeats its flights at 1, 3, 7 and 15 s."""
FAIL_S = 2 * CONSENT_S
"""From the last check to `failed`: as long again as consent, so that a network that comes back is found alive."""
EARLY_DATAGRAMS = 8
"""DTLS datagrams kept before `start`: an answer by signaling may be slower than the peer's first flight."""


class DataUser(Protocol):
    """Who speaks inside of DTLS: `sfu.data.DataPort`, with SCTP."""

    def receive(self, datagram: bytes, now: float) -> None:
        """Take one datagram of the peer."""

    def tick(self, now: float) -> None:
        """Let time pass."""

    def outgoing(self, now: float) -> list[bytes]:
        """The datagrams to send now."""


class Host(Protocol):
    """What a transport needs of its endpoint."""

    @property
    def plane(self) -> Plane:
        """Where packets leave."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """Our candidate lines."""

    @property
    def arrived(self) -> float | None:
        """When the kernel had the datagram that is being handled, on the same clock; None where nobody knows."""

    def now(self) -> float:
        """Seconds of the endpoint's clock."""

    def listen(self, transport: "WebRtcTransport", ufrags: tuple[str, ...]) -> None:
        """Give it the checks that name these user fragments, and no others."""

    def admit(self, transport: "WebRtcTransport", address: Address, now: float) -> bool:
        """Give it the datagrams of an address; False where another peer is using that."""

    def release(self, address: Address) -> None:
        """Read nothing from an address any more."""

    def leave(self, transport: "WebRtcTransport") -> None:
        """Forget the transport."""


class WebRtcTransport:
    """One peer's ICE-lite, DTLS-SRTP transport; made by `Endpoint.create_transport`, implements `RtpTransport`.

    Everything runs in the endpoint's event loop, and nothing blocks or raises, whatever the peer sends. An exception
    out of a handler is logged, once for each transport, and the packet is lost.
    """

    def __init__(self, host: Host, on_rtp: PacketHandler, on_rtcp: PacketHandler, on_state: StateHandler) -> None:
        self._host = host
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._on_state = on_state
        self._ice = IceLite()
        self._remote: RemoteTransport | None = None
        self._dtls: Dtls | None = None
        self._early: list[bytes] = []
        self._session: PlaneSession | None = None
        self._sending: PlaneSession | None = None
        self._state: TransportState = "new"
        self._deadline = float("inf")
        self._flight_at: float | None = None
        self._rtt_ms: float | None = None
        self._handler_raised = False
        self._received = 0
        """Packets at the last tick."""
        self._data: DataUser | None = None
        host.listen(self, self._ice.ufrags)

    @property
    def parameters(self) -> TransportParameters:
        """Our end, for the SDP."""
        credentials = self._ice.credentials
        return TransportParameters(
            credentials.ufrag, credentials.password, identity().fingerprint, self._host.candidates
        )

    @property
    def state(self) -> TransportState:
        """Where the transport stands."""
        return self._state

    @property
    def connected(self) -> bool:
        """Whether packets are sent; what is sent before, or while consent has lapsed, is dropped."""
        return self._sending is not None

    @property
    def engine_session(self) -> object | None:
        """See `sfu.rtp.lane.EngineTransport`."""
        return None if self._sending is None else self._sending.native

    @property
    def arrived(self) -> float | None:
        """See `RtpTransport.arrived`."""
        return self._host.arrived

    @property
    def address(self) -> Address | None:
        """Where the peer is, or None before a check has shown it."""
        return self._ice.selected

    @property
    def rtt_ms(self) -> float | None:
        """The round-trip time seen in the DTLS handshake (the peer's cryptography included), or None."""
        return self._rtt_ms

    @property
    def counters(self) -> SessionCounters:
        """Packets and bytes so far."""
        return SessionCounters() if self._session is None else self._session.counters

    @property
    def ufrags(self) -> tuple[str, ...]:
        """The user fragments of the checks that this transport takes."""
        return self._ice.ufrags

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses that a check has validated."""
        return self._ice.addresses

    def start(self, remote: RemoteTransport) -> None:
        """Take the other end's parameters, from its offer or answer; DTLS begins once an address is selected.

        We are DTLS's server except for a remote that is `passive`. Called again it changes nothing: the DTLS
        association outlives an ICE restart, and a new fingerprint asks for a new transport (RFC 8842 section 4).
        """
        if self._remote is None and self._state == "new":
            self._deadline = self._host.now() + CONNECT_S
            self._remote = remote
            self._move("connecting")
            self._begin_dtls()

    def restart_ice(self) -> TransportParameters:
        """Fresh ICE credentials, for the answer to an offer that restarts ICE (RFC 8839 section 4.4.1.1.1).

        The former ones work until the first check with the fresh ones, and packets flow all the time.
        """
        if self._state not in ("failed", "closed"):
            self._ice.restart()
            self._host.listen(self, self._ice.ufrags)
        return self.parameters

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        """See `RtpTransport.send_rtp`."""
        if self._sending is not None:
            self._sending.send_rtp(ssrc, index, header, payload)

    def send_rtcp(self, packet: bytes) -> None:
        """See `RtpTransport.send_rtcp`."""
        if self._sending is not None:
            self._sending.send_rtcp(packet)

    def carry(self, data: DataUser) -> None:
        """Give `data` what the peer sends inside of DTLS, and send what it has to say there."""
        self._data = data

    def flush_data(self) -> None:
        """Send what the data user has to send now. What arrives, and time, lead to that by themselves."""
        if self._data is None or self._dtls is None or self._sending is None:
            return
        for datagram in self._data.outgoing(self._host.now()):
            self._dtls.send(datagram)
        self._send_flight()

    def close(self) -> None:
        """Say goodbye (close_notify) and leave the endpoint. May be called again."""
        if self._dtls is not None:
            self._dtls.close()
            self._send_flight()
        self._end("closed")

    def holds(self, address: Address, now: float) -> bool:
        """Whether this peer is using the address, so that another's check must not claim it."""
        return self._ice.holds(address, now)

    def lose(self, address: Address) -> None:
        """Another peer has validated an address that was this one's."""
        self._ice.forget(address)
        if self._ice.selected is None and self._state == "connected":
            self._pause()

    def receive_check(self, request: stun.Message, address: Address, now: float) -> bool:
        """Take a binding request that names one of our user fragments; False where it was not authentic."""
        password = self._ice.password_for(request)
        if password is None:
            return False
        refusal = self._ice.refusal(request, password)
        if refusal is not None:
            self._host.plane.send(refusal, address)
            return True
        if not self._host.admit(self, address, now):
            return False
        self._host.plane.send(self._ice.answer(request, password, address, now), address)
        surplus = self._ice.surplus()
        if surplus is not None:
            self._host.release(surplus)
        self._host.listen(self, self._ice.ufrags)
        self._begin_dtls()
        if self._session is not None and self._ice.selected is not None:
            if self._session.address != self._ice.selected:
                self._session.address = self._ice.selected
            if self._state == "disconnected":
                self._sending = self._session
                self._move("connected")
        return True

    def receive_dtls(self, datagram: bytes, now: float) -> None:
        """Take a DTLS datagram from a validated address."""
        if self._dtls is None:
            if self._remote is None and len(self._early) < EARLY_DATAGRAMS:
                self._early.append(datagram)
            return
        self._dtls.receive(datagram)
        self._after_dtls(now)
        self._take_data(now)

    def receive_srtp(self, datagram: bytes, now: float) -> None:
        """Take an SRTP or SRTCP datagram from a validated address."""
        session = self._session
        if session is None:
            return
        if len(datagram) > 1 and 192 <= datagram[1] <= 223:  # RFC 5761 section 4
            packet, handler = session.read_rtcp(datagram), self._on_rtcp
        else:
            packet, handler = session.read_rtp(datagram), self._on_rtp
        if packet is None:
            return
        try:
            handler(packet, now)
        except Exception:
            # One peer's packet must not end a burst in which other peers' packets wait, nor fill the log.
            if not self._handler_raised:
                logger.exception("a packet handler raised; what further packets of this peer raise is not logged")
            self._handler_raised = True

    def tick(self, now: float) -> None:
        """Let time pass: handshake repetitions and deadlines, consent."""
        if self._state == "connecting":
            if now >= self._deadline:
                self._fail("not connected in time")
            elif self._dtls is not None:
                self._dtls.tick()
                self._after_dtls(now, repeats=True)
        elif self._state == "connected" and self._session is not None:
            received = self._session.packets_received
            if received != self._received:
                self._received = received
                self._ice.hear(now)
            if self._ice.consent_expired(now):
                self._pause()
            elif self._data is not None:
                self._data.tick(now)
                self.flush_data()
        elif self._state == "disconnected" and self._ice.silent_for(now) >= FAIL_S:
            self._fail("no check from the peer")

    def _begin_dtls(self) -> None:
        if self._dtls is not None or self._remote is None or self._ice.selected is None:
            return
        now = self._host.now()
        self._deadline = now + CONNECT_S
        self._dtls = Dtls("client" if self._remote.setup == "passive" else "server", self._remote.fingerprints)
        early, self._early = self._early, []
        for datagram in early:
            self._dtls.receive(datagram)
        self._after_dtls(now)

    def _after_dtls(self, now: float, *, repeats: bool = False) -> None:
        """Send what DTLS has to send, and follow its state. `repeats`: what it sends was sent before."""
        dtls = self._dtls
        if dtls is None:
            return
        answered_flight_at = self._flight_at
        if self._send_flight():
            self._flight_at = None if repeats else now  # which of two the answer is for cannot be known
        if dtls.state == "connected" and self._state == "connecting" and dtls.keys and self._ice.selected:
            if answered_flight_at is not None:
                self._rtt_ms = (now - answered_flight_at) * 1000
            self._session = self._sending = self._host.plane.session(dtls.keys, self._ice.selected)
            self._move("connected")
        elif dtls.state == "failed":
            self._fail(dtls.reason)
        elif dtls.state == "closed":
            self._end("closed")

    def _take_data(self, now: float) -> None:
        if self._dtls is None or not self._dtls.received:
            return
        received, self._dtls.received = self._dtls.received, []
        # Without consent nothing is sent, so nothing is heard either: its answers would gather. SCTP repeats it.
        if self._data is not None and self._sending is not None:
            for datagram in received:
                self._data.receive(datagram, now)
            self.flush_data()

    def _send_flight(self) -> bool:
        """Send DTLS's datagrams; whether there were any."""
        address = self._ice.selected
        if self._dtls is None or address is None:
            return False
        flight = self._dtls.outgoing()
        for datagram in flight:
            self._host.plane.send(datagram, address)
        return bool(flight)

    def _pause(self) -> None:
        """Stop sending until a check selects an address again."""
        self._sending = None
        self._move("disconnected")

    def _fail(self, reason: str) -> None:
        logger.info("transport failed: %s", reason)
        self._end("failed")

    def _end(self, state: Literal["failed", "closed"]) -> None:
        self._sending = None
        self._early.clear()
        if self._state not in ("failed", "closed"):
            self._host.leave(self)
        self._move(state)

    def _move(self, state: TransportState) -> None:
        if self._state in (state, "closed"):
            return
        self._state = state
        try:
            self._on_state(state)
        except Exception:
            logger.exception("a state handler raised on %r", state)
