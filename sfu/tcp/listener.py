"""The TCP port of a media process: for peers whose network lets no UDP through (RFC 6544, passive candidates).

Theory of operation. A peer connects and sends what it would send by UDP, each datagram behind its length
(`sfu.tcp.framing`). The listener reads, and gives the endpoint datagrams that come from a `TcpAddress`; what is sent
to such an address leaves by its connection. Nothing else differs: the endpoint sorts both alike, and a connection's
address is validated by a signed check like any other.

A connection costs memory, which a datagram does not. So there are bounds:

| who | may | then |
|---|---|---|
| says nothing that is signed | 10 s, 8 datagrams; 512 such in all, 16 an address | it, or the oldest, is closed |
| reads slowly | 128 KB waiting, of which media may take 96 KB | what comes on top is dropped, as a router does |
| reads nothing | 10 s | it is closed; its peer finds another way or connects again |
| sends no frames | 2 048 bytes a frame | it is closed at once |
"""

import asyncio
import errno
import ipaddress
import logging
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sfu.plane.base import Address, TcpAddress
from sfu.tcp.connection import TcpConnection

logger = logging.getLogger(__name__)

VALIDATE_S = 10.0
"""From a connection to its first signed check; browsers send one at once."""
MAX_UNTRUSTED = 512
MAX_UNTRUSTED_OF_ONE = 16
"""Of one IPv4 address or one IPv6 network of 64 bits, behind which many people of an office may be."""
MAX_UNSIGNED = 8
"""Datagrams before the first that is signed: a check in the wrong role, or for a transport that has just gone."""
MAX_WAITING = 128 << 10
MAX_MEDIA_WAITING = 96 << 10
"""Bytes that wait for a slow reader: half a second at 1.5 Mbit/s. The rest is kept for checks and handshakes."""
NOT_SENT = 32 << 10
"""Bytes that the kernel takes beyond what it has sent: what waits there cannot be dropped any more."""
STUCK_S = 10.0
ACCEPTS = 64
"""Connections that are taken before anything else gets its turn."""
BACKLOG = 256
PAUSE_S = 1.0
"""How long no connection is taken after the process has run out of file descriptors."""
TCP_NOTSENT_LOWAT = 25
"""linux/tcp.h; Python has the name from 3.12 on."""
OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Receiver(Protocol):
    """Who gets what arrives: the endpoint."""

    def receive_burst(self, datagrams: list[bytes], address: Address) -> None:
        """Datagrams of one connection that arrived together."""

    def lost(self, address: TcpAddress) -> None:
        """A trusted connection has ended."""


@dataclass(slots=True)
class TcpCounters:
    """What the listener has seen so far, in connections."""

    accepted: int = 0
    turned_away: int = 0
    """Closed before a signed check had come: too late, too many, or not our protocol."""
    stuck: int = 0
    """Closed because nothing was read at the other end."""


