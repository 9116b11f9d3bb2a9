"""A file of video or sound, opened so that it can do no more than be read.

What may be opened is decided before FFmpeg sees a byte: one demuxer, the one that `sniff` named, never FFmpeg's own
guess (that is how a playlist named .mp4 reads other files); decoders of a list; and no second file whatever a file
asks for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import BinaryIO, NoReturn

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from .kinds import Kind, Unreadable

MOST_TRACKS = 64
MOST_PIXELS = 8192 * 4352
"""Of a video frame: the largest of H.264 and HEVC, level 6.2."""

DECODERS = (
    *("h264", "hevc", "av1", "libdav1d", "vp8", "libvpx", "vp9", "libvpx-vp9", "mpeg4", "mpeg2video", "mpeg1video"),
    *("msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "h263", "flv", "vp6", "vp6f", "vp6a", "theora", "mjpeg"),
    *("prores", "dnxhd", "dvvideo", "ffv1", "huffyuv", "rawvideo", "png", "gif", "svq3", "cinepak", "qtrle"),
    *("aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis", "libvorbis", "flac", "alac", "ac3"),
    *("eac3", "dca", "nellymoser", "speex", "libspeex", "wmav1", "wmav2", "amrnb", "amrwb", "adpcm_ms"),
    *("adpcm_ima_wav", "adpcm_ima_qt", "adpcm_swf", "gsm_ms"),
    *(f"pcm_{name}" for name in ("u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be")),
    *("pcm_alaw", "pcm_mulaw", "pcm_f64le"),
)
"""What is found in the accepted files of cameras, phones, browsers and editors; FFmpeg has 500 more."""

_NOT_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
"""Tracks that look like video and are a record's cover."""

av.logging.set_level(None)
# PyAV imports these when it opens a file, which is when nothing can be imported any more.
for _module in ("audio.codeccontext", "subtitles.codeccontext", "subtitles.stream", "video.codeccontext"):
    import_module(f"av.{_module}")


@contextmanager
def opened(file: BinaryIO, kind: Kind) -> Iterator[InputContainer]:
    """The container, read as `kind` says; `Unreadable` where it is none, or has tracks that nobody can play."""
    options = {
        "format_whitelist": kind.reader,
        "codec_whitelist": ",".join(DECODERS),
        "protocol_whitelist": "none",
        "max_streams": str(MOST_TRACKS),
    }
    file.seek(0)
    try:
        container = av.open(
            file, "r", format=kind.reader, options=options, io_open=_refuse, metadata_errors="replace"
        )
    except (av.FFmpegError, UnicodeError) as error:
        raise Unreadable(f"The file begins as {kind.mime_type} and can't be read as that") from error
    with container:
        for track in container.streams:
            if isinstance(track, VideoStream | AudioStream):
                _check(track)
        yield container


def tracks(container: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """What is seen and what is heard: the first of each."""
    video = (track for track in container.streams.video if not track.disposition & _NOT_PICTURES)
    return next(video, None), next(iter(container.streams.audio), None)


def codec_name(track: VideoStream | AudioStream) -> str:
    """FFmpeg's name of the codec, whichever decoder it is."""
    return track.codec_context.codec.canonical_name


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("A file may not open another")


def _check(track: VideoStream | AudioStream) -> None:
    context = track.codec_context
    if context is None or context.name not in DECODERS:
        raise Unreadable("The file has a track of a codec that is not supported")
    if isinstance(track, VideoStream) and track.width * track.height > MOST_PIXELS:
        raise Unreadable(f"Video may have {MOST_PIXELS // 10**6} megapixels a frame")
    context.thread_count = 1  # no thread can be started
