"""`/api/v1/ffmpeg`: jobs on media files, from the request to their end. What they do is the FFmpeg worker's.

A job is its owner's: others get 404, administrators see and cancel all.
"""

from fastapi import APIRouter

from meet import orders
from meet.domain.job import Job, JobKind
from meet.store import jobs
from meet.web.auth import Principal, SignedIn
from meet.web.jobs import begin, input_file

from .schemas import (
    CancelledAnswer,
    ExtractAudioBody,
    ExtractVideoBody,
    MergeBody,
    StartedAnswer,
    StatusAnswer,
    TranscodeAnswer,
    TranscodeBody,
    started,
)

router = APIRouter(prefix="/api/v1/ffmpeg", tags=["ffmpeg"])

ID_CHARS = 128
"""No job id is longer; DynamoDB refuses to look for a key of more than 2048 bytes."""


@router.post("/transcode")
def transcode(asked: TranscodeBody, user: SignedIn) -> TranscodeAnswer:
    """Make a video of another format, size or rate."""
    file = input_file(user, asked.input_media_id)
    order = orders.transcode(file, **asked.model_dump(exclude={"input_media_id"}))
    job = begin(user, JobKind.TRANSCODE, [file], [order])
    return TranscodeAnswer.model_validate(
        started(job, "queued") | {"input_media_id": file.media_id, "output_format": asked.output_format}
    )


@router.post("/extract-audio")
def extract_audio(asked: ExtractAudioBody, user: SignedIn) -> StartedAnswer:
    """Make a file of the sound alone."""
    file = input_file(user, asked.video_media_id)
    order = orders.extract_audio(file, asked.audio_format, audio_bitrate=asked.audio_bitrate)
    return _processing(begin(user, JobKind.EXTRACT_AUDIO, [file], [order]))


@router.post("/extract-video")
def extract_video(asked: ExtractVideoBody, user: SignedIn) -> StartedAnswer:
    """Make a file of the picture alone."""
    file = input_file(user, asked.media_id)
    return _processing(begin(user, JobKind.EXTRACT_VIDEO, [file], [orders.extract_video(file)]))


@router.post("/merge")
def merge(asked: MergeBody, user: SignedIn) -> StartedAnswer:
    """Make one file of several, one after the other."""
    known = {media_id: input_file(user, media_id) for media_id in asked.media_ids}
    files = [known[media_id] for media_id in asked.media_ids]
    order = orders.merge(
        files,
        asked.output_format,
        transition=asked.transition,
        transition_duration=asked.transition_duration,
    )
    return _processing(begin(user, JobKind.MERGE, files, [order]))


@router.get("/job/{job_id}/status")
def status(job_id: str, user: SignedIn) -> StatusAnswer:
    """How far a job is."""
    return StatusAnswer.of(_job_of(user, job_id))


@router.delete("/job/{job_id}")
def cancel(job_id: str, user: SignedIn) -> CancelledAnswer:
    """Cancel a job that isn't over; its files will never be made. Cancelling again is fine."""
    job = jobs.cancel(_job_of(user, job_id))
    return CancelledAnswer.model_validate(StatusAnswer.of(job).model_dump())


def _processing(job: Job) -> StartedAnswer:
    return StartedAnswer.model_validate(started(job, "processing"))


def _job_of(user: Principal, job_id: str) -> Job:
    if len(job_id) > ID_CHARS:
        raise jobs.not_found(job_id[:ID_CHARS])
    job = jobs.get(job_id)
    if job.owner_id != user.user_id and not user.is_administrator:
        raise jobs.not_found(job_id)
    return job
