"""The caller's half: a child process for each file, and the bytes that it asks for.

    found = await examine(path)                     # or a `Source`: an object with `size` and `read(offset, length)`
    picture = await thumbnail(path, at_s=10.5, width=320, height=180, format="jpg")

`examine_file` and `thumbnail_file` are the same for callers without an event loop.

All raise `Unreadable` (400) where the file is at fault, `Unavailable` (503) where this machine is too busy to tell,
and whatever the source raises while it is read. An awaiting caller that is cancelled ends the child.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from meet.domain.media import Facts

from .child import Child, Source
from .kinds import Format, Found, Unreadable, kind_of

__all__ = ["Found", "Source", "Unreadable", "examine", "examine_file", "thumbnail", "thumbnail_file"]

AT_ONCE = 4
"""Children of all awaiting callers of this process: each may take `sandbox.MEMORY_BYTES`, so the others wait."""

_facts = TypeAdapter(Facts)
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe")


async def examine(source: Path | Source) -> Found:
    """What a file is, with its thumbnail where it has a picture."""
    return _found(*await _outcome(Child(source, "examine")))


async def thumbnail(
    source: Path | Source, *, at_s: float = 0, width: int = 320, height: int = 180, format: Format = "jpg"
) -> bytes:
    """A picture of exactly `width` by `height` (1 to `kinds.MOST_SIDE`) of what a video shows `at_s` after its start,
    or of an image: the whole of it in its own shape, in the middle of black."""
    return (await _outcome(Child(source, "picture", at_s, width, height, format)))[1]


def examine_file(path: Path) -> Found:
    """As `examine`; blocks."""
    return _found(*Child(path, "examine").run())


def thumbnail_file(
    path: Path, *, at_s: float = 0, width: int = 320, height: int = 180, format: Format = "jpg"
) -> bytes:
    """As `thumbnail`; blocks."""
    return Child(path, "picture", at_s, width, height, format).run()[1]


async def _outcome(child: Child) -> tuple[dict[str, Any], bytes]:
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, child.run)
    except asyncio.CancelledError:
        child.stop()
        raise


def _found(answer: dict[str, Any], picture: bytes) -> Found:
    return Found(kind_of(answer["mime_type"]), _facts.validate_python(answer["facts"]), picture or None)
