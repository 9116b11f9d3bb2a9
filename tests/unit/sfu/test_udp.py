import socket
import struct

import pytest

from sfu import udp


def stamp(seconds: int, nanoseconds: int) -> list[tuple[int, int, bytes]]:
    return [(socket.SOL_SOCKET, udp.SO_TIMESTAMPNS, struct.pack("=qq", seconds, nanoseconds))]


def test_the_age_is_what_passed_since_the_stamp() -> None:
    assert udp.age(stamp(1000, 250_000_000), 1000.5) == pytest.approx(0.25)
    assert udp.age(stamp(1000, 510_000_000), 1000.5) == pytest.approx(-0.01)


@pytest.mark.parametrize("ancillary", [[], [(1, 2, b"short")], stamp(5, 0), stamp(5_000_000_000, 0)])
def test_what_is_no_stamp_of_this_moment_is_no_age(ancillary: list[tuple[int, int, bytes]]) -> None:
    assert udp.age(ancillary, 1000.0) == 0.0


def test_the_kernel_stamps_what_a_bound_socket_gets() -> None:
    with udp.bind("127.0.0.1", 0) as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sock.setblocking(True)
        sender.sendto(b"x", sock.getsockname())
        datagram, ancillary, _, _ = sock.recvmsg(100, udp.STAMP_BYTES)
    assert datagram == b"x"
    assert [kind[:2] for kind in ancillary] == [(socket.SOL_SOCKET, udp.SO_TIMESTAMPNS)]
