"""A small good file of every accepted format, made on the spot: pictures by Pillow, video and sound by PyAV."""

from array import array
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from io import BytesIO
from math import sin, tau
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

WIDTH, HEIGHT, RATE = 96, 64, 10
SECONDS = 2
SOUND_RATE = 48_000

CODECS: dict[str, tuple[str, str | None, str | None]] = {
    "mp4": ("mp4", "libx264", "aac"),
    "mov": ("mov", "libx264", "aac"),
    "mkv": ("matroska", "libx264", "aac"),
    "webm": ("webm", "libvpx", "libopus"),
    "avi": ("avi", "mpeg4", "libmp3lame"),
    "flv": ("flv", "libx264", "aac"),
    "mp3": ("mp3", None, "libmp3lame"),
    "wav": ("wav", None, "pcm_s16le"),
    "ogg": ("ogg", None, "libopus"),
    "flac": ("flac", None, "flac"),
    "aac": ("adts", None, "aac"),
    "m4a": ("ipod", None, "aac"),
}
"""Of each extension FFmpeg's muxer, and the encoders of picture and sound."""

MIME_TYPES = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "mov": "video/quicktime",
    "flv": "video/x-flv",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "jpg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "pdf": "application/pdf",
    "txt": "text/plain",
}
"""Of every documented extension."""

PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj
xref
0 4
0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \n0000000101 00000 n \ntrailer<</Size 4/Root 1 0 R>>
startxref
162
%%EOF
"""
TEXT = "What was said.\nWas gesagt wurde: schön. 会议记录。\n".encode()


@cache
def sample(extension: str) -> bytes:
    """A good file of this format: `SECONDS` of `WIDTH` by `HEIGHT` at `RATE`, or a picture of that size."""
    if extension == "pdf":
        return PDF
    if extension == "txt":
        return TEXT
    if extension in CODECS:
        return film(*CODECS[extension])
    return image({"jpg": "JPEG"}.get(extension, extension.upper()))


def image(format: str, width: int = WIDTH, height: int = HEIGHT, **options: Any) -> bytes:
    """A picture, red on its left and blue on its right, with a white line between the corners."""
    picture = Image.new("RGB", (width, height), "red")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((width // 2, 0, width, height), fill="blue")
    draw.line((0, 0, width, height), fill="white")
    file = BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def film(
    muxer: str,
    video: str | None,
    audio: str | None,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    seconds: float = SECONDS,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    live: bool = False,
) -> bytes:
    """Video that goes from black to white, and a tone. `rotation`: how a player is to turn it, counterclockwise.

    `options` are the muxer's. `live` is what a browser's recorder makes: the file can't say how long it is.
    """
    file = _Forward() if live else BytesIO()
    with av.open(file, "w", format=muxer, options=options or {}) as container:
        tracks: list[tuple[VideoStream | AudioStream, Iterable[VideoFrame | AudioFrame]]] = []
        if video:
            seen = container.add_stream(video, rate=RATE)
            assert isinstance(seen, VideoStream)
            seen.width, seen.height, seen.pix_fmt = width, height, "yuv420p"
            if rotation:
                seen.set_display_rotation(rotation)
            tracks.append((seen, _pictures(width, height, round(seconds * RATE))))
        if audio:
            heard = container.add_stream(audio, rate=SOUND_RATE, layout="mono")
            assert isinstance(heard, AudioStream)
            tracks.append((heard, _tone(seconds)))
        for track, frames in tracks:
            for frame in (*frames, None):
                container.mux(track.encode(frame))  # type: ignore[arg-type]  # each has frames of its own kind
    return file.getvalue()


class _Forward(BytesIO):
    """A file that is written once, from its start to its end."""

    def seekable(self) -> bool:
        return False


def _pictures(width: int, height: int, count: int) -> Iterator[VideoFrame]:
    for number in range(count):
        grey = number * 255 // max(1, count - 1)
        frame = VideoFrame.from_image(Image.new("RGB", (width, height), (grey, grey, grey)))  # type: ignore[no-untyped-call]
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        yield frame


def _tone(seconds: float) -> Iterator[AudioFrame]:
    count = round(seconds * SOUND_RATE)
    wave = array("h", (round(8000 * sin(tau * 440 * n / SOUND_RATE)) for n in range(count)))
    frame = AudioFrame(format="s16", layout="mono", samples=count)
    frame.planes[0].update(wave.tobytes())
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
    yield frame
