"""Jobs in DynamoDB, each written together with the media files that it makes, or the recording that it ends.

A job's row decides: whoever ends a job, by making it, failing it or wanting it no more, does so in one transaction
with its outputs, on the condition that nobody ended it and that no other worker has taken it over since. So there is
never a finished job without its files, nor a file of an attempt that lost.

Rows of jobs that are not over stand in the index `open` by the time until which nothing more need be heard of them:
that is how a sweeper finds those that nobody works on any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from pynamodb.attributes import (
    JSONAttribute,
    ListAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.transactions import TransactWrite

from meet.clock import utcnow
from meet.domain.job import Given, Job, JobKind, JobStatus, Step
from meet.domain.media import MediaFile
from meet.domain.recording import Recording
from meet.errors import Conflict, NotFound, Unavailable
from meet.store import media, recordings
from meet.store.base import Row, condition_failed, reasons, transaction

KEPT = timedelta(days=30)
"""How long a job that is over can be asked for; its files stay."""
ATTEMPTS = 10
"""Rounds of a write that another's may come between."""

_OPEN = "open"


class _Open(GlobalSecondaryIndex["_JobRow"]):
    class Meta:
        index_name = "open"
        projection = KeysOnlyProjection()

    open = UnicodeAttribute(hash_key=True)
    due_at = NumberAttribute(range_key=True)


class _JobRow(Row):
    table = "jobs"

    job_id = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    inputs = ListAttribute(of=UnicodeAttribute)
    steps = JSONAttribute()
    estimated_s = NumberAttribute()
    created_at = UTCDateTimeAttribute()
    status = UnicodeAttribute()
    progress = NumberAttribute()
    attempt = NumberAttribute()
    held_until = NumberAttribute(null=True)
    """Unix time in milliseconds: a number, since conditions compare it."""
    started_at = UTCDateTimeAttribute(null=True)
    completed_at = UTCDateTimeAttribute(null=True)
    error = UnicodeAttribute(null=True)
    given = JSONAttribute(null=True)
    options = JSONAttribute(null=True)
    result = JSONAttribute(null=True)
    result_key = UnicodeAttribute(null=True)
    part_of = UnicodeAttribute(null=True)
    worker = UnicodeAttribute(null=True)
    open = UnicodeAttribute(null=True)
    """There as long as the job isn't over."""
    due_at = NumberAttribute()
    """Unix time in milliseconds: when it was made or sent again, and once it is held, `held_until`."""
    ttl = TTLAttribute(null=True)
    open_jobs = _Open()


def create(job: Job, outputs: Sequence[MediaFile]) -> None:
    """Store a new job together with the files that it will make, which are `processing`."""
    with transaction() as write:
        write.save(_row(job), condition=_JobRow.job_id.does_not_exist())
        for output in outputs:
            media.add(write, output)


def create_composition(job: Job, stopped: Recording) -> bool:
    """Store a new job together with the stop of the recording that it makes the file of (`Recording.stopped`).

    False where the recording is live no more: then somebody else has stopped it, and there is no such job.
    """
    write = transaction()
    write.save(_row(job), condition=_JobRow.job_id.does_not_exist())
    recordings.stop_in(write, stopped)
    try:
        with write:
            return True
    except TransactWriteError as error:
        reasons(error)
        return False


def find(job_id: str) -> Job | None:
    """The job as it is now, or None where there is none."""
    try:
        return _job(_JobRow.get(job_id, consistent_read=True))
    except DoesNotExist:
        return None


def get(job_id: str) -> Job:
    """The job as it is now; `NotFound` where there is none."""
    job = find(job_id)
    if job is None:
        raise not_found(job_id)
    return job


def not_found(job_id: str) -> NotFound:
    """What is answered where there is no such job, or it is another's."""
    return NotFound(f"Job with ID '{job_id}' not found")


def claim(job_id: str, *, now: datetime, lease_s: float, worker: str | None = None) -> Job | None:
    """Take a job as its next attempt, held until `lease_s` from now by a worker that may have a name.

    None where there is nothing to do for the caller: the job is over, was never there, or another worker holds it.
    The message of the first two is done with; that of the last is kept, since its holder may be gone in a moment.
    """
    for _ in range(ATTEMPTS):
        before = find(job_id)
        if before is None or before.is_over or before.is_held(now):
            return None
        after = before.claimed(at=now, until=now + timedelta(seconds=lease_s), worker=worker)
        actions = [
            _JobRow.status.set(after.status.value),
            _JobRow.attempt.set(after.attempt),
            _JobRow.started_at.set(after.started_at or now),
            *_held(after),
        ]
        if worker is not None:
            actions.append(_JobRow.worker.set(worker))
        if _update(job_id, actions, _unheld_since(before)):
            return after
    return None  # it is being claimed by others without pause


