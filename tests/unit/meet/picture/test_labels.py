"""Names can be read, whatever they are and however small the tile is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meet.picture import labels


def ink(luma: bytes, width: int) -> list[int]:
    """How much of each line is letters."""
    return [sum(byte > 150 for byte in luma[start : start + width]) for start in range(0, len(luma), width)]


def test_a_name_is_in_the_middle_of_its_bar() -> None:
    luma = labels.bar("Alice", 200, 30)
    lines = ink(luma, 200)
    assert len(luma) == 200 * 30
    assert not any(lines[:5]) | any(lines[-3:])
    assert sum(lines) > 20
    columns = [place % 200 for place, byte in enumerate(luma) if byte > 150]
    assert sum(columns) / len(columns) == pytest.approx(100, abs=6)


def test_a_long_name_is_cut() -> None:
    luma = labels.bar("Wolfeschlegelsteinhausenbergerdorff " * 8, 200, 30)
    columns = [place % 200 for place, byte in enumerate(luma) if byte > 150]
    assert min(columns) >= 4
    assert max(columns) < 196


def test_two_names_are_two_pictures_and_none_is_none() -> None:
    assert labels.bar("Alice", 200, 30) != labels.bar("Bob", 200, 30)
    assert sum(ink(labels.bar("", 200, 30), 200)) == 0
    assert set(labels.card("", 20, 10)) == {labels.CARD}


def test_a_machine_without_fonts_has_pillow_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_there", tuple)
    assert sum(ink(labels.bar("A name of nobody else", 300, 30), 300)) > 20


@settings(max_examples=50)
@given(st.text(max_size=40), st.integers(1, 100), st.integers(1, 40))
def test_any_name_in_any_tile(name: str, across: int, down: int) -> None:
    width, height = 2 * across, 2 * down
    assert len(labels.bar(name, width, height)) == len(labels.card(name, width, height)) == width * height


@given(st.integers(2, 4000))
def test_a_bar_leaves_room_for_the_picture(height: int) -> None:
    bar = labels.bar_height(height)
    assert bar % 2 == 0
    assert 0 <= bar <= height / 2
