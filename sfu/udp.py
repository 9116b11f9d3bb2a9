"""The UDP socket of a media process, with the buffers that many peers at once need."""

import socket

BUFFER_BYTES = 8 << 20
"""Of the socket, each way: 40 ms of 1.5 Gbit/s."""
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
"""asm-generic/socket.h: above the system's limit, for those who may (CAP_NET_ADMIN)."""


def bind(host: str, port: int) -> socket.socket:
    """A socket on a literal address that does not block, for IPv4 as well where that is `::`. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        _widen(sock)
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
