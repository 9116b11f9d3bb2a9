"""A job: work that takes longer than a request, done by whichever worker takes it from the queue.

One on media files has `inputs`, and `steps` whose outputs are media files. One for a model is about what was `given`
and has a `result`, under `options`; `meet.results` says where the bytes of both are.

`NEXT` is the whole table of a job's life. The queue may deliver a job twice and a worker may die at any moment, so a
worker holds a job by a lease that it keeps moving (`claimed`, `renewed`): who finds the lease of another still good
leaves the job alone; who finds it lapsed takes the job over as the next attempt. Only the holder of the latest one
may finish it. A value never changes: a transition returns a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class JobKind(StrEnum):
    """What is to be done."""

    TRANSCODE = "transcode"
    EXTRACT_AUDIO = "extract_audio"
    EXTRACT_VIDEO = "extract_video"
    MERGE = "merge"
    PROCESS = "process"
    """Several operations on one file, each with an output of its own."""
    COMPOSE = "compose"
    """One file out of a recording's tracks. Its single step names the recording where others name a media file."""

    SPEECH_RECOGNITION = "speech_recognition"
    TRANSCRIPTION = "transcription"
    EMOTION_DETECTION = "emotion_detection"
    SYNTHESIS_DETECTION = "synthesis_detection"
    TRANSLATION = "translation"
    SUMMARIZATION = "summarization"
    SENTIMENT_ANALYSIS = "sentiment_analysis"
    AUDIO_DENOISING = "audio_denoising"
    VIDEO_ENHANCEMENT = "video_enhancement"


class JobStatus(StrEnum):
    """Where a job is in its life, in the document's words."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


NEXT: Mapping[JobStatus, frozenset[JobStatus]] = MappingProxyType(
    {
        JobStatus.QUEUED: frozenset({JobStatus.PROCESSING, JobStatus.FAILED, JobStatus.CANCELLED}),
        JobStatus.PROCESSING: frozenset(
            {JobStatus.PROCESSING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}
        ),
        JobStatus.COMPLETED: frozenset(),
        JobStatus.FAILED: frozenset(),
        JobStatus.CANCELLED: frozenset(),
    }
)
"""Which statuses may follow which; processing follows itself where another worker takes over."""


class TransitionError(ValueError):
    """A status that can't follow the present one."""

    def __init__(self, before: JobStatus, after: JobStatus) -> None:
        super().__init__(f"A job that is {before} cannot become {after}")
        self.before = before
        self.after = after


@dataclass(frozen=True, slots=True)
class Step:
    """One output of a job and how it is made."""

    media_id: str
    """Of the output, which was allocated with the job; of `compose`, the recording's id."""
    operation: str
    """`transcode`, `extract_audio`, `extract_video`, `merge`, `thumbnail`, `compress` or `compose`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the request asked for, checked: JSON values under the document's names."""


@dataclass(frozen=True, slots=True)
class Given:
    """An object in the bucket that a job is about: something uploaded for it, or the bytes of a media file."""

    key: str
    mime_type: str
    """What the content is, as it was found."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `progress` is 0 to 100 over all steps."""

    job_id: str
    kind: JobKind
    owner_id: str
    inputs: tuple[str, ...]
    """Media ids, in the order that counts."""
    steps: tuple[Step, ...]
    estimated_s: int
    created_at: datetime
    status: JobStatus = JobStatus.QUEUED
    progress: int = 0
    attempt: int = 0
    """How often a worker took it; the number of the latest attempt."""
    held_until: datetime | None = None
    """While this lies ahead, the worker of the latest attempt is at it."""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    """When it ended, whatever the end."""
    error: str | None = None
    given: Given | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of a job for a model, what the request asked for, checked: JSON values under the document's names."""
    result: Mapping[str, Any] | None = None
    """What came of it, in the words of the document; None where there is nothing yet, or it is under `result_key`."""
    result_key: str | None = None
    """The object in the bucket that is the result, or the part of it that is no text."""
    part_of: str | None = None
    """The job that this is one of several parts of."""
    worker: str | None = None
    """Who took it last, where workers have names."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return not NEXT[self.status]

    @property
    def processing_s(self) -> int | None:
        """Whole seconds from the first start to the end; None before."""
        if self.started_at is None or self.completed_at is None:
            return None
        return max(0, round((self.completed_at - self.started_at).total_seconds()))

    def is_held(self, now: datetime) -> bool:
        """Whether a worker is at it, and was heard of lately."""
        return self.status is JobStatus.PROCESSING and self.held_until is not None and self.held_until > now

    def claimed(self, *, at: datetime, until: datetime, worker: str | None = None) -> Job:
        """A worker takes it, for the first time or over from one that is gone."""
        return replace(
            self._became(JobStatus.PROCESSING),
            attempt=self.attempt + 1,
            held_until=until,
            started_at=self.started_at or at,
            worker=worker,
        )

    def renewed(self, *, until: datetime, progress: int) -> Job:
        """Its worker is still at it. Progress never goes back."""
        return replace(
            self._became(JobStatus.PROCESSING),
            held_until=until,
            progress=max(self.progress, min(progress, 99)),
        )

    def completed(
        self, *, at: datetime, result: Mapping[str, Any] | None = None, result_key: str | None = None
    ) -> Job:
        """All outputs are there, and the result, where it has one."""
        return replace(
            self._became(JobStatus.COMPLETED),
            completed_at=at,
            progress=100,
            held_until=None,
            result=result,
            result_key=result_key,
        )

    def failed(self, error: str, *, at: datetime) -> Job:
        """It can't be done; `error` is a sentence for its owner."""
        return replace(self._became(JobStatus.FAILED), completed_at=at, error=error, held_until=None)

    def cancelled(self, *, at: datetime) -> Job:
        """Its owner wants it no more."""
        return replace(self._became(JobStatus.CANCELLED), completed_at=at, held_until=None)

    def _became(self, after: JobStatus) -> Job:
        if after not in NEXT[self.status]:
            raise TransitionError(self.status, after)
        return replace(self, status=after)
