"""The worker: messages of the queue in, outputs of jobs out, whatever happens in between.

`handler` is a Lambda's, for batches of SQS; a local process feeds it the same events (`__main__`). It answers with
the messages that are not done, which come again. A message may come twice and a worker may die at any moment, so:

* A job is claimed as an attempt with a lease; who finds it held or over leaves it alone.
* Each attempt writes objects of its own, and only the holder of the latest attempt completes the job, in one
  transaction with its outputs. Who loses takes its objects back; those of who died are taken back by who comes after.
* What can't be done fails the job, and the message is done. What may be done later gives the job and the message
  back. A message that is no job's comes again at once, until the queue puts it aside among the dead.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from redis import Redis, RedisError

from meet import objects, queue, tracing
from meet.clock import utcnow
from meet.completion import announce
from meet.config import settings
from meet.domain.job import Job, JobKind
from meet.domain.media import MediaFile
from meet.domain.recording import Recording
from meet.errors import Unavailable
from meet.estimates import Speeds
from meet.queue import Queue
from meet.recordings import discard
from meet.store import jobs, media, recordings

from .binary import ffmpeg
from .composition import compose, files_prefix
from .inputs import Impossible
from .lease import Lease
from .run import Failed, Stopped
from .work import Elsewhere, make_outputs

log = logging.getLogger("meet.worker")

MOST_ATTEMPTS = 5
"""How often a job is taken; the workers of that many died of it."""
MOST_WAIT_S = 300
"""Before a message comes again that could not be worked on."""
LAMBDA_SPARE_S = 20
"""What a Lambda keeps of its time to hand a job on that doesn't fit in it."""

quitting = Event()
"""Set where this process is to end: what it holds is given back."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on each message; the ones that are not done (`ReportBatchItemFailures`)."""
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - LAMBDA_SPARE_S if context else None
    failures = []
    for record in event["Records"]:
        where = Queue.of_arn(record["eventSourceARN"])
        receipt = record["receiptHandle"]
        times = int(record["attributes"]["ApproximateReceiveCount"])
        try:
            with tracing.segment("ffmpeg-worker", record["attributes"].get("AWSTraceHeader")):
                done = attend(record["body"], where, partial(_extend, where, receipt), deadline=deadline)
        except Exception:
            # The next worker may do better, and the other messages of this batch must not wait for it.
            log.exception("message %s could not be worked on", record["messageId"])
            _hand_back(partial(_extend, where, receipt), min(2**times, MOST_WAIT_S))
            done = False
        if not done:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


Extend = Callable[[int], object]
"""Keeps the message from others for so many seconds."""


def attend(body: str, where: Queue, extend: Extend, *, deadline: float | None) -> bool:
    """Work on what one message names; whether the message is done."""
    try:
        job_id = queue.job_id_of(body)
    except ValueError as error:
        log.error("a message of %s names no job (%s): %.200r", where, error, body)
        extend(0)
        return False
    lease_s = settings().job_lease_s
    extend(lease_s)
    job = jobs.claim(job_id, now=utcnow(), lease_s=lease_s)
    if job is None:
        found = jobs.find(job_id)
        return found is None or found.is_over  # else its holder may be gone when the message comes again
    if job.attempt > MOST_ATTEMPTS:
        jobs.fail(job, f"It was tried {MOST_ATTEMPTS} times, and each time the worker ended before the job did.")
        _announce(job)
        _take_back(_earlier(job))
        return True
    return _work(job, where, extend, deadline)


