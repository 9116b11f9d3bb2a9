"""Where tiles lie on a picture: pure arithmetic. All numbers are even, since colour has half the picture's lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

STRIP_SHARE = 0.2
"""Of the picture, for those who are not on the stage."""
STRIP_TILES = 5
"""The most of them: each is then as wide as high a share, so that it keeps the picture's shape."""
TALLEST = 10 / 16
"""Of a tile's height to its width: a picture of 16:9 and the name under it fill it, with nothing left between."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of a picture, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


def even(number: float) -> int:
    """The largest even number that is not above."""
    return int(number // 2) * 2


def grid(count: int, width: int, height: int) -> list[Rect]:
    """So many equal tiles, row by row; those of a last row that isn't full are in its middle."""
    if count == 0:
        return []
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    across = even(width / columns)
    down = even(min(height / rows, across * TALLEST))
    top = even((height - rows * down) / 2)
    tiles = []
    for index in range(count):
        row, column = divmod(index, columns)
        in_row = min(columns, count - row * columns)
        left = even((width - in_row * across) / 2)
        tiles.append(Rect(left + column * across, top + row * down, across, down))
    return tiles


def staged(count: int, width: int, height: int, *, below: bool) -> list[Rect]:
    """One large tile, the first, and up to `STRIP_TILES` small ones in a strip below it or at its right.

    A single one has the whole picture.
    """
    if count < 2:
        return grid(count, width, height)
    across, down = even(width * STRIP_SHARE), even(height * STRIP_SHARE)
    small = min(count - 1, STRIP_TILES)
    if below:
        stage = Rect(0, 0, even(width), even(height) - down)
        left, top = even((width - small * across) / 2), stage.height
        return [stage, *(Rect(left + index * across, top, across, down) for index in range(small))]
    stage = Rect(0, 0, even(width) - across, even(height))
    top = even((height - small * down) / 2)
    return [stage, *(Rect(stage.width, top + index * down, across, down) for index in range(small))]


def fitted(width: int, height: int, into: Rect) -> Rect:
    """The largest place within `into` for a picture of this shape, in its middle; at least 2 by 2."""
    scale = min(into.width / width, into.height / height)
    across, down = max(2, even(width * scale)), max(2, even(height * scale))
    return Rect(into.x + even((into.width - across) / 2), into.y + even((into.height - down) / 2), across, down)
