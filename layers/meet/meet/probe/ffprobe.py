"""Video and sound by FFmpeg's own programs: where PyAV isn't, since it and FFmpeg are more than a function may hold.

That is the FFmpeg worker on AWS, which looks at what it made itself and takes pictures of what was examined when it
was uploaded. FFmpeg is given one demuxer and a file of this machine here, too, and no variables of the environment.
"""

import json
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

from meet.domain.media import Facts
from meet.errors import Unavailable

from .kinds import MOST_LENGTH_S, MOST_RATE, Kind, Unreadable, kind_with
from .sandbox import CPU_S, MEMORY_BYTES

WALL_S = 90.0
_AAC_FRAME = 1024
"""Samples in a packet of AAC (ISO 14496-3 section 4.4), which alone has no length and no index in its file."""


def measure(path: Path, kind: Kind) -> tuple[Kind, Facts]:
    """What is in the file, but how large its picture is; `Unreadable` where that can't be told."""
    count = ("-count_packets",) if kind.reader == "aac" else ()
    said: dict[str, Any] = json.loads(
        _run("ffprobe", *_from(path, kind), "-of", "json", "-show_format", "-show_streams", *count)
    )
    video = _first(said, "video")
    audio = _first(said, "audio")
    kind = kind_with(kind, picture=video is not None, sound=audio is not None)
    duration_s = float(said["format"].get("duration", 0))
    if kind.reader == "aac" and audio:
        duration_s = int(audio["nb_read_packets"]) * _AAC_FRAME / int(audio["sample_rate"])
    known = 0 < duration_s <= MOST_LENGTH_S
    rate = _rate(video)
    return kind, Facts(
        duration_s=duration_s if known else None,
        bitrate_bps=round(8 * path.stat().st_size / duration_s) if known else None,
        codec=video["codec_name"] if video else None,
        audio_codec=audio["codec_name"] if audio else None,
        frame_rate=round(rate, 3) if 0 < rate <= MOST_RATE else None,
    )


@contextmanager
def frame(path: Path, kind: Kind, at_s: float) -> Iterator[Path]:
    """What is seen `at_s` after the start, upright, as a BMP; past the end, the last that was."""
    with TemporaryDirectory(prefix="frame-") as folder:
        made = Path(folder) / "frame.bmp"
        for enter_s in _back_from(at_s):
            which_frame = ("-frames:v", "1") if enter_s == at_s else ("-update", "1")  # the first, or the last
            _run("ffmpeg", "-nostdin", "-ss", f"{enter_s:.3f}", *_from(path, kind), "-map", "0:V:0", *which_frame,
                 "-c:v", "bmp", "-threads", "1", "-f", "image2", str(made))  # fmt: skip
            if made.exists():
                yield made
                return
    raise Unreadable("The file has no picture")


def _back_from(at_s: float) -> Iterator[float]:
    """There, then ever further back, at last the start: nothing may be seen where the sound goes on."""
    yield at_s
    while at_s > 0:
        at_s = at_s / 2 if at_s > 1 else 0
        yield at_s


def _from(path: Path, kind: Kind) -> tuple[str, ...]:
    whitelists = ("-protocol_whitelist", "file", "-format_whitelist", kind.reader)
    return (*whitelists, "-f", kind.reader, "-i", str(path))


def _first(said: dict[str, Any], type: str) -> dict[str, Any] | None:
    """The first track of a type that isn't a record's cover."""
    tracks = (track for track in said.get("streams", ()) if track["codec_type"] == type)
    return next((track for track in tracks if not track["disposition"]["attached_pic"]), None)


def _rate(video: dict[str, Any] | None) -> float:
    above, _, below = (video or {}).get("avg_frame_rate", "0/1").partition("/")
    return float(Fraction(int(above), int(below))) if int(below) else 0.0


def _run(program: str, *arguments: str) -> bytes:
    """What it prints; `Unreadable` where it fails, `RuntimeError` where it isn't installed."""
    binary = which(program)
    if binary is None:
        raise RuntimeError(f"Neither PyAV nor {program} is installed")
    with subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
        [binary, "-v", "error", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
        start_new_session=True,
    ) as process:
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        try:
            printed, error = process.communicate(timeout=WALL_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Unavailable("The file could not be examined in time. Please try again later.") from None
    if process.returncode:
        raise Unreadable("The file can't be read") from RuntimeError(error.decode(errors="replace")[-500:])
    return printed
