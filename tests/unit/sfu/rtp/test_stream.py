import pytest

from sfu.rtp.packet import RtpPacket
from sfu.rtp.rtcp import SenderReport
from sfu.rtp.stream import AUDIO_CACHE, MAX_DROPOUT, VIDEO_CACHE, RtpStream


def stream(*, asks_again: bool = True, video: bool = True) -> RtpStream:
    return RtpStream(7, 90000, video=video, asks_again=asks_again)


def packet(number: int, timestamp: int = 0) -> RtpPacket:
    return RtpPacket(96, number & 0xFFFF, timestamp, 7, b"payload")


def take(stream: RtpStream, *numbers: int, now: float = 1.0, recovered: bool = False) -> list[bool]:
    return [stream.accept(packet(number, number * 3000), now, recovered=recovered) for number in numbers]


def test_indices_go_on_across_the_wrap():
    s = stream()
    assert take(s, 65534, 65535, 0, 1) == [True] * 4
    assert s.highest == 65537
    held = s.cache.get(65536)
    assert held is not None
    assert (held.index, held.arrival) == (65536, 1.0)


def test_a_duplicate_is_refused_and_a_late_packet_taken():
    s = stream()
    assert take(s, 10, 12, 11, 11, 12) == [True, True, True, False, False]
    assert s.packets == 3
    assert s.octets == 21


def test_gaps_are_asked_for_and_what_comes_is_not():
    s = stream()
    take(s, 65533, 1)
    assert s.lost_now(1.0) == [65534, 65535, 0]
    take(s, 65535, recovered=True, now=1.2)
    assert s.lost_now(1.3) == [65534, 0]
    assert s.lost == 3, "a repetition does not undo a loss"


def test_without_nack_nothing_is_asked_for():
    s = stream(asks_again=False)
    take(s, 1, 5)
    assert s.lost_now(1.0) == []
    assert not s.gave_up()


def test_a_sender_that_starts_anew_is_believed_at_the_second_packet():
    s = stream()
    take(s, 100, 101)
    far = 101 + MAX_DROPOUT + 1
    assert take(s, far) == [False]
    assert not s.started_anew
    assert take(s, far + 1) == [False]
    assert s.started_anew


def test_a_single_stray_packet_changes_nothing():
    s = stream()
    take(s, 100, 101)
    assert take(s, 40000, 102, 20000, 103) == [False, True, False, True]
    assert not s.started_anew
    assert s.highest == 103


def test_repetitions_from_long_ago_are_no_new_start():
    s = stream()
    take(s, 2000)
    assert take(s, 2000 - VIDEO_CACHE, 2001 - VIDEO_CACHE, recovered=True) == [False, True]
    assert take(s, 10, 11, recovered=True) == [False, False]
    assert not s.started_anew


def test_frames_are_counted_by_their_timestamps():
    s = stream()
    for number, timestamp in ((1, 0), (2, 0), (3, 3000), (4, 3000), (6, 6000), (5, 3000)):
        s.accept(packet(number, timestamp), 1.0)
    assert s.frames == 3


def test_the_report_tells_losses_and_the_last_sr():
    s = stream()
    take(s, 65530, 65531, 65533, 65534, 3)
    s.hear(SenderReport(7, 0x0001_0002_0003_0004, 0, 0, 0), 5.0)
    block = s.report(5.5)
    assert block.ssrc == 7
    assert block.highest_index == 65536 + 3
    assert block.packets_lost == 5
    assert block.fraction_lost == 128
    assert block.last_sr == 0x0002_0003
    assert block.delay == 65536 // 2
    assert s.loss.lost / s.loss.expected == pytest.approx(0.5)
    take(s, 4, 5)
    assert s.report(6.5).fraction_lost == 0


def test_a_stream_without_packets_reports_nothing_lost():
    s = stream()
    assert s.lost == 0
    assert s.report(1.0).last_sr == 0


def test_video_keeps_more_than_audio():
    assert stream().cache.capacity == VIDEO_CACHE
    assert stream(video=False).cache.capacity == AUDIO_CACHE


def test_what_is_given_up_is_told_once():
    s = stream()
    take(s, 0, 2)
    s.highest += VIDEO_CACHE
    s.lost_now(1.0)
    assert s.gave_up()
    assert not s.gave_up()
