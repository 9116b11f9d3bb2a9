"""A media file as it is answered: the same object by the upload, the list and the information about it."""

from typing import Self

from pydantic import BaseModel

from meet.clock import iso
from meet.config import settings
from meet.domain.media import MediaFile

PREFIX = "/api/v1/media"


class MediaAnswer(BaseModel):
    """A file. What it has not, or what isn't known of it yet, is null: a text has no duration.

    The document shows `duration` and `frame_rate` as integers, and so they are; `duration_s` and `fps` are exact.
    """

    media_id: str
    status: str
    """`processing` as long as a job makes it, then `ready` or `failed`."""
    filename: str
    file_type: str
    size: int | None
    mime_type: str
    duration: int | None
    duration_s: float | None
    resolution: str | None
    width: int | None
    height: int | None
    bitrate: int | None
    codec: str | None
    audio_codec: str | None
    frame_rate: int | None
    fps: float | None
    meeting_id: int | None
    description: str
    url: str
    thumbnail_url: str | None
    job_id: str | None
    uploaded_at: str
    uploaded_by: str
    download_count: int
    last_accessed: str | None

    @classmethod
    def of(cls, file: MediaFile) -> Self:
        """The file as it is now."""
        facts = file.facts
        return cls(
            media_id=file.media_id,
            status=file.status.value,
            filename=file.filename,
            file_type=file.file_type.value,
            size=file.blob.size if file.blob else None,
            mime_type=file.mime_type,
            duration=None if facts.duration_s is None else round(facts.duration_s),
            duration_s=facts.duration_s,
            resolution=facts.resolution,
            width=facts.width,
            height=facts.height,
            bitrate=facts.bitrate_bps,
            codec=facts.codec,
            audio_codec=facts.audio_codec,
            frame_rate=None if facts.frame_rate is None else round(facts.frame_rate),
            fps=facts.frame_rate,
            meeting_id=file.meeting_number,
            description=file.description,
            url=download_url(file.media_id),
            thumbnail_url=f"{settings().base_url}{PREFIX}/thumbnail/{file.media_id}" if file.thumbnail else None,
            job_id=file.job_id,
            uploaded_at=iso(file.uploaded_at),
            uploaded_by=file.owner_id,
            download_count=file.download_count,
            last_accessed=iso(file.last_accessed) if file.last_accessed else None,
        )


def download_url(media_id: str) -> str:
    """Where the bytes of a file are."""
    return f"{settings().base_url}{PREFIX}/download/{media_id}"
