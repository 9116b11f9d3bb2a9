"""The kinds of files that are accepted, and what was found of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from meet.domain.media import Facts, FileType
from meet.errors import Invalid

Format = Literal["jpg", "png", "webp"]
"""Of pictures that are made."""
MOST_SIDE = 4096
"""The most pixels of a side of a picture that may be asked for: one of 4096x4096 takes seconds as WebP."""


class Unreadable(Invalid):
    """400: the content is of no accepted kind, or broken, or takes more to read than any file may take."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file."""

    mime_type: str
    file_type: FileType
    extension: str
    """Without the dot."""
    reader: str
    """What opens it: the name of FFmpeg's demuxer, or of Pillow's plugin; empty for documents."""
    shows: bool = True
    """Whether a browser may show it in place. A document is given as an attachment: a PDF may hold scripts, and text
    is whatever its reader takes it for."""


VIDEO, AUDIO, IMAGE, DOCUMENT = FileType.VIDEO, FileType.AUDIO, FileType.IMAGE, FileType.DOCUMENT

MP4 = Kind("video/mp4", VIDEO, "mp4", "mov")
MOV = Kind("video/quicktime", VIDEO, "mov", "mov")
M4A = Kind("audio/mp4", AUDIO, "m4a", "mov")
WEBM = Kind("video/webm", VIDEO, "webm", "matroska")
WEBM_AUDIO = Kind("audio/webm", AUDIO, "webm", "matroska")
# RFC 9559 section 27.3 calls these deprecated aliases of video/matroska, which no browser of today knows.
MKV = Kind("video/x-matroska", VIDEO, "mkv", "matroska")
MKA = Kind("audio/x-matroska", AUDIO, "mka", "matroska")
AVI = Kind("video/x-msvideo", VIDEO, "avi", "avi")
FLV = Kind("video/x-flv", VIDEO, "flv", "flv")
MP3 = Kind("audio/mpeg", AUDIO, "mp3", "mp3")
WAV = Kind("audio/wav", AUDIO, "wav", "wav")
OGG = Kind("audio/ogg", AUDIO, "ogg", "ogg")
FLAC = Kind("audio/flac", AUDIO, "flac", "flac")
AAC = Kind("audio/aac", AUDIO, "aac", "aac")
JPG = Kind("image/jpeg", IMAGE, "jpg", "JPEG")
PNG = Kind("image/png", IMAGE, "png", "PNG")
GIF = Kind("image/gif", IMAGE, "gif", "GIF")
WEBP = Kind("image/webp", IMAGE, "webp", "WEBP")
BMP = Kind("image/bmp", IMAGE, "bmp", "BMP")
PDF = Kind("application/pdf", DOCUMENT, "pdf", "", shows=False)
TXT = Kind("text/plain", DOCUMENT, "txt", "", shows=False)

KINDS = (
    MP4, MOV, M4A, WEBM, WEBM_AUDIO, MKV, MKA, AVI, FLV, MP3, WAV, OGG, FLAC, AAC,
    JPG, PNG, GIF, WEBP, BMP, PDF, TXT,
)  # fmt: skip
"""Every kind, in the document's order; sound alone in a WebM or Matroska file is a kind of its own."""

SOUND = {MP4: M4A, MOV: M4A, WEBM: WEBM_AUDIO, MKV: MKA}
"""What a file of a kind is that has sound and no picture."""


def kind_of(mime_type: str) -> Kind:
    """The kind of a `MediaFile.mime_type`; `KeyError` where there is none."""
    return _BY_MIME[mime_type]


_BY_MIME = {kind.mime_type: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Found:
    """What a file is."""

    kind: Kind
    facts: Facts
    thumbnail: bytes | None = None
    """A JPEG, `THUMBNAIL_WIDTH` wide at most; None where there is no picture."""


THUMBNAIL_WIDTH = 320
"""Of the thumbnail that every picture gets; its height follows, up to twice this."""
