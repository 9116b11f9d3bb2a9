"""What jobs for models are given and what came of them, in their rows where it is small, else in the bucket.

    inference/{job_id}/given          an upload, or a text too long for a row
    inference/{job_id}/{attempt}-…    a result too long for a row, or one that is a file

A row holds 400 kB at most, and a text and its result may both stand in one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from meet import objects
from meet.domain.job import Given, Job

PREFIX = "inference/"
"""Before the keys of all of these objects. Nothing under it is needed for longer than its job's row is."""
MOST_IN_ROW = 150_000
"""Bytes of JSON. With its text of as many, its name and the index, a row stays below DynamoDB's 400 kB."""
TEXT = "text/plain"


def given_key(job_id: str) -> str:
    """Where an upload for a job lies, which is written before the job's row is."""
    return f"{PREFIX}{job_id}/given"


def result_key(job: Job) -> str:
    """A key of its own for what an attempt makes."""
    return f"{PREFIX}{job.job_id}/{job.attempt}-{secrets.token_urlsafe(12)}"


def place_text(job_id: str, text: str) -> tuple[dict[str, Any], Given | None]:
    """How a job is given a text: what goes into its options, and what it was given else. May write an object."""
    if len(json.dumps(text)) <= MOST_IN_ROW:
        return {"text": text}, None
    key = given_key(job_id)
    objects.put_bytes(key, text.encode("utf-8", "replace"), TEXT)
    return {}, Given(key, TEXT)


def text_of(job: Job) -> str:
    """The text that a job was given. Raises `meet.errors.NotFound` where its object is gone."""
    if job.given is None or job.given.mime_type != TEXT:
        return str(job.options.get("text", ""))
    return objects.read_bytes(job.given.key).decode("utf-8", "replace")


def place_result(job: Job, result: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str | None]:
    """Where the result of a claimed job goes, as `meet.store.jobs.answer` takes it. May write an object."""
    data = json.dumps(result)
    if len(data) <= MOST_IN_ROW:
        return result, None
    key = result_key(job)
    objects.put_bytes(key, data.encode(), "application/json")
    return None, key


def result_of(job: Job) -> Mapping[str, Any] | None:
    """The result of a completed job, wherever it is; None before, and of jobs on media files.

    Of a job whose result is a file (`audio_denoising`) it is what was measured; the file is under `result_key`.
    """
    if job.result is not None or job.result_key is None:
        return job.result
    found: dict[str, Any] = json.loads(objects.read_bytes(job.result_key))
    return found


def discard(job: Job) -> None:
    """Delete what a job was given and made, but for what it was given of somebody's files."""
    objects.delete_many(found.key for found in objects.every(f"{PREFIX}{job.job_id}/"))


def forget_given(job: Job) -> None:
    """Delete what was uploaded for a job that is over."""
    if job.given is not None and job.given.key.startswith(PREFIX):
        objects.delete(job.given.key)


def forget_earlier(job: Job) -> None:
    """Delete results of attempts before this one, none of which can end the job any more."""
    if job.attempt < 2:
        return
    there = (found.key for found in objects.every(f"{PREFIX}{job.job_id}/"))
    names = ((key, key.rpartition("/")[2].partition("-")[0]) for key in there)
    objects.delete_many(key for key, number in names if number.isdecimal() and int(number) < job.attempt)
