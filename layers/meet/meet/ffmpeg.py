"""Where the FFmpeg is that is run: `MEET_FFMPEG`, else Debian's on the PATH, a Lambda layer's, the wheel's."""

from __future__ import annotations

import shutil
from importlib import import_module
from importlib.util import find_spec

from meet.config import settings

LAYER = "/opt/bin/ffmpeg"


class Missing(Exception):
    """There is no FFmpeg that can do the work; the text names the cure."""


def find() -> str:
    """The path of the FFmpeg to use. Raises `Missing`."""
    if settings().ffmpeg:
        return settings().ffmpeg
    found = shutil.which("ffmpeg") or shutil.which(LAYER) or _packaged()
    if found is None:
        raise Missing("There is no FFmpeg: `apt install ffmpeg`, `pip install imageio-ffmpeg`, or set MEET_FFMPEG.")
    return found


def _packaged() -> str | None:
    if find_spec("imageio_ffmpeg") is None:
        return None
    path: str = import_module("imageio_ffmpeg").get_ffmpeg_exe()
    return path
