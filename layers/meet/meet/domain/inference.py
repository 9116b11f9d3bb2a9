"""Models that answer questions about sound, text and pictures, and the nodes that run them.

An `InferenceModel` is a row of the registry (`meet.models`): what it does, where its weights come from, which engine
runs it. An `InferenceNode` is what one process says of itself every few seconds. `choose` picks the model of a
request; where models lie and whither they move is in `meet.domain.placement`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, cast

from meet.domain.job import JobKind

HEARTBEAT_S = 5
"""Between two things that a node says of itself."""
SILENT = timedelta(seconds=3 * HEARTBEAT_S)
"""A node of which nothing was heard for so long is offline."""


class Function(StrEnum):
    """What a model does, in the document's words; jobs of one function share a queue."""

    SPEECH_RECOGNITION = "speech_recognition"
    EMOTION_DETECTION = "emotion_detection"
    SYNTHESIS_DETECTION = "synthesis_detection"
    TRANSLATION = "translation"
    SUMMARIZATION = "summarization"
    SENTIMENT_ANALYSIS = "sentiment_analysis"
    AUDIO_DENOISING = "audio_denoising"
    VIDEO_ENHANCEMENT = "video_enhancement"


FUNCTION_OF: Mapping[JobKind, Function] = MappingProxyType(
    {JobKind.TRANSCRIPTION: Function.SPEECH_RECOGNITION}
    | {JobKind(function.value): function for function in Function}
)
"""The kinds of jobs that are for a model, and what it must do."""

LANGUAGES = ("en", "zh", "es", "fr", "de", "ja", "ko", "ru", "ar", "pt", "it")
"""That texts are translated between (ISO 639-1), in the document's order."""
EMOTIONS = ("happy", "sad", "angry", "neutral", "surprised", "fearful", "disgusted")
"""Of a voice, in the document's words and order."""

Scheme = Literal["pkg", "bin", "hf", "s3"]

_SOURCE = re.compile(r"(?:(pkg|bin|hf):|(s3)://)([\w.+/-]+)(?:@([\w.+/-]+))?")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's weights come from.

    `pkg:whisper-weights@1.0` a Python package that ships them, `bin:ffmpeg` a program of the machine, which needs
    none, `hf:org/name@revision` a hub, `s3://bucket/prefix` a folder that is synced.
    """

    scheme: Scheme
    place: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Source:
        """The source that a row names; `ValueError` for what is none."""
        found = _SOURCE.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r} is no source: pkg:name@version, bin:name, hf:org/name@revision, s3://bucket/prefix"
            )
        scheme = cast("Scheme", found[1] or found[2])  # the expression has no other
        place, revision = found[3], found[4]
        if scheme == "hf" and place.count("/") != 1:
            raise ValueError(f"{text!r} names no repository: hf:org/name@revision")
        return cls(scheme, place, revision)

    @property
    def is_here(self) -> bool:
        """Whether the weights come with what is installed, and are never fetched."""
        return self.scheme in ("pkg", "bin")

    def __str__(self) -> str:
        colon = "://" if self.scheme == "s3" else ":"
        return f"{self.scheme}{colon}{self.place}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class InferenceModel:
    """A row of the registry."""

    model_id: str
    name: str
    """For people."""
    function: Function
    source: Source
    engine: str
    """The module of `functions/workers/inference/engines` that runs it."""
    licence: str
    memory_bytes: int
    """What it is likely to take once loaded, weights and working memory; measured where it could be."""
    version: str = "1.0"
    languages: tuple[str, ...] = ()
    """That it knows, where it doesn't know any (ISO 639-1)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Its own labels, in lower case, in the document's words; what isn't named stays as it is."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Of files of the package, by their names in it: checked before they are loaded."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What its engine wants to know besides."""
    cure: str = ""
    """What makes it work where it doesn't, a sentence for who runs the system."""

    def knows(self, *languages: str | None) -> bool:
        """Whether it knows all of these; None is any."""
        return not self.languages or all(each is None or each in self.languages for each in languages)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in the memory of a node, and what came of it there."""

    model_id: str
    memory_bytes: int
    """Measured where the engine can tell, else the registry's estimate."""
    status: Literal["loading", "loaded", "error"] = "loaded"
    load_time: datetime | None = None
    """When it was loaded."""
    load_s: float = 0.0
    progress: float = 1.0
    """Of a download, from 0 to 1."""
    error: str | None = None
    requests: int = 0
    failures: int = 0
    busy_s: float = 0.0
    """All requests together."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of requests: all since the node began, or those of its last minute."""

    succeeded: int = 0
    failed: int = 0
    timed_out: int = 0
    """Of those that failed."""
    busy_s: float = 0.0

    @property
    def requests(self) -> int:
        """All that ended."""
        return self.succeeded + self.failed

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.timed_out + other.timed_out,
            self.busy_s + other.busy_s,
        )


