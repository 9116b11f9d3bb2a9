"""Where a stream may be sent, and every way of writing an address of our own that is not let through."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from meet import egress_url
from meet.config import settings
from meet.errors import Invalid

PUBLIC = "93.184.216.34"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MEET_EGRESS_ALLOW", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def why(caught: pytest.ExceptionInfo[Invalid]) -> str:
    assert isinstance(caught.value.details, dict)
    assert caught.value.status == 400
    return str(caught.value.details["rtmp_url"])


def test_what_a_url_says() -> None:
    found = egress_url.checked("rtmp://live.example.com/app/stream-key?sign=1", lambda host, port: [PUBLIC])
    assert (found.scheme, found.host, found.port) == ("rtmp", "live.example.com", 1935)
    assert (found.application, found.key) == ("app", "stream-key?sign=1")
    assert found.application_url == "rtmp://live.example.com/app"
    assert found.addresses == (ip_address(PUBLIC),)
    assert "stream-key" not in repr(found)


@pytest.mark.parametrize(
    ("url", "application_url", "key"),
    [
        ("rtmps://live.example.com/app/key", "rtmps://live.example.com/app", "key"),
        ("rtmps://live.example.com:1936/app/instance/key", "rtmps://live.example.com:1936/app/instance", "key"),
        ("rtmp://[2606:2800:220:1::1]:80/app/key", "rtmp://[2606:2800:220:1::1]:80/app", "key"),
        ("RTMP://Live.Example.com/app/Key", "rtmp://live.example.com/app", "Key"),
    ],
)
def test_ports_and_applications(url: str, application_url: str, key: str) -> None:
    found = egress_url.parsed(url)
    assert (found.application_url, found.key) == (application_url, key)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://live.example.com/app/key", "begin with rtmp"),
        ("file:///etc/passwd", "begin with rtmp"),
        ("//live.example.com/app/key", "begin with rtmp"),
        ("rtmpt://live.example.com/app/key", "begin with rtmp"),
        ("rtmp:///app/key", "name a host"),
        ("rtmp://[fe80::1%25eth0]/app/key", "name a host"),
        ("rtmp://%31%32%37.0.0.1/app/key", "name a host"),
        ("rtmp://[::1/app/key", "a URL like"),
        ("rtmp://live.example.com:port/app/key", "a URL like"),
        ("rtmp://live.example.com:99999/app/key", "a URL like"),
        ("rtmp://public.example@127.0.0.1/app/key", "neither a user"),
        ("rtmp://live.example.com/app/key#@127.0.0.1", "neither a user"),
        ("rtmp://live.example.com:25/app/key", "port 25"),
        ("rtmp://live.example.com:0/app/key", "port 0"),
        ("rtmp://live.example.com", "stream key"),
        ("rtmp://live.example.com/app", "stream key"),
        ("rtmp://live.example.com/app/", "stream key"),
        ("rtmp://live.example.com//key", "stream key"),
        ("rtmp://live.example.com/app/ke y", "no space"),
        ("rtmp://live.example.com/app/key\r\nHost: x", "no space"),
        ("rtmp://ⓛive.example.com/app/key", "no space"),
        ("rtmp://live.example.com/app/" + "k" * 2048, "at most"),
        ("", "no space"),
    ],
)
def test_what_is_no_rtmp_url(url: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        egress_url.parsed(url)
    assert reason.lower() in why(caught).lower()
    assert "key\r" not in why(caught)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),  # noqa: S104 - nothing is bound
        *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16"),
        *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
        *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:5db8:d822::1"),
        *("2001::1", "100::1", "3fff::1", "5f00::1"),
    ],
)
def test_no_address_of_our_own(address: str) -> None:
    assert not egress_url.is_public(ip_address(address))
    with pytest.raises(Invalid) as caught:
        egress_url.checked("rtmp://live.example.com/app/key", lambda host, port: [address])
    assert "not on the public Internet" in why(caught)
    assert address not in why(caught)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_the_public_internet(address: str) -> None:
    assert egress_url.is_public(ip_address(address))


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "[::ffff:7f00:1]"]
)
def test_other_ways_of_writing_an_address(host: str) -> None:
    """By the machine's own resolver, which asks nobody for these: the one that a connection would use."""
    with pytest.raises(Invalid) as caught:
        egress_url.checked(f"rtmp://{host}/app/key")
    assert "not on the public Internet" in why(caught)


def test_one_bad_address_among_good_ones_is_too_many() -> None:
    with pytest.raises(Invalid):
        egress_url.checked("rtmp://live.example.com/app/key", lambda host, port: [PUBLIC, "10.0.0.1"])


def test_a_host_that_nobody_knows() -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Invalid) as caught:
        egress_url.checked("rtmp://live.example.com/app/key", nobody)
    assert "can't be found" in why(caught)


def test_a_name_that_is_none() -> None:
    with pytest.raises(Invalid) as caught:
        egress_url.checked("rtmp://" + "a" * 64 + ".example.com/app/key")
    assert "can't be found" in why(caught)


def test_the_name_is_resolved_once() -> None:
    """Rebinding: another answer a moment later changes nothing."""
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    found = egress_url.checked("rtmp://live.example.com/app/key", lambda host, port: next(answers))
    assert [str(address) for address in found.addresses] == [PUBLIC]
    assert next(answers) == ["127.0.0.1"]


def test_networks_that_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_EGRESS_ALLOW", "10.1.0.0/16, ::1")
    settings.cache_clear()
    for address, fine in (
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("::1", True),
        ("10.2.0.1", False),
        ("127.0.0.1", False),
        (PUBLIC, True),
    ):
        assert egress_url.is_allowed(ip_address(address)) is fine, address
