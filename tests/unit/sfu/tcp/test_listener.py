import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from sfu.plane.base import Address, TcpAddress
from sfu.tcp import TcpListener
from sfu.tcp.framing import frame
from sfu.tcp.listener import (
    MAX_MEDIA_WAITING,
    MAX_UNSIGNED,
    MAX_UNTRUSTED,
    MAX_UNTRUSTED_OF_ONE,
    MAX_WAITING,
    PAUSE_S,
    STUCK_S,
    VALIDATE_S,
    _source,
)

CHECK = b"a signed check"
Connect = Callable[..., socket.socket]


@dataclass
class Clock:
    time: float = 1000.0

    def __call__(self) -> float:
        return self.time


@dataclass
class Guard:
    """An endpoint that trusts whoever sends `CHECK`."""

    listener: TcpListener = field(init=False)
    received: list[tuple[bytes, Address]] = field(default_factory=list)
    bursts: list[int] = field(default_factory=list)
    gone: list[TcpAddress] = field(default_factory=list)
    wakes: int = 0

    def receive_burst(self, datagrams: list[bytes], address: Address) -> None:
        assert isinstance(address, TcpAddress)
        self.bursts.append(len(datagrams))
        for datagram in datagrams:
            self.received.append((datagram, address))
            if datagram == CHECK:
                self.listener.trust(address)

    def lost(self, address: TcpAddress) -> None:
        self.gone.append(address)

    def wake(self) -> None:
        self.wakes += 1


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a socket's callback
            await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def guard(clock: Clock) -> AsyncIterator[Guard]:
    guard = Guard()
    guard.listener = TcpListener(
        TcpListener.bind("127.0.0.1", 0), guard, guard.wake, clock=clock, loop=asyncio.get_running_loop()
    )
    yield guard
    guard.listener.close()


@pytest.fixture
def connect(guard: Guard) -> Connect:
    with ExitStack() as stack:

        def connect(host: str = "127.0.0.1", *, buffer: int | None = None) -> socket.socket:
            sock = stack.enter_context(socket.socket())
            if buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.bind((host, 0))
            sock.connect(("127.0.0.1", guard.listener.port))
            sock.setblocking(False)
            return sock

        yield connect  # type: ignore[misc]


async def trusted(guard: Guard, sock: socket.socket) -> TcpAddress:
    """Make a connection one over which a check has come; its address."""
    before = len(guard.received)
    sock.send(frame(len(CHECK)) + CHECK)
    await until(lambda: len(guard.received) > before)
    address = guard.received[-1][1]
    assert isinstance(address, TcpAddress)
    return address


async def ended(sock: socket.socket) -> None:
    """Wait until the other end has closed the connection."""
    async with asyncio.timeout(5):
        while True:
            try:
                if not await asyncio.get_running_loop().sock_recv(sock, 1 << 16):
                    return
            except ConnectionError:
                return


async def test_datagrams_arrive_with_the_address_of_their_connection(guard: Guard, connect: Connect) -> None:
    sock = connect()
    sock.send(frame(1) + b"1" + frame(len(CHECK)) + CHECK + frame(1) + b"2" + frame(2))
    sock.send(b"34")
    await until(lambda: len(guard.received) == 4)
    host, port = sock.getsockname()
    (address,) = {address for _, address in guard.received}
    assert address == (host, port, 1)
    assert [datagram for datagram, _ in guard.received] == [b"1", CHECK, b"2", b"34"]


async def test_what_is_queued_leaves_together_and_an_answer_at_once(guard: Guard, connect: Connect) -> None:
    sock = connect()
    address = await trusted(guard, sock)
    assert guard.listener.queue(address, b"head", b"body")
    assert guard.listener.queue(address, b"he", b"bo")
    assert guard.wakes == 1
    with pytest.raises(BlockingIOError):
        sock.recv(100)
    guard.listener.flush()
    assert guard.listener.send(b"answer", address)
    loop, got = asyncio.get_running_loop(), b""
    while len(got) < 24:
        got += await loop.sock_recv(sock, 100)
    assert got == b"\0\x08headbody\0\x04hebo\0\x06answer"


async def test_a_port_that_is_used_again_is_another_address(guard: Guard, connect: Connect) -> None:
    one, two = connect(), connect()
    addresses = [await trusted(guard, one), await trusted(guard, two)]
    assert [address.number for address in addresses] == [1, 2]


async def test_a_trusted_connection_that_ends_is_told_of(guard: Guard, connect: Connect) -> None:
    sock = connect()
    address = await trusted(guard, sock)
    sock.close()
    await until(lambda: guard.gone == [address])
    assert guard.listener.addresses == ()
    assert not guard.listener.queue(address, b"", b"late")
    assert not guard.listener.send(b"late", address)


async def test_a_connection_that_is_dropped_is_closed(guard: Guard, connect: Connect) -> None:
    sock = connect()
    address = await trusted(guard, sock)
    guard.listener.queue(address, b"good", b"bye")
    guard.listener.drop(address)
    assert await asyncio.get_running_loop().sock_recv(sock, 100) == b"\0\x07goodbye"
    await ended(sock)
    guard.listener.flush()


