"""What was said, when, and how sure the model is of it: segments of words, put together from parts.

Times are seconds from the beginning of the recording. A confidence is the geometric mean of the probabilities that
the model gave to the tokens it chose, or None where it gave none; nobody makes one up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

_LETTERS = re.compile(r"\w+(?:['’\-]\w+)*")
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Kana and Han: writing that leaves no spaces, whose characters are counted as words."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word, as it is written, without the spaces around it."""

    word: str
    start: float
    end: float
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A phrase."""

    text: str
    start: float
    end: float
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    tokens: int = 1
    """That `confidence` is the mean of."""

    def shifted(self, by_s: float) -> Segment:
        """The same, as a part of something that begins so much earlier."""
        words = tuple(replace(each, start=each.start + by_s, end=each.end + by_s) for each in self.words)
        return replace(self, start=self.start + by_s, end=self.end + by_s, words=words)


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that was said in a recording of `duration_s`."""

    duration_s: float
    segments: tuple[Segment, ...] = ()
    language: str | None = None
    """ISO 639-1; None where nothing was said, and nobody said which."""
    language_probability: float | None = None

    @property
    def text(self) -> str:
        """Everything, in one line."""
        return " ".join(each.text for each in self.segments)

    @property
    def words(self) -> list[Word]:
        """Those of all segments."""
        return [word for each in self.segments for word in each.words]

    @property
    def confidence(self) -> float | None:
        """Over all tokens."""
        return mean_confidence((each.confidence, each.tokens) for each in self.segments)


def mean_confidence(parts: Iterable[tuple[float | None, int]]) -> float | None:
    """The geometric mean of confidences, each of so many tokens; None where one is missing, or there are none."""
    total, count = 0.0, 0
    for confidence, tokens in parts:
        if confidence is None:
            return None
        total += tokens * math.log(max(confidence, 1e-9))
        count += tokens
    return math.exp(total / count) if count else None


def word_count(text: str) -> int:
    """Words of a text; of writing that has no spaces, characters."""
    return len(_WITHOUT_SPACES.findall(text)) + len(_LETTERS.findall(_WITHOUT_SPACES.sub(" ", text)))


def joined(parts: Sequence[tuple[float, Transcript]]) -> Transcript:
    """One transcript of a recording out of those of its parts, each with the time at which it begins.

    The language is that of most of the speech.
    """
    segments: list[Segment] = []
    spoken: dict[str, float] = {}
    sure: dict[str, float] = {}
    for begins_s, part in parts:
        segments += [each.shifted(begins_s) for each in part.segments]
        if part.language is not None:
            seconds = sum(each.end - each.start for each in part.segments)
            spoken[part.language] = spoken.get(part.language, 0.0) + seconds
            sure[part.language] = max(sure.get(part.language, 0.0), part.language_probability or 0.0)
    language = max(spoken, key=lambda each: spoken[each], default=None)
    ends = max((begins_s + part.duration_s for begins_s, part in parts), default=0.0)
    return Transcript(ends, tuple(segments), language, (language and sure[language]) or None)


def to_json(transcript: Transcript) -> dict[str, Any]:
    """As JSON values; `from_json` is the inverse."""
    return asdict(transcript)


def from_json(values: Mapping[str, Any]) -> Transcript:
    """What `to_json` wrote."""
    segments = tuple(
        Segment(**{**each, "words": tuple(Word(**word) for word in each["words"])}) for each in values["segments"]
    )
    return Transcript(**{**values, "segments": segments})
