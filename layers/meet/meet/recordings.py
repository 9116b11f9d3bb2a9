"""How a recording ends, whoever ends it: its media process, or the sweeper where that is gone.

All that was recorded is in the bucket by then (`meet.domain.capture`). The stop of the recording and the job that
makes a file of it are one write, so whoever comes second, or again, makes no second job.
"""

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from meet import objects, queue
from meet.clock import new_id
from meet.config import settings
from meet.domain.capture import recording_prefix
from meet.domain.job import Job, JobKind, JobStatus
from meet.domain.recording import Measured, Recording
from meet.estimates import estimate_s
from meet.orders import compose
from meet.store import jobs
from meet.store import recordings as store

log = logging.getLogger("meet.recordings")

NEVER_BEGAN = "The recording never began: its media process ended before it did."


def finish(
    recording_id: str, *, at: datetime, measured: Measured | None = None, interrupted: bool = False
) -> Recording | None:
    """Stop a live recording, and have its file made; `measured` is the recorder's last word, if there is one.

    The recording after it, None where it was deleted. May be repeated: what was stopped or is over stays as it is,
    and a job that no worker has taken yet is queued once more. One that never began has failed. Blocks. Raises
    `Unavailable`: then repeat it; should nobody do so, the sweeper does.
    """
    recording = store.find(recording_id)
    if recording is not None and recording.is_live:
        recording = _stop(recording, at=at, measured=measured, interrupted=interrupted)
    if recording is not None and recording.job_id is not None and not recording.is_over:
        job = jobs.find(recording.job_id)
        if job is not None and job.status is JobStatus.QUEUED:
            queue.send(job)
    return recording


def finish_lapsed(recording_id: str, *, now: datetime) -> Recording | None:
    """Finish a recording, `interrupted`, of whose media process nothing was heard for longer than its lease.

    It ended when it was last heard of. None where it is over, or held. Blocks; raises `Unavailable`.
    """
    recording = store.find(recording_id)
    if recording is None or not recording.is_live or recording.held_until is None or recording.held_until > now:
        return None
    heard = recording.held_until - timedelta(seconds=settings().recording_lease_s)
    at = max(heard, recording.started_at or recording.created_at)
    log.warning("the media process of recording %s was last heard of at %s", recording_id, at)
    return finish(recording_id, at=at, interrupted=True)


def discard(recording_id: str, *, keep: Collection[str] = ()) -> int:
    """Delete a recording's objects but those under the keys to `keep`; how many they were.

    Blocks, for as long as it takes to list them: a thousand a request. Raises `Unavailable`; what is left then, the
    sweeper deletes where it is nobody's.
    """
    deleted = [one.key for one in objects.every(recording_prefix(recording_id)) if one.key not in keep]
    objects.delete_many(deleted)
    return len(deleted)


def _stop(before: Recording, *, at: datetime, measured: Measured | None, interrupted: bool) -> Recording | None:
    if before.started_at is None:
        return store.withdraw(before.recording_id, NEVER_BEGAN, at=at) or store.find(before.recording_id)
    known = replace(before, measured=measured or before.measured)
    step = compose(known)
    job = Job(
        job_id=new_id(),
        kind=JobKind.COMPOSE,
        owner_id=before.owner_id,
        inputs=(),
        steps=(step,),
        estimated_s=estimate_s([step], [], [1.0]),
        created_at=at,
    )
    stopped = known.stopped(job.job_id, at=at, interrupted=interrupted)
    if not jobs.create_composition(job, stopped):
        return store.find(before.recording_id)  # somebody else stopped it at the same moment
    log.info("recording %s is stopped after %.1f s", before.recording_id, stopped.measured.duration_s)
    return stopped
