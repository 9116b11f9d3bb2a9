from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp import rtcp
from sfu.rtp.arrivals import MEMORY_S, SPAN, Arrivals
from sfu.rtp.twcc import TICK_S, TransportFeedback


def told(arrivals: Arrivals) -> TransportFeedback:
    packet = arrivals.feedback(1, 2)
    assert packet is not None
    (feedback,) = rtcp.parse(packet)
    assert isinstance(feedback, TransportFeedback)
    return feedback


def came(arrivals: Arrivals) -> dict[int, float]:
    """Number to time, of one feedback."""
    feedback = told(arrivals)
    return {feedback.base + offset & 0xFFFF: ticks * TICK_S for offset, ticks in feedback.received}


def test_each_packet_is_told_once_with_its_time():
    arrivals = Arrivals()
    for number in range(3):
        arrivals.add(number, 10 + number / 100)
    assert came(arrivals) == {0: 10.0, 1: 10.01, 2: 10.02}
    assert arrivals.feedback(1, 2) is None
    arrivals.add(3, 10.1)
    assert came(arrivals) == {3: 10.1}


def test_what_is_missing_between_two_feedbacks_is_told_as_lost():
    arrivals = Arrivals()
    arrivals.add(65534, 1.0)
    told(arrivals)
    arrivals.add(2, 1.1)
    feedback = told(arrivals)
    assert (feedback.base, feedback.count) == (65535, 4)
    assert [offset for offset, _ in feedback.received] == [3]


def test_a_late_packet_has_its_neighbours_told_again():
    arrivals = Arrivals()
    for number in (0, 1, 3):
        arrivals.add(number, 1.0)
    told(arrivals)
    arrivals.add(2, 1.25)
    arrivals.add(4, 1.5)
    assert came(arrivals) == {2: 1.25, 3: 1.0, 4: 1.5}


def test_a_packet_from_before_the_first_is_told():
    arrivals = Arrivals()
    arrivals.add(0, 1.0)
    arrivals.add(65535, 1.0)
    assert came(arrivals) == {65535: 1.0, 0: 1.0}


def test_a_duplicate_counts_once_with_its_first_time():
    arrivals = Arrivals()
    arrivals.add(7, 1.0)
    arrivals.add(7, 1.5)
    assert arrivals.waiting == 1
    assert came(arrivals) == {7: 1.0}


def test_feedback_packets_are_counted():
    arrivals = Arrivals()
    counts = []
    for number in range(258):
        arrivals.add(number, 1.0)
        counts.append(told(arrivals).feedback_count)
    assert counts == [*range(256), 0, 1]


def test_a_pause_of_the_clock_is_no_error():
    arrivals = Arrivals()
    arrivals.add(0, 1.0)
    arrivals.add(1, 500.0)
    assert came(arrivals) == {1: 500.0}


@given(st.lists(st.tuples(st.integers(0, 65535), st.floats(0, 3)), max_size=300))
def test_whatever_comes_is_bounded_and_told_without_an_error(packets: list[tuple[int, float]]):
    arrivals = Arrivals()
    now = 100.0
    for number, later in packets:
        now += later
        arrivals.add(number, now)
        if arrivals.waiting >= 64:
            assert told(arrivals).count <= SPAN
    if arrivals.waiting:
        told(arrivals)
    assert len(arrivals._times) <= SPAN + 64
    assert all(now - time <= MEMORY_S + 3 for time in arrivals._times.values()) or len(packets) < 64
