import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.nack import DEFAULT_RTT_S, MAX_ASKED_AT_ONCE, MAX_MISSING, MAX_TRIES, PATIENCE, NackGenerator


def test_a_gap_is_asked_for_at_the_next_tick_and_again_after_a_round_trip():
    nack = NackGenerator()
    nack.gap(10, 13)
    assert nack.due(1.0, 0) == [10, 11, 12]
    assert nack.due(1.02, 0) == []
    assert nack.due(1.0 + DEFAULT_RTT_S, 0) == []
    assert nack.due(1.0 + PATIENCE * DEFAULT_RTT_S, 0) == [10, 11, 12]


def test_what_arrives_before_the_tick_is_not_asked_for():
    nack = NackGenerator()
    nack.gap(10, 12)
    nack.arrived(10, 1.0)
    assert nack.due(1.0, 0) == [11]


def test_the_interval_follows_the_measured_round_trip_but_not_below_40_ms():
    nack = NackGenerator()
    nack.gap(1, 3)
    nack.due(1.0, 0)
    nack.arrived(1, 1.005)
    assert nack.rtt_s == pytest.approx(0.005)
    assert nack.due(1.03, 0) == []
    assert nack.due(1.041, 0) == [2]


def test_a_long_round_trip_is_learnt_though_its_packets_were_asked_for_repeatedly():
    nack = NackGenerator()
    nack.gap(1, 2)
    for now in (0.0, 0.12, 0.24):
        assert nack.due(now, 0) == [1]
    nack.arrived(1, 0.3)
    assert nack.rtt_s == pytest.approx(0.3)


def test_a_packet_is_given_up_after_ten_requests_and_a_key_frame_is_needed():
    nack = NackGenerator()
    nack.gap(7, 8)
    asked = sum(len(nack.due(i * 0.12, 0)) for i in range(MAX_TRIES + 5))
    assert asked == MAX_TRIES
    assert nack.key_frame_needed
    assert len(nack) == 0


def test_a_packet_from_before_the_last_key_frame_is_given_up_in_silence():
    nack = NackGenerator()
    nack.gap(7, 8)
    nack.key_frame(9)
    for i in range(MAX_TRIES + 1):
        nack.due(i * 0.12, 0)
    assert len(nack) == 0
    assert not nack.key_frame_needed


def test_a_packet_too_old_to_be_of_use_is_given_up():
    nack = NackGenerator()
    nack.gap(7, 9)
    assert nack.due(0.0, 8) == [8]
    assert nack.key_frame_needed


def test_an_overflow_spares_what_a_key_frame_made_current():
    nack = NackGenerator()
    nack.gap(0, MAX_MISSING)
    nack.key_frame(MAX_MISSING - 10)
    nack.gap(MAX_MISSING, MAX_MISSING + 5)
    assert len(nack) == 15
    assert not nack.key_frame_needed


def test_an_overflow_without_a_key_frame_gives_up_everything():
    nack = NackGenerator()
    nack.gap(0, MAX_MISSING)
    nack.gap(MAX_MISSING, MAX_MISSING + 1)
    assert len(nack) == 0
    assert nack.key_frame_needed


def test_one_request_stays_within_a_datagram():
    nack = NackGenerator()
    nack.gap(0, MAX_MISSING)
    first = nack.due(1.0, 0)
    assert len(first) == MAX_ASKED_AT_ONCE
    assert nack.due(1.02, 0) == list(range(MAX_ASKED_AT_ONCE, 2 * MAX_ASKED_AT_ONCE))


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.floats(0.001, 0.2)), max_size=300))
def test_it_is_bounded_asks_ascending_and_never_for_what_arrived(steps: list[tuple[int, bool, float]]):
    nack = NackGenerator()
    highest, now = 0, 0.0
    missing: set[int] = set()
    asked: dict[int, int] = {}
    for size, arrives, elapsed in steps:
        now += elapsed
        if arrives and missing:
            index = min(missing)
            missing.discard(index)
            nack.arrived(index, now)
        elif size:
            nack.gap(highest + 1, highest + 1 + size)
            missing.update(range(highest + 1, highest + 1 + size))
            highest += size + 1
        due = nack.due(now, 0)
        assert due == sorted(due)
        assert set(due) <= missing
        for index in due:
            asked[index] = asked.get(index, 0) + 1
        assert len(nack) <= MAX_MISSING
    assert max(asked.values(), default=0) <= MAX_TRIES
