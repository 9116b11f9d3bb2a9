import pytest

from sfu.rtp.acknowledged import MOST_TOLD, Acknowledged


def run(arrived: Acknowledged, seconds: float, bps: float, *, start: float = 0.0, pace_s: float = 0.1) -> None:
    """A feedback every tenth of a second."""
    for n in range(1, round(seconds / pace_s) + 1):
        arrived.add(start + n * pace_s, round(bps * pace_s / 8))


def test_nothing_is_known_before_half_a_second():
    arrived = Acknowledged()
    assert arrived.bitrate_bps is None
    run(arrived, 0.5, 1e6)
    assert arrived.bitrate_bps is None
    assert arrived.burst_bps is None


def test_it_is_the_rate_of_the_last_half_second():
    arrived = Acknowledged()
    run(arrived, 2, 1e6)
    assert arrived.bitrate_bps == pytest.approx(1e6)
    run(arrived, 0.6, 3e5, start=2)
    assert arrived.bitrate_bps == pytest.approx(3e5)


def test_the_rhythm_of_feedback_makes_no_difference():
    arrived = Acknowledged()
    run(arrived, 2, 1e6, pace_s=0.033)
    assert arrived.bitrate_bps == pytest.approx(1e6, rel=0.01)


def test_a_burst_tells_what_the_path_carries_though_little_came_before():
    arrived = Acknowledged()
    run(arrived, 1, 2e5)
    run(arrived, 0.2, 2e6, start=1)
    assert arrived.bitrate_bps == pytest.approx(0.86e6, rel=0.1)
    assert arrived.burst_bps == pytest.approx(2e6)


def test_after_a_pause_it_begins_anew():
    arrived = Acknowledged()
    run(arrived, 1, 1e6)
    run(arrived, 0.5, 1e5, start=10)
    assert arrived.bitrate_bps is None
    run(arrived, 0.3, 1e5, start=10.5)
    assert arrived.bitrate_bps == pytest.approx(1e5)


def test_a_clock_that_goes_back_a_little_is_not_followed():
    arrived = Acknowledged()
    run(arrived, 1, 1e6)
    arrived.add(0.9, 12_500)
    arrived.add(1.1, 0)
    assert arrived.bitrate_bps == pytest.approx(1e6)


def test_of_a_receiver_whose_clock_stands_still_little_is_kept():
    arrived = Acknowledged()
    run(arrived, 1, 1e6)
    for _ in range(MOST_TOLD):
        arrived.add(1.0, 1200)
    assert arrived.bitrate_bps is None
    run(arrived, 1, 1e6, start=1)
    assert arrived.bitrate_bps == pytest.approx(1e6)
