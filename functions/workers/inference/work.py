"""From a claimed job to its answer: fetch what it was given, ask the engine, say it in the document's words.

What lies on disk goes with the folder of the job; what was written to the bucket is told to `written` before it is,
so that who loses the job takes it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from meet import objects, results
from meet.clock import utcnow
from meet.domain.inference import FUNCTION_OF, InferenceModel
from meet.domain.job import Job, JobKind
from meet.domain.media import MediaFile, MediaStatus
from meet.domain.transcript import Transcript, from_json, to_json
from meet.errors import NotFound
from meet.models import registry
from meet.probe.client import Unreadable, examine_file
from meet.store import media

from . import answers
from .engines.base import Answer, Asked, Made, Mood, Refused, Watch, Written
from .shelf import Shelf

WAV = "audio/wav"

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a job, to be written."""

    body: dict[str, Any]
    file_key: str | None = None
    """Of the file that the result is, already in the bucket."""
    output: MediaFile | None = None
    """Of a job that makes a media file."""


Divide = Callable[[Job, Asked, Watch], Transcript | None]
"""Has a long recording done in parts; None where it is short."""


def model_of(job: Job) -> InferenceModel:
    """The row of the model that a job is for. Raises `Refused` where the registry has it no more."""
    model = registry().find(str(job.options.get("model")))
    if model is None or model.function is not FUNCTION_OF[job.kind]:
        raise Refused(f"There is no model {job.options.get('model')!r} for this any more.")
    return model


def answer(job: Job, shelf: Shelf, folder: Path, watch: Watch, *, written: list[str], divide: Divide) -> Done:
    """Do a job. Raises `Refused`, `Unloadable`, `InsufficientMemory`, `Stopped` and `Unavailable`."""
    model = model_of(job)
    asked = _asked(job, folder)
    began = time.monotonic()
    whole = divide(job, asked, watch) if job.kind in SPOKEN and job.part_of is None else None
    found: Answer
    if whole is not None:
        found = whole
    else:
        with shelf.using(model, watch) as engine:
            began = time.monotonic()
            failed = True
            try:
                found = engine.infer(asked, watch)
                failed = False
            finally:
                shelf.note(model.model_id, busy_s=time.monotonic() - began, failed=failed)
    took_s = time.monotonic() - began
    if job.part_of is not None:
        return Done(to_json(_is(found, Transcript)))
    if isinstance(found, Made):
        return _made(job, model, found, took_s, written)
    return Done(answers.signed(_body(job, asked, found), model, took_s))


SPOKEN = frozenset({JobKind.SPEECH_RECOGNITION, JobKind.TRANSCRIPTION})


def part_result(job: Job) -> Transcript:
    """What came of a part of a long recording."""
    return from_json(results.result_of(job) or {})


def _asked(job: Job, folder: Path) -> Asked:
    options = dict(job.options)
    if job.kind is JobKind.SPEECH_RECOGNITION:
        options["words"] = True
    elif job.kind is JobKind.TRANSCRIPTION:
        options["words"] = bool(options.get("timestamps"))
    try:
        if job.given is None or job.given.mime_type == results.TEXT:
            return Asked(text=results.text_of(job), folder=folder, options=options)
        path = folder / "given"
        objects.download_file(job.given.key, path)
    except NotFound:
        raise Refused("What this was asked about was deleted.") from None
    return Asked(path, job.given.mime_type, folder=folder, options=options)


def _body(job: Job, asked: Asked, found: Answer) -> dict[str, Any]:
    match job.kind:
        case JobKind.SPEECH_RECOGNITION:
            return answers.recognition(_is(found, Transcript), job.options)
        case JobKind.TRANSCRIPTION:
            return answers.transcription(_is(found, Transcript), job.options)
        case JobKind.EMOTION_DETECTION:
            return answers.emotion(_is(found, list))
        case JobKind.SYNTHESIS_DETECTION:
            return answers.synthesis(_is(found, list))
        case JobKind.TRANSLATION:
            return answers.translation(_is(found, Written), job.options)
        case JobKind.SUMMARIZATION:
            return answers.summary(_is(found, Written), asked.text)
        case JobKind.SENTIMENT_ANALYSIS:
            return answers.sentiment(_is(found, Mood))
        case _:
            raise TypeError(f"a job of {job.kind} makes a file")


def _made(job: Job, model: InferenceModel, made: Made, took_s: float, written: list[str]) -> Done:
    """The end of a job that makes a file: its answer is the file, or a media file of its owner's."""
    if job.kind is JobKind.VIDEO_ENHANCEMENT:
        return _enhanced(job, model, made, took_s, written)
    key = results.result_key(job)
    written.append(key)
    objects.upload_file(made.path, key, WAV)
    measured = {
        "noise_reduction_db": round(float(made.facts["noise_reduction_db"]), 2),
        "duration": answers.seconds(float(made.facts["duration_s"])),
    }
    return Done(answers.signed(measured, model, took_s), file_key=key)


def _enhanced(job: Job, model: InferenceModel, made: Made, took_s: float, written: list[str]) -> Done:
    [step] = job.steps
    output = media.find(step.media_id)
    if output is None or output.status is not MediaStatus.PROCESSING:
        raise Refused("The video that this was to become was deleted.")
    try:
        looked = examine_file(made.path)
    except Unreadable as error:
        raise Refused("What was made of this video can't be read.") from error
    key = objects.output_key(output.media_id, job.attempt)
    written.append(key)
    blob = objects.upload_file(made.path, key, looked.kind.mime_type)
    thumbnail = None
    if looked.thumbnail is not None:
        beside = objects.thumbnail_key(key)
        written.append(beside)
        thumbnail = objects.put_bytes(beside, looked.thumbnail, "image/jpeg")
    facts = looked.facts
    finished = output.finished(blob, looked.kind.mime_type, facts, at=utcnow(), thumbnail=thumbnail)
    body = {
        "enhanced_video_id": output.media_id,
        "enhancement_type": job.options["enhancement_type"],
        "original_resolution": f"{job.options['width']}x{job.options['height']}",
        "enhanced_resolution": facts.resolution,
        "file_size": blob.size,
        "duration": facts.duration_s,
    }
    return Done(answers.signed(body, model, took_s), output=finished)


def _is(found: object, shape: type[Shape]) -> Shape:
    if not isinstance(found, shape):
        raise TypeError(f"the engine answered with a {type(found).__name__}, and not with a {shape.__name__}")
    return found
