"""Where a stream may be sent: an RTMP server of the public Internet, and nothing within our own network.

    destination = checked("rtmps://live.example.com/app/key")

A name is resolved here, once, and every address that it has is looked at; who connects, connects to one of
`addresses` and never asks for the name again, so a name that points elsewhere a moment later (rebinding) is no way
in. Whatever way an address is written (decimal, octal, mapped into IPv6, behind NAT64), what counts is what it means
to the resolver that the connection would use. `MEET_EGRESS_ALLOW` names networks that are fine all the same.

The last part of the path, and the query, are the stream key: no text of this module has them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from meet.config import settings
from meet.errors import Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Iterable[str]]

PORTS = {"rtmp": 1935, "rtmps": 443}
"""What is meant where a URL names no port."""
MOST_CHARACTERS = 2048
WELL_KNOWN = 1024
WELL_KNOWN_TAKEN = frozenset({80, 443})
"""RTMP servers stand on these too; what stands on others below `WELL_KNOWN` (mail, DNS, ...) is none."""

METADATA = frozenset({ip_address("169.254.169.254"), ip_address("fd00:ec2::254"), ip_address("168.63.129.16")})
"""Of AWS and most others, of AWS on IPv6, and of Azure, whose one is a public address."""

_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_NO_PUBLIC_HOSTS = (
    ip_network("2002::/16"),  # 6to4: a relay would unpack an IPv4 address of any kind
    ip_network("3fff::/20"),  # documentation (RFC 9637), younger than Python's list
    ip_network("192.88.99.0/24"),  # the relays of 6to4
)
_WRITTEN_OUT = re.compile(r"[!-~]+")
"""Printable ASCII without spaces: all that RFC 3986 has in a URL."""


@dataclass(frozen=True, slots=True)
class Destination:
    """An RTMP server, and what is published there."""

    scheme: str
    """`rtmp`, or `rtmps` for TLS."""
    host: str
    """As the URL has it: a certificate must be for this name."""
    port: int
    application: str
    """The path before the stream key."""
    key: str = field(repr=False)
    """The stream key, with the query where there is one."""
    addresses: tuple[Address, ...] = ()
    """All fine to connect to, in the resolver's order."""

    @property
    def application_url(self) -> str:
        """RTMP's `tcUrl`, by which a server tells its virtual hosts apart."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}/{self.application}"


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, by the machine's own resolver. Waits for it; raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def checked(url: str, resolve: Resolve = resolved) -> Destination:
    """Where `url` leads. Raises `Invalid`, for people, where it isn't RTMP, or where a stream may not go there.

    Waits for the resolver: not to be called on an event loop.
    """
    destination = parsed(url)
    try:
        found = [ip_address(text) for text in resolve(destination.host, destination.port)]
    except (OSError, UnicodeError):  # the latter: what is no name at all, a label of 64 characters for example
        found = []
    if not found:
        raise _refused(f"the host {destination.host} can't be found")
    if not all(is_allowed(address) for address in found):
        # which address it has stays unsaid: it would tell of our network
        raise _refused(f"the host {destination.host} is not on the public Internet")
    return Destination(
        destination.scheme, destination.host, destination.port, destination.application, destination.key, tuple(found)
    )


def parsed(url: str) -> Destination:
    """What `url` says, without `addresses`: nobody is asked. Raises `Invalid` where it is no RTMP URL."""
    if len(url) > MOST_CHARACTERS:
        raise _refused(f"it must have at most {MOST_CHARACTERS} characters")
    if not _WRITTEN_OUT.fullmatch(url):
        raise _refused("it may have printable ASCII characters only, and no space")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # half an IPv6 address, or a port that is no number
        raise _refused("it must be a URL like rtmp://live.example.com/app/key") from None
    if parts.scheme not in PORTS:
        raise _refused("it must begin with rtmp:// or rtmps://")
    if not host or "%" in host or "\\" in parts.netloc:  # %: a scope of this machine, or an encoded name
        raise _refused("it must name a host")
    if parts.username is not None or parts.fragment:
        raise _refused("it must have neither a user nor a fragment")
    port = PORTS[parts.scheme] if port is None else port
    if port == 0 or (port < WELL_KNOWN and port not in WELL_KNOWN_TAKEN):
        raise _refused(f"port {port} is none of an RTMP server")
    application, _, key = parts.path.removeprefix("/").rpartition("/")
    if not application.strip("/") or not key:
        raise _refused("it must end in an application and a stream key: rtmp://live.example.com/app/key")
    return Destination(parts.scheme, host, port, application, f"{key}?{parts.query}" if parts.query else key)


def is_allowed(address: Address) -> bool:
    """Whether a stream may be sent to this address."""
    meant = _meant(address)
    if any(each in network for network in allowed() for each in (address, meant)):
        return True
    return is_public(address)


def is_public(address: Address) -> bool:
    """Whether it is one host of the public Internet, by IANA's registries of special addresses."""
    meant = _meant(address)
    if meant in METADATA or meant.is_multicast or any(meant in network for network in _NO_PUBLIC_HOSTS):
        return False
    if isinstance(meant, IPv6Address) and meant not in _GLOBAL_UNICAST:
        return False
    return meant.is_global and not meant.is_reserved


def allowed() -> tuple[Network, ...]:
    """The networks of `MEET_EGRESS_ALLOW`."""
    return _networks(settings().egress_allow)


@lru_cache(maxsize=4)
def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _meant(address: Address) -> Address:
    """The IPv4 address within an IPv6 one, where the network would unpack it; else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _refused(why: str) -> Invalid:
    return Invalid(details={"rtmp_url": why[:1].upper() + why[1:]})
