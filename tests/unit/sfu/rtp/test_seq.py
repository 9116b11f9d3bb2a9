from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.seq import unwrap

indices = st.integers(min_value=0, max_value=1 << 48)


def test_the_next_number_after_the_wrap_goes_on():
    assert unwrap(0, 65535) == 65536
    assert unwrap(3, 65535) == 65539


def test_a_late_number_from_before_the_wrap_goes_back():
    assert unwrap(65535, 65536) == 65535
    assert unwrap(65000, 65536 * 7 + 12) == 65536 * 6 + 65000


def test_a_packet_from_before_the_first_is_negative():
    assert unwrap(65535, 0) == -1


@given(indices, st.integers(min_value=-32768, max_value=32767))
def test_whatever_lies_within_half_the_space_is_found_again(highest: int, distance: int):
    index = highest + distance
    assert unwrap(index & 0xFFFF, highest) == index


@given(st.integers(0, 65535), st.lists(st.integers(1, 30000), max_size=200))
def test_a_rising_stream_with_gaps_keeps_its_distances(first: int, steps: list[int]):
    highest = index = first
    for step in steps:
        index += step
        highest = unwrap(index & 0xFFFF, highest)
        assert highest == index
