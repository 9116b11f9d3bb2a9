import pytest

from sfu.rtp.aimd import BACK_OFF, LEAST_BPS, MOST_BPS, LinkCapacity, RateControl

RTT_S = 0.05


def steady(rate: RateControl, arrived_bps: float, seconds: float, *, start: float = 0.0) -> float:
    """Normal use for a while."""
    for n in range(round(seconds * 10)):
        rate.update("normal", arrived_bps, RTT_S, start + n / 10)
    return rate.bitrate_bps


def test_it_rises_by_8_percent_a_second():
    rate = RateControl(1_000_000)
    assert steady(rate, 1_000_000, 1.1) == pytest.approx(1_080_000, rel=0.01)


def test_it_rises_no_further_than_half_above_what_arrives():
    assert steady(RateControl(300_000), 300_000, 60) == pytest.approx(460_000)


def test_what_arrives_is_carried():
    assert steady(RateControl(300_000), 2_000_000, 0.2) == pytest.approx(2_000_000, rel=0.01)


def test_not_right_after_a_decrease_when_a_queue_drains():
    rate = RateControl(2_000_000)
    rate.update("overusing", 1_000_000, RTT_S, 0.0)
    rate.update("normal", 1_000_000, RTT_S, 0.1)
    assert rate.bitrate_bps < 900_000
    assert steady(rate, 1_000_000, 0.6, start=0.2) >= 1_000_000


def test_overuse_cuts_it_below_what_arrived():
    rate = RateControl(2_000_000)
    rate.update("overusing", 1_000_000, RTT_S, 1.0)
    assert rate.bitrate_bps == BACK_OFF * 1_000_000
    assert rate.decreased_at == 1.0


def test_more_that_arrives_while_a_queue_grows_is_what_the_path_carries():
    rate = RateControl(500_000)
    rate.update("overusing", 2_000_000, RTT_S, 1.0)
    assert rate.bitrate_bps == BACK_OFF * 2_000_000


def test_one_cut_in_a_round_trip_unless_far_less_arrives():
    rate = RateControl(2_000_000)
    rate.update("overusing", 1_000_000, 0.2, 1.0)
    rate.update("overusing", 900_000, 0.2, 1.1)
    assert rate.bitrate_bps == 850_000
    rate.update("overusing", 300_000, 0.2, 1.15)
    assert rate.bitrate_bps == BACK_OFF * 300_000


def test_before_anything_was_measured_it_is_halved():
    rate = RateControl(300_000)
    rate.update("overusing", None, RTT_S, 1.0)
    assert rate.bitrate_bps == 150_000


def test_near_the_known_capacity_it_rises_by_a_packet_at_a_time():
    rate = RateControl(1_000_000)
    rate.update("overusing", 1_000_000, RTT_S, 0.0)
    before = rate.bitrate_bps
    rate.update("normal", 900_000, RTT_S, 0.1)
    rate.update("normal", 900_000, RTT_S, 0.4)
    assert 0 < rate.bitrate_bps - before < 0.03 * before


def test_a_queue_that_drains_is_waited_for():
    rate = RateControl(1_000_000)
    rate.update("underusing", 2_000_000, RTT_S, 1.0)
    assert rate.bitrate_bps == 1_000_000


def test_it_stays_within_its_bounds():
    rate = RateControl(1_000_000)
    rate.set(1e12)
    assert rate.bitrate_bps == MOST_BPS
    for n in range(20):
        rate.update("overusing", 0.0, RTT_S, float(n))
    assert rate.bitrate_bps == LEAST_BPS


def test_the_capacity_is_what_arrived_under_overuse_until_the_path_changes():
    capacity = LinkCapacity()
    assert not capacity.known
    assert capacity.within(1e9)
    for _ in range(20):
        capacity.learn(1_000_000)
    assert capacity.bitrate_bps == pytest.approx(1_000_000)
    assert capacity.within(1_030_000)
    assert not capacity.within(2_000_000)
    assert not capacity.within(300_000)
    capacity.forget()
    assert not capacity.known
