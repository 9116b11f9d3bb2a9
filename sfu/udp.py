"""The UDP socket of a media process, with the buffers that many peers at once need, and the kernel's time stamps."""

import contextlib
import socket
from struct import Struct

BUFFER_BYTES = 8 << 20
"""Of the socket, each way: 40 ms of 1.5 Gbit/s."""
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
"""asm-generic/socket.h: above the system's limit, for those who may (CAP_NET_ADMIN)."""
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h: each datagram comes with the time at which the kernel had it."""
STAMP_BYTES = socket.CMSG_SPACE(16)
_STAMP = Struct("=qq")
_OLDEST_S = 1.0
"""A stamp that is further off is of a wall clock that was set meanwhile."""


def age(ancillary: list[tuple[int, int, bytes]], wall: float) -> float:
    """How long before `wall`, in seconds of the system's clock, the kernel had a datagram; 0 where it does not say.

    It is below zero for one that came since.
    """
    if not ancillary or len(ancillary[0][2]) != _STAMP.size:
        return 0.0
    seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
    past_s: float = wall - seconds - nanoseconds * 1e-9
    return past_s if -_OLDEST_S < past_s < _OLDEST_S else 0.0


def bind(host: str, port: int) -> socket.socket:
    """A socket on a literal address that does not block, for IPv4 as well where that is `::`. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        _widen(sock)
        with contextlib.suppress(OSError):  # where there are no stamps, arrivals are as late as we are
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _widen(sock: socket.socket) -> None:
    """Ask for large buffers; the kernel gives what it allows."""
    for force, polite in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            sock.setsockopt(socket.SOL_SOCKET, force, BUFFER_BYTES)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, polite, BUFFER_BYTES)
