"""How a request becomes a job, for every function that starts one: its input, its outputs, its message."""

import logging
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BaseModel, Field, StringConstraints, model_validator

from meet import queue
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.job import Job, JobKind, Step
from meet.domain.media import MediaFile, MediaStatus
from meet.errors import Conflict, Invalid, MeetError
from meet.estimates import Speeds, estimate_s, kind_of
from meet.orders import Order
from meet.store import jobs
from meet.web.access import readable_media
from meet.web.auth import Principal
from meet.web.files import download_url
from meet.web.redis import RedisAway, circuit, redis

log = logging.getLogger("meet.jobs")

PREFIX = "/api/v1/ffmpeg/job"
RETRY_AFTER_S = 5
"""Told to who asks for something of a file that isn't made yet."""

MediaId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128)]

_OF_PROCESS = {"thumbnail": "generate_thumbnail", "transcode": "convert_format"}
"""What the steps of a `process` job are called in its request, where that isn't the step's own name."""

_ALIASES = ("media_id", "input_media_id", "video_media_id")


def one_media_id(name: str) -> Any:
    """The field of a body that names one file: `name` is the document's, and the others are its aliases."""
    others = (alias for alias in _ALIASES if alias != name)
    return Field(validation_alias=AliasChoices(name, *others), description=f"Also as {' or '.join(others)}.")


class OneFile(BaseModel):
    """A body that names one file, under any of the document's names for it (decision 28)."""

    @model_validator(mode="before")
    @classmethod
    def _agree(cls, body: object) -> object:
        if isinstance(body, dict):
            given = [body[alias] for alias in _ALIASES if alias in body]
            if any(each != given[0] for each in given):
                raise ValueError(f"{', '.join(_ALIASES)} are names of the same, and these differ")
        return body


class OutputAnswer(BaseModel):
    """A file that a job makes; `GET /api/v1/media/info/{media_id}` says whether it is ready."""

    media_id: str
    operation: str
    url: str

    @classmethod
    def all_of(cls, job: Job) -> list[Self]:
        """The outputs of a job, in the order of what was asked for, and in its words."""
        words = _OF_PROCESS if job.kind is JobKind.PROCESS else {}
        return [
            cls(
                media_id=step.media_id,
                operation=words.get(step.operation, step.operation),
                url=download_url(step.media_id),
            )
            for step in job.steps
        ]


def status_url(job: Job) -> str:
    """Where to ask how far a job is."""
    return f"{settings().base_url}{PREFIX}/{job.job_id}/status"


def input_file(user: Principal, media_id: str) -> MediaFile:
    """A file that a job may be made of: one that the user may read, and that is ready.

    Raises `NotFound`, 409 `MEDIA_PROCESSING` with a time to wait where another job is still making it, and `Conflict`
    where that job failed.
    """
    file = readable_media(user, media_id)
    if file.status is MediaStatus.PROCESSING:
        raise MeetError(
            "MEDIA_PROCESSING", 409, "The file is still being made", details=media_id, retry_after_s=RETRY_AFTER_S
        )
    if file.blob is None:
        raise Conflict("The file was never made: the job that should have made it failed or was cancelled")
    return file


def begin(user: Principal, kind: JobKind, inputs: Sequence[MediaFile], orders: Sequence[Order]) -> Job:
    """Start a job that carries out these orders, each of which becomes a file of the user's.

    The files belong to the meeting that all inputs belong to. Raises `Invalid` where the job would take longer, or
    has more to read, than any may, and `Unavailable` where it can't be queued; then there is none.
    """
    size = sum({file.media_id: file.blob.size for file in inputs if file.blob}.values())
    if size > settings().job_output_bytes:  # what is made of them has about as many
        raise Invalid(f"The files have {size} bytes together, and a job may have {settings().job_output_bytes}")
    now = utcnow()
    job_id = new_id()
    steps = tuple(Step(new_id(), order.operation, order.options) for order in orders)
    estimated_s = estimate_s(steps, inputs, _factors(steps))
    if estimated_s > settings().job_most_s:
        raise Invalid(f"This would take about {estimated_s} s, and a job may take {settings().job_most_s} s")
    meetings = {(file.meeting_id, file.meeting_number) for file in inputs}
    meeting_id, meeting_number = meetings.pop() if len(meetings) == 1 else (None, None)
    outputs = [
        MediaFile(
            media_id=step.media_id,
            owner_id=user.user_id,
            filename=order.name,
            file_type=order.file_type,
            mime_type=order.mime_type,
            uploaded_at=now,
            status=MediaStatus.PROCESSING,
            meeting_id=meeting_id,
            meeting_number=meeting_number,
            job_id=job_id,
        )
        for step, order in zip(steps, orders, strict=True)
    ]
    job = Job(
        job_id=job_id,
        kind=kind,
        owner_id=user.user_id,
        inputs=tuple(file.media_id for file in inputs),
        steps=steps,
        estimated_s=estimated_s,
        created_at=now,
    )
    jobs.create(job, outputs)
    try:
        queue.send(job)
    except Exception:
        # The caller is told that there is no job, so there must be none; a message that came through all the same
        # finds it over. Where this fails too, a sweeper sends the job again.
        jobs.fail(job, "The job could not be queued.")
        raise
    return job


def _factors(steps: Sequence[Step]) -> list[float]:
    kinds = [kind_of(step) for step in steps]
    try:
        return circuit.call(lambda: Speeds(redis()).factors(kinds))
    except RedisAway:
        log.debug("a job is estimated by the table alone: Redis is away")
        return [1.0] * len(kinds)
