from hypothesis import given
from hypothesis import strategies as st

from sfu.plane.replay import WINDOW, ReplayWindow


def take(window: ReplayWindow, index: int) -> bool:
    admitted = window.admits(index)
    if admitted:
        window.record(index)
    return admitted


@given(st.lists(st.integers(0, 4 * WINDOW), max_size=200))
def test_it_admits_what_a_set_of_seen_indices_would(indices: list[int]) -> None:
    window, seen = ReplayWindow(), set[int]()
    for index in indices:
        expected = index not in seen and (not seen or max(seen) - index < WINDOW)
        assert take(window, index) == expected
        if expected:
            seen.add(index)


def test_the_window_has_1024_places() -> None:
    window = ReplayWindow()
    take(window, 5000)
    assert window.admits(5000 - WINDOW + 1)
    assert not window.admits(5000 - WINDOW)


def test_a_leap_further_than_the_window_forgets_all() -> None:
    window = ReplayWindow()
    take(window, 7)
    take(window, 30_000)
    assert not window.admits(7)
    assert window.admits(29_999)


def test_a_sequence_number_stands_for_the_nearest_index() -> None:
    window = ReplayWindow()
    assert window.estimate(65_530) == 65_530
    take(window, 65_530)
    assert window.estimate(3) == 65_536 + 3
    take(window, 65_536 + 3)
    assert window.estimate(65_535) == 65_535
    assert window.estimate(4) == 65_536 + 4
    take(window, 65_536 + 40_000)
    assert window.estimate(2) == 2 * 65_536 + 2


def test_what_is_from_before_the_stream_began_is_refused() -> None:
    window = ReplayWindow()
    take(window, 2)
    assert window.estimate(65_535) == -1
    assert not window.admits(-1)
