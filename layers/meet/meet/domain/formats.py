"""What a job may be asked for: formats and the codecs that each can carry, sizes, bit rates, and their words.

Which codec goes into which container was tried with FFmpeg 5.1, writing and reading again (2026-11-22). Its MP4
carries Vorbis too, but no registration says how (https://mp4ra.org), and no browser plays it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from meet.domain.media import FileType

VIDEO_CODECS = ("h264", "h265", "vp8", "vp9")
AUDIO_CODECS = ("aac", "mp3", "opus", "vorbis")
PRESETS = ("ultrafast", "fast", "medium", "slow")
QUALITIES = ("low", "medium", "high")
TRANSITIONS = ("none", "fade", "dissolve")


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is written. The first codec is the one it gets where none was asked for."""

    mime_type: str
    video: tuple[str, ...]
    """The codecs of pictures that it can carry; none for a format of sound alone."""
    audio: tuple[str, ...]

    @property
    def file_type(self) -> FileType:
        """What a file of this format is."""
        return FileType.VIDEO if self.video else FileType.AUDIO


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "mp4": Format("video/mp4", ("h264", "h265", "vp9"), ("aac", "mp3", "opus")),
        "webm": Format("video/webm", ("vp9", "vp8"), ("opus", "vorbis")),
        "mkv": Format("video/x-matroska", VIDEO_CODECS, AUDIO_CODECS),
        "avi": Format("video/x-msvideo", ("h264", "vp8", "vp9"), ("mp3", "aac", "vorbis")),
        "mov": Format("video/quicktime", ("h264", "h265"), ("aac", "mp3")),
        "flv": Format("video/x-flv", ("h264",), ("aac", "mp3")),
        "mp3": Format("audio/mpeg", (), ("mp3",)),
        "wav": Format("audio/wav", (), ("pcm",)),
        "ogg": Format("audio/ogg", (), ("vorbis", "opus")),
        "flac": Format("audio/flac", (), ("flac",)),
        "aac": Format("audio/aac", (), ("aac",)),
        "m4a": Format("audio/mp4", (), ("aac",)),
        "opus": Format("audio/ogg", (), ("opus",)),
    }
)
"""By the document's word, which is also the file name's extension."""

TRANSCODED = ("mp4", "webm", "mkv", "avi")
"""What a video may be transcoded to, in the document's order."""
VIDEO_FORMATS = tuple(name for name, one in FORMATS.items() if one.video)
AUDIO_FORMATS = tuple(name for name, one in FORMATS.items() if not one.video)
PICTURE_FORMATS: Mapping[str, str] = MappingProxyType({"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"})
"""What a thumbnail may be, and its type."""
LOSSLESS = ("wav", "flac")
"""Formats whose size is the sound's, and no choice of anybody."""

NAMED_HEIGHTS: Mapping[str, int] = MappingProxyType(
    {
        "144p": 144,
        "240p": 240,
        "360p": 360,
        "480p": 480,
        "540p": 540,
        "720p": 720,
        "1080p": 1080,
        "1440p": 1440,
        "2160p": 2160,
        "2k": 1440,
        "4k": 2160,
    }
)
"""Named resolutions, by the length of the shorter side; the other follows from the picture's shape."""

LEAST_SIDE, MOST_SIDE = 32, 4096
"""Of a picture that is made. Encoders need the one (x265's smallest block), and memory bounds the other."""
MOST_PIXELS = 4096 * 2304
LEAST_VIDEO_BPS, MOST_VIDEO_BPS = 10_000, 200_000_000
LEAST_AUDIO_BPS, MOST_AUDIO_BPS = 8_000, 512_000
MOST_FRAME_RATE = 120
MOST_TRANSITION_S = 10.0
MOST_MERGED = 20
"""Files in one merge: FFmpeg decodes all of them at once."""

_BITRATE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([kKmM]?)", re.ASCII)
_SIZE = re.compile(r"(\d{1,9})x(\d{1,9})", re.ASCII)
_OF_TYPE: Mapping[str, str] = {
    **{one.mime_type: name for name, one in FORMATS.items() if name != "opus"},
    # Sound alone in a container that can hold pictures.
    "audio/webm": "ogg",
    "audio/x-matroska": "ogg",
}


def format_of(mime_type: str) -> str | None:
    """The format to write a file of this type in again; None where there is none."""
    return _OF_TYPE.get(mime_type)


def bits_a_second(text: str, *, least: int, most: int) -> int:
    """The number that `2000k`, `5M`, `1.5M` or `128000` stands for; `ValueError` outside of the bounds."""
    found = _BITRATE.fullmatch(text)
    if found is None:
        raise ValueError("must be a bit rate such as 2000k, 5M or 128000")
    bps = round(float(found[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[found[2].lower()])
    if not least <= bps <= most:
        raise ValueError(f"must be from {least // 1000}k to {most // 1000}k")
    return bps


def size_of(text: str) -> tuple[int, int] | None:
    """The width and height that `1280x720` stands for, or None for a named resolution; `ValueError` for the rest."""
    if text.lower() in NAMED_HEIGHTS:
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"must be WIDTHxHEIGHT or one of {', '.join(NAMED_HEIGHTS)}")
    width, height = int(found[1]), int(found[2])
    if not LEAST_SIDE <= min(width, height) <= max(width, height) <= MOST_SIDE or width * height > MOST_PIXELS:
        raise ValueError(
            f"must be from {LEAST_SIDE} to {MOST_SIDE} pixels a side, and {MOST_PIXELS / 1e6:.1f} megapixels at most"
        )
    return width, height
