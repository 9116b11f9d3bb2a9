import pytest

from sfu.doctor.finding import Verdict
from sfu.doctor.network import Server, about_addresses, server_of


class TestAddresses:
    def test_an_address_that_the_internet_sees_is_well(self) -> None:
        found = about_addresses(["203.0.113.9"], "203.0.113.9", has_turn=False)
        assert found.verdict is Verdict.OK

    def test_a_private_address_behind_a_nat_names_the_cure(self) -> None:
        found = about_addresses(["10.0.0.5"], "203.0.113.9", has_turn=False)
        assert found.verdict is Verdict.BAD
        assert "MEET_ANNOUNCED_IP=203.0.113.9" in found.text
        assert "only on this network" in found.text

    def test_with_turn_that_is_a_detour_and_no_failure(self) -> None:
        assert about_addresses(["10.0.0.5"], "203.0.113.9", has_turn=True).verdict is Verdict.DOUBT

    def test_what_nobody_answered_is_not_known(self) -> None:
        assert about_addresses(["10.0.0.5"], None, has_turn=True).verdict is Verdict.DOUBT


class TestServers:
    @pytest.mark.parametrize(
        ("url", "server"),
        [
            ("stun:stun.example.com", Server("stun", "stun.example.com", 3478, "udp")),
            ("turn:turn.example.com:5000", Server("turn", "turn.example.com", 5000, "udp")),
            ("turn:turn.example.com?transport=tcp", Server("turn", "turn.example.com", 3478, "tcp")),
            ("turns:turn.example.com", Server("turns", "turn.example.com", 5349, "tcp")),
            ("turn:[2001:db8::1]:99", Server("turn", "2001:db8::1", 99, "udp")),
        ],
    )
    def test_a_url_in_parts(self, url: str, server: Server) -> None:
        assert server_of(url) == server

    @pytest.mark.parametrize("url", ["turn:", "turn::3478", "stun:host:port"])
    def test_what_is_no_url(self, url: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            server_of(url)
