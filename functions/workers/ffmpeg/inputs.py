"""A job's inputs as FFmpeg is given them, and how every run of it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from meet.domain.media import Facts

from .formats import DEMUXERS

MOST_PIXELS = 7680 * 4320
"""Of a picture that is decoded: 8K. What claims more is not believed, whatever the file's size."""

GLOBAL = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error")
REPORTING = ("-progress", "pipe:1", "-stats_period", "0.25")
"""Progress goes to standard output, what went wrong to standard error, a line each."""


class Impossible(ValueError):
    """These inputs can't give what was asked for; the text is a sentence for the job's owner."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file that is read, by its name in the folder of the run."""

    name: str
    mime_type: str
    """What its content is, as it was found."""
    facts: Facts

    @property
    def has_picture(self) -> bool:
        """Moving pictures: the cover of a piece of music is none."""
        return self.mime_type.startswith("video/") and self.facts.codec is not None

    @property
    def has_sound(self) -> bool:
        """Whether there is any to be heard."""
        return self.facts.audio_codec is not None

    def without_sound(self) -> Input:
        """The same, as far as it can be seen."""
        return replace(self, facts=replace(self.facts, audio_codec=None))


@dataclass(frozen=True, slots=True)
class Command:
    """What FFmpeg is called with, without its own name."""

    arguments: tuple[str, ...]
    output: str
    """The file that it makes in the folder of the run."""
    duration_s: float | None
    """How long the output will be, as far as is known: what progress is measured against."""


def begin(inputs: Sequence[Input], *flags: str) -> list[str]:
    """The first arguments of every run; `flags` are for each input. Raises `Impossible` for what isn't FFmpeg's."""
    return [*GLOBAL, *REPORTING, *(argument for one in inputs for argument in (*flags, *_reading(one)))]


def _reading(one: Input) -> list[str]:
    demuxer = DEMUXERS.get(one.mime_type)
    if demuxer is None:
        raise Impossible(f"A file of type {one.mime_type} has neither sound nor moving pictures")
    # The protocol whitelist alone lets a playlist read other plain files.
    held = ["-protocol_whitelist", "file", "-format_whitelist", demuxer, "-f", demuxer]
    return [*held, "-max_pixels", str(MOST_PIXELS), "-i", f"file:{one.name}"]
