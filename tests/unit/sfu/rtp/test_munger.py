import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.munger import MAX_SEGMENTS, MAX_SOURCES, Munger


def munger(first: int = 100) -> Munger[str, int]:
    return Munger(first, 0)


def put(m: Munger, index: int) -> int | None:
    """A packet, in order or late: its number, or None where it is not sent."""
    if index > m.highest_in:
        return m.advance(index)
    segment = m.find(index)
    return None if segment is None else index + segment.delta


def test_the_first_packet_takes_the_first_number_and_gaps_are_kept():
    m = munger()
    m.follow("a", 5000, 0)
    assert [put(m, index) for index in (5000, 5001, 5003)] == [100, 101, 103]
    assert m.highest_out == 103


def test_late_packets_fill_their_gap_and_those_from_before_the_start_do_not_come():
    m = munger()
    m.follow("a", 5000, 0)
    put(m, 5003)
    assert put(m, 5001) == 101
    assert put(m, 4999) is None


def test_a_pause_leaves_no_gap():
    m = munger()
    m.follow("a", 10, 0)
    put(m, 10)
    put(m, 12)
    m.follow("a", 500, 0)
    assert put(m, 500) == 103
    assert put(m, 11) == 101, "late, from before the pause"
    assert put(m, 400) is None, "out of the pause"


def test_the_same_source_is_followed_only_further_on():
    m = munger()
    m.follow("a", 10, 0)
    put(m, 12)
    with pytest.raises(ValueError, match="passed already"):
        m.follow("a", 12, 0)


def test_another_source_goes_on_with_its_own_timestamps():
    m = munger()
    m.follow("a", 10, 0)
    put(m, 10)
    m.follow("b", 70000, -900)
    assert m.rewrite == -900
    assert put(m, 70000) == 101
    assert put(m, 69999) is None
    assert m.source == "b"


def test_back_at_the_first_source_its_old_packets_are_not_taken():
    m = munger()
    m.follow("a", 10, 0)
    put(m, 11)
    m.follow("b", 5, 7)
    put(m, 5)
    m.follow("a", 20, 14)
    put(m, 20)
    assert put(m, 10) is None


def test_a_packet_left_out_in_order_closes_the_row():
    m = munger()
    m.follow("a", 10, 0)
    put(m, 10)
    assert m.skip(11)
    assert m.skip(12)
    assert put(m, 13) == 101


def test_a_packet_left_out_after_a_loss_keeps_the_lost_ones_number():
    m = munger()
    m.follow("a", 10, 0)
    put(m, 10)
    assert m.skip(12)  # 11 is on its way
    assert put(m, 13) == 102
    assert put(m, 11) == 101


def test_a_packet_can_be_left_out_too_late():
    m = munger()
    m.follow("a", 10, 0)
    put(m, 12)
    assert not m.skip(11)
    assert put(m, 11) == 101


def test_leaving_out_before_anything_went_out():
    m = munger()
    m.follow("a", 10, 0)
    assert m.skip(10)
    assert m.skip(12)
    assert put(m, 13) == 101
    assert put(m, 11) == 100


def test_a_number_leads_back_to_its_packet():
    m = munger()
    m.follow("a", 10, 3)
    put(m, 11)
    m.follow("b", 500, 4)
    put(m, 500)
    for out, source, index, offset in ((100, "a", 10, 3), (101, "a", 11, 3), (102, "b", 500, 4)):
        segment = m.locate(out)
        assert segment is not None
        assert (segment.source, out - segment.delta, segment.rewrite) == (source, index, offset)
    assert m.locate(99) is None
    assert m.locate(103) is None


def test_before_any_source_no_number_was_given():
    assert munger().source is None
    assert munger().locate(99) is None
    assert munger().locate(100) is None
    assert munger().find(100) is None


def test_the_past_is_bounded():
    m = munger()
    for i in range(3 * MAX_SEGMENTS):
        m.follow("a", 10 * i, 0)
        put(m, 10 * i)
    assert m.locate(100) is None
    assert m.locate(m.highest_out - MAX_SEGMENTS) is not None


def test_only_the_last_sources_are_held():
    m = munger()
    for source in "abcde":
        m.follow(source, 1, 0)
        put(m, 1)
    assert [m.locate(out) is not None for out in range(100, 105)] == [False] + [True] * MAX_SOURCES


def test_who_goes_to_and_fro_holds_all_that_it_follows():
    m = munger()
    for index, source in enumerate("abcabcabc"):
        m.follow(source, index, 0)
        put(m, index)
    assert all(m.locate(out) is not None for out in range(100, 109))


def test_a_cut_changes_how_packets_are_written_and_no_number():
    m = munger()
    m.follow("a", 10, 1)
    put(m, 10)
    m.cut(12, 2)  # 11 is on its way
    assert put(m, 12) == 102
    late = m.find(11)
    assert late is not None
    assert (late.delta + 11, late.rewrite) == (101, 1)
    assert [segment and segment.rewrite for segment in map(m.locate, (100, 101, 102))] == [1, 1, 2]
    m.cut(13, 3)
    m.cut(13, 4)
    assert put(m, 13) == 103
    assert m.rewrite == 4


steps = st.lists(
    st.tuples(st.sampled_from(["map", "late", "skip", "cut", "follow", "switch"]), st.integers(1, 40)), max_size=200
)


@given(steps)
def test_no_number_is_given_twice_and_every_number_leads_back(taken: list[tuple[str, int]]):
    m: Munger[int, int] = Munger(7, 0)
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
            m.follow(source, highest[source], m.rewrite)
            continue
        index = highest[source] - size if step == "late" else highest[source] + size % 3
        if (source, index) in seen:  # a producer hands each packet over once
            continue
        seen.add((source, index))
        highest[source] = max(highest[source], index)
        if step == "skip":
            m.skip(index)
            continue
        if step == "cut" and index > m.highest_in:
            m.cut(index, size)
        out = put(m, index)
        if out is None:
            continue
        assert out not in given
        given[out] = (source, index)
        assert out <= m.highest_out
    oldest_kept = m.highest_out - MAX_SEGMENTS
    for out, (of, index) in given.items():
        segment = m.locate(out)
        if segment is None:
            assert out < oldest_kept or of <= source - MAX_SOURCES
        else:
            assert (segment.source, out - segment.delta) == (of, index)


@given(st.lists(st.integers(0, 3), max_size=100))
def test_pauses_in_an_ordered_stream_leave_no_gap_at_all(pauses: list[int]):
    m: Munger[str, int] = Munger(1, 0)
    index, out = 0, []
    for pause in pauses:
        if pause:
            index += 100 * pause
            m.follow("a", index, 0)
        elif m.source is None:
            continue
        out.append(put(m, index))
        index += 1
    assert out == list(range(1, len(out) + 1))
