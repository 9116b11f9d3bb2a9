import pytest

from sfu.rtp.packet import RtpPacket
from sfu.rtp.rtcp import SenderReport
from sfu.rtp.stream import RtpStream
from sfu.rtp.timeline import Timeline


def stream(ntp_s: float | None = None, timestamp: int = 0) -> RtpStream:
    made = RtpStream(1, 90000, video=True, asks_again=False)
    if ntp_s is not None:
        made.hear(SenderReport(1, round(ntp_s * 2**32), timestamp, 0, 0), 0.0)
    return made


def packet(timestamp: int, arrival: float) -> RtpPacket:
    made = RtpPacket(96, 1, timestamp & 0xFFFFFFFF, 1, b"")
    made.arrival = arrival
    return made


def test_the_first_source_keeps_its_own_and_goes_on_after_a_pause():
    timeline, source = Timeline(), stream()
    assert timeline.begin(source, packet(5000, 1.0), None) == 0
    assert timeline.begin(source, packet(905000, 11.0), packet(5000, 1.0)) == 0


def test_without_reports_arrivals_tell():
    timeline, first, second = Timeline(), stream(), stream()
    timeline.begin(first, packet(5000, 1.0), None)
    offset = timeline.begin(second, packet(70, 1.5), packet(9000, 1.4))
    assert 70 + offset == 9000 + 9000


@pytest.mark.parametrize("wrap", [0, 0xFFFFF000])
def test_reports_tell_exactly(wrap: int):
    """Both clocks at 10 s of wall time: 1000 and `wrap`; the new packet was taken 2 s later."""
    timeline, first, second = Timeline(), stream(10.0, 1000), stream(10.0, wrap)
    timeline.begin(first, packet(1000, 1.0), None)
    last = packet(1000 + 2 * 90000 - 3000, 3.0)
    taken = packet(wrap + 2 * 90000, 3.07)
    offset = timeline.begin(second, taken, last)
    assert taken.timestamp + offset & 0xFFFFFFFF == 1000 + 2 * 90000


def test_a_timestamp_never_repeats_nor_goes_back_and_what_that_adds_is_not_kept():
    timeline, first, second = Timeline(), stream(10.0, 0), stream(10.0, 0)
    timeline.begin(first, packet(0, 1.0), None)
    offset = timeline.begin(second, packet(90000, 2.0), packet(94500, 2.0))
    assert 90000 + offset == 94501
    back = timeline.begin(first, packet(270000, 4.0), packet(180000, 3.0))
    assert back == 0


def test_reports_that_contradict_the_arrivals_are_not_believed():
    timeline, first, second = Timeline(), stream(10.0, 0), stream(5000.0, 0)
    timeline.begin(first, packet(0, 1.0), None)
    offset = timeline.begin(second, packet(123456, 2.0), packet(90000, 1.9))
    assert 123456 + offset == 90000 + 9000
