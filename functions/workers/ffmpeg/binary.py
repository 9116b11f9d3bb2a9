"""The FFmpeg that is run: which one it is, and whether it can do all that jobs ask for.

The one in the layer of a Lambda lacks Vorbis' better encoder: those jobs go to the queue of a container.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from meet.ffmpeg import Missing, find

from .formats import ENCODERS

__all__ = ["Binary", "Missing", "ffmpeg", "inspect"]

LEAST_VERSION = 5
"""The oldest major version that all commands were tried with."""
OPTIONAL = frozenset({"libvorbis"})
ASKED_S = 30.0
"""What FFmpeg gets to say what it is, on a machine that is busy."""

_VERSION = re.compile(r"^ffmpeg version n?(\S+)", re.MULTILINE)
_ENCODER = re.compile(r"^ [AVS]\S{5} (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Binary:
    """An FFmpeg that does every job that needs only its encoders."""

    path: str
    version: str
    encoders: frozenset[str]

    @property
    def lacks(self) -> frozenset[str]:
        """The encoders that a job may need and that it doesn't have."""
        return ENCODERS - self.encoders


@lru_cache(maxsize=1)
def ffmpeg() -> Binary:
    """The FFmpeg of this process, looked at once. Raises `Missing`."""
    return inspect(find())


def inspect(path: str) -> Binary:
    """What the FFmpeg at `path` is. Raises `Missing` where it doesn't run, is too old or lacks an encoder."""
    said = _asked(path)
    told = _VERSION.search(said)
    if told is None:
        raise Missing(f"{path} is no FFmpeg: set MEET_FFMPEG to one.")
    version = told[1]
    major = re.match(r"\d+", version)  # a build of the development branch has a commit in its place
    if major and int(major[0]) < LEAST_VERSION:
        raise Missing(f"{path} is FFmpeg {version}, which is too old: set MEET_FFMPEG to {LEAST_VERSION} or later.")
    binary = Binary(path, version, frozenset(_ENCODER.findall(said)) & ENCODERS)
    if lacking := binary.lacks - OPTIONAL:
        names = ", ".join(sorted(lacking))
        raise Missing(f"{path} (FFmpeg {version}) was built without {names}: set MEET_FFMPEG to a complete one.")
    return binary


def _asked(path: str) -> str:
    """Its encoders, and the banner with its version."""
    try:
        answer = subprocess.run(  # noqa: S603 - the configured FFmpeg, and a fixed question
            [path, "-encoders"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=ASKED_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"{path} can't be run ({error}): set MEET_FFMPEG to an FFmpeg.") from None
    return answer.stdout
