"""The FFmpeg that is run: where it is, which one it is, and whether it can do all that jobs ask for.

It is looked for where `MEET_FFMPEG` says, else on the PATH (Debian's), in the layer of a Lambda, and in the wheel
`imageio-ffmpeg`. The one in the layer lacks Vorbis' better encoder: those jobs go to the queue of a container.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

from meet.config import settings

from .formats import ENCODERS

LAYER = "/opt/bin/ffmpeg"
LEAST_VERSION = 5
"""The oldest major version that all commands were tried with."""
OPTIONAL = frozenset({"libvorbis"})
ASKED_S = 30.0
"""What FFmpeg gets to say what it is, on a machine that is busy."""

_VERSION = re.compile(r"^ffmpeg version n?(\S+)", re.MULTILINE)
_ENCODER = re.compile(r"^ [AVS]\S{5} (\S+)", re.MULTILINE)


class Missing(Exception):
    """There is no FFmpeg that can do the work; the text names the cure."""


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


def find() -> str:
    """The path of the FFmpeg to use."""
    if settings().ffmpeg:
        return settings().ffmpeg
    found = shutil.which("ffmpeg") or shutil.which(LAYER) or _packaged()
    if found is None:
        raise Missing("There is no FFmpeg: `apt install ffmpeg`, `pip install imageio-ffmpeg`, or set MEET_FFMPEG.")
    return found


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


def _packaged() -> str | None:
    if find_spec("imageio_ffmpeg") is None:
        return None
    path: str = import_module("imageio_ffmpeg").get_ffmpeg_exe()
    return path


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
