"""The child's two tasks on a file that it has never seen."""

from typing import BinaryIO

from PIL import Image

from meet.domain.media import FileType

from . import documents, images, kinds, pictures, tracks
from .kinds import Format, Found, Kind, Unreadable
from .sniff import SNIFFED, sniff

_ID3_HEAD = 10


def examine(file: BinaryIO, size: int) -> Found:
    """What the file is; `Unreadable` where it is nothing that is accepted, or broken."""
    kind = _kind(file)
    if kind is kinds.PDF:
        return documents.read_pdf(file, size)
    if kind is kinds.TXT:
        return documents.read_text(file, size)
    if kind.file_type is FileType.IMAGE:
        return images.read_image(file, kind)
    return tracks.read_tracks(file, size, kind)


def picture(file: BinaryIO, at_s: float, width: int, height: int, format: Format) -> bytes:
    """A picture of exactly `width` by `height` of what the file shows at `at_s`, see `pictures.fitted`."""
    return pictures.encoded(pictures.fitted(_shown(file, at_s), width, height), format)


def _shown(file: BinaryIO, at_s: float) -> Image.Image:
    kind = _kind(file)
    if kind.file_type is FileType.DOCUMENT:
        raise Unreadable("A document has no picture")
    if kind.file_type is FileType.IMAGE:
        return images.read_picture(file, kind)
    return tracks.picture_at(file, kind, at_s)


def _kind(file: BinaryIO) -> Kind:
    """By the first bytes; behind an ID3 tag by those that follow, which are not always MP3."""
    file.seek(0)
    head = file.read(SNIFFED)
    if head.startswith(b"ID3") and len(head) > _ID3_HEAD:
        file.seek(_ID3_HEAD + _id3_size(head))
        head = file.read(SNIFFED)
        kind = sniff(head)
        if kind not in (kinds.MP3, kinds.AAC, kinds.FLAC):
            kind = kinds.MP3  # with padding between; whether it is one, the demuxer sees
        return kind
    kind = sniff(head)
    if kind is None:
        raise Unreadable("The file is of no supported format")
    return kind


def _id3_size(head: bytes) -> int:
    """Of a tag without its head: 28 bits, 7 in each byte (ID3v2.4 section 3.1)."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
