import errno
import socket
from collections.abc import Iterable
from typing import Any

import pytest

from sfu.plane.base import Address
from sfu.plane.outbox import ENDED, MAX_BYTES, MAX_RUNS, MAX_SEGMENTS, Outbox, Run

ALICE, BOB = ("127.0.0.1", 1), ("127.0.0.1", 2)


class FakeSocket:
    """Records what is sent; `errors` are raised by the next sends, None lets one pass."""

    def __init__(self, *, segments: bool = True) -> None:
        self.sent: list[tuple[int, list[bytes], Any]] = []
        self.errors: list[int | None] = []
        self.segments = segments

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        if not self.segments:
            raise OSError(errno.ENOPROTOOPT, "an old kernel")

    def sendto(self, data: bytes, address: Any, /) -> int:
        return self.sendmsg([data], (), 0, address)

    def sendmsg(
        self, buffers: Iterable[bytes], ancdata: Iterable[tuple[int, int, bytes]], flags: int, address: Any, /
    ) -> int:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise OSError(error, "as the test asked")
        sizes = [int.from_bytes(value, "little") for _, _, value in ancdata]
        packets = list(buffers)
        pairs = [b"".join(packets[n : n + 2]) for n in range(0, len(packets), 2)]
        self.sent.append((sizes[0] if sizes else 0, pairs, address))
        return sum(map(len, packets))


class Queue:
    """What a session does: it fills runs for one address."""

    def __init__(self, outbox: Outbox, address: Address) -> None:
        self.outbox, self.address = outbox, address
        self.run: Run = ENDED

    def put(self, *packets: bytes) -> None:
        for packet in packets:
            size = len(packet)
            if self.run.free and size <= self.run.segment:
                self.run.buffers += (packet[:1], packet[1:])
                self.run.free = self.run.free - 1 if size == self.run.segment else 0
            else:
                self.run = self.outbox.begin(self.address, packet[:1], packet[1:], size) or ENDED


def make(*, segments: bool = True) -> tuple[FakeSocket, Outbox, list[bool]]:
    sock, wakes = FakeSocket(segments=segments), list[bool]()
    return sock, Outbox(sock, lambda: wakes.append(True)), wakes


def test_equal_packets_for_one_address_leave_together_and_a_shorter_one_ends_them() -> None:
    sock, outbox, _ = make()
    Queue(outbox, ALICE).put(b"aaaa", b"bbbb", b"cc", b"dddd", b"eeeeee")
    outbox.flush()
    assert sock.sent == [
        (4, [b"aaaa", b"bbbb", b"cc"], ALICE),
        (0, [b"dddd"], ALICE),
        (0, [b"eeeeee"], ALICE),
    ]
    assert outbox.departed == 5


def test_addresses_do_not_mix() -> None:
    sock, outbox, _ = make()
    alice, bob = Queue(outbox, ALICE), Queue(outbox, BOB)
    for packet in (b"11", b"22"):
        alice.put(packet)
        bob.put(packet)
    outbox.flush()
    assert sock.sent == [(2, [b"11", b"22"], ALICE), (2, [b"11", b"22"], BOB)]


def test_it_wakes_once_until_the_next_flush() -> None:
    _, outbox, wakes = make()
    Queue(outbox, ALICE).put(b"1", b"22", b"3")
    Queue(outbox, BOB).put(b"1")
    assert len(wakes) == 1
    outbox.flush()
    Queue(outbox, BOB).put(b"1")
    assert len(wakes) == 2


