"""From when to when which tiles are seen: pure, from who was there and what could be seen of them.

A scene lasts until anything changes: somebody comes or goes, a camera or a screen is switched on or off, the turn
goes to another. Everybody keeps the place of their arrival as long as the layout lets them.

    grid      everybody, as equal tiles, screens among them
    speaker   a screen, or else who speaks, is large; the others are small at its side, who spoke last first
    gallery   a screen is large with the others below it; without one, equal tiles of those who can be seen, and of
              everybody where nobody can
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from meet.domain.recording import Layout
from meet.picture.layout import Rect, grid, staged

from .speakers import Turn

MOST_TILES = 25
"""Of a grid: five by five, which at 1080p are 384 pixels wide."""
MOST_GALLERY = 9
LEAST_SCENE_S = 0.001


@dataclass(frozen=True, slots=True)
class Span:
    """A person is there, or one of their cameras or screens is on: `file` is what it shows, None for the person."""

    user_id: str
    begins_s: float
    ends_s: float
    source: Literal["person", "camera", "screen"] = "person"
    file: int | None = None

    def covers(self, begins_s: float, ends_s: float) -> bool:
        """Whether it is there through all of this."""
        return self.begins_s <= begins_s and ends_s <= self.ends_s


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a scene: what `file` shows, or a card with the name where there is none."""

    user_id: str
    file: int | None
    place: Rect


@dataclass(frozen=True, slots=True)
class Scene:
    """What is seen from then to then."""

    begins_s: float
    ends_s: float
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    user_id: str
    file: int | None
    is_screen: bool = False


def scenes(
    spans: Sequence[Span], turns: Sequence[Turn], duration_s: float, layout: Layout, size: tuple[int, int]
) -> list[Scene]:
    """The whole of the recording, without a gap; a scene in which nobody is there has no tiles."""
    moments = {0.0, duration_s}
    moments.update(time for one in spans for time in (one.begins_s, one.ends_s))
    if layout != "grid":
        moments.update(turn.at_s for turn in turns)
    order = _arrivals(spans)
    made: list[Scene] = []
    spoke: list[str] = []
    waiting = list(turns)
    for begins_s, ends_s in pairwise(sorted(time for time in moments if 0 <= time <= duration_s)):
        while waiting and waiting[0].at_s <= begins_s:
            who = waiting.pop(0).user_id
            spoke = [who, *(other for other in spoke if other != who)]
        if ends_s - begins_s < LEAST_SCENE_S:
            continue
        seen = _seen([one for one in spans if one.covers(begins_s, ends_s)], order)
        tiles = tuple(_placed(seen, spoke, layout, size))
        if made and made[-1].tiles == tiles:
            made[-1] = Scene(made[-1].begins_s, ends_s, tiles)
        else:
            made.append(Scene(made[-1].ends_s if made else 0.0, ends_s, tiles))
    return made


def _arrivals(spans: Iterable[Span]) -> dict[str, int]:
    """The order in which people came for the first time."""
    came = sorted((one.begins_s, one.user_id) for one in spans)
    return {user_id: place for place, user_id in enumerate(dict.fromkeys(user_id for _, user_id in came))}


def _seen(spans: Sequence[Span], order: dict[str, int]) -> list[_Seen]:
    """Screens and cameras that are on, and a card for everybody without a camera."""
    cameras = {one.user_id for one in spans if one.source == "camera"}
    seen = [_Seen(one.user_id, one.file, one.source == "screen") for one in spans if one.source != "person"]
    absent = {one.user_id for one in spans} - cameras
    seen += [_Seen(user_id, None) for user_id in absent]
    return sorted(seen, key=lambda one: (order[one.user_id], one.is_screen, -1 if one.file is None else one.file))


def _placed(seen: list[_Seen], spoke: list[str], layout: Layout, size: tuple[int, int]) -> list[Tile]:
    rank = {user_id: place for place, user_id in enumerate(spoke)}
    by_speech = sorted(seen, key=lambda one: (not one.is_screen, rank.get(one.user_id, len(rank))))
    screens = any(one.is_screen for one in seen)
    if layout == "speaker":
        chosen, places = by_speech, staged(len(seen), *size, below=False)
    elif layout == "gallery" and screens:
        chosen, places = by_speech, staged(len(seen), *size, below=True)
    else:
        chosen = seen
        most = MOST_TILES
        if layout == "gallery":
            chosen = [one for one in seen if one.file is not None] or seen
            most = MOST_GALLERY
        if len(chosen) > most:
            # Who is left out are those who said nothing for the longest; the others keep their places.
            loudest = [one for one in by_speech if one in chosen][:most]
            chosen = [one for one in chosen if one in loudest]
        places = grid(len(chosen), *size)
    return [Tile(one.user_id, one.file, place) for one, place in zip(chosen, places, strict=False)]
