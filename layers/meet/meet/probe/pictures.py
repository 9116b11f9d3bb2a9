"""Pictures made of pictures: scaled, fitted and encoded by Pillow."""

from io import BytesIO

from PIL import Image, ImageOps

from .kinds import THUMBNAIL_WIDTH, Format

_QUALITY = 82
_LARGE = 20_000_000
"""Pixels above which a picture is thinned out before it is scaled well, since scaling copies the whole of it."""


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """Exactly `width` by `height`: all of the picture in its own shape, in the middle of black."""
    return ImageOps.pad(_opaque(_thinned(image, width, height)), (width, height), Image.Resampling.LANCZOS)


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG in the picture's own shape, `THUMBNAIL_WIDTH` wide at most and never larger than the picture."""
    box = (THUMBNAIL_WIDTH, 2 * THUMBNAIL_WIDTH)
    small = _thinned(image, *box)
    small.thumbnail(box, Image.Resampling.LANCZOS)
    return encoded(_opaque(small), "jpg")


def encoded(image: Image.Image, format: Format) -> bytes:
    """The picture as a file, without any of the source's metadata."""
    file = BytesIO()
    if format == "png":
        image.save(file, "PNG")
    else:
        image.save(file, "JPEG" if format == "jpg" else "WEBP", quality=_QUALITY)
    return file.getvalue()


def _thinned(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture, or every n-th of its pixels where it is very large; never less than four times the box."""
    every = min(image.width // (4 * width), image.height // (4 * height))
    if image.width * image.height <= _LARGE or every < 2:
        return image
    return image.resize((image.width // every, image.height // every), Image.Resampling.NEAREST)


def _opaque(image: Image.Image) -> Image.Image:
    """In plain RGB; what can be seen through is before white."""
    if image.mode == "RGB":
        return image
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
