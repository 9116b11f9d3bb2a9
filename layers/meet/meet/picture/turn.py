"""Pictures of phones that were held sideways, turned upright."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from meet.picture.canvas import Plane

_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
"""Pillow's go counterclockwise."""


def is_sideways(rotation: int) -> bool:
    """Whether turning by so many degrees makes the width of a picture its height."""
    return rotation % 180 == 90


def turned(planes: Sequence[Plane], width: int, height: int, rotation: int) -> list[Plane]:
    """The planes of a 4:2:0 picture of this even size, turned by 0, 90, 180 or 270 degrees counterclockwise."""
    turn = _TURNS.get(rotation % 360)
    if turn is None:
        return list(planes)
    sizes = [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
    return [_turned(plane, size, turn) for plane, size in zip(planes, sizes, strict=True)]


def _turned(plane: Plane, size: tuple[int, int], turn: Image.Transpose) -> Plane:
    image = Image.frombytes("L", size, bytes(plane.data), "raw", "L", plane.stride, 1).transpose(turn)
    return Plane(memoryview(image.tobytes()), image.width)
