"""A recording: what is said in a room, kept as it arrived and made into one file afterwards.

A recording is `pending` before the room's media process has begun it, and again from its stop until its file is
there; `NEXT` is the whole table. While it is under way it is held: its node moves `held_until`, and one whose node
died is finished, `interrupted`, from what had reached the bucket. A value never changes: a transition returns a new
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from meet.domain.media import Blob, Facts

Format = Literal["mp4", "webm", "mkv"]
Quality = Literal["low", "medium", "high"]
Layout = Literal["grid", "speaker", "gallery"]

HEIGHTS: Mapping[Quality, int] = MappingProxyType({"low": 480, "medium": 720, "high": 1080})
"""Lines of the picture that is composed; it is 16:9."""


class RecordingStatus(StrEnum):
    """Where a recording is in its life, in the document's words."""

    PENDING = "pending"
    """About to begin, or being composed: `stopped_at` tells which."""
    RECORDING = "recording"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


NEXT: Mapping[RecordingStatus, frozenset[RecordingStatus]] = MappingProxyType(
    {
        RecordingStatus.PENDING: frozenset(
            {
                RecordingStatus.RECORDING,
                RecordingStatus.COMPLETED,
                RecordingStatus.FAILED,
                RecordingStatus.CANCELLED,
            }
        ),
        RecordingStatus.RECORDING: frozenset(
            {RecordingStatus.PAUSED, RecordingStatus.PENDING, RecordingStatus.FAILED, RecordingStatus.CANCELLED}
        ),
        RecordingStatus.PAUSED: frozenset(
            {RecordingStatus.RECORDING, RecordingStatus.PENDING, RecordingStatus.FAILED, RecordingStatus.CANCELLED}
        ),
        RecordingStatus.COMPLETED: frozenset(),
        RecordingStatus.FAILED: frozenset(),
        RecordingStatus.CANCELLED: frozenset(),
    }
)
"""Which statuses may follow which."""


class TransitionError(ValueError):
    """A status that can't follow the present one."""

    def __init__(self, before: RecordingStatus, after: RecordingStatus) -> None:
        super().__init__(f"A recording that is {before} cannot become {after}")
        self.before = before
        self.after = after


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asked for."""

    format: Format = "mp4"
    quality: Quality = "medium"
    layout: Layout = "grid"
    audio: bool = True
    video: bool = True
    """Cameras."""
    screen: bool = True
    """Screens, and what they play where `audio` is wanted too."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the recorder counted so far, or in all."""

    duration_s: float = 0.0
    """On the recording's own timeline: pauses do not count."""
    size: int = 0
    """Bytes that were kept of all tracks."""
    participants: int = 0
    """People of whom there is a track."""
    average_bitrate_bps: int = 0
    peak_bitrate_bps: int = 0
    """Of any one second."""
    dropped_frames: int = 0
    """Of video: those that never came whole."""
    errors: int = 0
    """Frames that could not be written: the document's `encoding_errors`."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measured:
        """What a recorder says in JSON; keys that are none of these are left out."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})


@dataclass(frozen=True, slots=True)
class RecordedTrack:
    """One person's microphone, camera or screen, as it arrived, in a file of its own."""

    track_id: str
    user_id: str
    username: str
    kind: Literal["audio", "video"]
    source: str
    codec: str
    begins_s: float
    """When it begins on the recording's timeline."""
    duration_s: float
    blob: Blob
    mime_type: str = "video/x-matroska"


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording. `blob`, `facts` and `tracks` are there when it is completed."""

    recording_id: str
    meeting_id: str
    meeting_number: int
    owner_id: str
    """Who started it."""
    created_at: datetime
    wanted: Wanted = Wanted()
    status: RecordingStatus = RecordingStatus.PENDING
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    held_until: datetime | None = None
    """While this lies ahead, a media process is at it."""
    measured: Measured = Measured()
    interrupted: bool = False
    """Whether it ended because its media process did."""
    job_id: str | None = None
    """The job that makes its file, from the stop on."""
    blob: Blob | None = None
    mime_type: str | None = None
    facts: Facts = Facts()  # noqa: RUF009 - frozen, too
    tracks: tuple[RecordedTrack, ...] = ()
    error: str | None = None
    """Why it failed, for people."""

    @property
    def room_id(self) -> str:
        """The document's spelling, `meeting-123`."""
        return f"meeting-{self.meeting_number}"

    @property
    def output_path(self) -> str:
        """A logical name (decision 20), never a path of a server."""
        return f"/recordings/{self.room_id}/{self.recording_id}.{self.wanted.format}"

    @property
    def filename(self) -> str:
        """What a download is called, as the document has it."""
        return f"{self.room_id}-recording.{self.wanted.format}"

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return not NEXT[self.status]

    @property
    def is_live(self) -> bool:
        """Whether a media process has it, or is about to: only one such a meeting."""
        return not self.is_over and self.stopped_at is None

    def began(self, *, at: datetime, until: datetime) -> Recording:
        """The media process has begun."""
        if self.status is not RecordingStatus.PENDING or not self.is_live:
            raise TransitionError(self.status, RecordingStatus.RECORDING)
        return replace(self._became(RecordingStatus.RECORDING), started_at=at, held_until=until)

    def renewed(self, measured: Measured, *, until: datetime) -> Recording:
        """Its media process is still at it; status stays."""
        if not self.is_live:
            raise TransitionError(self.status, self.status)
        return replace(self, measured=measured, held_until=until)

    def paused(self) -> Recording:
        """What follows is left out."""
        return self._became(RecordingStatus.PAUSED)

    def resumed(self) -> Recording:
        """What follows is recorded again."""
        if self.status is not RecordingStatus.PAUSED:
            raise TransitionError(self.status, RecordingStatus.RECORDING)
        return self._became(RecordingStatus.RECORDING)

    def stopped(self, job_id: str, *, at: datetime, interrupted: bool = False) -> Recording:
        """All that there will be is in the bucket; the job makes a file of it."""
        return replace(
            self._became(RecordingStatus.PENDING),
            stopped_at=at,
            held_until=None,
            job_id=job_id,
            interrupted=interrupted,
        )

    def completed(
        self, blob: Blob, mime_type: str, facts: Facts, tracks: tuple[RecordedTrack, ...], measured: Measured
    ) -> Recording:
        """Its file is there."""
        if self.stopped_at is None:
            raise TransitionError(self.status, RecordingStatus.COMPLETED)
        return replace(
            self._became(RecordingStatus.COMPLETED),
            blob=blob,
            mime_type=mime_type,
            facts=facts,
            tracks=tracks,
            measured=measured,
        )

    def failed(self, error: str, *, at: datetime) -> Recording:
        """There will never be a file; `error` is a sentence for its owner."""
        return replace(
            self._became(RecordingStatus.FAILED), error=error, held_until=None, stopped_at=self.stopped_at or at
        )

    def cancelled(self, *, at: datetime) -> Recording:
        """Nobody wants it any more."""
        return replace(self._became(RecordingStatus.CANCELLED), held_until=None, stopped_at=self.stopped_at or at)

    def _became(self, after: RecordingStatus) -> Recording:
        if after not in NEXT[self.status]:
            raise TransitionError(self.status, after)
        return replace(self, status=after)
