"""Clocks that drift, reports that are noisy or lie: what was captured together comes out together."""

from itertools import pairwise
from random import Random

import pytest

from sfu.egress.sync import SLEW, Envelope, Sync, TrackClock
from sfu.rtp.rtcp import SenderReport

from .senders import OPUS, VIDEO, Clocks, Sender


def test_the_least_delayed_packet_tells_the_offset() -> None:
    envelope = Envelope()
    for number, delay in enumerate((0.3, 0.05, 0.2, 0.04, 0.5)):
        envelope.heard(number * 0.1, 100 + number * 0.1 + delay)
    assert envelope.local(1.0) == pytest.approx(101.04)


def test_a_path_that_becomes_longer_is_followed_smoothly() -> None:
    envelope, last = Envelope(), 100.0
    for number in range(6000):
        now = number * 0.01
        envelope.heard(now, 100 + now + (0.02 if now < 10 else 0.12))
        local = envelope.local(now)
        assert now == 0 or abs(local - last - 0.01) < 0.001
        last = local
    assert envelope.local(0) == pytest.approx(100.12, abs=0.01)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_is_set_is_learnt_anew(jump: float) -> None:
    envelope = Envelope()
    envelope.heard(0.0, 100.0)
    envelope.heard(1.0 + jump, 101.0)
    assert envelope.local(1.0 + jump) == pytest.approx(101.0)


def heard(sender: Sender, clock: TrackClock, captured: float, delay: float) -> float:
    return clock.at(sender.timestamp(captured), captured + delay)


def test_before_any_report_a_track_goes_by_its_own_packets() -> None:
    sender, clock = Sender(OPUS), Sync().clock("alice", 48000)
    times = [heard(sender, clock, number * 0.02, 0.05 if number % 7 else 0.03) for number in range(200)]
    steps = [after - before for before, after in pairwise(times[100:])]
    assert steps == pytest.approx([0.02] * 99)
    assert times[199] == pytest.approx(199 * 0.02 + 0.03)


def test_tracks_of_one_publisher_are_exactly_in_step() -> None:
    """Video takes 80 ms longer to be encoded and sent than audio; the reports know when both were captured."""
    clocks, sync = Clocks(skew=100e-6), Sync()
    voice = Sender(OPUS, clocks)
    face = Sender(VIDEO["vp8"], clocks, first_timestamp=12345)
    heard_clock, seen_clock = sync.clock("alice", 48000), sync.clock("alice", 90000)
    for number in range(500):
        now = number * 0.02
        if number % 50 == 0:
            heard_clock.report(voice.report(now))
            seen_clock.report(face.report(now))
        sound = heard(voice, heard_clock, now, 0.03)
        sight = heard(face, seen_clock, now, 0.11)
        assert sight == pytest.approx(sound, abs=0.0005)


def test_two_clocks_100_ppm_apart_stay_within_40_ms_over_ten_minutes() -> None:
    """Each at 50 ppm off ours, with up to 60 ms of jitter, and reports that are off by up to 5 ms."""
    rng, sync = Random(5), Sync()
    people = [Clocks(50e-6, 3.9e9), Clocks(-50e-6, 1e6)]
    tracks = [
        (Sender(codec, clocks, first_timestamp=rng.randrange(2**32)), sync.clock(str(number), codec.clock_rate))
        for number, clocks in enumerate(people)
        for codec in (OPUS, VIDEO["vp8"])
    ]
    worst = 0.0
    for tick in range(600 * 10):
        now = tick * 0.1
        if tick % 10 == 0:
            for sender, clock in tracks:
                noise = rng.uniform(-0.005, 0.005)
                report = sender.report(now)
                clock.report(SenderReport(1, report.ntp + int(noise * 2**32), report.timestamp, 0, 0))
        times = [heard(sender, clock, now, 0.02 + rng.expovariate(1 / 0.02)) for sender, clock in tracks]
        if now > 5:
            worst = max(worst, max(times) - min(times))
    assert worst < 0.040


def test_the_first_report_puts_a_track_where_it_belongs() -> None:
    sender, sync = Sender(OPUS), Sync()
    clock = sync.clock("alice", 48000)
    for number in range(500):
        heard(sender, clock, number * 0.02, 0.15)
    other = Sender(VIDEO["vp8"], sender.clocks)
    reported = sync.clock("alice", 90000)
    reported.report(other.report(10.0))
    heard(other, reported, 10.0, 0.05)  # what came quicker shows that the audio was captured earlier than it seemed
    assert heard(sender, clock, 10.0, 0.15) == pytest.approx(10.15)
    clock.report(sender.report(10.02))
    assert heard(sender, clock, 10.02, 0.15) == pytest.approx(10.07)


def test_later_a_track_moves_smoothly_and_with_the_others() -> None:
    """At second 30 the way of everything becomes 100 ms longer."""
    sync, clocks = Sync(), Clocks()
    senders = [Sender(OPUS, clocks), Sender(VIDEO["vp8"], clocks, first_timestamp=5)]
    tracks = [(sender, sync.clock("alice", sender.codec.clock_rate)) for sender in senders]
    before = 0.0
    for number in range(5000):
        now = number * 0.02
        if number % 50 == 0:
            for sender, clock in tracks:
                clock.report(sender.report(now))
        sound, sight = (heard(sender, clock, now, 0.03 if now < 30 else 0.13) for sender, clock in tracks)
        assert sight == pytest.approx(sound, abs=0.0005)
        assert number == 0 or 0.02 * (1 - SLEW) - 1e-6 <= sound - before <= 0.02 * (1 + SLEW) + 1e-6
        before = sound
    assert before == pytest.approx(99.98 + 0.13, abs=0.005)


def test_a_report_that_lies_is_not_believed_for_long() -> None:
    sender, clock = Sender(OPUS), Sync().clock("mallory", 48000)
    clock.report(sender.report(0.0))
    for number in range(100):
        heard(sender, clock, number * 0.02, 0.03)
    honest = sender.report(2.0)
    clock.report(SenderReport(1, honest.ntp - (3600 << 32), honest.timestamp, 0, 0))
    assert heard(sender, clock, 2.0, 0.03) == pytest.approx(2.03, abs=0.001)


def test_timestamps_wrap() -> None:
    clock = Sync().clock("alice", 90000)
    assert clock.at(0xFFFF_FFF0, 10.0) == pytest.approx(10.0)
    assert clock.at(0x0000_2318, 10.1) == pytest.approx(10.1, abs=0.001)
