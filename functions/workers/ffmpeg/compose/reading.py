"""Opening a file that came out of a room: one demuxer, the decoders of browsers, and no second file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import av
from av.container import InputContainer

DECODERS = ("vp8", "vp9", "h264", "av1", "libdav1d", "opus")
OPTIONS = {
    "format_whitelist": "matroska",
    "codec_whitelist": ",".join(DECODERS),
    "protocol_whitelist": "none",
    "max_streams": "1",
}


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The Matroska file at `path`; `av.FFmpegError` where it is none."""
    with (
        path.open("rb") as file,
        av.open(
            file, "r", format="matroska", options=OPTIONS, io_open=_refuse, metadata_errors="replace"
        ) as container,
    ):
        yield container


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a track may not open another file")