def renew(job: Job, *, progress: int, until: datetime) -> Job | None:
    """Keep a claimed job until then, and note how far it is.

    None where it is not this attempt's any more: it was cancelled, or another worker took it over. Then stop, and
    delete what was made.
    """
    after = job.renewed(until=until, progress=progress)
    actions = [_JobRow.progress.set(after.progress), *_held(after)]
    return after if _update(job.job_id, actions, _unended(job)) else None


def answer(
    job: Job, result: Mapping[str, Any] | None, result_key: str | None = None, *, now: datetime | None = None
) -> bool:
    """End a claimed job that makes no files with its result, which must fit into a row (`meet.results`).

    False where this attempt had lost the job: the object under `result_key` is nobody's then.
    """
    return _end(job, job.completed(at=now or utcnow(), result=result, result_key=result_key))


def complete(
    job: Job,
    finished: Sequence[MediaFile],
    *,
    result: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> list[MediaFile]:
    """End a claimed job with the files it made (`MediaFile.finished`); which of them are in the store now.

    The objects of all others are nobody's, and the caller deletes them: all, where this attempt had lost the job; one
    whose row was deleted meanwhile. May be repeated: what was completed before is answered again. After `Unavailable`
    it isn't known what happened, and nothing may be deleted.
    """
    _end(job, job.completed(at=now or utcnow(), result=result), finished)
    return [file for file in finished if _is_kept(file)]


def complete_composition(job: Job, recording: Recording, *, now: datetime | None = None) -> bool:
    """End a claimed `compose` job with its recording (`Recording.completed`); whether that stands in the store now.

    Where it doesn't, this attempt's objects are nobody's, and the caller deletes them: it had lost the job, or the
    recording was deleted meanwhile. Otherwise as `complete`.
    """
    _end(job, job.completed(at=now or utcnow()), recording=recording)
    kept = recordings.find(recording.recording_id)
    return kept is not None and kept.blob is not None and kept.blob == recording.blob


def fail(job: Job, error: str, *, now: datetime | None = None) -> bool:
    """End a job and its outputs, since it can't be done; `error` is a sentence for its owner.

    False where it is over, or is another attempt's. May be repeated.
    """
    return _end(job, job.failed(error, at=now or utcnow()))


def cancel(job: Job, *, now: datetime | None = None) -> Job:
    """End a job and its outputs, since its owner wants it no more, whoever works on it; the job after it.

    A job that was cancelled before stays so. Raises `Conflict` where it ended in another way, `NotFound` where it is
    gone.
    """
    for _ in range(ATTEMPTS):
        if job.status is JobStatus.CANCELLED:
            return job
        if job.is_over:
            raise Conflict(f"The job is {job.status} and can no longer be cancelled")
        after = job.cancelled(at=now or utcnow())
        if _end(job, after):
            return after
        job = get(job.job_id)
    raise Unavailable


def overdue(before: datetime, *, most: int = 100) -> Iterator[Job]:
    """Jobs that are not over and that nobody has held or sent since `before`, the longest silent first.

    It reads an index, which follows a write within about a second; each job is then read as it is.
    """
    rows = _JobRow.open_jobs.query(_OPEN, _JobRow.due_at < _stamp(before), limit=most)
    for row in islice(rows, most):
        job = find(row.job_id)
        if job is not None and not job.is_over:
            yield job


def put_off(job: Job, *, now: datetime, until: datetime) -> bool:
    """Let a job that is overdue be found again only from then on; False where it isn't overdue any more.

    For a sweeper that is about to send it again: of two that do so at once, one is told True.
    """
    is_overdue = _unheld_since(job) & (_JobRow.due_at < _stamp(now))
    return _update(job.job_id, [_JobRow.due_at.set(_stamp(until))], is_overdue)


def _end(before: Job, after: Job, finished: Sequence[MediaFile] = (), *, recording: Recording | None = None) -> bool:
    """Write a job's end together with its outputs: those in `finished` are ready, the others failed.

    False where the job isn't as `before` any more. An output whose row was deleted meanwhile is left out.
    """
    ready = {file.media_id: file for file in finished}
    outputs = [step.media_id for step in before.steps]
    while True:
        write = transaction()
        write.update(_JobRow(before.job_id), _ended(after), condition=_unended(before))
        for media_id in outputs:
            if before.kind is JobKind.COMPOSE:
                _end_recording(write, media_id, after, recording)
            elif media_id in ready:
                media.finish_in(write, ready[media_id])
            else:
                media.fail_in(write, media_id)
        try:
            with write:
                return True
        except TransactWriteError as error:
            lost, *gone = reasons(error)
            if lost:
                return False
            outputs = [media_id for media_id, is_gone in zip(outputs, gone, strict=True) if not is_gone]


def _end_recording(write: TransactWrite, recording_id: str, after: Job, made: Recording | None) -> None:
    if made is not None:
        recordings.finish_in(write, made)
    elif after.status is JobStatus.CANCELLED:
        recordings.cancel_in(write, recording_id)
    else:
        recordings.fail_in(write, recording_id, after.error or "")


def _is_kept(file: MediaFile) -> bool:
    """Whether a file stands in the store with these very bytes."""
    kept = media.find(file.media_id)
    return kept is not None and kept.blob is not None and kept.blob == file.blob


def _held(job: Job) -> list[Action]:
    assert job.held_until is not None  # noqa: S101 - what `claimed` and `renewed` make is held
    stamp = _stamp(job.held_until)
    return [_JobRow.held_until.set(stamp), _JobRow.due_at.set(stamp)]


def _ended(job: Job) -> list[Action]:
    assert job.completed_at is not None  # noqa: S101 - what ended has an end
    actions: list[Action] = [
        _JobRow.status.set(job.status.value),
        _JobRow.progress.set(job.progress),
        _JobRow.completed_at.set(job.completed_at),
        _JobRow.ttl.set(job.completed_at + KEPT),
        _JobRow.held_until.remove(),
        _JobRow.open.remove(),
    ]
    if job.error is not None:
        actions.append(_JobRow.error.set(job.error))
    if job.result is not None:
        actions.append(_JobRow.result.set(dict(job.result)))
    if job.result_key is not None:
        actions.append(_JobRow.result_key.set(job.result_key))
    return actions


def _unended(job: Job) -> Condition:
    """The job is in the hands of the same attempt, and not over. Its lease may have moved."""
    condition: Condition = (_JobRow.status == job.status.value) & (_JobRow.attempt == job.attempt)
    return condition


def _unheld_since(job: Job) -> Condition:
    """As before, and nobody has moved its lease."""
    held_until = _JobRow.held_until
    lease = held_until.does_not_exist() if job.held_until is None else held_until == _stamp(job.held_until)
    condition: Condition = _unended(job) & lease
    return condition


def _update(job_id: str, actions: list[Action], condition: Condition) -> bool:
    try:
        _JobRow(job_id).update(actions, condition=condition)
    except UpdateError as error:
        if not condition_failed(error):
            raise
        return False
    return True


def _stamp(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp / 1000, UTC)


def _row(job: Job) -> _JobRow:
    return _JobRow(
        job_id=job.job_id,
        kind=job.kind.value,
        owner_id=job.owner_id,
        inputs=list(job.inputs),
        steps=[
            {"media_id": step.media_id, "operation": step.operation, "options": dict(step.options)}
            for step in job.steps
        ],
        estimated_s=job.estimated_s,
        created_at=job.created_at,
        status=job.status.value,
        progress=job.progress,
        attempt=job.attempt,
        given=None if job.given is None else {"key": job.given.key, "mime_type": job.given.mime_type},
        options=dict(job.options) or None,
        part_of=job.part_of,
        open=_OPEN,
        due_at=_stamp(job.created_at),
    )


def _job(row: _JobRow) -> Job:
    inputs: list[Any] = row.inputs  # of str: what the attributes of a list become
    steps: list[dict[str, Any]] = row.steps
    return Job(
        job_id=row.job_id,
        kind=JobKind(row.kind),
        owner_id=row.owner_id,
        inputs=tuple(inputs),
        steps=tuple(Step(step["media_id"], step["operation"], step["options"]) for step in steps),
        estimated_s=int(row.estimated_s),
        created_at=row.created_at,
        status=JobStatus(row.status),
        progress=int(row.progress),
        attempt=int(row.attempt),
        held_until=None if row.held_until is None else _moment(row.held_until),
        started_at=row.started_at,
        completed_at=row.completed_at,
        error=row.error,
        given=None if row.given is None else Given(**row.given),
        options=row.options or {},
        result=row.result,
        result_key=row.result_key,
        part_of=row.part_of,
        worker=row.worker,
    )
