import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.munger import MAX_SEGMENTS, Munger


def munger(first: int = 100) -> Munger[str]:
    return Munger(first)


def test_the_first_packet_takes_the_first_number_and_gaps_are_kept():
    m = munger()
    m.follow("a", 5000, 0)
    assert [m.map(index) for index in (5000, 5001, 5003)] == [100, 101, 103]
    assert m.highest_out == 103


def test_late_packets_fill_their_gap_and_those_from_before_the_start_do_not_come():
    m = munger()
    m.follow("a", 5000, 0)
    m.map(5003)
    assert m.map(5001) == 101
    assert m.map(4999) is None


def test_a_pause_leaves_no_gap():
    m = munger()
    m.follow("a", 10, 0)
    m.map(10)
    m.map(12)
    m.follow("a", 500, 0)
    assert m.map(500) == 103
    assert m.map(11) == 101, "late, from before the pause"
    assert m.map(400) is None, "out of the pause"


def test_the_same_source_is_followed_only_further_on():
    m = munger()
    m.follow("a", 10, 0)
    m.map(12)
    with pytest.raises(ValueError, match="passed already"):
        m.follow("a", 12, 0)


def test_another_source_goes_on_with_its_own_timestamps():
    m = munger()
    m.follow("a", 10, 0)
    m.map(10)
    m.follow("b", 70000, -900)
    assert m.timestamp_offset == -900
    assert m.map(70000) == 101
    assert m.map(69999) is None
    assert m.source == "b"


def test_back_at_the_first_source_its_old_packets_are_not_taken():
    m = munger()
    m.follow("a", 10, 0)
    m.map(11)
    m.follow("b", 5, 7)
    m.map(5)
    m.follow("a", 20, 14)
    m.map(20)
    assert m.map(10) is None


def test_a_packet_left_out_in_order_closes_the_row():
    m = munger()
    m.follow("a", 10, 0)
    m.map(10)
    assert m.skip(11)
    assert m.skip(12)
    assert m.map(13) == 101


def test_a_packet_left_out_after_a_loss_keeps_the_lost_ones_number():
    m = munger()
    m.follow("a", 10, 0)
    m.map(10)
    assert m.skip(12)  # 11 is on its way
    assert m.map(13) == 102
    assert m.map(11) == 101


def test_a_packet_can_be_left_out_too_late():
    m = munger()
    m.follow("a", 10, 0)
    m.map(12)
    assert not m.skip(11)
    assert m.map(11) == 101


def test_leaving_out_before_anything_went_out():
    m = munger()
    m.follow("a", 10, 0)
    assert m.skip(10)
    assert m.skip(12)
    assert m.map(13) == 101
    assert m.map(11) == 100


def test_a_number_leads_back_to_its_packet():
    m = munger()
    m.follow("a", 10, 3)
    m.map(11)
    m.follow("b", 500, 4)
    m.map(500)
    for out, source, index, offset in ((100, "a", 10, 3), (101, "a", 11, 3), (102, "b", 500, 4)):
        segment = m.locate(out)
        assert segment is not None
        assert (segment.source, out - segment.delta, segment.timestamp_offset) == (source, index, offset)
    assert m.locate(99) is None
    assert m.locate(103) is None


def test_before_any_source_no_number_was_given():
    assert munger().source is None
    assert munger().locate(99) is None
    assert munger().locate(100) is None


def test_the_past_is_bounded():
    m = munger()
    for i in range(3 * MAX_SEGMENTS):
        m.follow("a", 10 * i, 0)
        m.map(10 * i)
    assert m.locate(100) is None
    assert m.locate(m.highest_out - MAX_SEGMENTS) is not None


def test_only_the_last_two_sources_are_held():
    m = munger()
    for source in "abc":
        for index in (1, 10):
            m.follow(source, index, 0)
            m.map(index)
    assert [m.locate(out) is not None for out in range(100, 106)] == [False, False, True, True, True, True]


steps = st.lists(
    st.tuples(st.sampled_from(["map", "late", "skip", "follow", "switch"]), st.integers(1, 40)), max_size=200
)


@given(steps)
def test_no_number_is_given_twice_and_every_number_leads_back(taken: list[tuple[str, int]]):
    m: Munger[int] = Munger(7)
    source = 0
    highest = {0: 1000}
    m.follow(0, 1000, 0)
    given: dict[int, tuple[int, int]] = {}
    seen: set[tuple[int, int]] = set()
    for step, size in taken:
        if step == "switch":
            source += 1
            highest[source] = 50_000 * source
            m.follow(source, highest[source], source)
            continue
        if step == "follow":
            highest[source] = max(highest[source], m.highest_in) + size
            m.follow(source, highest[source], m.timestamp_offset)
            continue
        index = highest[source] - size if step == "late" else highest[source] + size % 3
        if (source, index) in seen:  # a producer hands each packet over once
            continue
        seen.add((source, index))
        highest[source] = max(highest[source], index)
        if step == "skip":
            m.skip(index)
            continue
        out = m.map(index)
        if out is None:
            continue
        assert out not in given
        given[out] = (source, index)
        assert out <= m.highest_out
    oldest_kept = m.highest_out - MAX_SEGMENTS
    for out, (of, index) in given.items():
        segment = m.locate(out)
        if segment is None:
            assert out < oldest_kept or of < source - 1
        else:
            assert (segment.source, out - segment.delta) == (of, index)


@given(st.lists(st.integers(0, 3), max_size=100))
def test_pauses_in_an_ordered_stream_leave_no_gap_at_all(pauses: list[int]):
    m: Munger[str] = Munger(1)
    index, out = 0, []
    for pause in pauses:
        if pause:
            index += 100 * pause
            m.follow("a", index, 0)
        elif m.source is None:
            continue
        out.append(m.map(index))
        index += 1
    assert out == list(range(1, len(out) + 1))
