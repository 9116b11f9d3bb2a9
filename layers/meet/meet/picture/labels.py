"""Names under tiles, and the cards of those who can't be seen: white on grey, drawn by Pillow.

DejaVu has the letters of Europe; where Noto's or WenQuanYi's fonts are installed, those of China, Japan and Korea are
drawn as well. A letter that no font has is drawn as a box. On a machine without any font, Pillow's own is taken.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from meet.picture.layout import even

FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
)
"""Debian's and Amazon Linux' places, in the order in which they are asked for all the letters of a name."""
BAR, CARD, TEXT = 24, 40, 235
"""Luma of what is behind a name, of a card, and of letters."""
BAR_SHARE = 0.1
LEAST_BAR, MOST_BAR = 14, 44
"""Lines; fewer can't be read, and more is no better."""
MISSING = "\U0010fffe"
"""No font has this."""

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def bar_height(tile_height: int) -> int:
    """How much of a tile its name takes."""
    return even(min(max(tile_height * BAR_SHARE, LEAST_BAR), MOST_BAR, tile_height / 2))


@lru_cache(maxsize=256)
def bar(name: str, width: int, height: int) -> bytes:
    """The luma of a line with a name: `width` by `height`."""
    return _drawn(name, width, height, letters=height * 0.62, behind=BAR)


@lru_cache(maxsize=64)
def card(name: str, width: int, height: int) -> bytes:
    """The luma of what is shown in the place of somebody who can't be seen."""
    return _drawn(name, width, height, letters=min(height * 0.16, width * 0.09), behind=CARD)


def _drawn(name: str, width: int, height: int, *, letters: float, behind: int) -> bytes:
    image = Image.new("L", (width, height), behind)
    draw = ImageDraw.Draw(image)
    size = max(8, round(letters))
    # A letter that can't be printed would be drawn as a box, or turn the line.
    text = "".join(char for char in name if char.isprintable())
    font = _font(_of(text), size)
    text = _cut(text, font, width - size)
    draw.text((width / 2, height / 2), text, fill=TEXT, font=font, anchor="mm" if _has_anchors(font) else None)
    return image.tobytes()


def _cut(text: str, font: _Font, width: int) -> str:
    """As much of it as there is room for."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _has_anchors(font: _Font) -> bool:
    return isinstance(font, ImageFont.FreeTypeFont)


@lru_cache(maxsize=64)
def _font(path: str, size: int) -> _Font:
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


@cache
def _there() -> tuple[str, ...]:
    return tuple(path for path in FONTS if Path(path).exists())


def _of(text: str) -> str:
    """The first font that has all the letters, else the first; empty: Pillow's own."""
    for path in _there():
        font = _font(path, 20)
        if isinstance(font, ImageFont.FreeTypeFont):
            box = bytes(font.getmask(MISSING))
            if all(char.isspace() or bytes(font.getmask(char)) != box for char in set(text)):
                return path
    return _there()[0] if _there() else ""
