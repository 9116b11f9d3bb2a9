"""What the two processes say to each other of tracks: which files belong together, and what was found in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Line:
    """Files of one track and one codec, in the order of their times, and the file to make of them."""

    files: tuple[str, ...]
    output: str
    rotation: int = 0
    """Of a picture: the degrees clockwise that it is to be turned by, which the file made is to say."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From then to then it sends without a pause."""

    begins_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was made: a file of one track, and when it says something."""

    line: int
    """The place of the line that it was made of; one whose codec began with other parameters has several."""
    file: str
    begins_s: float
    ends_s: float
    stretches: tuple[Stretch, ...]
    key_frames_s: tuple[float, ...] = ()


@cache
def adapters() -> tuple[TypeAdapter[list[Line]], TypeAdapter[list[Found]]]:
    """How the question and the answer stand in files."""
    return TypeAdapter(list[Line]), TypeAdapter(list[Found])
