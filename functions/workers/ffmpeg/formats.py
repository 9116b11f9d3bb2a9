"""How FFmpeg is told to read and write what `meet.domain.formats` has names for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from meet.domain.formats import PRESETS
from meet.domain.media import FileType
from meet.probe.kinds import KINDS

MUXERS: Mapping[str, str] = MappingProxyType(
    {
        "mp4": "mp4",
        "webm": "webm",
        "mkv": "matroska",
        "avi": "avi",
        "mov": "mov",
        "flv": "flv",
        "mp3": "mp3",
        "wav": "wav",
        "ogg": "ogg",
        "flac": "flac",
        "aac": "adts",
        "m4a": "ipod",
        "opus": "opus",
    }
)
"""What writes each of `meet.domain.formats.FORMATS`."""

INDEX_FIRST = ("-movflags", "+faststart")
"""For the kin of MP4: playing begins before all of the file is there."""
KIN_OF_MP4 = ("mp4", "mov", "m4a")

DEMUXERS: Mapping[str, str] = MappingProxyType(
    {kind.mime_type: kind.reader for kind in KINDS if kind.file_type in (FileType.VIDEO, FileType.AUDIO)}
)
"""What reads a file, by what its content was found to be. FFmpeg never guesses: a guess may find a playlist, which
names other files."""


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """An encoder of pictures. `crf` is its constant rate factor by quality, where less is better."""

    encoder: str
    crf: Mapping[str, int]
    presets: Mapping[str, tuple[str, ...]]
    flags: tuple[str, ...] = ()


_X26 = MappingProxyType({preset: ("-preset", preset) for preset in PRESETS})
_VPX = MappingProxyType(
    {
        # libvpx: "good" takes 0 (best) to 5, "realtime" goes on to where it is as fast as x264's ultrafast.
        "ultrafast": ("-deadline", "realtime", "-cpu-used", "8"),
        "fast": ("-deadline", "good", "-cpu-used", "5"),
        "medium": ("-deadline", "good", "-cpu-used", "3"),
        "slow": ("-deadline", "good", "-cpu-used", "1"),
    }
)

# The middle ones are the encoders' own recommendations for a picture that looks like its source: x264 23, x265 28,
# and for VP9 at 1080p 31 (developers.google.com/media/vp9/settings/vod); the others are one visible step away.
VIDEO_CODECS: Mapping[str, VideoCodec] = MappingProxyType(
    {
        "h264": VideoCodec("libx264", {"low": 28, "medium": 23, "high": 18}, _X26),
        "h265": VideoCodec(
            "libx265", {"low": 33, "medium": 28, "high": 23}, _X26, ("-x265-params", "log-level=error")
        ),
        "vp8": VideoCodec("libvpx", {"low": 30, "medium": 20, "high": 10}, _VPX),
        "vp9": VideoCodec("libvpx-vp9", {"low": 38, "medium": 31, "high": 24}, _VPX, ("-row-mt", "1")),
    }
)

VP8_MOST_BPS = 8_000_000
"""libvpx takes VP8's quality only together with a bit rate that it may not pass, and else makes 200 kbit/s."""


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """An encoder of sound, and the bits a second that it gets by quality; None: it has no choice of them."""

    encoder: str
    bitrates_bps: Mapping[str, int] | None
    bounds_bps: tuple[int, int] = (8_000, 512_000)
    """The least and the most that it takes, whether one channel comes or two."""
    flags: tuple[str, ...] = ()


AUDIO_CODECS: Mapping[str, AudioCodec] = MappingProxyType(
    {
        "aac": AudioCodec("aac", {"low": 96_000, "medium": 128_000, "high": 192_000}),
        "mp3": AudioCodec("libmp3lame", {"low": 96_000, "medium": 160_000, "high": 256_000}, (8_000, 320_000)),
        "opus": AudioCodec("libopus", {"low": 48_000, "medium": 96_000, "high": 160_000}, (8_000, 256_000)),
        # libvorbis refuses what its table for a sample rate doesn't have; at 48 kHz these are in it.
        "vorbis": AudioCodec(
            "libvorbis", {"low": 80_000, "medium": 128_000, "high": 192_000}, (48_000, 240_000), ("-ar", "48000")
        ),
        "flac": AudioCodec("flac", None),
        "pcm": AudioCodec("pcm_s16le", None),
    }
)

ENCODERS = frozenset(
    [*(one.encoder for one in VIDEO_CODECS.values()), *(one.encoder for one in AUDIO_CODECS.values())]
)
"""All that an FFmpeg must have to do every job."""
