"""A picture that is painted on, in planar 4:2:0 as encoders take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from meet.picture.layout import Rect

Source = TypeVar("Source")

GREY = 128
"""Of both colour planes: none."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of a picture: `stride` bytes from a line to the next."""

    data: memoryview
    stride: int


class Canvas:
    """`data` holds all of it: the luma plane, then the two of colour with half the lines and columns."""

    def __init__(self, width: int, height: int) -> None:
        if width % 2 or height % 2:
            raise ValueError("a picture in 4:2:0 has even sides")
        self.width, self.height = width, height
        self.data = bytearray(width * height * 3 // 2)
        whole = memoryview(self.data)
        luma, colour = width * height, width * height // 4
        self._planes = (
            Plane(whole[:luma], width),
            Plane(whole[luma : luma + colour], width // 2),
            Plane(whole[luma + colour :], width // 2),
        )

    def fill(self, place: Rect, luma: int) -> None:
        """Make a part grey."""
        lines = bytes([luma]) * place.width, bytes([GREY]) * (place.width // 2)
        for plane, line, part in self._parts(place, (lines[0], lines[1], lines[1])):
            for row in range(part.y, part.y + part.height):
                start = row * plane.stride + part.x
                plane.data[start : start + part.width] = line

    def paste(self, planes: Sequence[Plane], place: Rect) -> None:
        """Copy a picture of the size of `place` there; one of a single plane is grey."""
        if len(planes) == 1:
            self.fill(place, 0)
        for plane, source, part in self._parts(place, planes):
            for row in range(part.height):
                start, begin = (part.y + row) * plane.stride + part.x, row * source.stride
                plane.data[start : start + part.width] = source.data[begin : begin + part.width]

    def _parts(self, place: Rect, sources: Sequence[Source]) -> list[tuple[Plane, Source, Rect]]:
        half = Rect(place.x // 2, place.y // 2, place.width // 2, place.height // 2)
        return list(zip(self._planes, sources, (place, half, half), strict=False))
