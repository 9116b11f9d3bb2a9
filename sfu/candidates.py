"""The ICE candidates of a media process, and the addresses that they name."""

import socket
from collections.abc import Iterable

UDP_PREFERENCE, TCP_PREFERENCE = 126, 90
"""Type preferences of host candidates: RFC 8445 section 5.1.2.2, and below it for TCP, as RFC 6544 section 4.2 asks;
90 is libwebrtc's number."""
PASSIVE = 2 << 13
"""RFC 6544 section 4.2: the direction preference of a passive host candidate stands above 13 bits of our own."""


def host_candidates(announced: Iterable[str], udp_port: int, tcp_port: int | None) -> tuple[str, ...]:
    """Candidate lines for these addresses in order of preference: all by UDP, then all by TCP where there is a port.

    Every one has a foundation of its own: they differ in address or protocol (RFC 8445 section 5.1.1.3).
    """
    addresses = tuple(announced)
    lines = [
        f"udp {_priority(UDP_PREFERENCE, 65536 - n)} {address} {udp_port} typ host"
        for n, address in enumerate(addresses, 1)
    ]
    if tcp_port is not None:
        lines += [
            f"tcp {_priority(TCP_PREFERENCE, PASSIVE + 8192 - n)} {address} {tcp_port} typ host tcptype passive"
            for n, address in enumerate(addresses, 1)
        ]
    return tuple(f"candidate:{number} 1 {line}" for number, line in enumerate(lines, 1))


def announced_addresses(setting: str, host: str) -> tuple[str, ...]:
    """The addresses for `Endpoint.open` from `MEET_ANNOUNCED_IP`: its comma-separated list, or for `auto` our own.

    Our own are those that the machine's routes to the Internet begin with, of each family that `host` listens on,
    IPv6 first (RFC 8421 section 4); or loopback where it has no such route.
    """
    if setting.strip() != "auto":
        return tuple(address.strip() for address in setting.split(",") if address.strip())
    found = []
    if ":" in host:
        found.append(_own(socket.AF_INET6, "2001:db8::1"))
    if ":" not in host or host == "::":
        found.append(_own(socket.AF_INET, "192.0.2.1"))
    return tuple(filter(None, found)) or ("::1" if ":" in host else "127.0.0.1",)


def _own(family: socket.AddressFamily, nobody: str) -> str:
    """The address that a packet to `nobody` (RFC 5737, RFC 3849) would have, or an empty string; nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((nobody, 9))
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return ""


def _priority(type_preference: int, local_preference: int) -> int:
    """RFC 8445 section 5.1.2.1, for component 1."""
    return type_preference << 24 | local_preference << 8 | 255
