"""What comes of packets that are late, lost, doubled or rubbish."""

from collections.abc import Iterable
from itertools import chain, pairwise

import pytest

from sfu.egress.frames import MOST_HELD, REPORT_S, Frame, Frames
from sfu.egress.sync import Sync
from sfu.rtp.packet import RtpPacket
from sfu.rtp.rtcp import SenderReport

from .senders import OPUS, PACKET_S, VIDEO, Sender, encoded_audio, encoded_video, track_of

GOP = 10
FRAME_S = 1 / 15


def sent(codec: str = "vp8", count: int = 30) -> list[list[RtpPacket]]:
    """The packets of frames of video, each arriving 50 ms after it was captured."""
    sender = Sender(VIDEO[codec])
    frames = encoded_video(codec, count, 320, 240, GOP)
    return [sender.packets(frame, n * FRAME_S, n * FRAME_S + 0.05) for n, frame in enumerate(frames)]


def flat(frames: Iterable[list[RtpPacket]]) -> list[RtpPacket]:
    """The packets of frames, one after the other."""
    return list(chain.from_iterable(frames))


def received(frames: Frames, packets: list[RtpPacket]) -> list[Frame]:
    """All of them, each frame popped when it arrives; a sender report was here before."""
    frames.report(SenderReport(1, 1 << 60, packets[0].timestamp, 0, 0), 0.0)
    return received_only(frames, packets)


def received_only(frames: Frames, packets: list[RtpPacket]) -> list[Frame]:
    """The same without the report."""
    found = []
    for packet in packets:
        frames.receive(packet, packet.arrival)
        found += frames.pop(packet.arrival)
    return found


@pytest.fixture
def video() -> Frames:
    return Frames(track_of(VIDEO["vp8"]), Sync(), wait_s=0.5)


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_what_is_sent_comes_out_on_time(codec: str) -> None:
    frames = Frames(track_of(VIDEO[codec]), Sync())
    assert frames.wants_key_frame
    found = received(frames, flat(sent(codec)))
    assert len(found) == 30
    assert [one.key_frame for one in found][:GOP] == [True] + [False] * (GOP - 1)
    assert [one.at for one in found] == pytest.approx([n * FRAME_S + 0.05 for n in range(30)], abs=0.001)
    assert {one.codec for one in found} == {codec}
    assert not frames.wants_key_frame
    assert frames.dropped == 0


def test_audio_packets_are_frames() -> None:
    sender, frames = Sender(OPUS), Frames(track_of(OPUS), Sync())
    packets = [sender.packets(one, n * PACKET_S, n * PACKET_S) for n, one in enumerate(encoded_audio(20))]
    found = received(frames, flat(packets))
    assert [one.data for one in found] == [one.data for one in encoded_audio(20)]
    assert all(one.key_frame and one.codec == "opus" for one in found)
    assert not frames.wants_key_frame


def test_packets_in_disorder_come_out_in_order(video: Frames) -> None:
    packets = flat(sent())
    mixed = [packets[0]]
    for start in range(1, len(packets), 5):
        mixed += reversed(packets[start : start + 5])
    for packet in mixed:
        video.receive(packet, packet.arrival)
    assert len(video.pop(3.0)) == 30


def test_what_comes_twice_counts_once(video: Frames) -> None:
    packets = flat(sent())
    assert len(received(video, [one for packet in packets for one in (packet, packet)])) == 30
    assert received(video, packets) == []


def test_a_missing_packet_is_waited_for(video: Frames) -> None:
    packets = sent()
    missing = packets[3][0]
    before = received(video, flat(packets[:3]) + packets[3][1:] + packets[4])
    assert len(before) == 3
    assert video.pop(packets[4][0].arrival + 0.4) == []
    assert not video.wants_key_frame
    video.receive(missing, missing.arrival)
    assert len(video.pop(packets[4][0].arrival + 0.41)) == 2


def test_what_never_comes_takes_everything_up_to_the_next_key_frame(video: Frames) -> None:
    packets = sent()
    received(video, flat(packets[:3]) + packets[3][1:] + packets[4])
    assert video.pop(packets[4][0].arrival + 0.6) == []
    assert video.wants_key_frame
    found = received(video, flat(packets[5:]))
    assert [one.timestamp for one in found] == [one[0].timestamp for one in packets[GOP:]]
    assert found[0].key_frame
    assert found[0].lost == 1
    assert found[1].lost == 0
    assert video.dropped == GOP - 3 - (len(packets[3]) == 1)  # of a frame that had one packet, nobody knows
    assert not video.wants_key_frame