async def test_who_says_nothing_is_closed(guard: Guard, connect: Connect, clock: Clock) -> None:
    silent, signed = connect(), connect()
    await trusted(guard, signed)
    await until(lambda: len(guard.listener.addresses) == 2)
    clock.time += VALIDATE_S - 0.1
    guard.listener.tick(clock.time)
    assert len(guard.listener.addresses) == 2
    clock.time += 0.2
    guard.listener.tick(clock.time)
    await ended(silent)
    assert guard.gone == []
    assert guard.listener.counters.turned_away == 1


async def test_who_says_much_that_is_not_signed_is_closed(guard: Guard, connect: Connect) -> None:
    sock = connect()
    sock.send((frame(3) + b"dtl") * (MAX_UNSIGNED + 5))
    await ended(sock)
    assert len(guard.received) == MAX_UNSIGNED


async def test_who_does_not_speak_in_frames_is_closed(guard: Guard, connect: Connect) -> None:
    sock = connect()
    sock.send(b"GET / HTTP/1.1\r\n\r\n")
    await ended(sock)
    assert guard.received == []


async def test_one_address_gets_so_many_strangers_and_its_oldest_gives_way(guard: Guard, connect: Connect) -> None:
    first = connect()
    others = [connect() for _ in range(MAX_UNTRUSTED_OF_ONE)]
    await ended(first)
    elsewhere = connect("127.0.0.2")
    await until(lambda: guard.listener.counters.accepted == MAX_UNTRUSTED_OF_ONE + 2)
    assert len(guard.listener.addresses) == MAX_UNTRUSTED_OF_ONE + 1
    for sock in (*others, elsewhere):
        await trusted(guard, sock)
    assert not guard.listener._source_of
    connect()
    await until(lambda: guard.listener.counters.accepted == MAX_UNTRUSTED_OF_ONE + 3)
    assert guard.listener.counters.turned_away == 1


async def test_a_flood_of_connections_is_bounded_and_a_peer_gets_through_it(
    guard: Guard, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    friend = connect()
    await trusted(guard, friend)
    monkeypatch.setattr("sfu.tcp.listener.MAX_UNTRUSTED", 40)  # as many files as a test may open
    assert MAX_UNTRUSTED == 512
    flood = [connect(f"127.0.1.{n}") for n in range(1, 81)]
    await until(lambda: guard.listener.counters.accepted == 81)
    assert len(guard.listener.addresses) == 41
    late = connect()
    address = await trusted(guard, late)
    assert address in guard.listener.addresses
    assert guard.gone == []
    for sock in flood[:39]:
        await ended(sock)


async def test_a_slow_reader_is_sent_less_media_and_still_its_answers(guard: Guard, connect: Connect) -> None:
    sock = connect(buffer=4096)
    address = await trusted(guard, sock)
    packet, taken = bytes(1000), 0
    while guard.listener.queue(address, b"", packet):
        taken += 1
        guard.listener.flush()
        assert taken < 10_000
    connection = guard.listener._open[address]
    assert MAX_MEDIA_WAITING - 1002 < connection.waiting <= MAX_MEDIA_WAITING
    assert guard.listener.send(packet, address)
    while guard.listener.send(packet, address):
        assert connection.waiting <= MAX_WAITING
    loop, got, expected = asyncio.get_running_loop(), 0, connection.waiting
    while connection.waiting or got < expected:  # it reads at last: nothing is torn, and sending goes on
        got += len(await loop.sock_recv(sock, 1 << 16))
    assert guard.listener.queue(address, b"", packet)
    assert guard.listener._blocked == {}


async def test_who_reads_nothing_is_closed(guard: Guard, connect: Connect, clock: Clock) -> None:
    sock = connect(buffer=4096)
    address = await trusted(guard, sock)
    while guard.listener.send(bytes(1000), address):
        pass
    clock.time += STUCK_S - 0.1
    guard.listener.tick(clock.time)
    assert address in guard.listener.addresses
    clock.time += 0.2
    guard.listener.tick(clock.time)
    assert (guard.gone, guard.listener.addresses) == ([address], ())
    assert guard.listener.counters.stuck == 1


async def test_a_process_without_files_waits_and_goes_on(
    guard: Guard, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class Exhausted:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    real, guard.listener._sock = guard.listener._sock, Exhausted()  # type: ignore[assignment]
    guard.listener._acceptable()
    guard.listener._sock = real
    sock = connect()
    clock.time += PAUSE_S
    guard.listener.tick(clock.time)
    await trusted(guard, sock)
    assert len(caplog.records) == 1


def test_strangers_are_counted_by_address_and_ipv6_ones_by_network() -> None:
    assert _source(TcpAddress("192.0.2.1", 1, 1)) == _source(TcpAddress("::ffff:192.0.2.1", 2, 2))
    assert _source(TcpAddress("2001:db8::1", 1, 1)) == _source(TcpAddress("2001:db8::ffff:2", 1, 1))
    assert _source(TcpAddress("2001:db8::1", 1, 1)) != _source(TcpAddress("2001:db8:0:1::1", 1, 1))
