from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.ortc import SdpError
from sfu.ortc.fragment import IceFragment, read_fragment, write_fragment
from sfu.rtp.parameters import TransportParameters

PWD = "P2uYro0UCOQ4zxjKXaWCBui1"
CANDIDATE = "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
M_LINE = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
CREDENTIALS = f"a=ice-ufrag:EsAw\r\na=ice-pwd:{PWD}\r\n"


@pytest.mark.parametrize(
    "text",
    [
        f"a=group:BUNDLE 0 1\r\n{M_LINE}{CREDENTIALS}{CANDIDATE}",  # RFC 9725 figure 3
        CREDENTIALS + M_LINE + CANDIDATE,  # the npm clients
        CREDENTIALS,  # a restart before there are candidates
        CREDENTIALS.replace("\r\n", "\n"),
        "v=0\r\n" + CREDENTIALS,
    ],
)
def test_the_credentials_are_found_where_clients_put_them(text: str) -> None:
    assert read_fragment(text) == IceFragment("EsAw", PWD)


def test_candidates_alone_speak_of_the_present_session() -> None:
    assert read_fragment(M_LINE + CANDIDATE) == IceFragment(None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\r\n",
        "nonsense",
        "a=ice-ufrag:EsAw\r\n",
        f"a=ice-pwd:{PWD}\r\n",
        CREDENTIALS.replace("EsAw", "E w"),
        "a" * 300_000,
    ],
)
def test_what_is_no_fragment_is_refused(text: str) -> None:
    with pytest.raises(SdpError):
        read_fragment(text)


def test_ours_can_be_read_again() -> None:
    candidates = ("candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host",)
    text = write_fragment(TransportParameters("ours", PWD, "sha-256 AB", candidates), "0")
    assert read_fragment(text) == IceFragment("ours", PWD)
    assert f"a={candidates[0]}\r\n" in text
    assert text.startswith("a=ice-lite\r\n")
    assert "fingerprint" not in text
    assert text.endswith("\r\n")


@given(st.text(alphabet="amice-ufragpwd:=\r\n /+0", max_size=200))
def test_only_our_own_error_comes_out(text: str) -> None:
    with suppress(SdpError):
        read_fragment(text)
