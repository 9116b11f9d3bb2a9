import pytest

from sfu.ortc.data import MAX_MESSAGE_SIZE, DataAbility
from sfu.ortc.publish import publish_answer, read_publish_offer
from sfu.ortc.sdp import Origin, SdpError, parse
from sfu.rtp.parameters import TransportParameters

TRANSPORT = TransportParameters("ours", "p" * 24, "sha-256 AB", ("candidate:1 1 udp 1 192.0.2.1 40000 typ host",))
FINGERPRINT = ":".join(["AB"] * 32)
HEAD = (
    "v=0\r\na=group:BUNDLE 0 1\r\na=ice-ufrag:abcd\r\n"
    f"a=ice-pwd:{'p' * 22}\r\na=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:actpass\r\n"
)


def section(
    mid: str = "0", *, line: str = "9 UDP/DTLS/SCTP webrtc-datachannel", port: str = "5000", more: str = ""
) -> str:
    return f"m=application {line}\r\na=mid:{mid}\r\na=sctp-port:{port}\r\n{more}"


def test_an_offer_of_data_alone_is_taken() -> None:
    offer = read_publish_offer(HEAD + section(more="a=max-message-size:1000\r\n"))
    assert offer.data == DataAbility("0", 5000, 1000)
    assert offer.tracks == ()
    assert offer.remote is not None
    answer = parse(publish_answer(offer, TRANSPORT, Origin(1)))
    assert answer.bundle == ("0",)
    assert answer.sections[0].value("setup") == "passive"
    assert not answer.sections[0].rejected


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("", 65536),
        ("a=max-message-size:0\r\n", MAX_MESSAGE_SIZE),
        ("a=max-message-size:4294967295\r\n", MAX_MESSAGE_SIZE),
    ],
)
def test_how_long_a_message_may_be(said: str, understood: int) -> None:
    data = read_publish_offer(HEAD + section(more=said)).data
    assert data is not None
    assert data.max_message_size == understood


@pytest.mark.parametrize(
    "line", ["9 DTLS/SCTP 5000", "0 UDP/DTLS/SCTP webrtc-datachannel", "9 UDP/DTLS/SCTP other", "9 UDP/BFCP *"]
)
def test_what_is_no_data_channel_is_refused(line: str) -> None:
    offer = read_publish_offer(HEAD + section(line=line))
    assert (offer.data, offer.remote) == (None, None)
    assert parse(publish_answer(offer, TRANSPORT, Origin(1))).sections[0].rejected


def test_there_is_one_association_a_connection() -> None:
    offer = read_publish_offer(HEAD + section("0") + section("1"))
    answer = parse(publish_answer(offer, TRANSPORT, Origin(1)))
    assert [s.rejected for s in answer.sections] == [False, True]
    assert answer.bundle == ("0",)


@pytest.mark.parametrize("port", ["", "0", "65536", "5000 5001", "x"])
def test_a_malformed_port_is_said(port: str) -> None:
    with pytest.raises(SdpError, match="sctp-port"):
        read_publish_offer(HEAD + section(port=port))


def test_a_malformed_size_is_said() -> None:
    with pytest.raises(SdpError, match="max-message-size"):
        read_publish_offer(HEAD + section(more="a=max-message-size:-1\r\n"))
