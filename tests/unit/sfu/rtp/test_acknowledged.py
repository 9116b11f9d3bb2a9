import pytest

from sfu.rtp.acknowledged import Acknowledged
from sfu.rtp.departures import Passage


def run(arrived: Acknowledged, seconds: float, bps: float, *, start: float = 0.0, pace_s: float = 0.01) -> None:
    for n in range(round(seconds / pace_s)):
        arrived.add(Passage(n, 0.0, start + n * pace_s, round(bps * pace_s / 8)))


def test_nothing_is_known_before_half_a_second():
    arrived = Acknowledged()
    assert arrived.bitrate_bps is None
    run(arrived, 0.4, 1e6)
    assert arrived.bitrate_bps is None
    assert arrived.burst_bps is None


def test_it_is_the_rate_of_the_last_half_second():
    arrived = Acknowledged()
    run(arrived, 2, 1e6)
    assert arrived.bitrate_bps == pytest.approx(1e6, rel=0.03)
    run(arrived, 0.6, 3e5, start=2)
    assert arrived.bitrate_bps == pytest.approx(3e5, rel=0.03)


def test_frames_make_no_difference():
    arrived = Acknowledged()
    run(arrived, 2, 1e6, pace_s=0.04)
    assert arrived.bitrate_bps == pytest.approx(1e6, rel=0.1)


def test_a_burst_tells_what_the_path_carries_though_little_came_before():
    arrived = Acknowledged()
    run(arrived, 1, 2e5)
    run(arrived, 0.25, 2e6, start=1, pace_s=0.005)
    assert arrived.bitrate_bps == pytest.approx(1.1e6, rel=0.1)
    assert arrived.burst_bps == pytest.approx(2e6, rel=0.05)


def test_after_a_pause_it_begins_anew():
    arrived = Acknowledged()
    run(arrived, 1, 1e6)
    run(arrived, 0.3, 1e5, start=10)
    assert arrived.bitrate_bps is None
    run(arrived, 0.3, 1e5, start=10.3)
    assert arrived.bitrate_bps == pytest.approx(1e5, rel=0.05)


def test_what_nobody_told_is_credited():
    arrived = Acknowledged()
    run(arrived, 1, 1e6)
    arrived.credit(round(0.5 * 1e6 / 8))
    assert arrived.bitrate_bps == pytest.approx(2e6, rel=0.05)
    Acknowledged().credit(1000)
