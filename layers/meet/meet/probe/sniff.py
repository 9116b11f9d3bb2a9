"""The kind of a file by its first bytes: signatures and nothing else, so that it is safe in any process.

What browsers take files for is written down in https://mimesniff.spec.whatwg.org, and followed where puremagic's
signatures are too few. The first match decides, and what else the bytes may be is never asked: a file that begins as
a picture is read as that picture or not at all.
"""

import re

import puremagic

from . import kinds
from .kinds import Kind

SNIFFED = 4096
"""As many bytes as it takes to tell; fewer do where the file is shorter."""

_SIGNED: dict[str, Kind] = {
    ".webm": kinds.WEBM,
    ".mkv": kinds.MKV,
    ".avi": kinds.AVI,
    ".flv": kinds.FLV,
    ".wav": kinds.WAV,
    ".ogg": kinds.OGG,
    ".flac": kinds.FLAC,
    ".jpg": kinds.JPG,
    ".png": kinds.PNG,
    ".gif": kinds.GIF,
    ".webp": kinds.WEBP,
    ".bmp": kinds.BMP,
}
"""puremagic's extensions for what has a signature of its own."""

_BRANDS: dict[bytes, Kind] = {b"qt  ": kinds.MOV, b"M4A ": kinds.M4A, b"M4B ": kinds.M4A}
_NO_MOVIES = (b"3g", b"avif", b"avis", b"cr", b"he", b"j", b"mif", b"mj", b"msf")
"""How major brands of ISO files begin that are none of ours: 3GP, AVIF, HEIC, JPEG 2000, raw pictures.
https://mp4ra.org/registered-types/brands has them all."""
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""What QuickTime files begin with that are older than `ftyp`."""

BINARY = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])
"""The bytes that no text has (section 3, "binary data byte")."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_RUN = re.compile(
    rb"<(?:html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[\s>]"
    rb"|<!doctype|<!--|<\?|<(?:svg|smil|mpd|asx)\b"
    rb"|#extm3u|\[playlist\]|ffconcat|;ffmetadata|v=0\s|%!ps|{\\rtf|webvtt",
    re.IGNORECASE,
)
"""How text begins that a browser would run (section 7.1), or that FFmpeg would take for a list of other files."""


def sniff(head: bytes) -> Kind | None:
    """The kind of a file that begins with `head` (`SNIFFED` bytes, or all of it); None for none that is accepted.

    It is a first word: `client.examine` has the last one. Of MP4, WebM and Matroska it can't tell sound from video,
    and of a file that begins with an ID3 tag it says MP3 whatever follows.
    """
    if head.startswith(b"%PDF-"):
        return kinds.PDF
    if is_text(head):
        return None if not head or runs(head) else kinds.TXT
    return _iso(head) or _mpeg(head) or _signed(head)


def is_text(part: bytes) -> bool:
    """Whether these bytes have none that text can't have; of UTF-16, whether they begin as that."""
    return part.startswith(UTF_16) or part.translate(None, BINARY) == part


def runs(head: bytes) -> bool:
    """Whether a text is markup, or a list that makes players open other files."""
    start = head.lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n\f\0").replace(b"\0", b"")
    return _RUN.match(start) is not None


def _iso(head: bytes) -> Kind | None:
    """Section 6.2.1, with the brands of QuickTime and of sound."""
    atom, brand = head[4:8], head[8:12]
    if atom == b"ftyp":
        return None if brand.startswith(_NO_MOVIES) else _BRANDS.get(brand, kinds.MP4)
    return kinds.MOV if atom in _ATOMS else None


def _mpeg(head: bytes) -> Kind | None:
    """Section 6.2.3: an ID3 tag, or a frame of MPEG layer 3 or of ADTS (ISO 13818-7 section 6.2)."""
    if head.startswith(b"ID3"):
        return kinds.MP3
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return kinds.AAC
    return kinds.MP3 if head[1] & 0x06 == 0x02 and head[2] & 0xF0 != 0xF0 else None


def _signed(head: bytes) -> Kind | None:
    try:
        matches = puremagic.magic_string(head)
    except puremagic.PureError:
        return None
    return next((_SIGNED[match.extension] for match in matches if match.extension in _SIGNED), None)
