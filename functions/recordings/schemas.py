"""What the endpoints about recordings read and answer."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from meet.clock import iso
from meet.config import settings
from meet.domain.recording import Format, Layout, Measured, Quality, RecordedTrack, Recording, RecordingStatus, Wanted

from .room import RoomBody

PREFIX = "/api/v1/recording"

Switch = Annotated[bool, Field(strict=True)]


class StartBody(RoomBody):
    """What is to be recorded, and what is to become of it."""

    format: Format = "mp4"
    quality: Quality = "medium"
    layout: Layout = "grid"
    record_audio: Switch = True
    record_video: Switch = True
    record_screen: Switch = True

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.record_audio or self.record_video or self.record_screen):
            raise ValueError("record_audio, record_video and record_screen are all false: there is nothing to record")
        return self

    @property
    def wanted(self) -> Wanted:
        """The same in the domain's words."""
        return Wanted(
            format=self.format,
            quality=self.quality,
            layout=self.layout,
            audio=self.record_audio,
            video=self.record_video,
            screen=self.record_screen,
        )


class OneRecording(BaseModel):
    """A body that names one recording."""

    recording_id: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128)]


class RecordingAnswer(BaseModel):
    """A recording, as every endpoint answers it. `duration` is in whole seconds, `duration_s` exact.

    `file_size` is of the file once it is there; before, of what was kept of all tracks. The file is at `download_url`
    when it is completed; until then that answers 409 with the time to wait.
    """

    recording_id: str
    meeting_id: int
    room_id: str
    status: str
    format: str
    quality: str
    layout: str
    record_audio: bool
    record_video: bool
    record_screen: bool
    started_by: str
    created_at: str
    started_at: str | None
    stopped_at: str | None
    duration: int
    duration_s: float
    file_size: int
    participants: int
    interrupted: bool
    """Whether it ended because its media process did: the last seconds may be missing."""
    error: str | None
    """Why it failed."""
    output_path: str
    file_path: str
    download_url: str

    @classmethod
    def of(cls, recording: Recording) -> Self:
        """The recording as it is stored."""
        wanted, measured = recording.wanted, recording.measured
        duration_s = recording.facts.duration_s if recording.blob else None
        if duration_s is None:
            duration_s = measured.duration_s
        return cls.model_validate(
            {
                "recording_id": recording.recording_id,
                "meeting_id": recording.meeting_number,
                "room_id": recording.room_id,
                "status": recording.status.value,
                "format": wanted.format,
                "quality": wanted.quality,
                "layout": wanted.layout,
                "record_audio": wanted.audio,
                "record_video": wanted.video,
                "record_screen": wanted.screen,
                "started_by": recording.owner_id,
                "created_at": iso(recording.created_at),
                "started_at": iso(recording.started_at) if recording.started_at else None,
                "stopped_at": iso(recording.stopped_at) if recording.stopped_at else None,
                "duration": round(duration_s),
                "duration_s": round(duration_s, 3),
                "file_size": recording.blob.size if recording.blob else measured.size,
                "participants": measured.participants,
                "interrupted": recording.interrupted,
                "error": recording.error,
                "output_path": recording.output_path,
                "file_path": recording.output_path,
                "download_url": download_url(recording.recording_id),
                **cls._more(recording),
            }
        )

    @classmethod
    def _more(cls, recording: Recording) -> dict[str, object]:
        """What a kind of answer has beside that."""
        return {}


class StartedAnswer(RecordingAnswer):
    """A recording that has just begun."""

    estimated_size: int = 0


class QualityMetrics(BaseModel):
    """What the recorder measured. Bitrates are in bits a second, the highest that of any one second."""

    average_bitrate: int
    peak_bitrate: int
    dropped_frames: int
    encoding_errors: int

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """The same in the document's words."""
        return cls(
            average_bitrate=measured.average_bitrate_bps,
            peak_bitrate=measured.peak_bitrate_bps,
            dropped_frames=measured.dropped_frames,
            encoding_errors=measured.errors,
        )


class TrackAnswer(BaseModel):
    """One person's microphone, camera or screen in a file of its own; it begins at `begins_s` of the recording."""

    track_id: str
    user_id: str
    username: str
    kind: str
    source: str
    codec: str
    begins_s: float
    duration_s: float
    file_size: int
    mime_type: str
    download_url: str

    @classmethod
    def of(cls, recording: Recording, number: int, track: RecordedTrack) -> Self:
        """The track with this number, counted from 0."""
        return cls(
            track_id=track.track_id,
            user_id=track.user_id,
            username=track.username,
            kind=track.kind,
            source=track.source,
            codec=track.codec,
            begins_s=track.begins_s,
            duration_s=track.duration_s,
            file_size=track.blob.size,
            mime_type=track.mime_type,
            download_url=f"{download_url(recording.recording_id)}/tracks/{number}",
        )


class DetailedAnswer(RecordingAnswer):
    """All that is known of a recording. `progress` is of the making of its file, which begins with its stop."""

    progress: int = 0
    quality_metrics: QualityMetrics
    tracks: list[TrackAnswer]
    """When it is completed."""

    @classmethod
    def at(cls, recording: Recording, progress: int) -> Self:
        """The recording whose file is so far made, 0 to 100."""
        answer = cls.of(recording)
        answer.progress = 100 if recording.status is RecordingStatus.COMPLETED else progress
        return answer

    @classmethod
    def _more(cls, recording: Recording) -> dict[str, object]:
        return {
            "quality_metrics": QualityMetrics.of(recording.measured),
            "tracks": [TrackAnswer.of(recording, number, track) for number, track in enumerate(recording.tracks)],
        }


class Pagination(BaseModel):
    """Which page this is; `pages` is 0 where there is nothing."""

    page: int
    page_size: int
    total: int
    pages: int


class RecordingsAnswer(BaseModel):
    """One page of recordings, newest first."""

    recordings: list[RecordingAnswer]
    pagination: Pagination


class DeletedAnswer(BaseModel):
    """The recording that is no more."""

    message: Literal["Recording deleted successfully"] = "Recording deleted successfully"
    recording_id: str


def download_url(recording_id: str) -> str:
    """Where the file of a recording is."""
    return f"{settings().base_url}{PREFIX}/download/{recording_id}"
