"""Images, by Pillow: the whole of the first frame is decoded."""

from typing import BinaryIO

# All that may be needed while a file is read, which is when nothing can be imported any more.
from PIL import (  # noqa: F401
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    ImagePalette,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from meet.domain.media import Facts

from . import pictures
from .kinds import Found, Kind, Unreadable

MOST_SIDE = 16_384
MOST_PIXELS = 150_000_000
"""16K (15360x8640) has 133 million."""
_CODECS = {"JPEG": "mjpeg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "BMP": "bmp"}
"""FFmpeg's names."""

Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # `_opened` holds the bound, which Pillow only warns of up to its double


def read_image(file: BinaryIO, kind: Kind) -> Found:
    """The image's facts and thumbnail; `Unreadable` where it isn't whole."""
    image = read_picture(file, kind)
    facts = Facts(width=image.width, height=image.height, codec=_CODECS[kind.reader])
    return Found(kind, facts, pictures.thumbnail(image))


def read_picture(file: BinaryIO, kind: Kind) -> Image.Image:
    """The image, decoded and upright; of an animation the first frame."""
    file.seek(0)
    try:
        image = Image.open(file, formats=[kind.reader])
    except UnidentifiedImageError as error:
        raise Unreadable(f"The file begins as {kind.mime_type} and is none") from error
    if max(image.size) > MOST_SIDE or image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"An image may have {MOST_PIXELS // 10**6} megapixels and {MOST_SIDE} pixels a side")
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return image
