"""Tiles lie side by side within the picture, whatever their number."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meet.picture.layout import STRIP_TILES, Rect, fitted, grid, staged

sides = st.integers(40, 2000).map(lambda side: side * 2)


def test_one_has_it_all() -> None:
    assert grid(1, 1280, 720) == staged(1, 1280, 720, below=True) == [Rect(0, 0, 1280, 720)]
    assert grid(0, 1280, 720) == []


def test_two_lie_side_by_side_in_the_middle() -> None:
    assert grid(2, 1280, 720) == [Rect(0, 160, 640, 400), Rect(640, 160, 640, 400)]


def test_what_is_left_over_is_in_the_middle_of_the_last_row() -> None:
    assert grid(3, 1280, 720) == [Rect(0, 0, 640, 360), Rect(640, 0, 640, 360), Rect(320, 360, 640, 360)]


def test_a_stage_with_the_others_beside_it_or_below() -> None:
    assert staged(3, 1280, 720, below=False) == [
        Rect(0, 0, 1024, 720),
        Rect(1024, 216, 256, 144),
        Rect(1024, 360, 256, 144),
    ]
    assert staged(3, 1280, 720, below=True) == [
        Rect(0, 0, 1280, 576),
        Rect(384, 576, 256, 144),
        Rect(640, 576, 256, 144),
    ]
    assert len(staged(50, 1280, 720, below=True)) == 1 + STRIP_TILES


@given(st.integers(1, 49), sides, sides, st.sampled_from(["grid", "below", "beside"]))
def test_none_lies_on_another_nor_outside(count: int, width: int, height: int, kind: str) -> None:
    tiles = grid(count, width, height) if kind == "grid" else staged(count, width, height, below=kind == "below")
    assert len(tiles) == (count if kind == "grid" else min(count, 1 + STRIP_TILES))
    for tile in tiles:
        assert tile.x >= 0 <= tile.y
        assert tile.x + tile.width <= width
        assert tile.y + tile.height <= height
        assert not any(side % 2 for side in (tile.x, tile.y, tile.width, tile.height))
    for one, other in combinations(tiles, 2):
        assert (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or other.y + other.height <= one.y
        )


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((1280, 720), Rect(0, 18, 640, 360)),
        ((640, 480), Rect(56, 0, 528, 396)),
        ((360, 640), Rect(208, 0, 222, 396)),
    ],
)
def test_a_picture_keeps_its_shape(shape: tuple[int, int], place: Rect) -> None:
    assert fitted(*shape, Rect(0, 0, 640, 396)) == place


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(1, 500), st.integers(1, 500))
def test_a_picture_lies_within_its_place(width: int, height: int, across: int, down: int) -> None:
    into = Rect(10, 20, 2 * across, 2 * down)
    place = fitted(width, height, into)
    assert place.width >= 2 <= place.height
    assert into.x <= place.x <= place.x + place.width <= into.x + into.width
    assert into.y <= place.y <= place.y + place.height <= into.y + into.height
