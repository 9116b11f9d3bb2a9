"""What the endpoints about FFmpeg's jobs read and answer."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field

from meet.clock import iso
from meet.domain import formats
from meet.domain.job import Job
from meet.web.jobs import MediaId, OneFile, OutputAnswer, one_media_id, status_url


def _resolution(text: str) -> str:
    formats.size_of(text)
    return text


def _video_bitrate(text: str) -> str:
    formats.bits_a_second(text, least=formats.LEAST_VIDEO_BPS, most=formats.MOST_VIDEO_BPS)
    return text


def _audio_bitrate(text: str) -> str:
    formats.bits_a_second(text, least=formats.LEAST_AUDIO_BPS, most=formats.MOST_AUDIO_BPS)
    return text


Resolution = Annotated[str, Field(max_length=32, examples=["1280x720", "720p"]), AfterValidator(_resolution)]
VideoBitrate = Annotated[str, Field(max_length=32, examples=["2000k", "5M"]), AfterValidator(_video_bitrate)]
AudioBitrate = Annotated[str, Field(max_length=32, examples=["192k"]), AfterValidator(_audio_bitrate)]
FrameRate = Annotated[int, Field(strict=True, ge=1, le=formats.MOST_FRAME_RATE)]
AudioFormat = Literal["mp3", "wav", "ogg", "flac", "aac", "m4a", "opus"]
MergedFormat = Literal["mp4", "webm", "mkv", "avi", "mov", "flv", "mp3", "wav", "ogg", "flac", "aac", "m4a", "opus"]


class TranscodeBody(OneFile):
    """A video, and what it is to become. What is absent is the format's own, and as in the source."""

    input_media_id: MediaId = one_media_id("input_media_id")
    output_format: Literal["mp4", "webm", "mkv", "avi"]
    video_codec: Literal["h264", "h265", "vp8", "vp9"] | None = None
    audio_codec: Literal["aac", "mp3", "opus", "vorbis"] | None = None
    resolution: Resolution | None = None
    """WIDTHxHEIGHT is that exactly, with bars where the shape differs; a name keeps the shape."""
    bitrate: VideoBitrate | None = None
    frame_rate: FrameRate | None = None
    preset: Literal["ultrafast", "fast", "medium", "slow"] = "medium"


class ExtractAudioBody(OneFile):
    """A file with sound, and the format that the sound is wanted in."""

    video_media_id: MediaId = one_media_id("video_media_id")
    audio_format: AudioFormat = "mp3"
    audio_bitrate: AudioBitrate | None = None


class ExtractVideoBody(OneFile):
    """A video whose sound is to be left out."""

    media_id: MediaId = one_media_id("media_id")


class MergeBody(BaseModel):
    """Files of one kind in the order in which they are to follow each other."""

    media_ids: Annotated[list[MediaId], Field(min_length=2, max_length=formats.MOST_MERGED)]
    output_format: MergedFormat = "mp4"
    transition: Literal["none", "fade", "dissolve"] = "none"
    transition_duration: Annotated[float, Field(strict=True, gt=0, le=formats.MOST_TRANSITION_S)] = 1.0
    """Seconds; without a transition it counts for nothing."""


class StartedAnswer(BaseModel):
    """A job that was begun. `estimated_time` is in seconds."""

    job_id: str
    status: str
    estimated_time: int
    created_at: str
    status_url: str
    output_media_id: str
    outputs: list[OutputAnswer]


class TranscodeAnswer(StartedAnswer):
    """The document's keys for a transcoding."""

    input_media_id: str
    output_format: str


class StatusAnswer(BaseModel):
    """How far a job is. `processing_time` is in seconds, and null until it is over."""

    job_id: str
    kind: str
    status: str
    progress: int
    input_media_id: str
    input_media_ids: list[str]
    output_media_id: str
    outputs: list[OutputAnswer]
    estimated_time: int
    created_at: str
    started_at: str | None
    completed_at: str | None
    processing_time: int | None
    error: str | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The job as it is now."""
        return cls(
            job_id=job.job_id,
            kind=job.kind.value,
            status=job.status.value,
            progress=job.progress,
            input_media_id=job.inputs[0],
            input_media_ids=list(job.inputs),
            output_media_id=job.steps[0].media_id,
            outputs=OutputAnswer.all_of(job),
            estimated_time=job.estimated_s,
            created_at=iso(job.created_at),
            started_at=iso(job.started_at) if job.started_at else None,
            completed_at=iso(job.completed_at) if job.completed_at else None,
            processing_time=job.processing_s,
            error=job.error,
        )


class CancelledAnswer(StatusAnswer):
    """The same of a job that its owner wants no more."""

    message: str = "Job cancelled successfully"


def started(job: Job, status: Literal["queued", "processing"]) -> dict[str, object]:
    """The keys of `StartedAnswer`. `status` is the document's word, which isn't the same everywhere (decision 27)."""
    return {
        "job_id": job.job_id,
        "status": status,
        "estimated_time": job.estimated_s,
        "created_at": iso(job.created_at),
        "status_url": status_url(job),
        "output_media_id": job.steps[0].media_id,
        "outputs": OutputAnswer.all_of(job),
    }
