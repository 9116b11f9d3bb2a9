"""What engines have in common: how they are asked, what they answer, and how they are told to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from meet.domain.transcript import Transcript

from ...ffmpeg.run import Stopped


class Refused(Exception):
    """The model can't do this with what it was given; the text is a sentence for who asked."""


class Unloadable(Exception):
    """The model can't be loaded: its files are missing, wrong, or can't be fetched; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine works."""

    home: Path
    """For weights that are put together or fetched; shared by all nodes of a machine."""
    threads: int
    """The most that it computes with."""
    device: str = "cpu"
    """`cpu` or `cuda`."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The asker's side while an engine works."""

    stop: Event
    """Set where the answer is of no use any more."""
    progress: Callable[[float], None] = lambda share: None
    """Told from 0 to 1 now and then."""

    def go_on(self, share: float | None = None) -> None:
        """Said by an engine between two pieces of work; raises `Stopped` where it should end."""
        if self.stop.is_set():
            raise Stopped
        if share is not None:
            self.progress(min(max(share, 0.0), 1.0))


UNWATCHED = Watch(Event())


@dataclass(frozen=True, slots=True)
class Asked:
    """What an engine is asked: a file, a text, or both none; `options` under the document's names."""

    path: Path | None = None
    mime_type: str = ""
    text: str = ""
    folder: Path = Path()
    """For what is made on the way, and for files that are the answer."""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file of a request that has one."""
        if self.path is None:
            raise Refused("There is no file in this request.")
        return self.path


@dataclass(frozen=True, slots=True)
class Scored:
    """Labels and how likely each is, for a span of the recording or of a whole text."""

    scores: Mapping[str, float]
    start: float = 0.0
    end: float = 0.0

    @property
    def best(self) -> tuple[str, float]:
        """The likeliest label, and how likely it is."""
        label = max(self.scores, key=lambda each: self.scores[each])
        return label, self.scores[label]


@dataclass(frozen=True, slots=True)
class Mood:
    """Of a text: `sentiment` among positive, negative and neutral; `emotions` apart from it."""

    sentiment: Scored
    emotions: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Written:
    """A text that was made out of another."""

    text: str
    confidence: float | None = None
    """The geometric mean of what the model gave to its tokens, where it gives that."""
    source_language: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was made out of another."""

    path: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was measured."""


Answer = Transcript | list[Scored] | Mood | Written | Made


class Engine(Protocol):
    """A model that can be loaded and asked, by one thread at a time."""

    def load(self, watch: Watch) -> None:
        """Make it ready; takes as long as it takes. Raises `Unloadable`, or `Stopped` where it should end."""

    def unload(self) -> None:
        """Give its memory back; fine where nothing is loaded."""

    def memory_bytes(self) -> int | None:
        """What it takes while it is loaded, or None where that can't be told apart from the rest of the process."""

    def infer(self, asked: Asked, watch: Watch) -> Answer:
        """Answer. Raises `Refused`, and `Stopped` soon after `watch.stop` was set."""
