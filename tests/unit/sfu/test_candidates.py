import socket
from ipaddress import ip_address

from sfu.candidates import announced_addresses, host_candidates

EVERYWHERE = "0.0.0.0"  # noqa: S104 - asked about, not bound


def test_udp_comes_before_tcp_and_each_in_order() -> None:
    assert host_candidates(("192.0.2.1", "2001:db8::1"), 40000, 40001) == (
        "candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host",
        "candidate:2 1 udp 2130706175 2001:db8::1 40000 typ host",
        "candidate:3 1 tcp 1516240895 192.0.2.1 40001 typ host tcptype passive",
        "candidate:4 1 tcp 1516240639 2001:db8::1 40001 typ host tcptype passive",
    )


def test_without_a_tcp_port_there_is_udp_alone() -> None:
    assert [line.split()[2] for line in host_candidates(("192.0.2.1",), 40000, None)] == ["udp"]


def test_announced_addresses_are_the_settings() -> None:
    assert announced_addresses("192.0.2.1, 2001:db8::1", EVERYWHERE) == ("192.0.2.1", "2001:db8::1")


def test_announced_addresses_of_auto_are_of_the_families_that_are_listened_on() -> None:
    (own,) = announced_addresses("auto", EVERYWHERE)
    assert socket.inet_aton(own)
    (own,) = announced_addresses("auto", "2001:db8::1")
    assert ip_address(own).version == 6
    versions = [ip_address(address).version for address in announced_addresses("auto", "::")]
    assert versions in ([6, 4], [4], [6])
