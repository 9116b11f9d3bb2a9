"""The one UDP socket of a media process, its TCP port, and the guard at their door.

Theory of operation. All peers share the socket, so every datagram is sorted twice: by its first byte (RFC 7983: STUN,
DTLS, SRTP) and by its sender's address. STUN goes by the user fragment in its USERNAME to the transport that has it,
which checks MESSAGE-INTEGRITY; only that makes an address known. Whatever else comes from an address that is not
known is dropped unread. Nothing is kept for a stranger, so a flood costs the time to read it and no memory, and
nothing is answered that was not signed, so nobody can be made to be flooded by us. What comes by TCP is sorted the
same; that a connection is made is no proof of anything, and `sfu.tcp` bounds what such a stranger may hold.

Packets go out in batches: what a burst of arrivals leads to is sent when the burst has been read, and what is sent at
other times at the end of the event loop's turn. While much is sent, the socket is left unread for 2 ms at a time: a
frame's packets then arrive together, and leave together for each receiver in one system call (`plane.outbox`). An
idle endpoint delays nothing.
"""

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from sfu import stun, udp
from sfu.candidates import host_candidates
from sfu.plane.base import BATCH, Address, Plane, TcpAddress
from sfu.plane.choice import PlaneName, make_plane
from sfu.tcp import TcpListener
from sfu.transport import PacketHandler, StateHandler, WebRtcTransport

logger = logging.getLogger(__name__)

BURST = 512
"""Datagrams that are read before anything else gets its turn."""
COALESCE_S = 0.002
"""How long arrivals are left to gather while the endpoint is busy."""
BUSY_PPS = 5000.0
"""Sent packets a second from which an endpoint counts as busy: about a twentieth of a core."""
LOAD_WINDOW_S = 0.1
"""How often that is decided."""
RETRY_S = 0.001
"""When to offer a batch again that the kernel had no room for."""
TICK_S = 0.05


@dataclass(slots=True)
class EndpointCounters:
    """What the guard has turned away, in datagrams."""

    strangers: int = 0
    """DTLS or SRTP from an address that no check has validated."""
    unsigned: int = 0
    """STUN that was malformed, for nobody here, or not authentic."""
    unknown: int = 0
    """What is none of the protocols that share the socket."""
    bugs: int = 0
    """What an error of ours was met with; the first is in the log."""


class TcpPortTaken(OSError):
    """The TCP port can't be had; its `strerror` says why."""


