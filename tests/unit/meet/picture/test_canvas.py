"""What is painted is where it should be, in all three planes, and nothing else is touched."""

from __future__ import annotations

import pytest

from meet.picture.canvas import GREY, Canvas, Plane
from meet.picture.layout import Rect

WIDTH, HEIGHT = 8, 6


def rows(canvas: Canvas) -> tuple[list[str], list[str], list[str]]:
    """The planes, a letter a pixel: `.` where nothing was painted."""
    text = "".join(chr(byte) if byte else "." for byte in canvas.data)
    luma, colour = WIDTH * HEIGHT, WIDTH * HEIGHT // 4

    def lines(part: str, width: int) -> list[str]:
        return [part[start : start + width] for start in range(0, len(part), width)]

    return (
        lines(text[:luma], WIDTH),
        lines(text[luma : luma + colour], WIDTH // 2),
        lines(text[luma + colour :], WIDTH // 2),
    )


def plane(*lines: bytes) -> Plane:
    """Each line is followed by what FFmpeg leaves behind it."""
    return Plane(memoryview(b"".join(line + b"###" for line in lines)), len(lines[0]) + 3)


def test_a_picture_is_pasted() -> None:
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.paste([plane(b"abcd", b"efgh"), plane(b"uU"), plane(b"vV")], Rect(2, 4, 4, 2))
    luma, first, second = rows(canvas)
    assert luma == ["........"] * 4 + ["..abcd..", "..efgh.."]
    assert first == ["....", "....", ".uU."]
    assert second == ["....", "....", ".vV."]


def test_letters_are_grey() -> None:
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.paste([plane(b"ab", b"cd")], Rect(0, 0, 2, 2))
    luma, first, second = rows(canvas)
    assert luma[:2] == ["ab......", "cd......"]
    assert first[0] == second[0] == f"{chr(GREY)}..."


def test_a_part_is_filled() -> None:
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.fill(Rect(4, 2, 4, 4), ord("x"))
    luma, first, _ = rows(canvas)
    assert luma == ["........"] * 2 + ["....xxxx"] * 4
    assert first == ["....", *[f"..{chr(GREY) * 2}"] * 2]


def test_sides_are_even() -> None:
    with pytest.raises(ValueError, match="even"):
        Canvas(7, 6)