@pytest.mark.parametrize(("size", "most"), [(100, MAX_SEGMENTS), (1400, MAX_BYTES // 1400)])
def test_a_run_is_as_long_as_the_kernel_takes(size: int, most: int) -> None:
    sock, outbox, _ = make()
    Queue(outbox, ALICE).put(*[bytes(size)] * 100)
    outbox.flush()
    assert len(sock.sent[0][1]) == most
    assert sum(len(packets) for _, packets, _ in sock.sent) == 100


def test_nothing_is_added_to_a_run_that_was_sent() -> None:
    sock, outbox, _ = make()
    queue = Queue(outbox, ALICE)
    queue.put(b"11")
    outbox.flush()
    queue.put(b"22")
    outbox.flush()
    assert [packets for _, packets, _ in sock.sent] == [[b"11"], [b"22"]]


def test_an_old_kernel_gets_them_one_by_one() -> None:
    sock, outbox, _ = make(segments=False)
    Queue(outbox, ALICE).put(b"11", b"22")
    outbox.flush()
    assert sock.sent == [(0, [b"11"], ALICE), (0, [b"22"], ALICE)]


@pytest.mark.parametrize(("error", "again"), [(errno.EIO, False), (errno.EINVAL, True), (errno.EMSGSIZE, True)])
def test_what_cannot_be_segmented_leaves_one_by_one(error: int, again: bool) -> None:
    sock, outbox, _ = make()
    sock.errors = [error]
    queue = Queue(outbox, ALICE)
    queue.put(b"11", b"22")
    outbox.flush()
    assert sock.sent == [(0, [b"11"], ALICE), (0, [b"22"], ALICE)]
    assert (outbox.dropped, outbox.departed) == (0, 2)
    assert outbox.segments is again


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENOBUFS])
def test_what_the_kernel_has_no_room_for_waits(error: int) -> None:
    sock, outbox, wakes = make()
    alice = Queue(outbox, ALICE)
    alice.put(b"11", b"22")
    Queue(outbox, BOB).put(b"33")
    sock.errors = [error]
    outbox.flush()
    assert (len(outbox), sock.sent) == (2, [])
    alice.put(b"44")  # not into the run that waits: its length is settled
    outbox.flush()
    assert [packets for _, packets, _ in sock.sent] == [[b"11", b"22"], [b"33"], [b"44"]]
    assert (len(outbox), outbox.dropped, len(wakes)) == (0, 0, 1)


def test_one_by_one_goes_on_where_it_stopped() -> None:
    sock, outbox, _ = make()
    Queue(outbox, ALICE).put(b"11", b"22", b"33")
    sock.errors = [errno.EINVAL, None, errno.EAGAIN]
    outbox.flush()
    assert len(outbox) == 1
    outbox.flush()
    assert [packet for _, packets, _ in sock.sent for packet in packets] == [b"11", b"22", b"33"]


def test_what_waits_is_bounded() -> None:
    sock, outbox, _ = make()
    queue = Queue(outbox, ALICE)
    sock.errors = [errno.EAGAIN] * 11
    for n in range(MAX_RUNS + 10):
        queue.put(bytes(10 + n))
    assert (len(outbox), outbox.dropped) == (MAX_RUNS, 10)
    sock.errors = []
    outbox.flush()
    assert (len(sock.sent), len(outbox)) == (MAX_RUNS, 0)


def test_an_unreachable_address_costs_only_its_own_packets() -> None:
    sock, outbox, _ = make()
    Queue(outbox, ALICE).put(b"11", b"22")
    Queue(outbox, BOB).put(b"33")
    sock.errors = [errno.ENETUNREACH]
    outbox.flush()
    assert sock.sent == [(0, [b"33"], BOB)]
    assert outbox.dropped == 2
    sock.errors = [errno.EPERM]
    outbox.send(b"plain", ALICE)
    assert outbox.dropped == 3


def test_a_real_kernel_cuts_a_run_into_datagrams() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbound,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outbound,
    ):
        inbound.bind(("127.0.0.1", 0))
        inbound.settimeout(5)
        outbox = Outbox(outbound, lambda: None)
        packets = [bytes([n]) * 1000 for n in range(6)] + [b"last"]
        Queue(outbox, inbound.getsockname()).put(*packets)
        outbox.flush()
        assert [inbound.recv(2048) for _ in packets] == packets
