"""A media file: something uploaded, or made by a job, that is kept in the bucket and given to whoever may see it.

A file that a job will make is there before it has bytes: it is `processing` from the moment the job is, so that who
asked can name it at once. It becomes `ready` with its bytes and its facts, or `failed` for good; `NEXT` is the whole
table. A value never changes: a transition returns a new one.

Where the bytes are is in `key`, which is never guessed from the id: whoever makes a file writes under a key of its
own, and the one whose key stands in the row is the one who made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


class FileType(StrEnum):
    """What a file is to people, in the document's words."""

    VIDEO = "video"
    AUDIO = "audio"
    IMAGE = "image"
    DOCUMENT = "document"


class MediaStatus(StrEnum):
    """Where a file is in its life."""

    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


NEXT: Mapping[MediaStatus, frozenset[MediaStatus]] = MappingProxyType(
    {
        MediaStatus.PROCESSING: frozenset({MediaStatus.READY, MediaStatus.FAILED}),
        MediaStatus.READY: frozenset(),
        MediaStatus.FAILED: frozenset(),
    }
)
"""Which statuses may follow which."""


class TransitionError(ValueError):
    """A status that can't follow the present one."""

    def __init__(self, before: MediaStatus, after: MediaStatus) -> None:
        super().__init__(f"A media file that is {before} cannot become {after}")
        self.before = before
        self.after = after


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured of a file's content; None where it has no such thing, or it can't be told."""

    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    bitrate_bps: int | None = None
    codec: str | None = None
    """Of the picture, or of an image: FFmpeg's name (`h264`, `png`)."""
    audio_codec: str | None = None
    frame_rate: float | None = None

    @property
    def resolution(self) -> str | None:
        """`1920x1080`."""
        return None if self.width is None or self.height is None else f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Blob:
    """An object in the bucket."""

    key: str
    size: int
    etag: str
    """A strong validator of the bytes, without quotes."""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One file. `blob` is None as long as it is not ready."""

    media_id: str
    owner_id: str
    filename: str
    """As the owner named it: any text of 1 to 255 characters without a path; for people, never for a file system."""
    file_type: FileType
    mime_type: str
    """What the content is, as it was found, never as it was claimed."""
    uploaded_at: datetime
    status: MediaStatus = MediaStatus.READY
    blob: Blob | None = None
    thumbnail: Blob | None = None
    """A JPEG; None where there is none (sound, documents)."""
    facts: Facts = Facts()
    meeting_id: str | None = None
    meeting_number: int | None = None
    """The meeting it belongs to, whose participants may see it; both or neither."""
    description: str = ""
    job_id: str | None = None
    """The job that makes it, or made it."""
    download_count: int = 0
    last_accessed: datetime | None = None

    def finished(
        self, blob: Blob, mime_type: str, facts: Facts, *, at: datetime, thumbnail: Blob | None = None
    ) -> MediaFile:
        """Its job made it."""
        self._check(MediaStatus.READY)
        return replace(
            self,
            status=MediaStatus.READY,
            blob=blob,
            mime_type=mime_type,
            facts=facts,
            uploaded_at=at,
            thumbnail=thumbnail,
        )

    def failed(self) -> MediaFile:
        """Its job failed or was cancelled: there will never be bytes."""
        self._check(MediaStatus.FAILED)
        return replace(self, status=MediaStatus.FAILED)

    def _check(self, after: MediaStatus) -> None:
        if after not in NEXT[self.status]:
            raise TransitionError(self.status, after)