class Endpoint:
    """The UDP socket and the TCP port that all peers of a media process share; open it with `Endpoint.open`."""

    def __init__(
        self,
        sock: socket.socket,
        announced: tuple[str, ...],
        *,
        tcp: socket.socket | None = None,
        plane: PlaneName = "auto",
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._socket = sock
        self._clock = clock
        self._loop = loop
        self._tcp = TcpListener(tcp, self, self._wake, clock=clock, loop=loop) if tcp else None
        self._plane: Plane = make_plane(plane, sock, self._wake, self._tcp)
        self._port: int = sock.getsockname()[1]
        self._candidates = host_candidates(announced, self._port, self._tcp.port if self._tcp else None)
        self._listening: dict[WebRtcTransport, tuple[str, ...]] = {}
        self._by_ufrag: dict[str, WebRtcTransport] = {}
        self._by_address: dict[Address, WebRtcTransport] = {}
        self.counters = EndpointCounters()
        self.arrived: float | None = None
        """When the kernel had the datagram that is being handled, on our clock; None where nobody knows."""
        self._in_burst = False
        self._flush_handle: asyncio.Handle | None = None
        self._read_handle: asyncio.TimerHandle | None = None
        self._busy = False
        self._load_since = clock()
        self._load_departed = 0
        self._closed = False
        loop.add_reader(sock, self._readable)
        self._tick_handle = loop.call_later(TICK_S, self._timer)

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        announced: tuple[str, ...],
        *,
        tcp_port: int | None = None,
        plane: PlaneName = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> "Endpoint":
        """Bind to a literal address; a port of 0 takes a free one. An IPv6 `host` of `::` takes IPv4 as well.

        `announced` are the addresses that our ICE candidates name (see `announced_addresses`), in order of
        preference. Without a `tcp_port` there is UDP alone. `plane` names one of `sfu.plane.choice`. Raises
        `TcpPortTaken`, OSError where the UDP port is taken, ValueError where an address is not one, and ImportError
        where the plane is not there.
        """
        for address in (host, *announced):
            ipaddress.ip_address(address)
        sock = udp.bind(host, port)
        try:
            tcp = TcpListener.bind(host, tcp_port) if tcp_port is not None else None
        except OSError as error:
            sock.close()
            raise TcpPortTaken(error.errno, error.strerror) from error
        return cls(sock, announced, tcp=tcp, plane=plane, clock=clock, loop=asyncio.get_running_loop())

    @property
    def port(self) -> int:
        """The UDP port."""
        return self._port

    @property
    def tcp(self) -> TcpListener | None:
        """The TCP port, if there is one."""
        return self._tcp

    @property
    def candidates(self) -> tuple[str, ...]:
        """Our ICE candidates, the same for every transport."""
        return self._candidates

    @property
    def plane(self) -> Plane:
        """Where packets leave."""
        return self._plane

    @property
    def transports(self) -> tuple[WebRtcTransport, ...]:
        """The transports that are neither failed nor closed."""
        return tuple(self._listening)

    def now(self) -> float:
        """Seconds of this endpoint's clock."""
        return self._clock()

    def create_transport(
        self, on_rtp: PacketHandler, on_rtcp: PacketHandler, on_state: StateHandler
    ) -> WebRtcTransport:
        """A transport for one peer; the handlers run in the event loop."""
        return WebRtcTransport(self, on_rtp, on_rtcp, on_state)

    def close(self) -> None:
        """Close every transport and the socket. May be called again."""
        if self._closed:
            return
        for transport in self.transports:
            transport.close()
        self._closed = True
        self._plane.flush()
        if self._tcp is not None:
            self._tcp.close()
        for handle in (self._flush_handle, self._read_handle, self._tick_handle):
            if handle is not None:
                handle.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def tick(self, now: float) -> None:
        """Let time pass for every transport. The endpoint does so itself every 50 ms, by its clock."""
        for transport in self.transports:
            try:
                transport.tick(now)
            except Exception:
                self._note_bug("a transport's tick")
        if self._tcp is not None:
            self._tcp.tick(now)

    # What transports need of their endpoint: `transport.Host`.

    def listen(self, transport: WebRtcTransport, ufrags: tuple[str, ...]) -> None:
        """Give `transport` the checks that name these user fragments, and no others."""
        former = self._listening.get(transport, ())
        if former == ufrags:
            return
        for ufrag in former:
            self._by_ufrag.pop(ufrag, None)
        for ufrag in ufrags:
            self._by_ufrag[ufrag] = transport
        self._listening[transport] = ufrags

    def admit(self, transport: WebRtcTransport, address: Address, now: float) -> bool:
        """Give `transport` the datagrams of an address, unless another peer is using that.

        A peer signs its checks, but not the address they come from. So whoever is in a room could send one in the
        name of another's address; as long as that other's own checks come from there, it stays theirs.
        """
        owner = self._by_address.get(address)
        if owner is not None and owner is not transport:
            if owner.holds(address, now):
                return False
            owner.lose(address)
        self._by_address[address] = transport
        if self._tcp is not None and isinstance(address, TcpAddress):
            self._tcp.trust(address)
        return True

    def release(self, address: Address) -> None:
        """Read nothing from an address any more."""
        self._by_address.pop(address, None)
        if self._tcp is not None and isinstance(address, TcpAddress):
            self._tcp.drop(address)

    def leave(self, transport: WebRtcTransport) -> None:
        """Forget a transport."""
        for ufrag in self._listening.pop(transport, ()):
            self._by_ufrag.pop(ufrag, None)
        for address in transport.addresses:
            self.release(address)

    # What comes by TCP: `sfu.tcp.listener.Receiver`.

    def receive_burst(self, datagrams: list[bytes], address: Address) -> None:
        """Sort datagrams that arrived together, and send what they lead to together."""
        self._in_burst = True
        try:
            now = self._clock()
            for datagram in datagrams:
                try:
                    self.receive(datagram, address, now)
                except Exception:
                    self._note_bug("a datagram")
                if self._closed:
                    return
        finally:
            self._in_burst = False
            if not self._closed:
                self._flush()

    def lost(self, address: TcpAddress) -> None:
        """A connection over which a check had come has ended."""
        transport = self._by_address.pop(address, None)
        if transport is not None:
            transport.lose(address)

    # Arrivals.

    def receive(self, datagram: bytes, address: Address, now: float) -> None:
        """Sort one datagram by its first byte (RFC 7983 section 7) and its sender's address."""
        first = datagram[0] if datagram else 255
        if first < 4:
            self._receive_stun(datagram, address, now)
            return
        transport = self._by_address.get(address)
        if transport is None:
            self.counters.strangers += 1
        elif 128 <= first < 192:
            transport.receive_srtp(datagram, now)
        elif 20 <= first < 64:
            transport.receive_dtls(datagram, now)
        else:
            self.counters.unknown += 1

    def _receive_stun(self, datagram: bytes, address: Address, now: float) -> None:
        request = stun.parse(datagram)
        if request is None or request.type != stun.BINDING_REQUEST:
            self.counters.unsigned += 1
            return
        transport = self._by_ufrag.get(request.local_ufrag)
        if transport is None or not transport.receive_check(request, address, now):
            self.counters.unsigned += 1

    def _readable(self) -> None:
        if self._busy:
            self._loop.remove_reader(self._socket)
            self._read_handle = self._loop.call_later(COALESCE_S, self._read_late)
        else:
            self._read_burst()

    def _read_late(self) -> None:
        self._read_handle = None
        self._read_burst()
        if self._closed:
            return
        if self._busy:  # the next turn is certain: to be told of arrivals meanwhile would only cost
            self._read_handle = self._loop.call_later(COALESCE_S, self._read_late)
        else:
            self._loop.add_reader(self._socket, self._readable)

    def _read_burst(self) -> None:
        self._in_burst = True
        try:
            for _ in range(BURST // BATCH):
                arrivals = self._plane.receive()
                self._receive_batch(arrivals, self._clock())
                if len(arrivals) < BATCH or self._closed:
                    return
        except OSError:
            logger.exception("the UDP socket cannot be read")
        finally:
            self.arrived = None
            self._in_burst = False
            if not self._closed:
                self._flush()

    def _receive_batch(self, arrivals: list[tuple[bytes, Address, float]], now: float) -> None:
        receive = self.receive
        for datagram, address, age in arrivals:
            self.arrived = now - age
            try:
                receive(datagram, address, now)
            except Exception:
                self._note_bug("a datagram")
            if self._closed:
                return

    def _note_bug(self, what: str) -> None:
        """What one peer sends must not end the reading, or the timers, of all the others; nor fill the log."""
        self.counters.bugs += 1
        if self.counters.bugs == 1:
            logger.exception("%s met an error of ours; further ones are counted", what)

    # Departures.

    def _wake(self) -> None:
        """The plane has something to send. A burst's end sends it; otherwise the end of this turn of the loop."""
        if not self._in_burst and self._flush_handle is None and not self._closed:
            self._flush_handle = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        self._plane.flush()
        if self._plane.waiting:
            self._flush_handle = self._loop.call_later(RETRY_S, self._flush)
        now = self._clock()
        if now - self._load_since >= LOAD_WINDOW_S:
            departed = self._plane.departed
            self._busy = departed - self._load_departed > BUSY_PPS * (now - self._load_since)
            self._load_since, self._load_departed = now, departed

    def _timer(self) -> None:
        self._tick_handle = self._loop.call_later(TICK_S, self._timer)
        self.tick(self._clock())
