from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.numbers import Unwrapper


def test_the_first_is_itself_and_the_others_are_close():
    numbers = Unwrapper()
    assert [numbers.take(value, 7) for value in (126, 127, 0, 126, 2)] == [126, 127, 128, 126, 130]


def test_widths_may_change():
    numbers = Unwrapper()
    assert [numbers.take(value, bits) for value, bits in ((127, 7), (0, 7), (129, 15))] == [127, 128, 129]


@given(st.integers(0, 32767), st.lists(st.integers(-60, 60), max_size=200))
def test_it_counts_on_whatever_the_order(start, steps):
    numbers = Unwrapper()
    assert numbers.take(start, 15) == start
    highest = start
    for step in steps:
        number = highest + step
        assert numbers.take(number & 0x7FFF, 15) == number
        highest = max(highest, number)
