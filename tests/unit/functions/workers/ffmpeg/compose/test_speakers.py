"""Whose turn it is: whoever is the loudest for a while, and nobody who only coughs."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from functions.workers.ffmpeg.compose.speakers import LEAST_TURN_S, Level, Turn, turns

LOUD, SOFT, ROOM = 20, 45, 80


def talk(user_id: str, begins_s: float, ends_s: float, level: int = LOUD) -> list[Level]:
    """Ten levels a second."""
    count = round((ends_s - begins_s) * 10)
    return [Level(begins_s + number / 10, user_id, level) for number in range(count)]


def test_nobody_speaks_in_a_silent_room() -> None:
    assert turns([]) == []
    assert turns(talk("alice", 0, 10, ROOM)) == []


def test_the_first_word_has_the_turn_at_once() -> None:
    assert turns(talk("alice", 3, 4)) == [Turn(3.0, "alice")]


def test_the_turn_goes_to_who_begins_when_the_other_ends() -> None:
    assert turns([*talk("alice", 0, 10), *talk("bob", 10, 20)]) == [Turn(0.0, "alice"), Turn(10.0, "bob")]


def test_a_cough_and_a_yes_change_nothing() -> None:
    levels = [*talk("alice", 0, 5), *talk("bob", 5, 5.4), *talk("alice", 5.5, 20), *talk("bob", 12, 12.4, 5)]
    assert turns(levels) == [Turn(0.0, "alice")]


def test_a_pause_for_breath_changes_nothing() -> None:
    assert turns([*talk("alice", 0, 5), *talk("alice", 7, 9)]) == [Turn(0.0, "alice")]


def test_of_two_who_speak_at_once_the_louder_one_has_it() -> None:
    assert turns([*talk("bob", 0, 10, SOFT), *talk("alice", 0, 10)]) == [Turn(0.0, "alice")]


def test_levels_may_come_in_any_order() -> None:
    levels = [*talk("alice", 0, 10), *talk("bob", 10, 20)]
    assert turns(reversed(levels)) == turns(levels)


@given(
    st.lists(
        st.builds(Level, st.floats(0, 60), st.sampled_from(["alice", "bob", "carol"]), st.integers(0, 127)),
        max_size=200,
    )
)
def test_a_turn_lasts_and_is_somebody_else_s(levels: list[Level]) -> None:
    for before, after in pairwise(turns(levels)):
        assert after.user_id != before.user_id
        assert after.at_s - before.at_s >= LEAST_TURN_S
