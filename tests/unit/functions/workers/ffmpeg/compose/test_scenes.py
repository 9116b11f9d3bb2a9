"""Who is seen where from when on, in each layout."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from functions.workers.ffmpeg.compose.scenes import MOST_GALLERY, MOST_TILES, Scene, Span, Tile, scenes
from functions.workers.ffmpeg.compose.speakers import Turn
from meet.domain.recording import Layout
from meet.picture.layout import Rect, grid, staged

SIZE = (1280, 720)
ALICE, BOB = Span("alice", 0, 60), Span("bob", 10, 50)
CAMERAS = [Span("alice", 0, 60, "camera", 0), Span("bob", 10, 50, "camera", 1)]
SCREEN = Span("bob", 20, 30, "screen", 2)


def seen(made: list[Scene]) -> list[tuple[float, list[tuple[str, int | None]]]]:
    """Without the places."""
    return [(scene.begins_s, [(tile.user_id, tile.file) for tile in scene.tiles]) for scene in made]


def test_people_come_and_go() -> None:
    made = scenes([ALICE, BOB, *CAMERAS], [], 60, "grid", SIZE)
    assert seen(made) == [
        (0.0, [("alice", 0)]),
        (10, [("alice", 0), ("bob", 1)]),
        (50, [("alice", 0)]),
    ]
    assert [tile.place for tile in made[1].tiles] == grid(2, *SIZE)
    assert made[-1].ends_s == 60


def test_who_can_not_be_seen_has_a_card() -> None:
    camera = Span("alice", 5, 8, "camera", 0)
    made = scenes([Span("alice", 0, 10), camera], [], 12, "grid", SIZE)
    assert seen(made) == [(0.0, [("alice", None)]), (5, [("alice", 0)]), (8, [("alice", None)]), (10, [])]


def test_a_screen_is_one_more_tile_of_a_grid() -> None:
    made = scenes([ALICE, BOB, *CAMERAS, SCREEN], [], 60, "grid", SIZE)
    assert made[2] == Scene(
        20,
        30,
        tuple(
            Tile(who, file, place)
            for (who, file), place in zip([("alice", 0), ("bob", 1), ("bob", 2)], grid(3, *SIZE), strict=True)
        ),
    )


def test_who_speaks_is_large() -> None:
    made = scenes([ALICE, BOB, *CAMERAS], [Turn(2, "alice"), Turn(20, "bob")], 60, "speaker", SIZE)
    assert seen(made) == [
        (0.0, [("alice", 0)]),
        (10, [("alice", 0), ("bob", 1)]),
        (20, [("bob", 1), ("alice", 0)]),
        (50, [("alice", 0)]),
    ]
    assert [tile.place for tile in made[1].tiles] == staged(2, *SIZE, below=False)


def test_a_screen_is_larger_than_who_speaks() -> None:
    made = scenes([ALICE, BOB, *CAMERAS, SCREEN], [Turn(2, "alice"), Turn(20, "bob")], 60, "speaker", SIZE)
    assert seen(made)[2] == (20, [("bob", 2), ("bob", 1), ("alice", 0)])


def test_a_gallery_is_of_those_who_can_be_seen() -> None:
    made = scenes([ALICE, BOB, CAMERAS[1], SCREEN], [], 60, "gallery", SIZE)
    assert seen(made) == [
        (0.0, [("alice", None)]),
        (10, [("bob", 1)]),
        (20, [("bob", 2), ("alice", None), ("bob", 1)]),
        (30, [("bob", 1)]),
        (50, [("alice", None)]),
    ]
    assert [tile.place for tile in made[2].tiles] == staged(3, *SIZE, below=True)


def test_of_more_than_there_is_room_for_those_who_spoke_last_are_seen_in_their_places() -> None:
    people = [Span(f"person-{number:02}", number / 100, 10) for number in range(30)]
    made = scenes(people, [Turn(1, "person-29"), Turn(2, "person-28")], 10, "grid", SIZE)
    shown = [tile.user_id for tile in made[-1].tiles]
    assert shown == [f"person-{number:02}" for number in range(MOST_TILES)]
    made = scenes(people, [Turn(1, "person-29"), Turn(2, "person-28")], 10, "gallery", SIZE)
    shown = [tile.user_id for tile in made[-1].tiles]
    assert shown == [f"person-{number:02}" for number in (*range(MOST_GALLERY - 2), 28, 29)]


def test_nobody_is_seen_where_nobody_is() -> None:
    assert scenes([], [], 5, "grid", SIZE) == [Scene(0.0, 5, ())]


times = st.floats(0, 30)
spans = st.builds(
    lambda user, begins, length, source, file: Span(
        user, begins, begins + length, source, None if source == "person" else file
    ),
    st.sampled_from(["alice", "bob", "carol"]),
    times,
    st.floats(0.01, 30),
    st.sampled_from(["person", "camera", "screen"]),
    st.integers(0, 5),
)
some_turns = st.lists(st.builds(Turn, times, st.sampled_from(["alice", "bob", "nobody"])), max_size=5).map(
    lambda made: sorted(made, key=lambda turn: turn.at_s)
)


@given(st.lists(spans, max_size=12), some_turns, st.floats(0.1, 60), st.sampled_from(get_args(Layout)))
def test_scenes_follow_each_other_without_a_gap(
    spans: list[Span], some: list[Turn], duration_s: float, layout: Layout
) -> None:
    made = scenes(spans, some, duration_s, layout, SIZE)
    assert made[0].begins_s == 0
    assert abs(made[-1].ends_s - duration_s) < 0.002
    for before, after in pairwise(made):
        assert before.ends_s == after.begins_s
        assert before.tiles != after.tiles
    whole = Rect(0, 0, *SIZE)
    for scene in made:
        for tile in scene.tiles:
            assert tile.place.x + tile.place.width <= whole.width
