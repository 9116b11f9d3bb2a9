import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.rtcp import ReportBlock
from sfu.rtp.stats import (
    Jitter,
    Rate,
    RecentLoss,
    Reception,
    answered_round_trip_s,
    reference,
    round_trip_s,
)


def test_an_even_stream_has_no_jitter():
    jitter = Jitter(90000)
    for i in range(100):
        jitter.add(i * 3000, 5 + i / 30)
    assert jitter.milliseconds == pytest.approx(0, abs=0.001)


def test_a_steady_wobble_is_measured_as_its_size():
    jitter = Jitter(48000)
    for i in range(500):
        jitter.add(i * 960, i * 0.02 + (0.004 if i % 2 else 0))
    assert jitter.milliseconds == pytest.approx(4, rel=0.01)
    assert jitter.clock_units == pytest.approx(192, rel=0.02)


def test_timestamps_wrap():
    jitter = Jitter(90000)
    jitter.add(0xFFFFFFFF - 1499, 0.0)
    jitter.add(1500, 1 / 30)
    assert jitter.milliseconds == pytest.approx(0, abs=0.001)


def test_a_leap_of_the_clock_is_no_jitter():
    jitter = Jitter(90000)
    jitter.add(0, 0.0)
    jitter.add(90000 * 600, 1.0)
    assert jitter.milliseconds == 0


def test_losses_since_the_beginning_and_of_the_interval():
    reception = Reception(first_index=100)
    reception.received = 8  # of 100 to 109
    assert reception.lost(109) == 2
    assert reception.interval_loss(109) == pytest.approx(0.2)
    reception.received += 10
    assert reception.interval_loss(119) == 0
    assert reception.lost(119) == 2


def test_late_packets_make_an_interval_no_better_than_whole():
    reception = Reception(0)
    assert reception.interval_loss(9) == 1
    reception.received = 12
    assert reception.interval_loss(10) == 0
    assert reception.lost(10) == -1


def test_an_interval_without_packets_lost_none():
    reception = Reception(0)
    reception.received = 1
    reception.interval_loss(0)
    assert reception.interval_loss(0) == 0


def test_a_rate_forgets_what_left_its_window():
    rate = Rate(window_s=2.0)
    for i in range(50):
        rate.sample(1000 * min(i, 20), i / 10)
    assert rate.per_second(20_000, 4.9) == 0


def test_a_rate_is_the_rise_per_second():
    rate = Rate()
    assert rate.per_second(5, 0.0) == 0
    for i in range(40):
        rate.sample(25 * i, i / 10)
    assert rate.per_second(25 * 39, 3.9) == pytest.approx(250)


def test_a_moment_has_no_rate_yet():
    rate = Rate()
    rate.sample(0, 1.0)
    assert rate.per_second(5, 1.01) == 0


def test_the_window_never_shrinks_below_two_samples():
    rate = Rate(window_s=1.0)
    rate.sample(0, 0.0)
    rate.sample(100, 10.0)
    assert rate.per_second(100, 10.0) == 10


def test_a_round_trip_is_what_is_left_of_the_delay():
    block = ReportBlock(1, 0, 0, 0, 0, last_sr=5, delay=65536 // 2)
    assert round_trip_s(block, sent=10.0, now=10.6) == pytest.approx(0.1)
    assert round_trip_s(block, sent=10.0, now=10.4) == 0


class TestRecentLoss:
    def test_it_is_of_the_last_seconds(self) -> None:
        loss = RecentLoss()
        for second in range(60):  # a packet a second is lost in the first half a minute
            loss.report(100 * second, min(second, 30), float(second))
        assert (loss.expected, loss.lost) == (1000, 0)
        loss.report(6000, 50, 60.0)
        assert (loss.expected, loss.lost) == (1000, 20)

    def test_nothing_is_known_at_first(self) -> None:
        loss = RecentLoss()
        assert (loss.expected, loss.lost) == (0, 0)
        loss.report(7, 3, 0.0)
        assert (loss.expected, loss.lost) == (0, 0)

    def test_what_came_late_was_not_lost(self) -> None:
        loss = RecentLoss()
        loss.report(0, 5, 0.0)
        loss.report(100, 2, 1.0)
        assert (loss.expected, loss.lost) == (100, 0)

    @given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(-(2**23), 2**23 - 1)), max_size=200))
    def test_a_liar_gets_a_share_of_what_there_was(self, reports: list[tuple[int, int]]) -> None:
        loss = RecentLoss()
        for number, (highest, lost) in enumerate(reports):
            loss.report(highest, lost, number / 1000)
            assert 0 <= loss.lost <= loss.expected
        assert len(loss._reports) <= 64


@pytest.mark.parametrize("asked", [0.0, 1000.0, 65535.99, 65536.0 * 7 - 0.01])
def test_a_round_trip_is_what_an_answer_leaves_of_the_time_since(asked: float) -> None:
    last = reference(asked) >> 16 & 0xFFFFFFFF
    rtt_s = answered_round_trip_s(last, 65536 // 2, asked + 0.58)
    assert rtt_s == pytest.approx(0.08, abs=0.0001)


def test_an_answer_that_cannot_be_tells_nothing() -> None:
    last = reference(1000.0) >> 16 & 0xFFFFFFFF
    assert answered_round_trip_s(last, 65536, 1000.5) is None  # it was held back for longer than has passed
    assert answered_round_trip_s(last, 0, 1060.0) is None
    assert answered_round_trip_s(0, 0, 1000.0) is None
