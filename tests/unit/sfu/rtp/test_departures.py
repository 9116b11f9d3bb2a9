from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.departures import CAPACITY, OVERHEAD, Departures, Fate
from sfu.rtp.twcc import TransportFeedback

NOTHING = Fate([], [], 0, 0)


def feedback(base: int, count: int, *received: tuple[int, int]) -> TransportFeedback:
    return TransportFeedback(1, 2, base & 0xFFFF, count, 0, received)


def sent(count: int) -> Departures:
    """Packets 1 to `count`, 1 ms apart, of 100 bytes and overhead."""
    departures = Departures()
    for n in range(1, count + 1):
        assert departures.add(100, n / 1000) == n & 0xFFFF
    return departures


def test_what_came_is_told_with_both_times():
    fate = sent(3).told(feedback(1, 3, (0, 400), (2, 404)))
    assert fate.came == [(1, 0.001, 0.1, 100 + OVERHEAD), (3, 0.003, 0.101, 100 + OVERHEAD)]
    assert (fate.lost, fate.late) == ([2], 0)


def test_what_was_told_once_counts_once():
    departures = sent(4)
    assert departures.told(feedback(1, 3, (0, 0), (2, 8))).lost == [2]
    assert departures.told(feedback(1, 3, (0, 0), (2, 8))) == NOTHING
    fate = departures.told(feedback(2, 3, (0, 12), (1, 8), (2, 16)))
    assert [number for number, *_ in fate.came] == [2, 4]
    assert (fate.lost, fate.late) == ([], 1)


def test_a_feedback_that_was_lost_tells_nothing_of_its_packets():
    departures = sent(9)
    departures.told(feedback(1, 3, (0, 0), (1, 0), (2, 0)))
    fate = departures.told(feedback(7, 3, (0, 9), (2, 9)))
    assert fate.lost == [8]
    assert fate.untold == 3 * (100 + OVERHEAD)


def test_numbers_that_were_never_sent_are_nothing():
    departures = sent(3)
    assert [number for number, *_ in departures.told(feedback(3, 4, (0, 0), (1, 0), (3, 0))).came] == [3]
    assert departures.told(feedback(20_000, 3, (0, 0)))[:3] == NOTHING[:3]
    assert departures.told(feedback(-5, 3, (0, 0))) == NOTHING


def test_numbers_wrap_and_old_ones_are_forgotten():
    departures = sent(70_000)
    fate = departures.told(feedback(70_000 - CAPACITY - 10, CAPACITY + 11, (0, 0), (CAPACITY + 10, 0)))
    assert [number for number, *_ in fate.came] == [70_000]
    assert len(fate.lost) == CAPACITY - 1


def test_a_packet_out_of_a_cache_does_not_leave_before_the_one_before_it():
    departures = Departures()
    departures.add(100, 2.0)
    departures.add(100, 1.0)
    assert [left for _, left, _, _ in departures.told(feedback(1, 2, (0, 0), (1, 0))).came] == [2.0, 2.0]


def test_bytes_are_counted_with_what_the_path_adds():
    departures = sent(10)
    assert departures.sent_between(3, 5) == 3 * (100 + OVERHEAD)
    assert departures.sent_between(9, 20) == 2 * (100 + OVERHEAD)
    assert departures.sent_between(-9, 0) == 0


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(1, 3000), st.sets(st.integers(0, 2999)))))
def test_no_feedback_makes_more_packets_than_were_sent(said: list[tuple[int, int, set[int]]]):
    departures = sent(3000)
    came, lost = 0, 0
    for base, count, offsets in said:
        fate = departures.told(feedback(base, count, *((offset, 0) for offset in sorted(offsets) if offset < count)))
        came, lost = came + len(fate.came), lost + len(fate.lost) - fate.late
    assert 0 <= came <= CAPACITY
    assert 0 <= lost <= CAPACITY - came
    assert len(departures._missing) <= CAPACITY