def _work(job: Job, where: Queue, extend: Extend, deadline: float | None) -> bool:
    written: list[str] = []
    lease = Lease(job, partial(extend, settings().job_lease_s), quitting=quitting, deadline=deadline)
    try:
        with tempfile.TemporaryDirectory(prefix="meet-job-") as folder, lease:
            if job.kind is JobKind.COMPOSE:
                inputs: list[MediaFile] = []
                _complete_recording(job, compose(job, ffmpeg(), Path(folder), lease, written), written)
            else:
                inputs, finished = make_outputs(job, ffmpeg(), Path(folder), lease, written)
                _complete(job, finished, written)
    except (Failed, Impossible) as error:
        log.warning("job %s failed: %s %s", job.job_id, error, getattr(error, "log", ""))
        jobs.fail(job, str(error))
        _announce(job)
        _take_back([*written, *_earlier(job)])
    except Elsewhere as error:
        return _hand_on(job, lease, where, written, str(error))
    except Stopped:
        if lease.is_late and not lease.lost:
            return _hand_on(job, lease, where, written, "It takes longer than this worker has")
        _take_back(written)
        lease.give_back()
        if not lease.lost:  # the process ends
            extend(0)
            return False
        log.info("job %s is no longer this worker's", job.job_id)
        found = jobs.find(job.job_id)
        return found is None or found.is_over
    except Exception:
        lease.give_back()
        raise
    else:
        _learn(job, inputs)
    return True


def _complete(job: Job, finished: list[MediaFile], written: list[str]) -> None:
    """End the job with its outputs, and leave no object that isn't one of theirs."""
    _take_back(_earlier(job))  # before, so that nothing is left of them should this worker end right after
    kept = {key for file in jobs.complete(job, finished) for key in media.keys_of(file)}
    _announce(job)
    _take_back(key for key in written if key not in kept)


def _complete_recording(job: Job, recording: Recording, written: list[str]) -> None:
    """End the job with its recording, of which nothing but its files is left; or leave none of them."""
    if not jobs.complete_composition(job, recording):
        _take_back(written)
        return
    _announce(job)
    try:
        discard(recording.recording_id, keep=recordings.keys_of(recording))
    except Unavailable as error:
        log.warning("what recording %s was made of is left to the sweeper: %s", recording.recording_id, error)


def _earlier(job: Job) -> list[str]:
    """What attempts before this one have written. None of them can complete the job any more."""
    if job.attempt < 2:
        return []
    of = files_prefix if job.kind is JobKind.COMPOSE else _media_prefix
    there = [one.key for step in job.steps for one in objects.every(of(step.media_id))]
    return [key for key in there if objects.attempt_of(key) < job.attempt]


def _media_prefix(media_id: str) -> str:
    return f"{objects.MEDIA}{media_id}/"


def _hand_on(job: Job, lease: Lease, where: Queue, written: list[str], why: str) -> bool:
    """Give the job to the workers of long jobs, which have every encoder and no end."""
    _take_back(written)
    if where is Queue.FFMPEG_LONG:
        jobs.fail(job, f"The job can't be done: {why}.")
        _announce(job)
        return True
    log.info("job %s goes to %s: %s", job.job_id, Queue.FFMPEG_LONG, why)
    queue.send(job, Queue.FFMPEG_LONG)
    lease.give_back()
    return True


def _take_back(keys: Iterable[str]) -> None:
    """Delete objects that are nobody's; those that can't be now are swept some day."""
    try:
        objects.delete_many(keys)
    except Unavailable as error:
        log.warning("objects without a row are left to the sweeper: %s", error)


def _learn(job: Job, inputs: list[MediaFile]) -> None:
    """Better estimates are worth no failure."""
    try:
        ended = jobs.find(job.job_id)
        if ended is None:
            return
        with _redis() as redis:
            Speeds(redis).learn(ended, inputs)
    except (RedisError, Unavailable) as error:
        log.warning("how long job %s took is not learned from: %s", job.job_id, error)


def _announce(job: Job) -> None:
    """Who waits looks for itself in the end, so this is worth no failure either."""
    try:
        with _redis() as redis:
            announce(redis, job.job_id)
    except RedisError as error:
        log.warning("nobody is told that job %s is over: %s", job.job_id, error)


def _redis() -> Redis:
    return Redis.from_url(settings().redis_url, socket_timeout=2, socket_connect_timeout=1)


def _extend(where: Queue, receipt: str, visibility_s: int) -> bool:
    return queue.extend(where, receipt, visibility_s=visibility_s)


def _hand_back(extend: Extend, after_s: int) -> None:
    try:
        extend(after_s)
    except Unavailable as error:
        log.warning("a message comes again when its time is over: %s", error)
