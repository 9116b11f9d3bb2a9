import pytest

from sfu.rtp import rtcp
from sfu.rtp.packet import RtpPacket, write_elements
from sfu.rtp.twcc import TransportFeedback
from sfu.uplink import FEEDBACK_PACKETS, Uplink

NUMBER_ID = 3


class Transport:
    connected = True
    arrived: float | None = None

    def __init__(self) -> None:
        self.compounds: list[list[rtcp.RtcpPacket]] = []

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        raise AssertionError("nothing is forwarded to the publisher")

    def send_rtcp(self, packet: bytes) -> None:
        self.compounds.append(rtcp.parse(packet))

    @property
    def feedback(self) -> list[TransportFeedback]:
        return [p for compound in self.compounds for p in compound if isinstance(p, TransportFeedback)]


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def uplink(transport: Transport) -> Uplink:
    return Uplink(transport, NUMBER_ID, (1, "meet"))


def packet(number: bytes, element_id: int = NUMBER_ID) -> RtpPacket:
    return RtpPacket(96, 1, 2, 77, b"payload", *write_elements([(element_id, number)]))


def test_feedback_goes_every_tenth_of_a_second_while_packets_come(uplink, transport):
    for n in range(100):
        uplink.receive(packet(n.to_bytes(2, "big")), n * 0.01)
        uplink.tick(n * 0.01)
    assert 9 <= len(transport.feedback) <= 11
    assert sum(len(feedback.received) for feedback in transport.feedback) > 85
    uplink.tick(2.0)
    sent = len(transport.feedback)
    for n in range(20):
        uplink.tick(3.0 + n / 10)
    assert len(transport.feedback) == sent


def test_it_is_a_compound_that_names_a_stream_of_the_publisher(uplink, transport):
    uplink.receive(packet(b"\0\7"), 1.0)
    uplink.tick(1.0)
    report, description, feedback = transport.compounds[0]
    assert report == rtcp.ReceiverReport(1)
    assert description == rtcp.SourceDescription(((1, "meet"),))
    assert isinstance(feedback, TransportFeedback)
    assert (feedback.sender_ssrc, feedback.media_ssrc, feedback.base, feedback.received) == (1, 77, 7, ((0, 4000),))


def test_what_was_read_late_is_told_as_it_arrived(uplink, transport):
    transport.arrived = 0.75
    uplink.receive(packet(b"\0\7"), 1.0)
    uplink.tick(1.0)
    assert transport.feedback[0].received == ((0, 3000),)


def test_a_burst_is_told_while_it_lasts(uplink, transport):
    for n in range(FEEDBACK_PACKETS):
        uplink.receive(packet(n.to_bytes(2, "big")), 1.0)
    assert [feedback.count for feedback in transport.feedback] == [FEEDBACK_PACKETS]


@pytest.mark.parametrize(
    "unnumbered", [packet(b"\0"), packet(b"\0\1\2"), packet(b"\0\1", 4), RtpPacket(96, 1, 2, 77, b"")]
)
def test_packets_without_a_number_are_not_told(uplink, transport, unnumbered: RtpPacket):
    uplink.receive(unnumbered, 1.0)
    uplink.tick(2.0)
    assert not transport.compounds
