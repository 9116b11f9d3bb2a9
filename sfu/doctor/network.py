"""Whether media finds its way: the addresses that clients are told, the ports, STUN and TURN.

From inside a network one can't see all that happens to a packet from outside. What can be: how the Internet sees us
(STUN), and, where a TURN server stands outside, whether a packet from there arrives.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import parse_qs

from aioice import stun, turn

from meet.clock import utcnow
from meet.config import Settings
from meet.ice import ice_servers
from sfu.candidates import announced_addresses
from sfu.doctor.finding import Finding, bad, doubt, ok

ANSWER_S = 3.0
"""How long a server is waited for: with STUN's retransmissions (RFC 8489 section 6.2.1) that is three tries."""
TURN_S = 8.0
STUN_PORT, TLS_PORT = 3478, 5349
"""RFC 7064, RFC 7065."""
MARK = b"meet doctor"


class Server(NamedTuple):
    """A STUN or TURN URL in parts (RFC 7064, RFC 7065)."""

    scheme: str
    host: str
    port: int
    transport: str

    def __str__(self) -> str:
        by = "TLS" if self.scheme.endswith("s") else self.transport.upper()
        return f"{self.scheme}:{self.host}:{self.port} by {by}"


def server_of(url: str) -> Server:
    """Read `turn:host:port?transport=tcp`; `ValueError` where it is none."""
    scheme, _, rest = url.partition(":")
    where, _, query = rest.partition("?")
    if where.startswith("["):
        host, _, port = where[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = where.partition(":")
    if not host:
        raise ValueError(f"{url} names no host")
    secure = scheme.endswith("s")
    transport = parse_qs(query).get("transport", ["tcp" if secure else "udp"])[0]
    return Server(scheme, host, int(port or (TLS_PORT if secure else STUN_PORT)), transport)


def about_addresses(announced: Sequence[str], seen: str | None, *, has_turn: bool) -> Finding:
    """What to think of the addresses that clients are told, where the Internet sees us at `seen`."""
    told = ", ".join(announced)
    if seen is None:
        return doubt(
            f"Clients are told {told}. Whether the Internet reaches that is unknown, since no STUN server answered."
        )
    if seen in announced:
        return ok(f"Clients are told {told}; the Internet sees this machine at {seen}.")
    private = all(not ip_address(address).is_global for address in announced)
    only = "only on this network" if private else "perhaps not"
    cure = f"set MEET_ANNOUNCED_IP={seen} and let its UDP port through to this machine"
    text = f"Clients are told {told}, but the Internet sees this machine at {seen}: they reach it {only}."
    if has_turn:
        return doubt(f"{text} From elsewhere they need TURN; without that detour: {cure}.")
    return bad(f"{text} For others {cure}, or set MEET_TURN_URLS and MEET_TURN_SECRET.")


async def check_network(chosen: Settings) -> list[Finding]:
    """All of it."""
    announced = announced_addresses(chosen.announced_ip, chosen.bind_host)
    try:
        for address in announced:
            ip_address(address)
    except ValueError as error:
        return [bad(f"MEET_ANNOUNCED_IP must have IP addresses: {error}.")]
    own, findings = _own_port(chosen)
    with own:
        seen, asked = await _seen_at(chosen, own)
        findings += asked
        servers = _turn_servers(chosen)
        findings.append(about_addresses(announced, seen, has_turn=bool(servers)))
        findings += await _check_turn(chosen, servers, own, announced)
    return findings


def _own_port(chosen: Settings) -> tuple[socket.socket, list[Finding]]:
    """A UDP socket on a media process' port where none runs, else on another one."""
    findings = []
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.setblocking(False)
    port = chosen.udp_port + chosen.process_index
    try:
        own.bind(("0.0.0.0", port))  # noqa: S104 - as the media process does, for a moment
        findings.append(ok(f"UDP port {port} is free for the media process, which doesn't run."))
    except OSError:
        findings.append(
            ok(f"UDP port {port} is in use, by the media process if it runs; it is not looked at while it is.")
        )
        own.bind(("0.0.0.0", 0))  # noqa: S104
    return own, findings


async def _seen_at(chosen: Settings, own: socket.socket) -> tuple[str | None, list[Finding]]:
    """The address that a STUN server sees us at."""
    urls = [url.strip() for url in chosen.stun_urls.split(",") if url.strip()]
    if not urls:
        return None, [doubt("MEET_STUN_URLS is empty: browsers behind a NAT learn no address of their own.")]
    for url in urls:
        try:
            server = server_of(url)
            host, port = await _ask_stun(own, server)
        except (OSError, TimeoutError, ValueError) as error:
            failed = f"{url} doesn't answer by UDP ({str(error) or 'timeout'})"
            continue
        local = own.getsockname()[1]
        if port != local:
            return host, [
                doubt(f"{server} sees UDP port {local} as {port}: a NAT is in between, which has to forward it.")
            ]
        return host, [ok(f"{server} answers, and sees UDP port {local} as it is.")]
    return None, [doubt(f"{failed}: either there is no way to the Internet, or UDP is blocked on it.")]


async def _ask_stun(own: socket.socket, server: Server) -> tuple[str, int]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(server.host, server.port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    async with asyncio.timeout(ANSWER_S):
        while True:
            await loop.sock_sendto(own, bytes(request), found[0][4])
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S / 3):
                    return await _answer(own, request)


async def _answer(own: socket.socket, request: stun.Message) -> tuple[str, int]:
    loop = asyncio.get_running_loop()
    while True:
        data = await loop.sock_recv(own, 2048)
        with suppress(ValueError):
            message = stun.parse_message(data)
            if message.transaction_id == request.transaction_id and "XOR-MAPPED-ADDRESS" in message.attributes:
                host, port = message.attributes["XOR-MAPPED-ADDRESS"]
                return str(host), int(port)


def _turn_servers(chosen: Settings) -> list[str]:
    return [url.strip() for url in chosen.turn_urls.split(",") if url.strip()]


async def _check_turn(
    chosen: Settings, urls: Sequence[str], own: socket.socket, announced: Sequence[str]
) -> list[Finding]:
    if not urls:
        return [
            doubt("MEET_TURN_URLS is empty: who is behind a firewall that lets no UDP through needs our TCP port.")
        ]
    if not chosen.turn_secret.get_secret_value():
        return [bad("MEET_TURN_SECRET is missing: it is coturn's `static-auth-secret`, and browsers get no TURN.")]
    return [await _check_one_turn(chosen, url, own, announced) for url in urls]


async def _check_one_turn(chosen: Settings, url: str, own: socket.socket, announced: Sequence[str]) -> Finding:
    """Whether a TURN server gives us a relay, and whether what leaves that arrives here."""
    credentials = ice_servers(chosen, "doctor", now=utcnow())[-1]
    port = own.getsockname()[1]
    target = next((address for address in announced if ":" not in address), None)
    try:
        server = server_of(url)
        async with asyncio.timeout(TURN_S):
            relay, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol,
                server_addr=(server.host, server.port),
                username=credentials["username"],
                password=credentials["credential"],
                ssl=server.scheme == "turns",
                transport=server.transport,
            )
    except (OSError, TimeoutError, ValueError) as error:
        return bad(f"{url} does not answer ({str(error) or 'timeout'}).")
    except stun.TransactionError as error:
        return bad(f"{url} refuses its credentials ({error}): is MEET_TURN_SECRET its `static-auth-secret`?")
    try:
        if target is None or port != chosen.udp_port + chosen.process_index:
            return ok(f"{server} gives a relay.")
        relay.sendto(MARK, (target, port))
        if await _arrives(own):
            return ok(f"{server} gives a relay, and what it sends to {target}:{port} arrives.")
        return bad(
            f"{server} gives a relay, but what it sends to {target}:{port} does not arrive: "
            f"is UDP port {port} open in the firewall or the security group?"
        )
    finally:
        relay.close()


async def _arrives(own: socket.socket) -> bool:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_S):
            while True:
                if MARK in await loop.sock_recv(own, 2048):
                    return True
    except TimeoutError:
        return False