class TcpListener:
    """The listening socket and its connections."""

    def __init__(
        self,
        sock: socket.socket,
        receiver: Receiver,
        wake: Callable[[], None],
        *,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`sock` is from `bind`; `wake` is called when there is something to flush, once until the next flush."""
        self._sock = sock
        self._receiver = receiver
        self._wake = wake
        self._clock = clock
        self._loop = loop
        self._number = 0
        self._open: dict[TcpAddress, TcpConnection] = {}
        self._untrusted: dict[TcpConnection, None] = {}
        """The oldest first."""
        self._untrusted_of: Counter[str] = Counter()
        self._source_of: dict[TcpConnection, str] = {}
        """Of the untrusted: reading 512 addresses anew for each that comes would cost more than the connection."""
        self._dirty: dict[TcpConnection, None] = {}
        """To be flushed at the end of this turn."""
        self._blocked: dict[TcpConnection, float] = {}
        """Those whose socket is full, and since when nothing has moved."""
        self._paused_at: float | None = None
        self.counters = TcpCounters()
        loop.add_reader(sock, self._acceptable)

    @staticmethod
    def bind(host: str, port: int) -> socket.socket:
        """A listening socket on a literal address, for IPv4 as well where that is `::`. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::")
        sock.setblocking(False)
        return sock

    @property
    def port(self) -> int:
        """The TCP port."""
        port: int = self._sock.getsockname()[1]
        return port

    @property
    def addresses(self) -> tuple[TcpAddress, ...]:
        """Of the open connections."""
        return tuple(self._open)

    def trust(self, address: TcpAddress) -> None:
        """A signed check has come over this connection."""
        connection = self._open.get(address)
        if connection is not None and not connection.trusted:
            self._forget_untrusted(connection)
            connection.trusted = True

    def drop(self, address: TcpAddress) -> None:
        """Close a connection that nobody needs any more; what it was last given is sent first, if there is room."""
        connection = self._open.get(address)
        if connection is not None:
            connection.flush()
            self._close(connection)

    def queue(self, address: TcpAddress, header: bytes, body: bytes) -> bool:
        """Queue one packet of media until the next `flush`; False where it is dropped."""
        connection = self._open.get(address)
        if connection is None or not connection.queue(header, body, MAX_MEDIA_WAITING):
            return False
        if not self._dirty:
            self._wake()
        self._dirty[connection] = None
        return True

    def send(self, datagram: bytes, address: TcpAddress) -> bool:
        """Send a check's answer or a handshake's datagram now; False where it is dropped."""
        connection = self._open.get(address)
        if connection is None or not connection.queue(b"", datagram, MAX_WAITING):
            return False
        self._flush(connection)
        return True

    def flush(self) -> None:
        """Send what was queued."""
        dirty, self._dirty = self._dirty, {}
        for connection in dirty:
            self._flush(connection)

    def tick(self, now: float) -> None:
        """Close who is late and who is stuck."""
        while self._untrusted:
            oldest = next(iter(self._untrusted))
            if now - oldest.opened_at < VALIDATE_S:
                break
            self._close(oldest)
        for connection, since in list(self._blocked.items()):
            if now - since >= STUCK_S:
                self.counters.stuck += 1
                self._close(connection)
        if self._paused_at is not None and now - self._paused_at >= PAUSE_S:
            self._paused_at = None
            self._loop.add_reader(self._sock, self._acceptable)

    def close(self) -> None:
        """Close the port and every connection."""
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for address in self.addresses:
            self.drop(address)

    def _acceptable(self) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in OUT_OF_FILES:
                    self._pause(error)
                    return
                continue  # it was reset while it waited
            self._admit(sock, address)

    def _pause(self, error: OSError) -> None:
        """Take nobody for a while: else the loop would turn on a connection that it cannot take."""
        logger.warning("no TCP connection is taken for %g s: %s", PAUSE_S, error.strerror)
        self._loop.remove_reader(self._sock)
        self._paused_at = self._clock()

    def _admit(self, sock: socket.socket, address: Any) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT)
        self._number += 1
        self.counters.accepted += 1
        connection = TcpConnection(sock, TcpAddress(address[0], address[1], self._number), self._clock())
        source = _source(connection.address)
        if self._untrusted_of[source] >= MAX_UNTRUSTED_OF_ONE:
            self._close(next(one for one in self._untrusted if self._source_of[one] == source))
        elif len(self._untrusted) >= MAX_UNTRUSTED:
            self._close(next(iter(self._untrusted)))
        self._open[connection.address] = connection
        self._untrusted[connection] = None
        self._source_of[connection] = source
        self._untrusted_of[source] += 1
        self._loop.add_reader(connection, self._readable, connection)

    def _readable(self, connection: TcpConnection) -> None:
        datagrams = connection.read()
        if datagrams is None:
            self._close(connection)
        elif connection.trusted:
            self._receiver.receive_burst(datagrams, connection.address)
        else:
            self._hear_stranger(connection, datagrams)

    def _hear_stranger(self, connection: TcpConnection, datagrams: list[bytes]) -> None:
        for position, datagram in enumerate(datagrams):
            self._receiver.receive_burst([datagram], connection.address)
            if connection.trusted:
                self._receiver.receive_burst(datagrams[position + 1 :], connection.address)
                return
            connection.unsigned += 1
            if connection.unsigned >= MAX_UNSIGNED:
                self._close(connection)
                return

    def _flush(self, connection: TcpConnection) -> None:
        if connection.address not in self._open:
            return
        before = connection.waiting
        if not connection.flush():
            self._close(connection)
            return
        blocked = connection in self._blocked
        if connection.waiting and (not blocked or connection.waiting < before):
            self._blocked[connection] = self._clock()
        if connection.waiting and not blocked:
            self._loop.add_writer(connection, self._flush, connection)
        elif blocked and not connection.waiting:
            del self._blocked[connection]
            self._loop.remove_writer(connection)

    def _close(self, connection: TcpConnection) -> None:
        if self._open.pop(connection.address, None) is None:
            return
        self._loop.remove_reader(connection)
        if self._blocked.pop(connection, None) is not None:
            self._loop.remove_writer(connection)
        connection.close()
        if connection.trusted:
            self._receiver.lost(connection.address)
        else:
            self.counters.turned_away += 1
            self._forget_untrusted(connection)

    def _forget_untrusted(self, connection: TcpConnection) -> None:
        del self._untrusted[connection]
        source = self._source_of.pop(connection)
        self._untrusted_of[source] -= 1
        if not self._untrusted_of[source]:
            del self._untrusted_of[source]


def _source(address: TcpAddress) -> str:
    """Whom connections are counted by: an IPv4 address, or the network of an IPv6 one, whose owner has all of it."""
    ip = ipaddress.ip_address(address.host)
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), 64), strict=False))
