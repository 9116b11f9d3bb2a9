"""What is painted and mixed: all that the child needs to know, in a file between the two processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from pydantic import TypeAdapter

from .scenes import Scene

FRAME_RATE = 30
"""Of what is made: what browsers send at most."""
SAMPLE_RATE = 48_000
"""Opus' own (RFC 6716)."""


@dataclass(frozen=True, slots=True)
class Film:
    """A file of pictures, and when its key frames are."""

    file: str
    key_frames_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Voice:
    """A file of sound."""

    file: str
    begins_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The times in the files and in the scenes are seconds on the recording's timeline."""

    duration_s: float
    width: int = 0
    height: int = 0
    """0 by 0: nothing is to be seen."""
    scenes: tuple[Scene, ...] = ()
    films: tuple[Film, ...] = ()
    """A tile's `file` is an index into these."""
    voices: tuple[Voice, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Of everybody, by user id."""

    @property
    def frames(self) -> int:
        """How many pictures there will be."""
        return max(1, round(self.duration_s * FRAME_RATE)) if self.width else 0

    @property
    def samples(self) -> int:
        """How long the sound will be."""
        return max(1, round(self.duration_s * SAMPLE_RATE)) if self.voices else 0

    def to_json(self) -> bytes:
        """As it stands in the file."""
        return _adapter().dump_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> Plan:
        """The inverse of `to_json`."""
        return _adapter().validate_json(data)


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
