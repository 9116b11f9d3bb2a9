import pytest

from sfu.rtp.loss import LossBound


def run(bound: LossBound, share: float, seconds: float, *, start: float = 0.0, alone: bool = False) -> float:
    for n in range(round(seconds * 10)):
        bound.add(100, round(100 * share))
        bound.update(1_000_000, 0.0, 0.05, start + n / 10, alone=alone)
    return bound.bitrate_bps


def test_without_loss_there_is_no_bound():
    assert run(LossBound(), 0.0, 10) == float("inf")


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_a_little_loss_is_no_bound_where_delay_tells_congestion(share: float):
    assert run(LossBound(), share, 10) == float("inf")


def test_much_loss_bounds_the_rate_by_half_of_its_share():
    assert run(LossBound(), 0.2, 0.5) == pytest.approx(900_000)
    assert run(LossBound(), 0.5, 0.5) == pytest.approx(750_000)


def test_the_bound_rises_again_once_less_is_lost():
    bound = LossBound()
    low = run(bound, 0.5, 1)
    assert run(bound, 0.05, 5, start=1) > 1.3 * low


def test_alone_it_holds_between_two_and_ten_percent():
    bound = LossBound()
    run(bound, 0.5, 1, alone=True)
    low = run(bound, 0.05, 1, start=1, alone=True)
    assert run(bound, 0.05, 5, start=2, alone=True) == low
    assert run(bound, 0.01, 5, start=7, alone=True) > low


def test_it_falls_no_lower_than_delay_would():
    bound = LossBound()
    for n in range(50):
        bound.add(100, 60)
        bound.update(1_000_000, 400_000, 0.05, n / 10, alone=False)
    assert bound.bitrate_bps == pytest.approx(340_000)


def test_what_was_shown_to_get_through_lifts_it():
    bound = LossBound()
    run(bound, 0.5, 1)
    bound.allow(2_000_000)
    assert bound.bitrate_bps == 2_000_000


def test_few_packets_say_nothing():
    bound = LossBound()
    for n in range(4):
        bound.add(10, 10)
        bound.update(1_000_000, 0.0, 0.05, float(n), alone=False)
    assert bound.bitrate_bps == float("inf")
    assert bound.share == 0