def test_lost_audio_is_told_and_nothing_else_is_lost() -> None:
    sender, frames = Sender(OPUS), Frames(track_of(OPUS), Sync(), wait_s=0.1)
    packets = flat(sender.packets(one, n * PACKET_S, n * PACKET_S) for n, one in enumerate(encoded_audio(20)))
    found = received(frames, packets[:5] + packets[7:])
    assert [one.lost for one in found] == [0] * 5 + [2] + [0] * 12
    assert frames.dropped == 0


def test_a_recording_that_begins_between_key_frames_waits_for_one(video: Frames) -> None:
    packets = sent()
    found = received(video, flat(packets[4:]))
    assert len(found) == 20
    assert found[0].key_frame
    assert video.dropped == 0


def test_an_end_without_a_marker_is_seen_with_the_next_frame(video: Frames) -> None:
    packets = sent()
    for frame in packets:
        for packet in frame:
            packet.marker_type &= 0x7F
    assert len(received(video, flat(packets))) == 29


def test_padding_and_unknown_payloads_only_fill_their_place(video: Frames) -> None:
    sender = Sender(VIDEO["vp8"])
    found: list[Frame] = []
    for number, frame in enumerate(encoded_video("vp8", 3, 320, 240, GOP)):
        packets = sender.packets(frame, number * FRAME_S, number * FRAME_S)
        for payload_type, payload in ((96, b""), (13, b"noise")):
            filling = RtpPacket(payload_type, sender.index & 0xFFFF, packets[0].timestamp, 1, payload)
            filling.index = sender.index
            sender.index += 1
            packets.append(filling)
        found += received(video, packets)
    assert len(found) == 3


def test_rubbish_is_a_loss(video: Frames) -> None:
    packets = sent()
    packets[3][0].payload = b"\xff"
    found = received(video, flat(packets))
    assert len(found) == 3 + 20
    assert video.dropped == GOP - 3


def test_no_more_is_held_than_there_is_room_for(video: Frames) -> None:
    packets = sent()
    received(video, packets[0])
    for index in range(packets[1][0].index + 1, packets[1][0].index + MOST_HELD + 2):
        packet = RtpPacket(96, index & 0xFFFF, 1, 1, b"\x10\x01")
        packet.index, packet.arrival = index, 0.1
        video.receive(packet, 0.1)
    video.pop(0.1)
    assert video.wants_key_frame


def test_at_the_end_nothing_is_waited_for(video: Frames) -> None:
    packets = sent()
    received(video, flat(packets[:3]) + packets[3][1:] + packets[GOP])
    assert [one.key_frame for one in video.flush()] == [True]


def test_times_rise_whatever_the_timestamps_do() -> None:
    sender, frames = Sender(OPUS), Frames(track_of(OPUS), Sync())
    packets = flat(sender.packets(one, n * PACKET_S, n * PACKET_S) for n, one in enumerate(encoded_audio(20)))
    for packet in packets[10:]:
        packet.timestamp = packets[5].timestamp
    times = [one.at for one in received(frames, packets)]
    assert all(before < after for before, after in pairwise(times))


def test_the_first_frame_waits_for_the_report_that_says_when_it_was_captured(video: Frames) -> None:
    """It came 300 ms late, and what follows does not."""
    sender, frames = Sender(VIDEO["vp8"]), encoded_video("vp8", 30, 320, 240, GOP)
    late = sender.packets(frames[0], 0.0, 0.35)
    for packet in late:
        video.receive(packet, 0.35)
    assert video.pop(0.36) == []
    video.report(sender.report(0.36), 0.36)
    found = video.pop(0.38)
    for number in range(1, 30):
        found += received_only(video, sender.packets(frames[number], number * FRAME_S, 0.3 + number * FRAME_S))
    assert [frame.at - found[0].at for frame in found] == pytest.approx([n * FRAME_S for n in range(30)], abs=0.06)


def test_no_report_is_not_waited_for_long(video: Frames) -> None:
    packets = sent()[0]
    for packet in packets:
        video.receive(packet, 0.0)
    assert video.pop(REPORT_S - 0.01) == []
    assert len(video.pop(REPORT_S)) == 1