@dataclass(frozen=True, slots=True)
class InferenceNode:
    """One process that runs models, as it said of itself at `last_heartbeat`."""

    node_id: str
    address: str
    """`host:pid`: where it runs. Nobody connects to it; it is asked through Redis."""
    started_at: datetime
    last_heartbeat: datetime
    functions: tuple[Function, ...] = ()
    """That it can do at once, with the models that are there."""
    available: tuple[str, ...] = ()
    """Models that it can load without fetching anything."""
    obtainable: tuple[str, ...] = ()
    """Models whose engine it has, and whose weights it would have to fetch."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """What keeps it from each of the other models, a sentence each."""
    loaded: tuple[LoadedModel, ...] = ()
    memory_bytes: int = 0
    """For models, all together."""
    cpu_percent: float = 0.0
    memory_percent: float = 0.0
    gpu_percent: float | None = None
    """None where there is no GPU that can be asked."""
    gpu_memory_percent: float | None = None
    disk_free_bytes: int = 0
    active: int = 0
    """Requests that it is at."""
    slots: int = 1
    """Requests that it can be at: one a function."""
    total: Tally = Tally()
    minute: Tally = Tally()
    """Of its last 60 s."""

    @property
    def loaded_bytes(self) -> int:
        """What its models take, those that are being loaded as well."""
        return sum(each.memory_bytes for each in self.loaded if each.status != "error")

    @property
    def free_bytes(self) -> int:
        """What models may still take."""
        return max(0, self.memory_bytes - self.loaded_bytes)

    def holds(self, model_id: str) -> bool:
        """Whether the model is loaded."""
        return any(each.model_id == model_id and each.status == "loaded" for each in self.loaded)

    def can_run(self, model_id: str) -> bool:
        """Whether the model is loaded or could be."""
        return model_id in self.available or model_id in self.obtainable

    def status(self, now: datetime) -> Literal["online", "offline", "busy"]:
        """In the document's words; busy is one that takes no further request of any function."""
        if now - self.last_heartbeat > SILENT:
            return "offline"
        return "busy" if self.active >= self.slots else "online"


@dataclass(frozen=True, slots=True)
class Failover:
    """A node that died, and the one that went on with what it was at."""

    event_id: str
    failed_node: str
    backup_node: str
    """Who took over the first of its requests."""
    at: datetime
    recovery_s: float
    """From the last that was heard of the failed node until the last of its requests was in other hands."""
    affected_requests: int


class UnknownModel(LookupError):
    """No row of the registry has this id, or the one that has it does something else."""


class ModelUnavailable(LookupError):
    """No model that would do can run; the text says which and what makes it run."""

    def __init__(self, message: str, model_id: str | None = None) -> None:
        super().__init__(message)
        self.model_id = model_id


def choose(
    models: Iterable[InferenceModel],
    function: Function,
    *,
    asked: str | None,
    configured: str | None = None,
    nodes: Collection[InferenceNode],
    languages: tuple[str | None, ...] = (),
) -> InferenceModel:
    """The model that a request is answered with.

    One that was asked for is taken or refused, never replaced. Otherwise it is the configured one where that can run
    at once, else the first in the registry's order that comes with what is installed, else the first whose weights
    were fetched before. Raises `UnknownModel` and `ModelUnavailable`.
    """
    rows = [each for each in models if each.function is function]
    if asked is not None:
        return _asked(rows, function, asked, nodes, languages)
    at_once = {model_id for node in nodes for model_id in node.available}
    order = [each for each in rows if each.model_id == configured]
    order += [each for each in rows if each.source.is_here]
    order += [each for each in rows if not each.source.is_here]
    for model in order:
        if model.model_id in at_once and model.knows(*languages):
            return model
    could = [each for each in rows if each.knows(*languages)]
    if not could:
        raise ModelUnavailable(
            f"No model does {words(function)} in these languages: {', '.join(filter(None, languages))}"
        )
    cures = "; or ".join(dict.fromkeys(f"{each.model_id}: {_why_not(each, nodes)}" for each in could))
    raise ModelUnavailable(f"No model for {words(function)} is there. {cures}", could[0].model_id)


def words(function: Function) -> str:
    """`speech recognition`."""
    return function.value.replace("_", " ")


def _asked(
    rows: list[InferenceModel],
    function: Function,
    asked: str,
    nodes: Collection[InferenceNode],
    languages: tuple[str | None, ...],
) -> InferenceModel:
    model = next((each for each in rows if each.model_id == asked), None)
    if model is None:
        known = ", ".join(each.model_id for each in rows)
        raise UnknownModel(f"{asked!r} is no model for {words(function)}: choose one of {known}")
    if not model.knows(*languages):
        raise ModelUnavailable(f"{asked} knows only {', '.join(model.languages)}", asked)
    if not any(node.can_run(asked) for node in nodes):
        raise ModelUnavailable(f"The model {asked} is not there: {_why_not(model, nodes)}", asked)
    return model


def _why_not(model: InferenceModel, nodes: Collection[InferenceNode]) -> str:
    if not nodes:
        return "no inference node is online"
    if any(model.model_id in node.obtainable for node in nodes):
        return f"load it once, which fetches {model.source}"
    said = next((node.lacking[model.model_id] for node in nodes if model.model_id in node.lacking), "")
    return said or model.cure or f"{model.source} is not installed"
